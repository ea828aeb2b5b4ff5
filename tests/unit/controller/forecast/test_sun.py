"""How much of the sun's forecast a limit may count on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.sun import low_share


def test_a_sky_that_was_just_seen_is_counted_on_for_a_while() -> None:
    """In full now, then less and less, down to the low quantile."""
    share = low_share(0.8, np.array([0.0, 0.5, 36.0]), 0.15)
    assert np.allclose(share, [1.0, 0.15 + 0.85 * np.exp(-1.0), 0.15])


def test_a_sky_that_nobody_saw_is_not_counted_on() -> None:
    """Night, or no meter: the low quantile from the start."""
    assert np.array_equal(low_share(None, np.array([0.0, 2.0]), 0.15), [0.15, 0.15])


@given(st.floats(0.0, 1.5), st.lists(st.floats(0.0, 48.0), min_size=2, max_size=6), st.floats(0.0, 1.0))
def test_further_ahead_is_never_surer(ratio: float, hours: list[float], low: float) -> None:
    """Between the low fraction and all of it, falling with time."""
    share = low_share(ratio, np.array(sorted(hours)), low)
    assert np.all(np.diff(share) <= 1e-12)
    assert np.all((share >= low - 1e-12) & (share <= 1.0 + 1e-12))
