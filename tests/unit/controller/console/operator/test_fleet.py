"""The table of all charge points: who is found, in what order, and what a row says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.console.operator import fleet
from controller.console.operator.fleet import Choice, Row
from controller.domain.charger_tools import Ailment, ConnectorState
from controller.domain.ids import AssetId, NodeId
from controller.runtime.door import StateView
from controller.texts import Language, translator
from tests.support.fake_door import FakeDoor
from tests.support.fake_overview import overview, setpoint_view
from tests.support.fake_views import START
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)
_ILL = {
    "charger-07": (Ailment.CLOCK_OFF,),
    "charger-09": (Ailment.FLAPPING, Ailment.IGNORES_PROFILE),
    "charger-11": (Ailment.SILENT,),
}


async def street(count: int = 24) -> tuple[StateView, list[Row]]:
    """A street with three chargers in trouble."""
    state = await FakeDoor(chargers=count).state()
    seen = {
        view.id: overview(
            view.id, *_ILL.get(view.id, ()), version="" if view.id == "charger-11" else "ocpp1.6"
        )
        for view in state.chargers
    }
    return state, fleet.rows_of(state.chargers, seen)


def names(rows: list[Row]) -> list[str]:
    """Their ids."""
    return [str(row.view.id) for row in rows]


async def test_the_worst_trouble_comes_first_and_the_rest_keep_their_order() -> None:
    """A silent one, one that ignores us, a wrong clock, a departure at risk, and then the street."""
    state, rows = await street()
    found = names(fleet.chosen(rows, Choice(), state.nodes))
    assert found[:5] == ["charger-11", "charger-09", "charger-07", "charger-01", "charger-02"]
    assert sorted(found) == sorted(names(rows))
    assert found[5:] == sorted(found[5:])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(health="trouble"), ["charger-11", "charger-09", "charger-07"]),
        (Choice(health="flapping"), ["charger-09"]),
        (Choice(version="none"), ["charger-11"]),
        (Choice(words=" SN-charger-03"), ["charger-03"]),
        (Choice(words="car-13"), ["charger-13"]),
        (Choice(words="w1", health="silent"), ["charger-11"]),
        (Choice(version="ocpp2.1"), []),
        (Choice(node="feeder-2"), []),
        (Choice(node="outside"), []),
    ],
)
async def test_a_choice_narrows_the_list_down(choice: Choice, expected: list[str]) -> None:
    """By health, version, node and any part of a name; all of them hold."""
    state, rows = await street()
    assert names(fleet.chosen(rows, choice, state.nodes)) == expected


async def test_a_node_has_the_chargers_of_every_node_below_it() -> None:
    """The transformer has them all, a pole its own."""
    state, rows = await street()
    assert len(fleet.chosen(rows, Choice(node="transformer-1"), state.nodes)) == 24
    pole = fleet.chosen(rows, Choice(node="pole-1"), state.nodes)
    assert {row.view.node for row in pole} == {NodeId("pole-1")}
    assert len(pole) == 12


@given(
    health=st.sampled_from(["", "trouble", "healthy", *Ailment]),
    words=st.sampled_from(["", "1", "car", "nobody"]),
)
async def test_trouble_and_health_divide_the_street(health: str, words: str) -> None:
    """Nobody is both or neither; a narrower search finds no others."""
    state, rows = await street()
    wide = names(fleet.chosen(rows, Choice(words=words), state.nodes))
    narrow = names(fleet.chosen(rows, Choice(words=words, health=health), state.nodes))
    assert set(narrow) <= set(wide)
    ill = names(fleet.chosen(rows, Choice(words=words, health="trouble"), state.nodes))
    well = names(fleet.chosen(rows, Choice(words=words, health="healthy"), state.nodes))
    assert sorted(ill + well) == sorted(wide)


async def test_a_row_says_what_was_asked_confirmed_and_measured_and_who_bound_it() -> None:
    """With units; what is not known is a dash."""
    _, rows = await street()
    connectors = (
        ConnectorState(evse=0, connector=0, status="Available", at=START),
        ConnectorState(evse=0, connector=1, status="SuspendedEV", at=START),
        ConnectorState(evse=0, connector=2, status="Faulted", error="GroundFailure", at=START),
    )
    row = Row(view=rows[0].view, seen=overview("charger-01", connectors=connectors))
    html = well_formed(fleet.fleet_html([row], 0, _EN))
    for said in (
        "7.4\N{NO-BREAK SPACE}kW",
        "7.0\N{NO-BREAK SPACE}kW",
        "OCPP 2.1",
        "profile 2",
        "Wijk W1",
        "1.2.3",
    ):
        assert said in html
    assert "The cable, fuse or transformer is full (feeder-1)" in html
    assert "1: waiting for the car" in html
    assert "GroundFailure" in html
    assert "free" not in html
    unknown = Row(
        view=replace(row.view, power_kw=None), seen=overview("x", setpoint=setpoint_view(asked_kw=None))
    )
    assert well_formed(fleet.fleet_html([unknown], 0, _EN)).count("–") == 3


def test_health_is_said_in_words_with_since_when() -> None:
    """The worst first; one that was never heard says so."""
    seen = overview("c", Ailment.CLOCK_OFF, Ailment.SILENT, version="")
    seen = replace(seen, health=replace(seen.health, since=(START, None)))
    view = FakeDoor()._charger(1, 0.5)
    html = well_formed(fleet.health_html(Row(view=view, seen=seen), _NL))
    assert html.index("zwijgt") < html.index("nooit gehoord") < html.index("klok loopt niet gelijk")
    assert "sinds ma 15 jan" in html


async def test_a_thousand_are_searched_and_shown_on_a_small_page() -> None:
    """What is sent does not grow with the fleet."""
    state, _ = await street(1000)
    seen = {AssetId(view.id): overview(view.id, *_ILL.get(view.id, ())) for view in state.chargers}
    rows = fleet.rows_of(state.chargers, seen)
    fitting = fleet.chosen(rows, Choice(words="charger", node="transformer-1"), state.nodes)
    assert len(fitting) == 1000
    html = fleet.summary_html(rows, _NL) + fleet.fleet_html(fitting, 39, _NL)
    assert html.count("<tr>") == 1 + fleet.PAGE_ROWS
    assert len(html) < 40_000
