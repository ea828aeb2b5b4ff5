"""What the fake street shows: a clearing, postings, roofs, a battery and alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.time import QUARTER, quarter_start
from controller.runtime.door import AlarmView, SourceView, Urgency
from controller.runtime.ports import OrderRecord
from market.clearing import Fill, IntervalResult
from market.ledger import Posting, PostingReason
from market.orders import Order, OrderSource, Side

START = datetime(2024, 1, 15, 16, 35, tzinfo=UTC)
RESIDENT = MemberId("home-7")
FEEDER = NodeId("feeder-1")
_CLEARED = datetime(2024, 1, 15, 16, 15, tzinfo=UTC)
_PRICES = {"": 184_000, "transformer-1": 184_000, "feeder-1": 231_500, "pole-2": None}


def fake_postings() -> list[Posting]:
    """A trade of home 7, and the congestion rent of that quarter-hour."""
    return [
        Posting(
            posting_id="p-1",
            debit_account="member:home-7",
            credit_account="supplier",
            amount_nanoeur=83_000_001,
            reason=PostingReason.TRADE,
            interval_start=_CLEARED,
            ref="evening-1",
            booked_at=_CLEARED,
        ),
        Posting(
            posting_id="p-2",
            debit_account="community",
            credit_account="supplier",
            amount_nanoeur=6_999_999,
            reason=PostingReason.RENT,
            interval_start=_CLEARED,
            ref="",
            booked_at=_CLEARED,
        ),
    ]


def cleared_order() -> OrderRecord:
    """An order of home 7 that got most of what it wanted."""
    order = Order(
        order_id="evening-1",
        member=RESIDENT,
        node=FEEDER,
        side=Side.BUY,
        quantity_wh=500,
        limit_price_microeur_per_kwh=220_000,
        interval_start=quarter_start(START) - QUARTER,
        source=OrderSource.RESIDENT,
        placed_at=START - timedelta(hours=1),
    )
    return OrderRecord(order=order, cancelled_at=None, fill=_fill())


def _fill() -> Fill:
    return Fill(
        order_id="evening-1",
        filled_wh=450,
        price_microeur_per_kwh=184_000,
        amount_nanoeur=82_800_000,
    )


def clearing(now: datetime) -> IntervalResult:
    """The quarter-hour before `now`, cleared."""
    return IntervalResult(
        interval_start=quarter_start(now) - QUARTER,
        price_microeur_per_kwh={NodeId(name): price for name, price in _PRICES.items()},
        fills=(_fill(),),
        congestion_rent_nanoeur=82_800_000,
        welfare_nanoeur=99_000_000,
    )


def sources(wave: float) -> list[SourceView]:
    """Two roofs and a battery."""
    plan = Reason(code=ReasonCode.PLAN)
    rows = [("roof-1", "pv", -9.1 * wave, 17.0, None), ("roof-7", "pv", -3.4 * wave, 8.0, None)]
    rows.append(("battery-1", "battery", 25.0 * wave, 50.0, 0.61))  # type: ignore[arg-type]  # has a SoC
    return [
        SourceView(
            id=AssetId(name),
            node=FEEDER,
            kind=kind,
            connected=True,
            power_kw=power,
            rated_kw=rated,
            soc_fraction=soc,
            setpoint_kw=None,
            reason=plan if kind == "battery" else None,
        )
        for name, kind, power, rated, soc in rows
    ]


def alarms(now: datetime) -> list[AlarmView]:
    """One of each urgency at least."""
    rows = [
        ("a1", Urgency.NOW, "node_over_limit", "feeder-2", 3.5, "kW"),
        ("a2", Urgency.TODAY, "departure_at_risk", "car-1", 3.2, "kWh"),
        ("a3", Urgency.TODAY, "device_silent", "charger-05", None, ""),
        ("a4", Urgency.NOTE, "meter_stale", "pole-2", None, ""),
    ]
    return [
        AlarmView(
            id=name,
            urgency=urgency,
            code=code,
            subject=subject,
            since=now - timedelta(minutes=7),
            value=value,
            unit=unit,
        )
        for name, urgency, code, subject, value, unit in rows
    ]
