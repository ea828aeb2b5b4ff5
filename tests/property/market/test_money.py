"""Money is neither made nor lost, from orders to the corrected ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.ids import Ean, MemberId
from market.clearing import clear
from market.clearing.ties import by_position, pro_rata
from market.ledger import Posting, assert_balanced, balances, only_new
from market.orders import SUPPLIER, Order, Side
from market.settlement import MeteredEnergy, SettlementInputs, SupplierPrices, resettle, settle, trades_of
from tests.support.market import QUARTER_AT_NOON, an_envelope, an_order

MEMBERS = ["ann", "bob", "cor", SUPPLIER]
NETWORK = an_envelope(t=(None, 9, 9), f=("t", 5, 5), g=("t", 2, 7))
BOOKED_AT = QUARTER_AT_NOON + timedelta(hours=1)

orders_of_members = st.lists(
    st.tuples(
        st.sampled_from(MEMBERS),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 20),
        st.integers(-50, 90),
        st.sampled_from(["", "t", "f", "g"]),
    ),
    min_size=1,
    max_size=12,
)
meters = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), min_size=3, max_size=3)


def inputs_of(
    rows: list[tuple[str, str, int, int, str]], readings: list[tuple[int, int, bool]]
) -> SettlementInputs:
    """Cleared orders and the meters that are in."""
    orders: list[Order] = [
        an_order(f"o{i}", side, quantity, price, node, member=member)
        for i, (member, side, quantity, price, node) in enumerate(rows)
    ]
    return SettlementInputs(
        interval_start=QUARTER_AT_NOON,
        trades=trades_of(clear(orders, NETWORK), orders),
        metered=tuple(
            MeteredEnergy(member=MemberId(member), ean=Ean(member), import_wh=down, export_wh=up)
            for member, (down, up, there) in zip(MEMBERS[:3], readings, strict=True)
            if there
        ),
        prices=SupplierPrices(import_microeur_per_kwh=80, export_microeur_per_kwh=-10),
    )


@settings(max_examples=100, deadline=None)
@given(orders_of_members, st.lists(meters, min_size=1, max_size=4))
def test_ledger_balances_through_every_correction(
    rows: list[tuple[str, str, int, int, str]], runs: list[list[tuple[int, int, bool]]]
) -> None:
    """After each run the books balance and equal a first settlement with the newest data."""
    ledger: dict[str, Posting] = {}
    for readings in runs:
        inputs = inputs_of(rows, readings)
        done = resettle(list(ledger.values()), inputs, booked_at=BOOKED_AT)
        fresh = only_new(ledger, done.postings)
        assert len(fresh) == len(done.postings)
        ledger |= {entry.posting_id: entry for entry in fresh}
        assert_balanced(list(ledger.values()))
        from_nothing = balances(settle(inputs, booked_at=BOOKED_AT).postings)
        now = balances(ledger.values())
        assert {account: amount for account, amount in now.items() if amount} == {
            account: amount for account, amount in from_nothing.items() if amount
        }
        again = resettle(list(ledger.values()), inputs, booked_at=BOOKED_AT)
        assert again.postings == ()


@settings(max_examples=100, deadline=None)
@given(orders_of_members, meters)
def test_members_pay_for_exactly_what_they_metered(
    rows: list[tuple[str, str, int, int, str]], readings: list[tuple[int, int, bool]]
) -> None:
    """Traded and deviating energy together are the metered energy, whatever was traded."""
    inputs = inputs_of(rows, [(down, up, True) for down, up, _ in readings])
    flat = SupplierPrices(import_microeur_per_kwh=7, export_microeur_per_kwh=7)
    at_seven = tuple(
        replace(trade, amount_nanoeur=7 * (trade.filled_wh if trade.side is Side.BUY else -trade.filled_wh))
        for trade in inputs.trades
    )
    paid = balances(settle(replace(inputs, trades=at_seven, prices=flat), booked_at=BOOKED_AT).postings)
    for point in inputs.metered:
        assert paid.get(f"member:{point.member}", 0) == 7 * (point.import_wh - point.export_wh)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=30), st.data())
def test_pro_rata_is_exact_and_fair(quantities: list[int], data: st.DataObject) -> None:
    """Parts sum to the total, none is above its quantity, and none is a whole unit off its share."""
    whole = sum(quantities)
    total = data.draw(st.integers(0, whole))
    parts = pro_rata(total, np.array(quantities, dtype=np.int64), by_position).tolist()
    assert sum(parts) == total
    for part, quantity in zip(parts, quantities, strict=True):
        assert 0 <= part <= quantity
        assert abs(part * whole - total * quantity) < whole
