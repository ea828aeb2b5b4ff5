"""From the controller's views to JSON: one plain builder a view, orjson underneath.

The operator's page of a thousand chargers is asked for every second, so views become plain dictionaries
and orjson writes them (dataclasses, times and infinities natively: what is infinite or not a number
leaves as null). The pydantic models beside the routes describe the same shapes and the tests hold every
answer against them.

Money leaves as an integer of nano-euro and once more as a decimal text in euro, exact both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson
from starlette.responses import Response

from controller.domain.assets import Booking, Wishes
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus
from controller.domain.network import ImposedLimit
from controller.domain.reasons import Reason
from controller.domain.units import NANOEUR_PER_EUR
from controller.runtime.door import (
    AlarmView,
    AssetView,
    ChargerView,
    FlexibilityPoint,
    LedgerView,
    NodePoint,
    NodeView,
    PlanSpanView,
    PlanView,
    SourceView,
    StateView,
    StrainView,
    Taken,
)
from controller.runtime.ports import EventRecord, Lockout, OrderRecord
from controller.runtime.trading_door import DepthStep, MatchView, TradeView
from controller.texts import Translator, alarm_advice, alarm_title, plan_sentence, sentence
from market.clearing import Fill, IntervalResult
from market.ledger import Posting
from market.orders import LAPSES, Order

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

type Json = dict[str, object]
"""A JSON object on its way out."""


def _default(value: object) -> object:
    """What orjson does not know: any mapping and any iterable."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: object) -> bytes:
    """JSON bytes; times in UTC with Z, infinities and NaN as null."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY)


def reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(dumps(value), status, headers, media_type="application/json")


def location(path: str, *parts: str) -> str:
    """Where something is found: ids are parts of the address, whatever signs they have."""
    return "/".join((path, *(quote(part, safe="") for part in parts)))


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}
"""The fields of each kind of view, looked up once: `dataclasses.fields` is slow for a thousand chargers."""


def _plain(view: DataclassInstance) -> Json:
    """The fields of a dataclass as they are."""
    names = _FIELD_NAMES.get(type(view))
    if names is None:
        names = tuple(field.name for field in fields(view))
        _FIELD_NAMES[type(view)] = names
    return {name: getattr(view, name) for name in names}


def euro_text(amount_nanoeur: int) -> str:
    """An amount as a decimal number of euro with all nine places: `-0.000000012`."""
    whole, rest = divmod(abs(amount_nanoeur), NANOEUR_PER_EUR)
    return f"{'-' if amount_nanoeur < 0 else ''}{whole}.{rest:09d}"


def reason(value: Reason | None, words: Translator) -> Json | None:
    """A reason with its sentence."""
    return None if value is None else {**_plain(value), "sentence": sentence(value, words.language)}


def node(view: NodeView) -> Json:
    """One node now."""
    return _plain(view)


def charger(view: ChargerView, words: Translator) -> Json:
    """One charge point and the car on it."""
    return {**_plain(view), "reason": reason(view.reason, words)}


def source(view: SourceView, words: Translator) -> Json:
    """A roof or a battery."""
    return {**_plain(view), "reason": reason(view.reason, words)}


def alarm(view: AlarmView, words: Translator) -> Json:
    """An alarm with its title and what to do."""
    plain = _plain(view)
    plain["since_utc"] = plain.pop("since")
    plain["title"] = alarm_title(view.code, words.language)
    plain["advice"] = alarm_advice(view.code, words.language)
    return plain


def fill(value: Fill) -> Json:
    """What an order got."""
    return {
        "order_id": value.order_id,
        "filled_wh": value.filled_wh,
        "price_microeur_per_kwh": value.price_microeur_per_kwh,
        "amount_nanoeur": value.amount_nanoeur,
        "eur": euro_text(value.amount_nanoeur),
    }


def clearing(value: IntervalResult | None) -> Json | None:
    """A cleared quarter-hour without its fills: volume, prices and totals."""
    if value is None:
        return None
    fills = list(value.fills)
    return {
        "interval_start_utc": value.interval_start,
        "price_microeur_per_kwh": dict(value.price_microeur_per_kwh),
        "orders": len(fills),
        "filled_wh": sum(item.filled_wh for item in fills),
        "congestion_rent_nanoeur": value.congestion_rent_nanoeur,
        "welfare_nanoeur": value.welfare_nanoeur,
    }


def state(view: StateView, words: Translator) -> Json:
    """The neighbourhood now."""
    return {
        "site": view.site,
        "now_utc": view.now,
        "speed": view.speed,
        "load_kw": view.load_kw,
        "pv_kw": view.pv_kw,
        "charging_kw": view.charging_kw,
        "discharging_kw": view.discharging_kw,
        "discharge_stopped": view.discharge_stopped,
        "safety_cycles": view.safety_cycles,
        "late_safety_cycles": view.late_safety_cycles,
        "messages": view.messages,
        "nodes": [node(item) for item in view.nodes],
        "chargers": [charger(item, words) for item in view.chargers],
        "sources": [source(item, words) for item in view.sources],
        "alarms": [alarm(item, words) for item in view.alarms],
        "latest_clearing": clearing(view.latest_clearing),
    }


def plan(view: PlanView) -> Json:
    """The plan in force."""
    plain = _plain(view)
    plain["made_at_utc"] = plain.pop("made_at")
    plain["starts_utc"] = plain.pop("starts")
    plain["strains"] = None if view.strains is None else [strain(item) for item in view.strains]
    return plain


def strain(view: StrainView) -> Json:
    """What a power flow finds outside its bounds."""
    plain = _plain(view)
    plain["start_utc"] = plain.pop("start")
    return plain


def plan_span(view: PlanSpanView, words: Translator) -> Json:
    """What the plan wants of one store for a while, and why."""
    return {
        "start_utc": view.start,
        "end_utc": view.end,
        "power_kw": view.power_kw,
        "code": view.reason.code,
        "price_eur_per_kwh": view.reason.price_eur_per_kwh,
        "compare_eur_per_kwh": view.reason.compare_eur_per_kwh,
        "compare_utc": view.compare_at,
        "node": view.reason.node,
        "limit_kw": view.reason.limit_kw,
        "energy_kwh": view.reason.energy_kwh,
        "sentence": plan_sentence(view.reason, view.compare_at, words),
    }


def node_point(point: NodePoint) -> Json:
    """One node in one quarter-hour."""
    plain = _plain(point)
    plain["start_utc"] = plain.pop("start")
    return plain


def flexibility_point(point: FlexibilityPoint) -> Json:
    """What a node could do otherwise in one quarter-hour."""
    plain = _plain(point)
    plain["start_utc"] = plain.pop("start")
    return plain


def posting(row: int, value: Posting) -> Json:
    """One posting of the ledger."""
    return {
        "row": row,
        "posting_id": value.posting_id,
        "debit_account": value.debit_account,
        "credit_account": value.credit_account,
        "amount_nanoeur": value.amount_nanoeur,
        "eur": euro_text(value.amount_nanoeur),
        "reason": value.reason,
        "interval_start_utc": value.interval_start,
        "ref": value.ref,
        "booked_at_utc": value.booked_at,
    }


def ledger(view: LedgerView) -> Json:
    """Balances, their sum (0 or something is wrong), and a page of postings."""
    return {
        "balances": [
            {"account": account, "balance_nanoeur": amount, "eur": euro_text(amount)}
            for account, amount in sorted(view.balances_nanoeur.items())
        ],
        "sum_nanoeur": sum(view.balances_nanoeur.values()),
        "postings": [posting(row, value) for row, value in view.postings],
    }


def _order(value: Order) -> Json:
    plain = _plain(value)
    plain["interval_start_utc"] = plain.pop("interval_start")
    plain["placed_at_utc"] = plain.pop("placed_at")
    plain["valid_until_utc"] = plain.pop("valid_until")
    return plain


def order(record: OrderRecord) -> Json:
    """An order and what became of it."""
    got = record.fill
    because = record.lapsed_because
    status = "lapsed" if because else "cancelled" if record.cancelled_at else "cleared" if got else "open"
    return {
        **_order(record.order),
        "status": status,
        "cancelled_at_utc": record.cancelled_at,
        "lapsed_because": None if because is None else {"code": because, "sentence": LAPSES[because]},
        "filled_wh": None if got is None else got.filled_wh,
        "price_microeur_per_kwh": None if got is None else got.price_microeur_per_kwh,
        "amount_nanoeur": None if got is None else got.amount_nanoeur,
        "eur": None if got is None else euro_text(got.amount_nanoeur),
    }


def trade(view: TradeView) -> Json:
    """One fill of a member's order."""
    return {
        "interval_start_utc": view.order.interval_start,
        "side": view.order.side,
        "node": view.order.node,
        "quantity_wh": view.order.quantity_wh,
        **fill(view.fill),
    }


def depth_step(step: DepthStep) -> Json:
    """What was asked, or offered, at one price."""
    return _plain(step)


def match(view: MatchView) -> Json:
    """Where energy came from or went to."""
    return _plain(view)


def instruction(value: Instruction) -> Json:
    """A standing instruction, with what it wants under the name of its kind."""
    wanted: dict[str, Json | None] = dict.fromkeys(("sell_surplus", "give_surplus", "leave_at"))
    match value.wanted:
        case SellSurplus():
            wanted["sell_surplus"] = _plain(value.wanted)
        case GiveSurplus():
            wanted["give_surplus"] = {}
        case LeaveAt():
            at_local = value.wanted.at_local.isoformat("minutes")
            wanted["leave_at"] = {**_plain(value.wanted), "at_local": at_local}
    return {"id": value.id, **wanted, "created_at_utc": value.created_at}


def limit(value: ImposedLimit) -> Json:
    """A limit of the grid operator."""
    return _plain(value)


def lockout(value: Lockout) -> Json:
    """A discharge lock-out."""
    return {"node": value.node, "set_by": value.set_by, "since_utc": value.since}


def event(record: EventRecord) -> Json:
    """Who did what."""
    return {"at_utc": record.at, "who": record.who, "what": record.what, "subject": record.subject}


def booking(value: Booking) -> Json:
    """A reservation of a shared car."""
    return _of_vehicle(value)


def taken(value: Taken) -> Json:
    """When somebody else has a car."""
    return _of_vehicle(value)


def _of_vehicle(value: Booking | Taken) -> Json:
    plain = _plain(value)
    plain["vehicle_id"] = plain.pop("vehicle")
    return plain


def wishes(value: Wishes) -> Json:
    """What a person asked of one asset."""
    leaving = value.departure
    return {
        "asset": value.asset,
        "mode": value.mode,
        "never_discharge": value.never_discharge,
        "departure": None
        if leaving is None
        else {"vehicle": leaving.vehicle, "at_utc": leaving.at_utc, "energy_kwh": leaving.energy_kwh},
    }


def asset(view: AssetView, words: Translator) -> Json:
    """One of a resident's own things."""
    return {
        **_plain(view),
        "charger": None if view.charger is None else charger(view.charger, words),
        "wishes": wishes(view.wishes),
        "reason": reason(view.reason, words),
        "coming": [plan_span(span, words) for span in view.coming],
    }
