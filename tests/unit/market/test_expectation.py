"""What a watt-hour is worth that may or may not be used, worked by hand, and how the odds are learned."""

from __future__ import annotations

import pytest

from market.expectation import (
    MEMORY,
    STEPS,
    Beginning,
    Chances,
    Slice,
    least_to_get,
    most_to_pay,
    slices,
)

ASKED, PAID = 200_000, 50_000


@pytest.mark.parametrize(
    ("chance", "vat", "buy", "sell"),
    [
        pytest.param(1.0, 0.0, 200_000, 50_000, id="certain-is-the-suppliers-price"),
        # 0.25 x 200,000 + 0.75 x 50,000; sold it is 0.25 x 50,000 + 0.75 x 200,000.
        pytest.param(0.25, 0.0, 87_500, 162_500, id="one-in-four"),
        pytest.param(0.0, 0.0, 50_000, 200_000, id="never-is-the-other-price"),
        # Used it saves 242,000, else it brings 50,000: 146,000 with VAT, 120,661.2 without.
        # Sold and not fed in, it is bought for 242,000: 25,000 + 121,000.
        pytest.param(0.5, 0.21, 120_661, 146_000, id="half-with-vat"),
    ],
)
def test_a_watt_hour_is_worth_what_becomes_of_it(chance: float, vat: float, buy: int, sell: int) -> None:
    """The supplier's two prices by their odds."""
    assert most_to_pay(chance, ASKED, PAID, vat) == buy
    assert least_to_get(chance, ASKED, PAID, vat) == sell


def test_below_zero_vat_makes_nothing_better() -> None:
    """Half used at -10,000 with VAT and half sold at -30,000: -21,050 on average.

    That is the bid: a purchase at a negative price has a refund of VAT on top, or it has not.
    """
    assert most_to_pay(0.5, -10_000, -30_000, 0.21) == -21_050
    assert least_to_get(0.5, -10_000, -30_000, 0.21) == -20_000


def test_an_energy_is_cut_into_slices_the_surest_first() -> None:
    """1,001 Wh: 400, 400 and 401, at what each one's last watt-hour is sure of."""
    assert slices(1001, Chances((0.9, 0.5, 0.1))) == [
        Slice(energy_wh=400, chance=0.9),
        Slice(energy_wh=400, chance=0.5),
        Slice(energy_wh=401, chance=0.1),
    ]


def test_slices_of_one_chance_are_one() -> None:
    """Nothing is gained by two orders at the same price; what is certain is a single one of just as much."""
    assert slices(1000, Chances((0.9, 0.9, 0.1))) == [
        Slice(energy_wh=800, chance=0.9),
        Slice(energy_wh=400, chance=0.1),
    ]
    assert slices(1000, None) == [Slice(energy_wh=1000, chance=1.0)]
    assert slices(0, None) == slices(0, Chances((0.9, 0.5, 0.1))) == []


def test_the_smallest_energies_make_no_order_of_nothing() -> None:
    """Of 1 Wh all three slices but the last round down to nothing."""
    assert slices(1, Chances((0.9, 0.5, 0.1))) == [Slice(energy_wh=1, chance=0.1)]


def test_what_comes_is_learned() -> None:
    """After 16 quarter-hours of a beginning, one with 900 of 1,000 Wh: a seventeenth up, up and down."""
    after = Chances((0.5, 0.5, 0.5)).learned(1000, 900)
    assert after.seen == 17
    assert after.at_least == pytest.approx((9 / 17, 9 / 17, 8 / 17))


def test_what_always_comes_is_sure_in_the_end_and_what_no_longer_does_is_forgotten() -> None:
    """Four days of a part of the day, twice over: the odds follow."""
    chances = Beginning.LOAD.value
    for _ in range(10 * MEMORY):
        chances = chances.learned(100, 200)
    assert chances.at_least == pytest.approx((1.0,) * len(STEPS), abs=1e-3)
    for _ in range(MEMORY):
        chances = chances.learned(100, 0)
    assert max(chances.at_least) < 0.4
