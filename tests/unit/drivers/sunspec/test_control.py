"""Commands as register writes, worked by hand, and what read-back registers mean."""

from __future__ import annotations

import pytest

from drivers.sunspec import control
from drivers.sunspec.codec import Block, Chain, Snapshot, Span, SunSpecError
from drivers.sunspec.control import Ratings, Write

_CONTROLS = Chain(blocks=(Block(number=123, address=100, length=24),))
_STORAGE = Chain(blocks=(Block(number=124, address=200, length=24),))
_RATED = Ratings(rated_kw=50.0, charge_kw_max=50.0, discharge_kw_max=40.0)


def _controls(
    percent: int = 10_000,
    window: int = 0,
    revert: int = 0,
    ramp: int = 0xFFFF,
    on: int = 0,
    scale: int = 0xFFFE,
) -> Snapshot:
    image = [123, 24, *[0xFFFF] * 24]
    image[5:10] = [percent, window, revert, ramp, on]
    image[23] = scale
    return Snapshot({Span(address=100, count=26): image})


def _storage(mode: int = 0, out_rate: int = 10_000, in_rate: int = 10_000, revert: int = 0) -> Snapshot:
    image = [124, 24, *[0xFFFF] * 24]
    image[5] = mode
    image[12:17] = [out_rate, in_rate, 0, revert, 0xFFFF]
    image[25] = 0xFFFE
    return Snapshot({Span(address=200, count=26): image})


def test_curtailment_is_one_write_that_keeps_what_it_does_not_mean() -> None:
    """6 of 10 kW is 60.00 %; the window is closed, the ramp time written back as it was read."""
    write = control.curtailment(
        _CONTROLS, _controls(ramp=5), power_kw=-6.0, rated_kw=10.0, holds_s=90, ceiling_percent=100.0
    )
    assert write == Write(address=105, registers=(6000, 0, 90, 5, 1))
    confirmed = _controls(percent=6000, revert=90, on=1)
    assert control.curtailed_kw(_CONTROLS, confirmed, rated_kw=10.0) == -6.0
    assert control.curtailed_kw(_CONTROLS, _controls(), rated_kw=10.0) == -10.0


def test_no_command_goes_above_a_standing_limit() -> None:
    """A 70 % limit without revert time stays the most that is ever written; a timed one is not standing."""
    standing = _controls(percent=7000, on=1)
    assert control.standing_limit_percent(_CONTROLS, standing) == 70.0
    assert control.standing_limit_percent(_CONTROLS, _controls(percent=7000, revert=60, on=1)) is None
    assert control.standing_limit_percent(_CONTROLS, _controls(percent=7000)) is None
    write = control.curtailment(
        _CONTROLS, standing, power_kw=-10.0, rated_kw=10.0, holds_s=90, ceiling_percent=70.0
    )
    assert write.registers[0] == 7000


def test_lost_standing_limit_is_put_back_without_end() -> None:
    """An inverter that forgot the 70 % after a timed command gets it back, for good."""
    assert control.restoration(_CONTROLS, _controls(), percent=70.0) == Write(
        address=105, registers=(7000, 0, 0, 0xFFFF, 1)
    )


def test_device_without_revert_timer_is_not_commanded() -> None:
    """Every command has an end: an inverter that cannot end one by itself is refused."""
    with pytest.raises(SunSpecError, match="RvrtTms is not implemented"):
        control.curtailment(
            _CONTROLS,
            _controls(revert=0xFFFF),
            power_kw=0.0,
            rated_kw=10.0,
            holds_s=90,
            ceiling_percent=100.0,
        )


@pytest.mark.parametrize(
    ("power_kw", "out_rate", "in_rate"),
    [
        (20.0, 0x10000 - 5000, 4000),  # 40 % of 50 kW in; forced: -50 % of 40 kW out
        (-10.0, 2500, 0x10000 - 2000),
        (0.0, 0, 0),
        (80.0, 0x10000 - 12500, 10_000),  # the charger's rating is the most
    ],
)
def test_storage_command_pins_both_bounds(power_kw: float, out_rate: int, in_rate: int) -> None:
    """One side is bounded and the other forced, in percent of its own rating, and reads back the same."""
    write = control.storage_command(_STORAGE, _storage(), power_kw=power_kw, rated=_RATED, holds_s=60)
    assert write == Write(address=212, registers=(out_rate, in_rate, 0, 60, 0xFFFF))
    back = _storage(mode=3, out_rate=out_rate, in_rate=in_rate, revert=60)
    assert control.commanded_kw(_STORAGE, back, rated=_RATED) == pytest.approx(min(power_kw, 50.0))


def test_storage_mode_is_written_only_where_it_is_off() -> None:
    """Both bounds are switched on once; a battery that is free is said to be free."""
    assert control.storage_mode(_STORAGE, _storage(mode=0)) == Write(address=205, registers=(3,))
    assert control.storage_mode(_STORAGE, _storage(mode=3)) is None
    assert control.commanded_kw(_STORAGE, _storage(mode=1), rated=_RATED) is None
    assert control.commanded_kw(_STORAGE, _storage(mode=3), rated=_RATED) is None


def test_ratings_come_from_the_device_where_it_tells() -> None:
    """WMax and WChaMax of the device count; what it does not tell is the configured rating."""
    settings = [121, 30, *[0xFFFF] * 30]
    settings[2], settings[22] = 1000, 1
    chain = Chain(blocks=(Block(number=121, address=300, length=30), *_STORAGE.blocks))
    snapshot = Snapshot({Span(address=300, count=32): settings, Span(address=200, count=26): [0xFFFF] * 26})
    assert control.ratings(chain, snapshot, fallback_kw=5.0) == Ratings(
        rated_kw=10.0, charge_kw_max=10.0, discharge_kw_max=10.0
    )
    assert control.ratings(Chain(blocks=()), snapshot, fallback_kw=5.0).rated_kw == 5.0
