"""The auction at one place, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from market.clearing import Auction, auction
from market.clearing.ties import by_position

type Row = tuple[str, int, int]
"""Side, price, quantity."""


def cleared(*rows: Row) -> Auction:
    """The auction of a few orders."""
    return auction(
        np.array([side == "buy" for side, _, _ in rows]),
        np.array([price for _, price, _ in rows], dtype=np.int64),
        np.array([quantity for _, _, quantity in rows], dtype=np.int64),
        by_position,
    )


@pytest.mark.parametrize(
    ("rows", "fills", "lowest", "highest"),
    [
        pytest.param([("buy", 100, 10), ("sell", 50, 10)], [10, 10], 50, 100, id="both-whole"),
        pytest.param([("buy", 100, 10), ("sell", 50, 4)], [4, 4], 100, 100, id="short-buyer-sets-it"),
        pytest.param([("buy", 100, 4), ("sell", 50, 10)], [4, 4], 50, 50, id="short-seller-sets-it"),
        pytest.param(
            [("buy", 90, 5), ("buy", 70, 5), ("sell", 60, 5), ("sell", 80, 5)],
            [5, 0, 5, 0],
            70,
            80,
            id="bounded-by-those-left-out",
        ),
        pytest.param([("buy", 100, 10), ("sell", 100, 4)], [4, 4], 100, 100, id="worth-nothing-still-trades"),
        pytest.param([("buy", -20, 3), ("sell", -50, 3)], [3, 3], -50, -20, id="negative-prices"),
        pytest.param([("buy", 0, 3), ("sell", 0, 3)], [3, 3], 0, 0, id="zero-price"),
        pytest.param(
            [("buy", 9, 4), ("buy", 5, 6), ("sell", 5, 5), ("sell", 1, 2)],
            [4, 3, 5, 2],
            5,
            5,
            id="largest-volume-at-equal-welfare",
        ),
    ],
)
def test_fills_and_supporting_prices(rows: list[Row], fills: list[int], lowest: int, highest: int) -> None:
    """Largest welfare, then largest volume; no filled or unfilled order regrets a supporting price.

    The last row: 4 + 6 Wh are asked at 5 or more, 5 + 2 offered at 5 or less: volume 7. Sellers are whole;
    of the buyers the one at 9 is first, the one at 5 gets 7 - 4 = 3.
    """
    found = cleared(*rows)
    assert found.filled_wh.tolist() == fills
    assert (found.lowest_microeur_per_kwh, found.highest_microeur_per_kwh) == (lowest, highest)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("buy", 100, 10)], id="no-seller"),
        pytest.param([("sell", 100, 10)], id="no-buyer"),
        pytest.param([("buy", 49, 10), ("sell", 50, 10)], id="too-far-apart"),
    ],
)
def test_nothing_fills_and_there_is_no_price(rows: list[Row]) -> None:
    """Without a match there is no volume and no price."""
    found = cleared(*rows)
    assert found.volume_wh == 0
    assert found.price_microeur_per_kwh is None
    assert not found.filled_wh.any()


def test_price_is_the_floor_of_the_midpoint_also_below_zero() -> None:
    """(-50 + -21) / 2 = -35.5, whose floor is -36; (50 + 101) / 2 = 75.5, whose floor is 75."""
    assert cleared(("buy", -21, 3), ("sell", -50, 3)).price_microeur_per_kwh == -36
    assert cleared(("buy", 101, 3), ("sell", 50, 3)).price_microeur_per_kwh == 75


def test_ties_share_pro_rata_with_the_largest_remainder() -> None:
    """7 Wh over 5, 3 and 2: shares 3.5, 2.1, 1.4; floors 3 + 2 + 1 = 6, the last goes to the .5."""
    found = cleared(("buy", 10, 5), ("buy", 10, 3), ("buy", 10, 2), ("sell", 1, 7))
    assert found.filled_wh.tolist() == [4, 2, 1, 7]


def test_huge_quantities_are_shared_exactly() -> None:
    """Products beyond 64 bits are done in Python's integers: 10^15 + 1 over two equal halves."""
    found = cleared(("buy", 10, 10**15), ("buy", 10, 10**15), ("sell", 1, 10**15 + 1))
    assert sorted(found.filled_wh[:2].tolist()) == [5 * 10**14, 5 * 10**14 + 1]
