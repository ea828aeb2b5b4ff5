"""Whatever the meters say: no energy and no money is made, and nobody's place in the list matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.clearing.ties import divided, in_turn
from market.sharing import KEYS, Energy, Shares, Terms, ranks_of, share

CASES = 100
"""For each key."""


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[str], Energy, Terms]:
    """Up to 7 points over up to 4 quarter-hours; many equal values, so that remainders tie."""
    count, quarters = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    wh = st.one_of(st.integers(0, 6), st.sampled_from([0, 100, 10**7]))

    def table(values: st.SearchStrategy[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        rows = draw(
            st.lists(st.lists(values, min_size=count, max_size=count), min_size=quarters, max_size=quarters)
        )
        return np.array(rows, dtype=np.int64)

    price = st.integers(-(10**8), 10**8)
    prices = [sorted((draw(price), draw(price))) for _ in range(quarters)]
    names = draw(st.lists(st.text(min_size=1, max_size=3), min_size=count, max_size=count, unique=True))
    terms = Terms(
        import_microeur_per_kwh=np.array([high for _, high in prices]),
        export_microeur_per_kwh=np.array([low for low, _ in prices]),
        shared_microeur_per_kwh=np.array([draw(price) for _ in range(quarters)]),
        share_ppm=np.array([draw(st.integers(0, 10**6 // count)) for _ in range(count)]),
        priority=np.array([draw(st.integers(1, 3)) for _ in range(count)]),
        ranks=ranks_of(names),
        first_turn=draw(st.integers(0, 10**6)),
    )
    return names, Energy(offtake_wh=table(wh), feed_in_wh=table(wh)), terms


def arrays(shares: Shares) -> list[list[int]]:
    """All that a key gave."""
    return [
        getattr(shares, name).tolist()
        for name in ("received_wh", "given_wh", "price_microeur_per_kwh", "paid_nanoeur", "earned_nanoeur")
    ]


@pytest.mark.parametrize("name", sorted(KEYS))
@settings(max_examples=CASES, deadline=None)
@given(pool=pools())
def test_allocation_stays_inside_its_bounds_and_sums_exactly(
    name: str, pool: tuple[list[str], Energy, Terms]
) -> None:
    """At most the smaller of feed-in and offtake, per point and together; all of it but for `static`."""
    _, energy, terms = pool
    shares = share(KEYS[name], energy, terms)  # raises where a point's bound or a sum is broken
    total = shares.received_wh.sum(axis=1)
    assert (total <= energy.shareable_wh).all()
    if name != "static":
        assert (total == energy.shareable_wh).all()


@pytest.mark.parametrize("name", sorted(KEYS))
@settings(max_examples=CASES, deadline=None)
@given(pool=pools(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_points_changes_nothing(
    name: str, pool: tuple[list[str], Energy, Terms], random: object
) -> None:
    """The declared tie-break looks at names alone; the same again gives the same."""
    names, energy, terms = pool
    order = list(range(len(names)))
    random.shuffle(order)  # type: ignore[attr-defined]  # a random.Random
    moved = share(
        KEYS[name],
        Energy(offtake_wh=energy.offtake_wh[:, order], feed_in_wh=energy.feed_in_wh[:, order]),
        Terms(
            import_microeur_per_kwh=terms.import_microeur_per_kwh,
            export_microeur_per_kwh=terms.export_microeur_per_kwh,
            shared_microeur_per_kwh=terms.shared_microeur_per_kwh,
            share_ppm=terms.share_ppm[order],
            priority=terms.priority[order],
            ranks=ranks_of([names[i] for i in order]),
            first_turn=terms.first_turn,
        ),
    )
    here = share(KEYS[name], energy, terms)
    assert arrays(here) == arrays(share(KEYS[name], energy, terms))
    for part in ("received_wh", "given_wh", "paid_nanoeur", "earned_nanoeur"):
        assert (getattr(moved, part) == getattr(here, part)[:, order]).all()


@settings(max_examples=CASES, deadline=None)
@given(
    st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=9),
    st.integers(1, 10**7),
    st.integers(0, 100),
)
def test_divided_parts_sum_to_the_divided_sum(numerators: list[int], denominator: int, turn: int) -> None:
    """Each part is within one of its quotient, and what divides evenly gets just that."""
    ranks = np.arange(len(numerators))
    parts = divided(np.array(numerators), denominator, in_turn(ranks, turn)).tolist()
    assert sum(parts) == sum(numerators) // denominator
    for part, numerator in zip(parts, numerators, strict=True):
        assert 0 <= part - numerator // denominator <= (1 if numerator % denominator else 0)
