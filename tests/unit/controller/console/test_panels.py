"""What the sections of the pages show, as pure functions of views and a language."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import time, timedelta

import pytest

from controller.console.forms import clock_of, quarter_choices
from controller.console.grid.panels import flexibility_chart, limits_html
from controller.console.live import text
from controller.console.network import day_chart, load_ratio, tree_html, visible_nodes
from controller.console.operator import panels
from controller.console.operator.chargers import (
    PAGE_ROWS,
    Choice,
    chargers_html,
    chosen,
    page_count,
    state_of,
)
from controller.console.resident import panels as resident
from controller.console.resident import standing
from controller.domain.assets import WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.domain.network import ImposedLimit
from controller.runtime.door import LedgerView
from controller.texts import Language, Translator, translator
from market.ledger import PostingReason
from market.orders import RefusalCode
from tests.support.fake_door import FakeDoor
from tests.support.fake_views import FEEDER, RESIDENT, START, fake_postings
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)


def test_what_others_wrote_shows_and_does_nothing() -> None:
    """Markup in a device's name is text."""
    assert text('<img src=x onerror="alert(1)">') == "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;"


async def test_the_strip_shows_magnitudes_with_units() -> None:
    """The sun is shown as production without a sign, discharge tells when it is stopped."""
    door = FakeDoor()
    door.discharge_stopped = True
    html = well_formed(panels.strip_html(await door.state(), _NL))
    assert "Zon" in html
    assert "stilgezet door beheer" in html
    assert "0,184\N{NO-BREAK SPACE}€/kWh" in html
    assert "-10" not in html


async def test_alarms_stand_in_their_order_each_with_what_to_do() -> None:
    """The most urgent first, with a word for the urgency, not colour alone; none is calm."""
    html = well_formed(panels.alarms_html((await FakeDoor().state()).alarms, _EN))
    assert html.index("Over its limit") < html.index("Device is silent") < html.index("stopped reporting")
    assert "call the grid operator" in html
    assert "Now" in html
    assert "Nothing needs you now" in panels.alarms_html([], _EN)


async def test_many_alarms_of_one_kind_are_one_entry() -> None:
    """How many, the first of them by name, since the first; other kinds stand in their place."""
    alarms = list((await FakeDoor().state()).alarms)
    silent = next(alarm for alarm in alarms if alarm.code == "device_silent")
    place = alarms.index(silent)
    many = [
        replace(silent, subject=f"charger-{number}", since=silent.since - timedelta(minutes=number))
        for number in range(1000)
    ]
    html = well_formed(panels.alarms_html([*alarms[:place], *many, *alarms[place + 1 :]], _EN))
    assert html.count("<li") == len(alarms)
    assert "Device is silent</b> · 1,000: charger-0, charger-1" in html
    assert "and 994 more" in html
    assert html.index("Over its limit") < html.index("Device is silent") < html.index("stopped reporting")
    few = panels.alarms_html(many[:4], _EN)
    assert few.count("<li") == 4


async def test_the_tree_shows_small_nodes_only_under_the_one_looked_at() -> None:
    """Poles appear under the selected feeder, and stay while one of them is selected."""
    nodes = (await FakeDoor().state()).nodes
    far = {node.id for node, _ in visible_nodes(nodes, "feeder-2")}
    near = [(node.id, depth) for node, depth in visible_nodes(nodes, "feeder-1")]
    inside = {node.id for node, _ in visible_nodes(nodes, "pole-1")}
    assert "pole-1" not in far
    assert near[:3] == [("transformer-1", 0), ("feeder-1", 1), ("pole-1", 2)]
    assert {"pole-1", "pole-2"} <= inside


async def test_the_tree_says_in_words_how_full_a_node_is() -> None:
    """Over, nearly full, unknown: each has a sign and a text beside its colour."""
    html = well_formed(tree_html((await FakeDoor().state()).nodes, "feeder-1", _EN))
    assert "▲ 141.5 / 138.0" in html
    for words in ("over the limit", "unknown", "room left", "estimated, 60% metered"):
        assert words in html


async def test_a_node_without_a_limit_is_never_full() -> None:
    """And one whose load is not known has no ratio; a closed node with load is over."""
    node = (await FakeDoor().state()).nodes[0]
    assert load_ratio(replace(node, import_limit_kw=math.inf)) == 0.0
    assert load_ratio(replace(node, power_kw=None)) is None
    assert load_ratio(replace(node, power_kw=-19.0, export_limit_kw=38.0)) == pytest.approx(0.5)
    assert load_ratio(replace(node, power_kw=1.0, import_limit_kw=0.0)) == math.inf


async def test_the_chart_has_the_load_the_limits_and_the_three_baselines() -> None:
    """With gaps where nothing was measured; infinite limits, and those the other way, have no line."""
    door = FakeDoor()
    points = list(await door.node_history(FEEDER))
    series = day_chart(points, _EN)["series"]
    assert isinstance(series, list)
    names = [line["name"] for line in series]
    assert names == ["With control", "Limit", "Plug and charge", "Price following", "Fixed cap"]
    sunny = day_chart([replace(points[0], power_kw=-30.0), *points[1:]], _EN)["series"]
    assert isinstance(sunny, list)
    assert (sunny[2]["name"], sunny[2]["data"][0]) == ("Limit back", -138.0)
    assert series[0]["data"][10] is None
    outside = day_chart(await door.node_history(NodeId("outside")), _EN)["series"]
    assert isinstance(outside, list)
    assert len(outside) == 4


async def test_chargers_are_filtered_and_paged_out_of_a_thousand() -> None:
    """By part of a name and by state; those at risk come first; a page has few rows."""
    views = (await FakeDoor(chargers=1000).state()).chargers
    assert len(chosen(views, Choice())) == 1000
    assert page_count(1000) == -(-1000 // PAGE_ROWS)
    assert page_count(0) == 1
    assert {view.id for view in chosen(views, Choice(words=" CAR-77 "))} == {"charger-77"} | {
        f"charger-{number}" for number in range(770, 780) if number % 4
    }
    assert all(not view.plugged for view in chosen(views, Choice(state="free")))
    assert [view.id for view in chosen(views, Choice(state="risk"))] == ["charger-01"]
    html = well_formed(chargers_html(views, 1, _NL))
    assert html.count("<tr>") == PAGE_ROWS + 1
    assert "Geen laadpunt voldoet" in chargers_html([], 0, _NL)


async def test_every_charger_state_is_told_apart() -> None:
    """Silent beats all, then free, then the direction of the power; unknown power waits."""
    view = (await FakeDoor().state()).chargers[0]
    assert state_of(replace(view, connected=False)) == "silent"
    assert state_of(replace(view, plugged=False)) == "free"
    assert state_of(replace(view, power_kw=None)) == "waiting"
    assert state_of(replace(view, power_kw=0.01)) == "waiting"
    assert state_of(replace(view, power_kw=3.0)) == "charging"
    assert state_of(replace(view, power_kw=-3.0)) == "discharging"


async def test_the_ledger_says_whether_it_sums_to_zero() -> None:
    """Zero is calm, anything else an alarm; the newest posting comes first."""
    view = await FakeDoor().ledger(account=None, after_row=0, limit=10)
    html = well_formed(panels.ledger_html(view, _NL))
    assert "samen precies 0" in html
    assert html.index("congestieopbrengst") < html.index("handel")
    wrong = panels.ledger_html(LedgerView(balances_nanoeur={"supplier": 5}, postings=()), _NL)
    assert 'role="alert"' in wrong


async def test_the_clearing_shows_each_price_with_its_places() -> None:
    """Nodes of one price stand together; before the first clearing the page says so."""
    html = well_formed(panels.clearing_html((await FakeDoor().state()).latest_clearing, _NL))
    assert "net daarbuiten, transformer-1" in html
    assert "0,232\N{NO-BREAK SPACE}€/kWh" in html or "0,231\N{NO-BREAK SPACE}€/kWh" in html
    assert "nog geen kwartier" in panels.clearing_html(None, _NL)
    assert panels.clearing_price(None) is None


async def test_the_plan_shows_how_good_it_is_proven_to_be() -> None:
    """Cost and the bound of the limits that it keeps side by side; before the first plan the page says so."""
    plan = await FakeDoor().plan()
    html = well_formed(panels.plan_html(plan, _NL))
    assert "101,20\N{NO-BREAK SPACE}€" in html
    assert "101,15\N{NO-BREAK SPACE}€" in html
    for unproven in (None, 0.4):
        assert "101,15" not in panels.plan_html(replace(plan, gap_fraction=unproven), _NL)
    inside = panels.plan_html(replace(plan, status="optimal_inside", inside_bound_eur=101.18), _NL)
    assert "101,18" in inside
    assert "101,15" not in inside
    assert "het beste dat spanningen en stromen toelaten" in inside
    assert "1 keer erbuiten" in html
    assert "binnen hun grenzen" in panels.plan_html(replace(plan, strains=()), _NL)
    assert "Spanningen" not in panels.plan_html(replace(plan, strains=None), _NL)
    assert "nog geen plan" in panels.plan_html(replace(plan, made_at=None), _NL)


async def test_a_resident_is_told_of_a_departure_at_risk_and_why() -> None:
    """With the time, what will be missing, and the reason in words."""
    car = (await FakeDoor().assets(RESIDENT))[0]
    html = well_formed(resident.asset_html(car, _NL))
    assert "Bij vertrek di 16 jan 07:30 komt deze auto 3,2\N{NO-BREAK SPACE}kWh tekort." in html
    assert "De kabel, zekering of transformator is vol" in html
    away = replace(car, charger=None, reason=None)
    assert "niet aangesloten" in well_formed(resident.asset_html(away, _NL))


async def test_a_resident_sees_for_the_coming_hours_why_the_car_waits_or_charges() -> None:
    """Each span with its power and its reason in words; nothing where there is no plan of it."""
    car = (await FakeDoor().assets(RESIDENT))[0]
    html = well_formed(resident.asset_html(car, _NL))
    assert "De komende uren" in html
    assert "Hij wacht: 0,310\N{NO-BREAK SPACE}€/kWh, tegen 0,120\N{NO-BREAK SPACE}€/kWh vanaf" in html
    assert "feeder-1 heeft niet meer ruimte dan 138,0\N{NO-BREAK SPACE}kW." in html
    assert "6,4\N{NO-BREAK SPACE}kW" in html
    assert "De komende uren" not in resident.asset_html(replace(car, coming=()), _NL)


async def test_the_pressed_button_is_marked_as_pressed() -> None:
    """For eyes and for screen readers alike."""
    car = (await FakeDoor().assets(RESIDENT))[0]
    pressed = replace(car, wishes=replace(car.wishes, mode=WishKind.PAUSE, never_discharge=True))
    html = well_formed(resident.mode_html(pressed, _EN))
    assert 'data-mode="pause" aria-pressed="true"' in html
    assert 'data-mode="none" aria-pressed="false"' in html
    assert 'data-act="never" aria-pressed="true"' in html


async def test_orders_tell_their_outcome_and_only_open_ones_can_be_cancelled() -> None:
    """Cleared, cancelled, open, lapsed."""
    record = (await FakeDoor().orders(RESIDENT))[0]
    html = well_formed(resident.orders_html([record], _EN))
    assert "0.45\N{NO-BREAK SPACE}kWh traded" in html
    assert 'data-act="cancel"' not in html
    assert 'data-order="evening-1"' in resident.orders_html([replace(record, fill=None)], _EN)
    cancelled = replace(record, fill=None, cancelled_at=START)
    assert "cancelled" in resident.orders_html([cancelled], _EN)
    lapsed = replace(cancelled, lapsed_because=RefusalCode.NO_AUCTION)
    assert "lapsed: nothing is traded here any more" in resident.orders_html([lapsed], _EN)


def test_a_balance_is_to_pay_or_to_receive() -> None:
    """The sign becomes a word."""
    assert "te betalen" in resident.balance_html(-83_000_001, _NL)
    assert "te ontvangen" in resident.balance_html(83_000_001, _NL)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(_NL, ("achteraf", "niets te bestellen", "overzicht")), (_EN, ("after the fact", "nothing to order"))],
)
def test_who_shares_after_the_fact_reads_what_that_means(
    words: Translator, expected: tuple[str, ...]
) -> None:
    """One paragraph, in the reader's language."""
    html = well_formed(resident.sharing_html(words))
    assert [word for word in expected if word not in html] == []


async def test_the_grid_operator_sees_flexibility_and_limits() -> None:
    """The band lies around the forecast; a limit has a button that withdraws it."""
    points = await FakeDoor().flexibility(FEEDER)
    series = flexibility_chart(points, _EN)["series"]
    assert isinstance(series, list)
    forecast, upper, lower = (line["data"] for line in series)
    assert upper[0] - forecast[0] == pytest.approx(20.0)
    assert forecast[0] - lower[0] == pytest.approx(35.5)
    limit = ImposedLimit(
        id="limit-1", node=FEEDER, import_kw=80.0, export_kw=None, from_utc=START, to_utc=None, set_by="grid"
    )
    assert 'data-limit="limit-1"' in well_formed(limits_html([limit], _EN))


def test_a_form_reads_clock_times_and_offers_quarters_that_are_open() -> None:
    """Anything else than a time is none; the first quarter lies at least one ahead."""
    assert clock_of("07:30") is not None
    assert clock_of("soon") is None
    assert clock_of(None) is None
    first = next(iter(quarter_choices(START, _EN)))
    assert first == "2024-01-15T17:00:00+00:00"
    assert len(quarter_choices(START + timedelta(hours=1), _EN, 8)) == 8


@pytest.mark.parametrize("reason", PostingReason)
def test_every_reason_of_a_posting_has_a_name(reason: PostingReason) -> None:
    """A posting that the page cannot name would take the whole page with it."""
    row, posting = 1, replace(fake_postings()[0], reason=reason)
    assert posting.debit_account in well_formed(panels.postings_html([(row, posting)], _NL))


@pytest.mark.parametrize(
    ("wanted", "dutch", "english"),
    [
        (
            SellSurplus(min_price_microeur_per_kwh=90_000),
            "Verkoop mijn overschot voor",
            "Sell my surplus at",
        ),
        (GiveSurplus(), "Geef mijn overschot aan openbare gebouwen", "Give my surplus to public buildings"),
        (
            LeaveAt(vehicle=AssetId("car-1"), at_local=time(8, 0), soc_fraction=0.6),
            "car-1 vertrekt om 08:00 met 60%, elke dag",
            "car-1 leaves at 08:00 with 60%, every day",
        ),
        (
            LeaveAt(vehicle=AssetId("car-1"), at_local=time(8, 0), soc_fraction=0.6, weekdays=(0, 4)),
            "op 2 dagen van de week",
            "on 2 days of the week",
        ),
    ],
)
def test_an_instruction_reads_as_it_was_meant(wanted: Wanted, dutch: str, english: str) -> None:
    """In both languages, each with a button that ends it."""
    instruction = Instruction(id="i-1", member=RESIDENT, wanted=wanted, created_at=START)
    for words, expected in ((_NL, dutch), (_EN, english)):
        html = well_formed(standing.instructions_html([instruction], words))
        assert expected in html
        assert 'data-act="end" data-instruction="i-1"' in html
    assert "Je hebt geen vaste opdrachten." in standing.instructions_html([], _NL)
