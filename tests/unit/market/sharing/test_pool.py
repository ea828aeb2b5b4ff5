"""A pool's settlement: prices, taxes and fees by hand, and what must hold whatever the meters say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.ids import Ean, MemberId
from controller.domain.time import QUARTER
from controller.domain.units import IntArray
from market.ledger import PostingReason, assert_balanced, balances
from market.rates import Rate, RateKind
from market.rebooking import rebooked
from market.sharing import KEYS, Energy
from market.sharing.pool import (
    Point,
    PoolInputs,
    PoolRules,
    SupplyPrices,
    block_amounts,
    pool_lines,
    settle_pool,
    vat_nanoeur,
)

NOON = datetime(2024, 6, 3, 10, tzinfo=UTC)


def row(*values: int) -> IntArray:
    """One value per point, or per quarter-hour."""
    return np.array(values, dtype=np.int64)


def prices(asked: int, paid: int, quarters: int = 1) -> SupplyPrices:
    """The same in every quarter-hour."""
    return SupplyPrices(
        import_microeur_per_kwh=np.full(quarters, asked), export_microeur_per_kwh=np.full(quarters, paid)
    )


def rate(kind: RateKind, value: int) -> Rate:
    """One that always held."""
    return Rate(kind=kind, value=value, from_utc=NOON - timedelta(days=99), source="law")


RATES = (
    rate(RateKind.ENERGY_TAX, 100),
    rate(RateKind.NETWORK, 10),
    rate(RateKind.FEED_IN_FEE, 20),
    rate(RateKind.STORAGE_REFUND, 40),
    rate(RateKind.VAT, 210_000),
)
RULES = PoolRules(key=KEYS["pro_rata"], rates=RATES)
POINTS = tuple(Point(ean=Ean(name), member=MemberId(name), supplier="n") for name in ("ann", "bob", "cor"))
INPUTS = PoolInputs(
    points=POINTS,
    starts=(NOON,),
    energy=Energy(offtake_wh=row(600, 300, 0)[np.newaxis], feed_in_wh=row(0, 100, 400)[np.newaxis]),
    grid_charged_wh=row(0, 0, 0)[np.newaxis],
    supply={"n": prices(300, 60)},
    shared_microeur_per_kwh=row(150),
)


def amounts(inputs: PoolInputs, rules: PoolRules = RULES) -> dict[str, list[int]]:
    """What each point pays, by reason."""
    settled = settle_pool(inputs, rules)
    found = block_amounts(settled, slice(0, len(inputs.starts)))
    return {reason.value: paid.tolist() for reason, paid in found.items()}


def test_three_members_with_tax_tariff_fee_and_vat() -> None:
    """The three of `test_keys`: Ann gets 333, Bob 167 Wh; Bob gives 100, Cor 400; nothing is left to sell.

    Supply at 300: Ann (600 - 333) x 300 = 80,100, Bob (300 - 167) x 300 = 39,900. Tax at 100 on all that was
    taken: 60,000 and 30,000. Network at 10: 6,000 and 3,000. VAT of 21%: Ann 0.21 x 146,100 = 30,681, Bob
    0.21 x 72,900 = 15,309.
    """
    assert amounts(INPUTS) == {
        "shared_buy": [49_950, 25_050, 0],
        "shared_sell": [0, -15_000, -60_000],
        "supply": [80_100, 39_900, 0],
        "feed_in": [0, 0, 0],
        "energy_tax": [60_000, 30_000, 0],
        "network": [6_000, 3_000, 0],
        "feed_in_fee": [0, 0, 0],
        "vat": [30_681, 15_309, 0],
    }


def test_neighbours_energy_carries_vat_only_where_the_rules_say_so() -> None:
    """Ann pays 49,950 to neighbours and Bob 25,050: 0.21 x (146,100 + 49,950) and 0.21 x (72,900 + 25,050).

    Cor, who sells, is paid the same. Had nothing been shared, there would be none of it.
    """
    rules = replace(RULES, vat_on_neighbours=True)
    assert amounts(INPUTS, rules) == {**amounts(INPUTS), "vat": [41_170, 20_569, 0]}
    settled = settle_pool(INPUTS, rules)
    without = block_amounts(settled, slice(0, 1), settled.without)
    assert without[PostingReason.VAT][0] == 246_000 * 21 // 100


def test_without_sharing_by_the_same_rates() -> None:
    """All from the supplier and all to it: Cor sells 400 x 60 = 24,000 and pays a fee of 400 x 20 = 8,000."""
    without = settle_pool(INPUTS, RULES).without
    assert without[PostingReason.SUPPLY][0].tolist() == [180_000, 90_000, 0]
    assert without[PostingReason.FEED_IN][0].tolist() == [0, -6_000, -24_000]
    assert without[PostingReason.FEED_IN_FEE][0].tolist() == [0, 2_000, 8_000]
    assert without[PostingReason.ENERGY_TAX][0].tolist() == [60_000, 30_000, 0]


def test_energy_that_a_store_took_from_the_grid_is_sold_and_not_shared() -> None:
    """Cor's 400 came from the grid: only Bob's 100 are shared; tax of 400 x 40 comes back to Cor."""
    stored = replace(INPUTS, grid_charged_wh=row(0, 0, 400)[np.newaxis])
    settled = settle_pool(stored, RULES)
    assert settled.given_wh[0].tolist() == [0, 100, 0]
    assert settled.received_wh[0].tolist() == [67, 33, 0]
    assert amounts(stored)["feed_in"] == [0, 0, -24_000]
    assert amounts(stored)["energy_tax"] == [60_000, 30_000, -16_000]
    allowed = settle_pool(stored, replace(RULES, share_grid_charged=True))
    assert allowed.given_wh[0].tolist() == [0, 100, 400]


def test_each_suppliers_customers_share_among_themselves() -> None:
    """Cor has another supplier: 100 of the 500 Wh stay within one, and Cor's go to its own at 70."""
    two = replace(
        INPUTS,
        points=(*POINTS[:2], replace(POINTS[2], supplier="s")),
        supply={"n": prices(300, 60), "s": prices(280, 70)},
    )
    settled = settle_pool(two, RULES)
    assert settled.received_wh[0].tolist() == [67, 33, 0]
    assert (settled.shareable_wh, settled.same_supplier_wh) == (500, 100)
    assert amounts(two)["feed_in"] == [0, 0, -28_000]
    across = settle_pool(two, replace(RULES, across_suppliers=True))
    assert across.received_wh[0].tolist() == [333, 167, 0]


def test_over_suppliers_nobody_does_worse_than_at_home() -> None:
    """Mid-market of the lowest import price (280) and the highest export price (70): 175."""
    two = replace(
        INPUTS,
        points=(*POINTS[:2], replace(POINTS[2], supplier="s")),
        supply={"n": prices(300, 60), "s": prices(280, 70)},
    )
    rules = PoolRules(key=KEYS["mid_market_rate"], across_suppliers=True)
    assert settle_pool(two, rules).price_microeur_per_kwh[0].tolist() == [175, 175, 175]
    with pytest.raises(ValueError, match="one bill"):
        settle_pool(two, PoolRules(key=KEYS["bill_sharing"], across_suppliers=True))


def test_vat_is_rounded_down_once_per_posting() -> None:
    """Three times 0.7 nano-euro are 2, not 0; a negative base rounds down too."""
    base = {reason: np.zeros((3, 2), dtype=np.int64) for reason in PostingReason}
    base[PostingReason.SUPPLY] = np.array([[7, -7], [7, -7], [7, -7]])
    assert vat_nanoeur(base, np.full((3, 2), 100_000)).tolist() == [2, -3]


def test_vat_of_the_largest_amounts_stays_exact() -> None:
    """At the limits of what is taken no product leaves 64 bits."""
    base = {reason: np.zeros((96, 1), dtype=np.int64) for reason in PostingReason}
    base[PostingReason.SUPPLY] = np.full((96, 1), 10**15 + 1)
    exact = 96 * (10**15 + 1) * 999_999 // 1_000_000
    assert vat_nanoeur(base, np.full((96, 1), 999_999)).tolist() == [exact]


WH = st.integers(0, 3000)


@st.composite
def pools(draw: st.DrawFn) -> PoolInputs:
    """Up to four quarter-hours of up to five points with two suppliers."""
    quarters, count = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    cells = st.lists(st.lists(WH, min_size=count, max_size=count), min_size=quarters, max_size=quarters)
    fed = np.array(draw(cells), dtype=np.int64)
    points = tuple(
        Point(
            ean=Ean(f"point-{i}"),
            member=MemberId(f"member-{i // 2}"),
            supplier=draw(st.sampled_from(["n", "s"])),
            share_ppm=draw(st.integers(0, 200_000)),
            priority=draw(st.integers(1, 3)),
        )
        for i in range(count)
    )
    return PoolInputs(
        points=points,
        starts=tuple(NOON + i * QUARTER for i in range(quarters)),
        energy=Energy(offtake_wh=np.array(draw(cells), dtype=np.int64), feed_in_wh=fed),
        grid_charged_wh=np.minimum(np.array(draw(cells), dtype=np.int64), fed),
        supply={
            "n": prices(draw(st.integers(0, 400)), draw(st.integers(-50, 0)), quarters),
            "s": prices(draw(st.integers(100, 400)), draw(st.integers(-50, 100)), quarters),
        },
        shared_microeur_per_kwh=np.full(quarters, draw(st.integers(-10, 400))),
    )


@settings(max_examples=300, deadline=None)
@given(inputs=pools(), name=st.sampled_from(sorted(KEYS)), across=st.booleans(), per_quarter=st.booleans())
def test_no_energy_and_no_money_is_made(
    *, inputs: PoolInputs, name: str, across: bool, per_quarter: bool
) -> None:
    """Shared is received and given alike; the ledger balances; booking in blocks changes no sum but VAT's."""
    rules = PoolRules(key=KEYS[name], across_suppliers=across and name != "bill_sharing", rates=RATES[:4])
    settled = settle_pool(inputs, rules)
    own = inputs.energy.feed_in_wh - inputs.grid_charged_wh
    assert (settled.given_wh <= own).all()
    assert (settled.received_wh.sum(axis=1) == settled.given_wh.sum(axis=1)).all()
    assert int(settled.received_wh.sum()) <= settled.shareable_wh
    assert settled.same_supplier_wh <= settled.shareable_wh
    size = 1 if per_quarter else len(inputs.starts)
    blocks = [slice(i, i + size) for i in range(0, len(inputs.starts), size)]
    postings = rebooked((), pool_lines(inputs, settled, blocks), booked_at=NOON)
    assert_balanced(postings)
    paid = {member: amount for member, amount in balances(postings).items() if member.startswith("member:")}
    total = sum(int(amount.sum()) for amount in settled.amounts.values())
    assert sum(paid.values()) == total


@settings(max_examples=100, deadline=None)
@given(before=pools(), name=st.sampled_from(sorted(KEYS)))
def test_settled_again_only_the_difference_is_booked(before: PoolInputs, name: str) -> None:
    """After a correction the standing postings are those of a first settlement with the right data."""
    rules = PoolRules(key=KEYS[name], rates=RATES)
    block = [slice(0, len(before.starts))]
    first = rebooked((), pool_lines(before, settle_pool(before, rules), block), booked_at=NOON)
    energy = Energy(offtake_wh=before.energy.offtake_wh + 1, feed_in_wh=before.energy.feed_in_wh)
    after = replace(before, energy=energy)
    lines = list(pool_lines(after, settle_pool(after, rules), block))
    second = rebooked(first, lines, booked_at=NOON)
    right = rebooked((), lines, booked_at=NOON)
    assert_balanced([*first, *second])
    nonzero = {account: paid for account, paid in balances([*first, *second]).items() if paid}
    assert nonzero == {account: paid for account, paid in balances(right).items() if paid}
    assert rebooked([*first, *second], lines, booked_at=NOON) == []
