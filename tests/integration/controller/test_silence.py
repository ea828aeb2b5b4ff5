"""A street whose controller is gone: the physics with losses, the chargers on their own hours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.silence import silent_days

BEFORE_THE_PEAK = datetime(2024, 1, 15, 15, tzinfo=UTC)


@pytest.mark.parametrize("fraction", [0.2, 0.0], ids=["a fifth ignores us", "all follow"])
def test_no_cable_breaks_and_cars_charge_when_the_controller_is_gone(fraction: float) -> None:
    """A January evening and night without us, begun at full discharge; three days are in `make bench`."""
    found = silent_days("street", BEFORE_THE_PEAK, 0.75, ignoring_fraction=fraction)
    assert found.violations == 0
    assert found.discharged_kwh == 0.0
    # 24 chargers, at least three hours of 4.14 kW each where a car takes it.
    assert found.charged_kwh > 100.0
    assert 0 < found.departures["kept"] <= found.departures["possible"]


def test_the_same_silence_breaks_a_street_in_which_everybody_ignores_us() -> None:
    """The study can fail: two sockets of a pole at full power are more than its fuse bears."""
    assert silent_days("street", BEFORE_THE_PEAK, 0.25, ignoring_fraction=1.0).violations > 0
