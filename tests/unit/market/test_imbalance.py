"""Imbalance is paid for by who caused it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.ids import MemberId
from controller.domain.units import IntArray
from market.imbalance import ImbalanceCost, caused_nanoeur, imbalance_lines

COST = ImbalanceCost(short_microeur_per_kwh=50, long_microeur_per_kwh=20)


def wh(*values: int) -> IntArray:
    """One value per member."""
    return np.array(values, dtype=np.int64)


def test_a_pool_that_took_too_much() -> None:
    """Ann took 300 more, Bob 100 less, Cor what was announced: 200 too much cost 200 x 50 = 10,000.

    Ann pays 300 x 50 = 15,000, of which Bob, who made it smaller, gets 100 x 50 = 5,000.
    """
    assert caused_nanoeur(wh(500, 400, -200), wh(800, 300, -200), COST).tolist() == [15_000, -5_000, 0]


def test_a_pool_that_took_too_little() -> None:
    """Cor's roof fed in 400 more, Ann took 100 more: 300 too little cost 300 x 20 = 6,000."""
    assert caused_nanoeur(wh(500, -200), wh(600, -600), COST).tolist() == [-2_000, 8_000]


MEMBERS = st.lists(st.tuples(st.integers(-5000, 5000), st.integers(-5000, 5000)), min_size=1, max_size=8)


@given(MEMBERS, st.integers(-500, 500), st.integers(-500, 500))
def test_the_parts_are_the_whole_and_who_kept_to_it_pays_nothing(
    pairs: list[tuple[int, int]], short: int, long: int
) -> None:
    """Whatever the prices' signs."""
    nominated, metered = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    cost = ImbalanceCost(short_microeur_per_kwh=short, long_microeur_per_kwh=long)
    paid = caused_nanoeur(nominated, metered, cost)
    total = int((metered - nominated).sum())
    assert paid.sum() == cost.of(total) == (total * short if total >= 0 else -total * long)
    assert (paid[nominated == metered] == 0).all()


def test_no_two_pairs_of_names_have_one_reference() -> None:
    """Ann of the supplier b/c and a member ann/b of the supplier c, and one that looks like the escape."""
    pairs = [("ann", "b/c"), ("ann/b", "c"), ("ann%2Fb", "c"), ("ann/b/c", ""), ("ann", "")]
    cost = ImbalanceCost(short_microeur_per_kwh=1, long_microeur_per_kwh=0)
    noon = datetime(2024, 6, 3, 10, tzinfo=UTC)
    refs = [
        imbalance_lines(noon, {}, {MemberId(member): 1}, cost, supplier)[0].ref for member, supplier in pairs
    ]
    assert len(set(refs)) == len(pairs)
    assert refs[-1] == "ann"
