"""The declared rule by which missing and impossible meter data are estimated."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.time import QUARTER
from controller.domain.units import IntArray
from market.estimates import UNKNOWN, Gap, Metered, Why, local_slots, metered

_ = UNKNOWN


def read(registers: list[int], *, yearly_kwh: int | None = None, slots: IntArray | None = None) -> Metered:
    """A meter that only counts import, of a connection that carries 1000 Wh in a quarter-hour."""
    register = np.array(registers, dtype=np.int64)
    other = np.where(register == UNKNOWN, UNKNOWN, 0)
    if slots is None:
        slots = np.arange(len(registers) - 1) % 96
    return metered(register, other, slots, quarter_wh_max=1000, yearly_kwh=yearly_kwh)


def test_what_is_metered_is_not_touched() -> None:
    """Differences of registers, nothing flagged."""
    found = read([10, 10, 60, 1060])
    assert found.import_wh.tolist() == [0, 50, 1000]
    assert found.gaps == ()
    assert not found.estimated.any()
    assert found.known.all()


def test_a_known_sum_falls_by_the_points_own_pattern() -> None:
    """Slots 0 and 1 had 100 and 300 Wh when metered; the 800 Wh of the gap fall 1 : 3."""
    slots = np.array([0, 1, 2, 0, 1])
    found = read([0, 100, 400, 400, _, 1200], slots=slots)
    assert found.import_wh.tolist() == [100, 300, 0, 200, 600]
    assert found.gaps == (Gap(first=3, after=5, why=Why.MISSING, sum_known=True),)
    assert found.estimated.tolist() == [False, False, False, True, True]


def test_a_pattern_that_overloads_the_connection_gives_way_to_an_even_split() -> None:
    """All of 1600 Wh in slot 0 would be more than the 1000 that the connection carries."""
    found = read([0, 100, 100, _, 1700], slots=np.array([0, 1, 0, 1]))
    assert found.import_wh.tolist() == [100, 0, 800, 800]


def test_a_tail_without_readings_is_the_pattern() -> None:
    """The average of the same slot, and of the whole time where the slot was never metered."""
    found = read([0, 100, 400, _, _], slots=np.array([0, 1, 0, 7]))
    assert found.import_wh.tolist() == [100, 300, 100, 200]
    assert found.gaps == (Gap(first=2, after=4, why=Why.MISSING, sum_known=False),)


@pytest.mark.parametrize(
    ("wrong", "why"), [(50, Why.BACKWARDS), (90_000, Why.JUMP)], ids=["backwards", "jump"]
)
def test_one_impossible_reading_is_put_aside(wrong: int, why: Why) -> None:
    """The readings around it fit each other: the sum over both quarter-hours is known."""
    found = read([100, 200, wrong, 400, 500])
    assert found.gaps == (Gap(first=1, after=3, why=why, sum_known=True),)
    assert found.import_wh.tolist() == [100, 100, 100, 100]


def test_an_exchanged_meter_counts_from_its_own_readings_on() -> None:
    """Four readings near 0 after 5200: another meter; the quarter-hour between the two is estimated."""
    found = read([5000, 5100, 5200, 10, 110, 210, 310, 410])
    assert found.gaps == (Gap(first=2, after=3, why=Why.EXCHANGED, sum_known=False),)
    assert found.import_wh.tolist() == [100, 100, 100, 100, 100, 100, 100]


def test_a_first_reading_that_is_wrong_does_not_spoil_the_rest() -> None:
    """The wrong one is left behind as if it were another meter's."""
    found = read([99_999, 100, 200, 300, 400, 500])
    assert found.import_wh.tolist() == [100] * 5
    assert found.estimated.tolist() == [True, False, False, False, False]


def test_three_readings_are_no_other_meter() -> None:
    """They stay put aside, and their time is estimated to the end."""
    found = read([0, 100, 9000, 9100, 9200])
    assert found.gaps == (Gap(first=1, after=4, why=Why.JUMP, sum_known=False),)
    assert found.import_wh.tolist() == [100, 100, 100, 100]


def test_without_any_reading_the_declared_use_stands_in_or_nothing() -> None:
    """3504 kWh a year are 100 Wh in a quarter-hour; without that the energy is not known, which is not 0."""
    assert read([_, _, _], yearly_kwh=3504).import_wh.tolist() == [100, 100]
    unknown = read([_, 5, _])
    assert not unknown.known.any()
    assert unknown.estimated.all()


def test_slots_are_local() -> None:
    """Midnight in Amsterdam is slot 0, in winter at 23:00 UTC and in summer at 22:00."""
    winter, summer = datetime(2024, 1, 14, 23, tzinfo=UTC), datetime(2024, 6, 14, 22, tzinfo=UTC)
    assert local_slots([winter, summer, summer + QUARTER]).tolist() == [0, 0, 1]


@given(st.data())
def test_registers_that_are_there_are_kept_in_sum(data: st.DataObject) -> None:
    """Whatever readings are missing in between: the sum of the quarter-hours is what was metered."""
    energy = data.draw(st.lists(st.integers(0, 1000), min_size=2, max_size=60))
    registers = [0, *np.cumsum(energy).tolist()]
    inner = st.lists(st.booleans(), min_size=len(energy) - 1, max_size=len(energy) - 1)
    holes = [
        register if kept else UNKNOWN
        for register, kept in zip(registers[1:-1], data.draw(inner), strict=True)
    ]
    found = read([registers[0], *holes, registers[-1]])
    assert found.import_wh.sum() == sum(energy)
    assert found.known.all()
    assert (found.import_wh >= 0).all()
    assert (found.import_wh <= 1000).all()
    real = ~found.estimated
    assert (found.import_wh[real] == np.array(energy)[real]).all()
