"""Conversions into whole numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from market.prices import amount_nanoeur, eur_text, midpoint, price_from_eur, quarter_capacity_wh


def test_micro_euro_per_kwh_times_watt_hours_is_nano_euro() -> None:
    """0.25 EUR/kWh x 4 Wh = 0.001 EUR = 1,000,000 nano-euro."""
    assert amount_nanoeur(price_from_eur(0.25), 4) == 1_000_000


@pytest.mark.parametrize(("low", "high", "middle"), [(1, 2, 1), (-2, -1, -2), (-3, 2, -1), (5, 5, 5)])
def test_midpoint_is_floored(low: int, high: int, middle: int) -> None:
    """Towards minus infinity, also for negative prices."""
    assert midpoint(low, high) == middle


@pytest.mark.parametrize(
    ("limit_kw", "capacity_wh"),
    [(32.3, 8075), (0.0, 0), (0.0039, 0), (0.004, 1), (Decimal("1.1"), 275), (float("inf"), None)],
)
def test_capacity_is_the_floor_of_the_exact_product(
    limit_kw: float | Decimal, capacity_wh: int | None
) -> None:
    """32.3 x 250 is 8075 although the product of binary floats is 8074.999..."""
    assert quarter_capacity_wh(limit_kw) == capacity_wh


@pytest.mark.parametrize("limit_kw", [-1.0, float("nan")])
def test_no_limit_is_no_capacity(limit_kw: float) -> None:
    """Negative limits and NaN are refused."""
    with pytest.raises(ValueError, match="no limit"):
        quarter_capacity_wh(limit_kw)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 1e9])
def test_impossible_prices_are_refused(price: float) -> None:
    """NaN, infinity and more than a million euro per kWh."""
    with pytest.raises(ValueError, match=r"price|beyond"):
        price_from_eur(price)


def test_amounts_are_shown_with_all_their_digits() -> None:
    """Nine decimals, the sign in front."""
    assert eur_text(-12_345_678) == "-0.012345678"
    assert eur_text(1_000_000_001) == "1.000000001"
