"""What a store took from the grid is followed until it is fed in again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market.sharing.storage import grid_charged_wh


def found(*rows: tuple[int, int, int, int], efficiency_ppm: int = 1_000_000) -> list[int]:
    """From rows of (taken, fed, charged, discharged)."""
    taken, fed, charged, discharged = np.array(rows, dtype=np.int64).T
    return list(map(int, grid_charged_wh(taken, fed, charged, discharged, efficiency_ppm)))


def test_a_charger_gives_back_what_it_took() -> None:
    """A point that is nothing but a store feeds in nothing but the grid's energy."""
    assert found((1000, 0, 1000, 0), (0, 600, 0, 600)) == [0, 600]


def test_sun_that_was_stored_is_sun() -> None:
    """Charged while the point took nothing."""
    assert found((0, 0, 800, 0), (0, 500, 0, 500)) == [0, 0]


def test_a_mixed_tank_gives_both_kinds() -> None:
    """Of 1000 Wh charged the point took 400: 40% of the 500 that go out are the grid's."""
    assert found((400, 0, 1000, 0), (0, 500, 0, 500)) == [0, 200]


def test_only_what_leaves_the_point_counts() -> None:
    """Of 500 discharged 300 are used at home; 40% of the 200 fed in."""
    assert found((400, 0, 1000, 0), (0, 200, 0, 500)) == [0, 80]


def test_losses_do_not_turn_into_sun() -> None:
    """Of 1000 Wh of the grid 900 come out; 50 more come from who knows where."""
    assert found((1000, 0, 1000, 0), (0, 950, 0, 950), efficiency_ppm=900_000) == [0, 950]


def test_what_was_in_it_before_has_not_been_shown_to_be_sun() -> None:
    """It counts as the grid's."""
    assert found((0, 300, 0, 300)) == [300]


def test_a_roof_beside_the_store_is_not_mistaken_for_it() -> None:
    """1000 fed in, of which the store gave 300."""
    assert found((300, 0, 300, 0), (0, 1000, 0, 300)) == [0, 300]


WH = st.integers(0, 2000)


@given(st.lists(st.tuples(WH, WH, WH, WH), min_size=1, max_size=40), st.integers(1, 1_000_000))
def test_own_sun_is_never_more_than_was_stored(
    rows: list[tuple[int, int, int, int]], efficiency_ppm: int
) -> None:
    """What counts as own is at most what was charged without the grid, less the losses."""
    grid = found(*rows, efficiency_ppm=efficiency_ppm)
    own_in = sum(max(charged - taken, 0) for taken, _, charged, _ in rows) * efficiency_ppm
    own_out = sum(
        min(fed, discharged) - part for (_, fed, _, discharged), part in zip(rows, grid, strict=True)
    )
    assert own_out * 1_000_000 <= own_in
    assert all(0 <= part <= min(fed, out) for (_, fed, _, out), part in zip(rows, grid, strict=True))
