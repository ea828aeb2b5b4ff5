"""The sections of one charger's page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.api.guest.code import site_address
from controller.console.operator import charger_panels as panels
from controller.console.operator.access_form import HIGHEST_PROFILE, profile_name, raised_html
from controller.console.operator.admissions_page import refused_html, waiting_html
from controller.console.operator.fleet import Row
from controller.domain.charger_tools import Ailment, ConnectorState, SecurityRaise
from controller.domain.floor import DAY_S, NOTHING, FloorHours
from controller.domain.ids import AssetId
from controller.texts import Language, translator
from tests.support.fake_door import FakeDoor
from tests.support.fake_overview import NIGHT, overview, setpoint_view
from tests.support.fake_views import START
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)


def row(*ailments: Ailment, **changes: object) -> Row:
    """A charger on the first place of the street."""
    seen = overview("charger-01", *ailments, setpoint=setpoint_view(**changes))
    return Row(view=FakeDoor()._charger(1, 0.5), seen=seen)


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (NIGHT, "with at most 4.2\N{NO-BREAK SPACE}kW from 01:00 to 05:00 each day"),
        (FloorHours(start_s=82_800, length_s=7200, power_kw=4.2), "from 00:00 to 02:00 each day"),
        (FloorHours(start_s=0, length_s=DAY_S, power_kw=3.7), "at any time"),
        (NOTHING, "it stands still."),
    ],
)
def test_own_hours_are_said_in_local_time(floor: FloorHours, said: str) -> None:
    """What a charger counts in UTC is an hour later on the clock in winter."""
    assert said in panels.floor_words(floor, START, _EN)


def test_what_it_was_told_says_what_holds_now_and_after() -> None:
    """While a setpoint lives it comes first; when it has run out only the own hours are left."""
    live = well_formed(panels.told_html(row(), START, _EN))
    assert "Until 17:45:00 it does 7.0\N{NO-BREAK SPACE}kW" in live
    assert live.index("Until") < live.index("On its own") < live.index("Never more than")
    over = well_formed(panels.told_html(row(), START + timedelta(hours=1), _EN))
    assert "No setpoint of ours holds now." in over
    assert "Until" not in over
    refused = panels.told_html(row(refused="<b>no</b>"), START, _NL)
    assert "nam de laatste instelwaarde niet aan: &lt;b&gt;no" in refused


def test_an_ailment_has_since_when_what_to_do_and_its_figures() -> None:
    """None is calm."""
    html = well_formed(panels.ailments_html(row(Ailment.FLAPPING), _NL))
    for words in ("verbindt steeds opnieuw", "sinds ma 15 jan", "signaal", "figures of flapping"):
        assert words in html
    assert "niets mis" in panels.ailments_html(row(), _NL)


def test_plate_and_connectors_say_what_was_told() -> None:
    """A connector that has told nothing asks to be asked."""
    plate = well_formed(panels.plate_html(row(), _EN))
    for words in ("Wijk W1", "1.2.3", "SN-charger-01", "OCPP 2.1", "by its specification"):
        assert words in plate
    assert "Ask for its status" in panels.connectors_table_html(row(), _EN)
    told = ConnectorState(evse=2, connector=1, status="Reserved", at=START)
    seen = overview("charger-01", connectors=(told,))
    html = well_formed(panels.connectors_table_html(Row(view=row().view, seen=seen), _NL))
    assert "2/1" in html
    assert "gereserveerd" in html


def test_a_code_for_the_sticker_stands_beside_the_guests_page() -> None:
    """A name with signs in it is one place of the address."""
    html = well_formed(panels.guest_html("cp 1/a", _NL, "https://wijk.example"))
    assert "https://wijk.example/guest/cp%201%2Fa" in html
    assert "w-warn" not in html
    assert 'href="/guest/cp%201%2Fa/code.svg"' in html
    assert 'href="/guest/cp%201%2Fa"' in html
    assert "druk hem af voor de sticker" in html


@pytest.mark.parametrize(
    ("public_url", "asked_at", "address", "warned"),
    [
        ("", "http://127.0.0.1:8080/", "http://127.0.0.1:8080", True),
        ("", "http://localhost/", "http://localhost", True),
        ("", "http://[::1]:8080/", "http://[::1]:8080", True),
        ("", "http://192.0.2.7:8080/", "http://192.0.2.7:8080", False),
        ("https://wijk.example/", "http://127.0.0.1:8080/", "https://wijk.example", False),
    ],
)
def test_who_would_print_a_code_that_leads_nowhere_is_warned(
    public_url: str, asked_at: str, address: str, *, warned: bool
) -> None:
    """By the address that was used, where no public one is set; with the setting that mends it."""
    html = well_formed(panels.guest_html("cp-1", _EN, site_address(public_url, asked_at)))
    assert f"leads to {address}/guest/cp-1." in html
    assert ("public_url" in html) == warned


def test_who_knocks_most_is_on_top_of_those_who_wait() -> None:
    """A name that a stranger chose is only text."""
    html = well_formed(waiting_html({"<i>": 1, "SN-2": 7, "SN-1": 7}, _NL))
    assert html.index("SN-1") < html.index("SN-2") < html.index("&lt;i&gt;")
    assert "<i>" not in html
    assert "Niemand wacht." in waiting_html({}, _NL)
    assert well_formed(refused_html(["old", "new"], _EN)).index("new") < refused_html(
        ["old", "new"], _EN
    ).index("old")


def test_a_raise_says_where_it_stopped_or_that_it_stands() -> None:
    """With the steps that it took."""
    raised = SecurityRaise(
        charge_point=AssetId("c"), before=1, reached=1, steps=("took a root",), stopped="came not back"
    )
    html = well_formed(raised_html(raised, _NL))
    for words in ("bleef steken op beveiligingsprofiel 1", "took a root", "came not back"):
        assert words in html
    there = well_formed(raised_html(replace(raised, reached=3, stopped=""), _EN))
    assert "at security profile 3" in there
    assert "w-warn" not in there
    assert [profile_name(number, _NL)[0] for number in (1, 2, HIGHEST_PROFILE)] == ["1", "2", "3"]
