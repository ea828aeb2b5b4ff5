"""Every sharing key over one quarter-hour of three members, worked by hand.

Ann takes 600 Wh. Bob takes 300 Wh and his roof feeds in 100 Wh. Cor's roof feeds in 400 Wh. So 900 Wh are
taken and 500 fed in: at most 500 are shared. The supplier asks 300 and pays 60 micro-euro per kWh, the
community's own price is 150. Prices times Wh are nano-euro.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.domain.units import IntArray
from market.sharing import KEYS, Energy, Shares, Terms, ranks_of, share


def row(*values: int) -> IntArray:
    """One quarter-hour, or one value per point."""
    return np.array(values, dtype=np.int64)


ENERGY = Energy(offtake_wh=row(600, 300, 0)[np.newaxis], feed_in_wh=row(0, 100, 400)[np.newaxis])
TERMS = Terms(
    import_microeur_per_kwh=row(300),
    export_microeur_per_kwh=row(60),
    shared_microeur_per_kwh=row(150),
    share_ppm=row(300_000, 500_000, 200_000),
    priority=row(2, 1, 3),
    ranks=ranks_of(["ann", "bob", "cor"]),
)


def shared(name: str, energy: Energy = ENERGY, terms: Terms = TERMS) -> Shares:
    """What a key gives."""
    return share(KEYS[name], energy, terms)


def figures(shares: Shares) -> tuple[list[int], list[int], int, list[int], list[int]]:
    """Received, given, price, paid and earned of the quarter-hour."""
    return (
        shares.received_wh[0].tolist(),
        shares.given_wh[0].tolist(),
        int(shares.price_microeur_per_kwh[0]),
        shares.paid_nanoeur[0].tolist(),
        shares.earned_nanoeur[0].tolist(),
    )


def test_pro_rata() -> None:
    """By offtake, 600 : 300.

    Ann 500 x 600/900 = 333 1/3, Bob 166 2/3: floors 333 and 166, and the watt-hour left over goes to Bob's
    larger remainder. All 500 are given: 100 by Bob, 400 by Cor. Ann pays 333 x 150 = 49,950, Bob 167 x 150 =
    25,050; Bob earns 100 x 150 = 15,000, Cor 60,000. Both sides sum to 75,000.
    """
    assert figures(shared("pro_rata")) == (
        [333, 167, 0],
        [0, 100, 400],
        150,
        [49_950, 25_050, 0],
        [0, 15_000, 60_000],
    )


def test_static() -> None:
    """Fixed shares of the 500 Wh: 30% = 150 for Ann, 50% = 250 for Bob, 20% = 100 for Cor.

    Cor takes nothing, so her 100 go to the supplier. The 400 that are used were fed in 100 : 400, so Bob gave
    80 and Cor 320. Ann pays 150 x 150 = 22,500, Bob 37,500; Bob earns 12,000, Cor 48,000; 60,000 each side.
    """
    assert figures(shared("static")) == (
        [150, 250, 0],
        [0, 80, 320],
        150,
        [22_500, 37_500, 0],
        [0, 12_000, 48_000],
    )


def test_priority() -> None:
    """Bob, class 1, gets all his 300; Ann, class 2, the 200 that are left.

    Bob pays 300 x 150 = 45,000, Ann 30,000; Bob earns 15,000, Cor 60,000; 75,000 each side.
    """
    assert figures(shared("priority")) == (
        [200, 300, 0],
        [0, 100, 400],
        150,
        [30_000, 45_000, 0],
        [0, 15_000, 60_000],
    )


def test_mid_market_rate() -> None:
    """Half-way between 300 and 60 is 180; energy as pro rata.

    Ann pays 333 x 180 = 59,940, Bob 167 x 180 = 30,060; Bob earns 18,000, Cor 72,000; 90,000 each side.
    """
    assert figures(shared("mid_market_rate")) == (
        [333, 167, 0],
        [0, 100, 400],
        180,
        [59_940, 30_060, 0],
        [0, 18_000, 72_000],
    )


def test_supply_demand_ratio() -> None:
    """R = 500/900: 60 x 300 / (240 x 500/900 + 60) = 16,200,000 / 174,000 = 93.1, floor 93.

    Ann pays 333 x 93 = 30,969, Bob 167 x 93 = 15,531; Bob earns 9,300, Cor 37,200; 46,500 each side.
    """
    assert figures(shared("supply_demand_ratio")) == (
        [333, 167, 0],
        [0, 100, 400],
        93,
        [30_969, 15_531, 0],
        [0, 9_300, 37_200],
    )


def test_bill_sharing() -> None:
    """The community buys 400 Wh at 300: a bill of 120,000, of which Ann's part is 600/900 = 80,000.

    With 333 Wh of the neighbours Ann buys 267 of the supplier for 80,100, Bob 133 for 39,900 where his part
    is 40,000: Bob pays Ann 100. Nothing is sold to the supplier, so there is no income to split.
    """
    assert figures(shared("bill_sharing")) == ([333, 167, 0], [0, 100, 400], 0, [-100, 100, 0], [0, 0, 0])


def test_bill_sharing_splits_the_income_by_feed_in() -> None:
    """Only 3 Wh are taken, by Ann; 497 go to the supplier at 60: an income of 29,820.

    Bob's part is 100/500 = 5,964, Cor's 23,856. The 3 shared Wh were given 0.6 : 2.4, so Bob gave 1 and Cor
    2: Bob gets 99 x 60 = 5,940 of the supplier, 24 too little, Cor 398 x 60 = 23,880, 24 too much.
    """
    energy = replace(ENERGY, offtake_wh=row(3, 0, 0)[np.newaxis])
    assert figures(shared("bill_sharing", energy)) == ([3, 0, 0], [0, 1, 2], 0, [0, 0, 0], [0, 24, -24])


@pytest.mark.parametrize(
    ("asked", "paid", "price"), [(300, 0, 0), (300, -60, 0), (-10, -60, -10), (300, 300, 300)]
)
def test_ratio_price_where_the_formula_ends(asked: int, paid: int, price: int) -> None:
    """At or below 0 the export price's limit is 0, never more than what the supplier asks."""
    terms = replace(TERMS, import_microeur_per_kwh=row(asked), export_microeur_per_kwh=row(paid))
    assert shared("supply_demand_ratio", ENERGY, terms).price_microeur_per_kwh.tolist() == [price]


def test_ratio_price_with_plenty_is_the_export_price() -> None:
    """More is fed in than taken."""
    energy = Energy(offtake_wh=ENERGY.feed_in_wh, feed_in_wh=ENERGY.offtake_wh)
    assert shared("supply_demand_ratio", energy).price_microeur_per_kwh.tolist() == [60]


def test_equal_remainders_go_round() -> None:
    """Of one watt-hour between two equal neighbours each gets it in every other quarter-hour."""
    energy = Energy(offtake_wh=np.full((4, 2), 5), feed_in_wh=np.tile(row(1, 0), (4, 1)))
    terms = Terms(
        import_microeur_per_kwh=np.full(4, 300),
        export_microeur_per_kwh=np.full(4, 60),
        shared_microeur_per_kwh=np.full(4, 150),
        share_ppm=row(0, 0),
        priority=row(1, 1),
        ranks=ranks_of(["ann", "bob"]),
        first_turn=7,
    )
    assert shared("pro_rata", energy, terms).received_wh.sum(axis=0).tolist() == [2, 2]


def test_a_key_of_somebody_elses_is_checked() -> None:
    """One that hands out more than there is, and one that makes money, are refused."""

    def generous(energy: Energy, terms: Terms) -> Shares:
        return replace(KEYS["pro_rata"](energy, terms), received_wh=energy.offtake_wh)

    def mint(energy: Energy, terms: Terms) -> Shares:
        shares = KEYS["pro_rata"](energy, terms)
        return replace(shares, earned_nanoeur=shares.earned_nanoeur + 1)

    with pytest.raises(ValueError, match="received is not what is given"):
        share(generous, ENERGY, TERMS)
    with pytest.raises(ValueError, match="paid is not what is earned"):
        share(mint, ENERGY, TERMS)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"share_ppm": row(600_000, 500_000, 0)}, "at most"),
        ({"export_microeur_per_kwh": row(301)}, "pays more than it asks"),
        ({"import_microeur_per_kwh": row(10**9)}, "beyond"),
    ],
)
def test_impossible_terms_are_refused(changed: dict[str, IntArray], words: str) -> None:
    """More than a whole, a supplier that loses, a price beyond counting."""
    with pytest.raises(ValueError, match=words):
        replace(TERMS, **changed)  # type: ignore[arg-type]  # arrays only


def test_negative_energy_is_refused() -> None:
    """A meter that ran backwards is estimated before, never shared."""
    with pytest.raises(ValueError, match="offtake_wh must lie in"):
        replace(ENERGY, offtake_wh=row(-1, 0, 0)[np.newaxis])
