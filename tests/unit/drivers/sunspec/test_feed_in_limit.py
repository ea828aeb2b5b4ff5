"""A limit that somebody fixed in an inverter is kept, put back, and let go when somebody takes it off."""

from __future__ import annotations

import pytest

from drivers.sunspec.codec import Block, Chain, Snapshot, Span
from drivers.sunspec.feed_in_limit import FeedInLimit
from drivers.sunspec.layout import model
from sim.endpoints.registers import RegisterMap

_CHAIN = Chain(blocks=(Block(number=123, address=2, length=model(123).size - 2),))


def _read(percent: float = 100.0, *, on: bool = False, revert_s: int = 0) -> Snapshot:
    """The controls as an inverter shows them."""
    registers = RegisterMap((123,))
    registers.set(123, "WMaxLimPct_SF", 0xFFFE)
    registers.set(123, "WMaxLimPct", round(100 * percent))
    registers.set(123, "WMaxLimPct_RvrtTms", revert_s)
    registers.set(123, "WMaxLim_Ena", int(on))
    return Snapshot({Span(address=0, count=len(registers.registers)): registers.registers})


_FREE, _FIXED, _OURS = _read(), _read(70.0, on=True), _read(30.0, on=True, revert_s=300)


def test_a_limit_that_is_lost_over_a_command_is_put_back() -> None:
    """70 % stand, a command of ours covers them, and they are gone."""
    limit = FeedInLimit()
    assert limit.look(_CHAIN, _FIXED) is None
    limit.commanded()
    assert limit.look(_CHAIN, _OURS) is None
    assert limit.ceiling_percent(_CHAIN, _OURS) == 70.0
    write = limit.look(_CHAIN, _FREE)
    assert write is not None
    assert write.registers == (7000, 0, 0, 0xFFFF, 1)


def test_a_limit_that_somebody_takes_off_is_not_put_back() -> None:
    """No command of ours came in between."""
    limit = FeedInLimit()
    limit.look(_CHAIN, _FIXED)
    assert limit.look(_CHAIN, _FREE) is None
    assert limit.ceiling_percent(_CHAIN, _FREE) == 100.0
    assert FeedInLimit(limit.text).ceiling_percent(_CHAIN, _OURS) == 100.0


def test_what_is_remembered_holds_below_a_command_of_an_earlier_run() -> None:
    """Started anew in the middle of it: 70 % are the most, and are put back when it leaves nothing behind."""
    before = FeedInLimit()
    before.look(_CHAIN, _FIXED)
    limit = FeedInLimit(before.text)
    limit.look(_CHAIN, _OURS)
    assert limit.ceiling_percent(_CHAIN, _OURS) == 70.0
    assert limit.look(_CHAIN, _FREE) is not None


@pytest.mark.parametrize(("after", "ceiling"), [(_FREE, 100.0), (_FIXED, 70.0)])
def test_nobody_goes_above_a_command_of_which_nothing_is_known(after: Snapshot, ceiling: float) -> None:
    """Nothing is remembered and 30 % run: these are the most until they have run out."""
    limit = FeedInLimit()
    limit.look(_CHAIN, _OURS)
    assert limit.ceiling_percent(_CHAIN, _OURS) == 30.0
    assert limit.text == ""
    limit.look(_CHAIN, after)
    assert limit.ceiling_percent(_CHAIN, _OURS) == ceiling
