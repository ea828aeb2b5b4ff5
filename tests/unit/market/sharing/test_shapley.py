"""The Shapley value, worked by hand and against its definition."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from market.clearing.ties import by_position
from market.sharing import Energy, shapley


def test_three_members_by_hand() -> None:
    """Ann takes 600, Bob takes 300 and feeds in 100, Cor feeds in 400; a kWh shared saves 240.

    Alone Bob shares 100 with himself, Ann and Cor nothing; Ann and Bob 100, Ann and Cor 400, Bob and Cor 300,
    all three 500. Over the six orders of joining Ann adds 0+0+0+200+400+200 = 800, Bob 100+100+100+100+100
    +300 = 800, Cor 400+400+400+200+0+0 = 1,400. Times 240/6: 32,000, 32,000 and 56,000, together 500 x 240.
    """
    energy = Energy(offtake_wh=np.array([[600, 300, 0]]), feed_in_wh=np.array([[0, 100, 400]]))
    found = shapley(energy, np.array([240]), by_position)
    assert found.exact
    assert found.value_nanoeur.tolist() == [32_000, 32_000, 56_000]


def random_energy(count: int, quarters: int = 6) -> Energy:
    """Members of whom each takes or feeds in."""
    random = np.random.default_rng(count)
    return Energy(
        offtake_wh=random.integers(0, 500, (quarters, count)),
        feed_in_wh=random.integers(0, 900, (quarters, count)) * random.integers(0, 2, (quarters, count)),
    )


def test_exact_value_is_the_mean_over_all_orders() -> None:
    """Five members, 120 orders of joining, one by one."""
    energy, spread = random_energy(5), np.arange(6) * 100
    total = np.zeros(5, dtype=np.int64)
    for joining in permutations(range(5)):
        worth = [
            int(
                np.minimum(
                    energy.offtake_wh[:, list(joining[:k])].sum(axis=1),
                    energy.feed_in_wh[:, list(joining[:k])].sum(axis=1),
                )
                @ spread
            )
            for k in range(6)
        ]
        total[list(joining)] += np.diff(worth)
    found = shapley(energy, spread, by_position)
    assert np.abs(found.value_nanoeur - total / 120).max() < 1
    assert int(found.value_nanoeur.sum()) == int(energy.shareable_wh @ spread)


def test_sampled_value_has_an_error_that_covers_the_exact_one() -> None:
    """A thirteenth member that has nothing leaves the others' values as they are.

    All within 4.5 standard errors: by chance one of twelve lies beyond that once in 12,000 seeds, and this
    seed is fixed.
    """
    small = random_energy(12)
    spread = np.full(6, 240)
    nothing = np.zeros((6, 1), dtype=np.int64)
    more = Energy(
        offtake_wh=np.hstack([small.offtake_wh, nothing]), feed_in_wh=np.hstack([small.feed_in_wh, nothing])
    )
    exact = shapley(small, spread, by_position)
    sampled = shapley(more, spread, by_position, samples=400, seed=3)
    assert not sampled.exact
    error = sampled.standard_error_nanoeur[:12]
    assert (error > 0).all()
    assert (np.abs(sampled.value_nanoeur[:12] - exact.value_nanoeur) <= 4.5 * error + 1).all()
    assert sampled.value_nanoeur[12] == 0
    assert int(sampled.value_nanoeur.sum()) == int(exact.value_nanoeur.sum())
    again = shapley(more, spread, by_position, samples=400, seed=3)
    assert (again.value_nanoeur == sampled.value_nanoeur).all()


def test_one_sample_tells_no_error() -> None:
    """Two are the least."""
    with pytest.raises(ValueError, match="at least two"):
        shapley(random_energy(13), np.full(6, 240), by_position, samples=1)
