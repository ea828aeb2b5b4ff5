"""Pro rata with largest remainders."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from market.clearing.ties import by_hash, by_position, in_group, pro_rata


@pytest.mark.parametrize(
    ("total", "quantities", "parts"),
    [
        (0, [3, 4], [0, 0]),
        (7, [3, 4], [3, 4]),
        (5, [3, 3, 3], [2, 2, 1]),
        (1, [1, 1, 1], [1, 0, 0]),
        (10, [1, 100], [0, 10]),
        (50, [1, 100], [0, 50]),
        (51, [1, 100], [1, 50]),
    ],
)
def test_parts_follow_the_quantities(total: int, quantities: list[int], parts: list[int]) -> None:
    """50 of 101: shares 0.495 and 49.505, the larger remainder wins; 51 of 101: 0.505 and 50.495."""
    assert pro_rata(total, np.array(quantities), by_position).tolist() == parts


def test_hash_order_is_ascending_sha256_of_the_id() -> None:
    """The order of the positions is that of the digests."""
    names = [f"order-{i}" for i in range(9)]
    ordered = by_hash(names)(np.arange(9)).tolist()
    digests = [hashlib.sha256(names[i].encode()).hexdigest() for i in ordered]
    assert digests == sorted(digests)


def test_order_within_a_group_is_that_of_the_whole() -> None:
    """Members 7, 2 and 5, where the whole book ranks the higher position first: 7, 5, 2."""
    members = np.array([7, 2, 5])
    ordered = in_group(members, lambda positions: np.sort(positions)[::-1])
    assert members[ordered(np.arange(3))].tolist() == [7, 5, 2]


@pytest.mark.parametrize("period", [1, 7, 20_000 // 1024])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.5, 0.999])
def test_among_many_the_largest_remainders_win_however_orders_stand(period: int, share: float) -> None:
    """As by sorting all of them, also where every so manyth order is of another kind: a sample is misled."""
    chance = np.random.default_rng(period)
    quantity = chance.integers(1, 5_000, 20_000)
    quantity[::period] = 1 + quantity[::period] % 40
    whole = int(quantity.sum())
    total = int(share * whole)
    floors, remainders = np.divmod(quantity * total, whole)
    line = np.lexsort((np.arange(quantity.size), -remainders))
    floors[line[: total - int(floors.sum())]] += 1
    assert (pro_rata(total, quantity, by_position) == floors).all()
