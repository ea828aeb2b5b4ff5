"""Settlement from meters, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from controller.domain.ids import Ean, MemberId
from market.clearing import clear
from market.ledger import Posting, PostingReason, assert_balanced, balances
from market.orders import SUPPLIER, Order, Side
from market.settlement import (
    MeteredEnergy,
    SettlementInputs,
    SupplierPrices,
    Trade,
    paid_nanoeur,
    resettle,
    settle,
    trades_of,
)
from tests.support.market import QUARTER_AT_NOON, an_envelope, an_order

LATER = QUARTER_AT_NOON + timedelta(hours=1)
ANN, BOB, SCHOOL = MemberId("ann"), MemberId("bob"), MemberId("school")


def meter(member: MemberId, import_wh: int, export_wh: int = 0, *, point: str = "") -> MeteredEnergy:
    """A member's meter; its EAN is the member's name where not given."""
    return MeteredEnergy(
        member=member, ean=Ean(point or f"ean-{member}"), import_wh=import_wh, export_wh=export_wh
    )


def three_members() -> SettlementInputs:
    """Ann buys 100 Wh of Bob's roof at 150, the school 50 Wh of the supplier at 250 micro-euro/kWh."""
    return SettlementInputs(
        interval_start=QUARTER_AT_NOON,
        trades=(
            Trade(order_id="a", member=ANN, side=Side.BUY, filled_wh=100, amount_nanoeur=15_000),
            Trade(order_id="b", member=BOB, side=Side.SELL, filled_wh=100, amount_nanoeur=-15_000),
            Trade(order_id="s", member=SCHOOL, side=Side.BUY, filled_wh=50, amount_nanoeur=12_500),
            Trade(order_id="z", member=SUPPLIER, side=Side.SELL, filled_wh=50, amount_nanoeur=-12_500),
        ),
        metered=(meter(ANN, 130), meter(BOB, 0, 110), meter(SCHOOL, 30)),
        prices=SupplierPrices(import_microeur_per_kwh=300, export_microeur_per_kwh=60),
    )


def booked(postings: Sequence[Posting]) -> set[tuple[str, str, int, str]]:
    """Debit, credit, amount and reason of each posting."""
    return {(p.debit_account, p.credit_account, p.amount_nanoeur, p.reason.value) for p in postings}


def test_three_members_over_one_quarter_hour() -> None:
    """Trades at their price, deviations at the supplier's.

    Ann used 130 of 100: 30 x 300 = 9,000 to the supplier. Bob fed in 110 of 100: 10 x 60 = 600 from the
    supplier. The school used 30 of 50: sells 20 x 60 = 1,200 back. Ann pays 15,000 + 9,000 = 24,000, Bob
    receives 15,000 + 600, the school pays 12,500 - 1,200 = 11,300; the supplier receives the balance of
    12,500 + 9,000 - 600 - 1,200 = 19,700. 24,000 - 15,600 + 11,300 - 19,700 = 0.
    """
    done = settle(three_members(), booked_at=LATER)
    assert booked(done.postings) == {
        ("member:ann", "market", 15_000, "trade"),
        ("market", "member:bob", 15_000, "trade"),
        ("member:school", "market", 12_500, "trade"),
        ("market", "supplier", 12_500, "trade"),
        ("member:ann", "supplier", 9_000, "imbalance_buy"),
        ("supplier", "member:bob", 600, "imbalance_sell"),
        ("supplier", "member:school", 1_200, "imbalance_sell"),
    }
    assert balances(done.postings) == {
        "market": 0,
        "member:ann": 24_000,
        "member:bob": -15_600,
        "member:school": 11_300,
        "supplier": -19_700,
    }
    assert_balanced(done.postings)
    assert done.unmetered == ()


def test_of_each_purchase_the_same_part_is_the_suppliers() -> None:
    """150 Wh were bought and 100 sold by members: a third of each purchase is the supplier's.

    Ann's 15,000 are for two points of 60 and 40 Wh: 9,000 and 6,000. The school's 12,500 / 3 is rounded down.
    """
    owners = [ANN, ANN, BOB, SCHOOL]
    supplied, neighbours = paid_nanoeur(three_members().trades, owners, np.array([60, 40, 0, 50]))
    assert supplied.tolist() == [3_000, 2_000, 0, 4_166]
    assert neighbours.tolist() == [6_000, 4_000, 0, 8_334]


def test_where_members_sell_more_than_they_buy_nothing_is_the_suppliers() -> None:
    """Ann's 100 Wh are neighbours' altogether; who trades nothing pays nothing."""
    trades = three_members().trades[:2]
    supplied, neighbours = paid_nanoeur(trades, [ANN, BOB], np.array([100, 0]))
    assert (supplied.tolist(), neighbours.tolist()) == ([0, 0], [15_000, 0])


def test_congestion_rent_goes_to_the_community() -> None:
    """6 Wh at 300 inside and 100 outside: the buyer pays 1,800, the seller gets 600, the community 1,200."""
    orders: list[Order] = [
        an_order("b", "buy", 10, 300, "feeder", member="ann"),
        an_order("s", "sell", 100, 100, member="supplier"),
    ]
    result = clear(orders, an_envelope(feeder=(None, 6, 6)))
    inputs = replace(three_members(), trades=trades_of(result, orders), metered=(meter(ANN, 6),))
    done = settle(inputs, booked_at=LATER)
    assert ("market", "community", 1_200, "rent") in booked(done.postings)
    assert balances(done.postings) == {
        "community": -1_200,
        "market": 0,
        "member:ann": 1_800,
        "supplier": -600,
    }


def test_negative_export_price_charges_who_feeds_in_too_much() -> None:
    """Bob fed in 10 Wh more than traded at -60: he pays 600."""
    inputs = replace(
        three_members(), prices=SupplierPrices(import_microeur_per_kwh=300, export_microeur_per_kwh=-60)
    )
    assert ("member:bob", "supplier", 600, "imbalance_sell") in booked(
        settle(inputs, booked_at=LATER).postings
    )


def test_import_and_export_of_a_members_points_are_not_netted() -> None:
    """Bob's roof fed in 150, his home took 50; he sold 100.

    The roof's other 50 go to the supplier at 60: 3,000. The home's 50 come from it at 300: 15,000.
    """
    metered = (meter(BOB, 50, point="home"), meter(BOB, 0, 150, point="roof"))
    done = settle(replace(three_members(), metered=metered), booked_at=LATER)
    assert {line for line in booked(done.postings) if line[3].startswith("imbalance")} == {
        ("supplier", "member:bob", 3_000, "imbalance_sell"),
        ("member:bob", "supplier", 15_000, "imbalance_buy"),
    }
    assert {p.ref for p in done.postings if p.reason.value.startswith("imbalance")} == {
        "import:home",
        "export:roof",
    }


def test_import_and_export_of_one_point_are_not_netted() -> None:
    """Ann's charger took 130 and gave back 20 in the same quarter-hour: 30 x 300 and 20 x 60."""
    done = settle(replace(three_members(), metered=(meter(ANN, 130, 20),)), booked_at=LATER)
    assert {line for line in booked(done.postings) if line[3].startswith("imbalance")} == {
        ("member:ann", "supplier", 9_000, "imbalance_buy"),
        ("supplier", "member:ann", 1_200, "imbalance_sell"),
    }


def test_sold_and_not_fed_in_is_bought_of_the_supplier() -> None:
    """Bob sold 100 and fed in 40: the other 60 cost him 60 x 300 = 18,000."""
    done = settle(replace(three_members(), metered=(meter(BOB, 0, 40),)), booked_at=LATER)
    assert ("member:bob", "supplier", 18_000, "imbalance_buy") in booked(done.postings)


def test_a_trade_counts_for_the_point_that_it_was_made_for() -> None:
    """100 were bought for Ann's charger, which stood still; her home took 100.

    The charger's 100 are sold at 60: 6,000. The home's come from the supplier at 300: 30,000. Bought for her
    as a whole, they would have been the home's.
    """
    trade = replace(three_members().trades[0], ean=Ean("charger"))
    metered = (meter(ANN, 0, point="charger"), meter(ANN, 100, point="home"))
    done = settle(replace(three_members(), trades=(trade,), metered=metered), booked_at=LATER)
    assert {line for line in booked(done.postings) if line[3].startswith("imbalance")} == {
        ("supplier", "member:ann", 6_000, "imbalance_sell"),
        ("member:ann", "supplier", 30_000, "imbalance_buy"),
    }
    loose = settle(
        replace(three_members(), trades=(replace(trade, ean=None),), metered=metered), booked_at=LATER
    )
    assert not [line for line in booked(loose.postings) if line[3].startswith("imbalance")]


def test_missing_meter_waits_and_is_settled_when_it_comes() -> None:
    """Without Ann's meter only her trade is booked; afterwards just the deviation is added."""
    inputs = three_members()
    first = settle(replace(inputs, metered=inputs.metered[1:]), booked_at=LATER)
    assert first.unmetered == (ANN,)
    second = resettle(first.postings, inputs, booked_at=LATER)
    assert booked(second.postings) == {("member:ann", "supplier", 9_000, "imbalance_buy")}
    everything = settle(inputs, booked_at=LATER).postings
    assert balances([*first.postings, *second.postings]) == balances(everything)


def test_one_missing_of_several_meters_is_unknown_not_zero() -> None:
    """Bob's second meter is expected and silent: his deviation waits."""
    inputs = replace(
        three_members(), expected=frozenset({Ean("ean-bob-2")}), members_of={Ean("ean-bob-2"): BOB}
    )
    done = settle(inputs, booked_at=LATER)
    assert done.unmetered == (BOB,)
    assert not [p for p in done.postings if p.ref.endswith(":ean-bob")]


def test_corrected_meter_reverses_and_books_anew() -> None:
    """Ann used 90, not 130: the 9,000 are reversed, and 10 Wh x 60 = 600 come back to her."""
    inputs = three_members()
    first = settle(inputs, booked_at=QUARTER_AT_NOON).postings
    corrected = replace(inputs, metered=(meter(ANN, 90), *inputs.metered[1:]))
    second = resettle(first, corrected, booked_at=LATER).postings
    assert booked(second) == {
        ("supplier", "member:ann", 9_000, "reversal"),
        ("supplier", "member:ann", 600, "imbalance_sell"),
    }
    assert balances([*first, *second])["member:ann"] == 15_000 - 600
    assert_balanced([*first, *second])


def test_correction_back_and_forth_never_reuses_an_id() -> None:
    """130, 140, 130, 140: each time a reversal and a new posting; the end equals a first settlement."""
    inputs = three_members()
    ledger: list[Posting] = []
    for used in (130, 140, 130, 140):
        now = replace(inputs, metered=(meter(ANN, used), *inputs.metered[1:]))
        ledger += resettle(ledger, now, booked_at=LATER).postings
    assert len({p.posting_id for p in ledger}) == len(ledger)
    assert balances(ledger) == balances(settle(now, booked_at=LATER).postings)
    assert sum(p.reason is PostingReason.REVERSAL for p in ledger) == 3


def test_same_data_again_books_nothing() -> None:
    """A re-run after a crash finds everything in place, and makes the same ids from nothing."""
    inputs = three_members()
    first = settle(inputs, booked_at=LATER).postings
    assert resettle(first, inputs, booked_at=LATER).postings == ()
    assert settle(inputs, booked_at=LATER).postings == first


def test_estimates_are_named() -> None:
    """Who was settled by an estimate is told."""
    inputs = three_members()
    estimated = replace(inputs.metered[0], estimated=True)
    done = settle(replace(inputs, metered=(estimated, *inputs.metered[1:])), booked_at=LATER)
    assert done.estimated == (ANN,)


@pytest.mark.parametrize(
    ("metered", "words"),
    [
        ((meter(ANN, 1), meter(ANN, 2)), "metered twice"),
        ((meter(ANN, -1),), "negative register"),
    ],
)
def test_impossible_meters_are_refused(metered: tuple[MeteredEnergy, ...], words: str) -> None:
    """The same point twice, a negative register."""
    with pytest.raises(ValueError, match=words):
        settle(replace(three_members(), metered=metered), booked_at=LATER)


def test_postings_of_another_quarter_hour_are_refused() -> None:
    """They would be taken for wrong ones and reversed."""
    first = settle(three_members(), booked_at=LATER).postings
    with pytest.raises(ValueError, match="another quarter-hour"):
        resettle(first, replace(three_members(), interval_start=LATER), booked_at=LATER)
