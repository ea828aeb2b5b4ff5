"""The vocabulary: identifiers, units, time and the network tree."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from controller.domain.assets import Phases
from controller.domain.ids import NodeId, ean, ean_check_digit, ean_from_number
from controller.domain.network import ImposedLimit, Limit, LimitKind, Network, Node, NodeKind, tree_problems
from controller.domain.time import (
    VirtualDomainClock,
    parse_utc,
    quarter_start,
    quarters_of_local_day,
    utc_text,
)
from controller.domain.units import split_by_largest_remainder, three_phase_kw


def test_ean_check_digit_follows_gs1() -> None:
    """The weights 3 and 1 alternate from the right: 629104150021 gives 3, the example of the GS1 manual."""
    assert ean_check_digit("629104150021") == 3


def test_ean_with_a_wrong_check_digit_names_the_right_one() -> None:
    """The error says which digit would fit."""
    good = ean_from_number("871687100", 7)
    assert ean(good) == good
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    with pytest.raises(ValueError, match=f"should be {good[-1]}"):
        ean(wrong)


@pytest.mark.parametrize(
    ("day", "count"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100), (date(2024, 1, 15), 96)]
)
def test_a_local_day_has_92_96_or_100_quarters(day: date, count: int) -> None:
    """Daylight saving takes or gives an hour."""
    quarters = quarters_of_local_day(day)
    assert len(quarters) == count
    assert all(after - before == timedelta(minutes=15) for before, after in pairwise(quarters))


def test_quarter_start_keeps_the_zone_and_drops_the_rest() -> None:
    """17:44:59 lies in the quarter-hour of 17:30."""
    at = datetime(2024, 1, 15, 17, 44, 59, 5, tzinfo=UTC)
    assert quarter_start(at) == datetime(2024, 1, 15, 17, 30, tzinfo=UTC)


def test_an_instant_without_a_zone_is_refused() -> None:
    """Local time that looks like UTC is how wrong days are planned."""
    with pytest.raises(ValueError, match="no time zone"):
        parse_utc("2024-01-15T17:00")
    assert utc_text(parse_utc("2024-01-15T18:00+01:00")) == "2024-01-15T17:00:00Z"


def test_the_virtual_clock_does_not_go_back() -> None:
    """It stands still until it is moved, and only forward."""
    clock = VirtualDomainClock(datetime(2024, 1, 1, tzinfo=UTC))
    clock.advance_to(datetime(2024, 1, 2, tzinfo=UTC))
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance_to(datetime(2024, 1, 1, tzinfo=UTC))


def test_largest_remainder_hands_out_everything() -> None:
    """10 over weights 1, 1, 1: 3.33 each, the one left over goes to the first."""
    assert split_by_largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert sum(split_by_largest_remainder(-7, [3, 5, 2])) == -7


def test_a_limit_gives_power_by_its_kind() -> None:
    """200 A on three phases of 230 V is 138 kW; 400 kVA at 0.95 is 380 kW."""
    assert three_phase_kw(200.0) == pytest.approx(138.0)
    assert Limit(kind=LimitKind.TRANSFORMER, value=400.0).import_kw() == pytest.approx(380.0)
    assert Limit(kind=LimitKind.CABLE, value=200.0).phase_kw() == pytest.approx(46.0)
    assert Limit(kind=LimitKind.CONTRACT, value=50.0, export_value=20.0).export_kw() == 20.0
    assert Limit(kind=LimitKind.VOLTAGE, value=253.0).import_kw() is None


def test_a_phase_that_nobody_knows_counts_on_each() -> None:
    """Three phases share; an unknown single phase counts in full everywhere."""
    assert [Phases.THREE.share(k) for k in range(3)] == pytest.approx([1 / 3] * 3)
    assert [Phases.UNKNOWN.share(k) for k in range(3)] == [1.0, 1.0, 1.0]
    assert [Phases.L2.share(k) for k in range(3)] == [0.0, 1.0, 0.0]


def test_a_tree_tells_all_that_is_wrong_with_it() -> None:
    """Doubles, unknown parents and cycles, all at once."""
    problems = tree_problems([("a", None), ("a", None), ("b", "x"), ("c", "d"), ("d", "c")])
    text = "\n".join(problems)
    assert "more than once" in text
    assert "unknown parent 'x'" in text
    assert text.count("cycle") == 2


def test_paths_lead_from_a_node_to_its_root() -> None:
    """Parents come first in the order, and a path ends at the root."""
    node = {"limits": (), "kind": NodeKind.FEEDER}
    tree = Network(
        (
            Node(id=NodeId("pole"), parent=NodeId("feeder"), **node),  # type: ignore[arg-type]
            Node(id=NodeId("root"), parent=None, **node),  # type: ignore[arg-type]
            Node(id=NodeId("feeder"), parent=NodeId("root"), **node),  # type: ignore[arg-type]
        )
    )
    assert tree.parents_first == ("root", "feeder", "pole")
    assert tree.paths[NodeId("pole")] == ("pole", "feeder", "root")


def test_an_imposed_limit_holds_until_its_end() -> None:
    """The end itself is free again; without an end it holds for ever."""
    start = datetime(2024, 1, 15, 17, tzinfo=UTC)
    limit = ImposedLimit(
        id="x",
        node=NodeId("n"),
        import_kw=1.0,
        export_kw=None,
        from_utc=start,
        to_utc=start + timedelta(hours=1),
        set_by="",
    )
    assert limit.holds_at(start)
    assert not limit.holds_at(start + timedelta(hours=1))
