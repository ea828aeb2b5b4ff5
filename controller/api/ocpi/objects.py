"""OCPI 2.2.1's objects, made from what the controller knows: a pure function for each table of the standard.

Prices stand without VAT in OCPI, and its numbers have four decimals; what a session costs in all is in whole
cents, with and without VAT. The minutes of grace are a charging period of their own to which no tariff
belongs.

Source: OCPI 2.2.1 (EVRoaming Foundation), the modules versions, credentials, locations, sessions, CDRs and
tariffs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from controller.api.wire import Json
from controller.charging_settings import ChargingSettings
from controller.domain.assets import ChargePoint, Phases
from controller.domain.charge_session import Cdr, ChargeSession, make_cdr
from controller.domain.charge_tariff import (
    Amount,
    ChargeTariff,
    CostPart,
    SessionCost,
    tariff_at,
    without_vat_nanoeur,
)
from controller.domain.charging_tokens import normal
from controller.domain.ids import AssetId
from controller.domain.site import Location
from controller.domain.telemetry import SignedReading
from controller.domain.time import AMSTERDAM
from controller.domain.units import NOMINAL_VOLTAGE_V, W_PER_KW, WH_PER_KWH
from controller.runtime.roaming import Party, SocketView
from controller.runtime.session_ports import SessionRecord
from controller.texts import Language, translator
from controller.texts.tariffs import posted_text

VERSION = "2.2.1"
LOCATION_ID = "site"
"""A site is one location."""
CONNECTOR_ID = "1"
CURRENCY = "EUR"
_DECIMALS = 4
"""Numbers use 4 decimals (types, number)."""
_NANOEUR_PER_STEP = 100_000
"""A ten-thousandth of a euro."""
_STEPS_PER_EUR = 10_000
_NANOEUR_PER_MICROEUR = 1000
_MINUTES_PER_HOUR = 60
_PPM_PER_PERCENT = 10_000
_CENTS_PER_EUR = 100
_OUTLET_LENGTH = 31
"""Characters of a power outlet's id (eMI3 part 2, EVSE ID)."""
_PHASE_COUNT = 3
_ENCODING_LENGTH, _KEY_LENGTH, _UID_LENGTH = 36, 512, 36
_PLAIN_OCMF = "OCMF|"


def instant(at: datetime) -> str:
    """A time in UTC, to the millisecond: at most 25 characters."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: float) -> float:
    """A number with four decimals."""
    return round(value, _DECIMALS) + 0.0


def evse_ids(settings: ChargingSettings, points: Sequence[ChargePoint]) -> Mapping[AssetId, str]:
    """Each charge point's EVSE id, `NL*WIJ*E...`: its own name as far as letters and digits go.

    Two that would get the same one have a piece of their name's hash behind it.
    """
    plain = {point.id: re.sub(r"[^A-Z0-9]+", "*", point.id.upper()).strip("*") for point in points}
    outlets = list(plain.values())
    ids = {}
    for point, outlet in plain.items():
        unique = outlets.count(outlet) == 1 and 0 < len(outlet) <= _OUTLET_LENGTH
        mark = hashlib.sha256(point.encode()).hexdigest()[:8].upper()
        own = outlet if unique else f"{outlet[: _OUTLET_LENGTH - 1 - len(mark)]}*{mark}"
        ids[point] = f"{settings.country_code}*{settings.party_id}*E{own}"
    return ids


def tariff(settings: ChargingSettings, posted: ChargeTariff, changed_at: datetime) -> Json:
    """A Tariff: energy, a session, and the time that a car stands there without asking for power."""
    later = [other.from_utc for other in settings.tariffs if other.from_utc > posted.from_utc]
    found: Json = {
        **_owner(settings),
        "id": posted.id,
        "currency": CURRENCY,
        "tariff_alt_text": [
            {"language": language.value, "text": posted_text(posted, translator(language))}
            for language in Language
        ],
        "elements": [{"price_components": list(_components(posted))}],
        "start_date_time": instant(posted.from_utc),
        "last_updated": instant(changed_at),
    }
    if later:
        found["end_date_time"] = instant(min(later))
    return found


def _components(posted: ChargeTariff) -> Iterable[Json]:
    def component(kind: str, price_microeur: int, step_size: int) -> Json:
        bare = without_vat_nanoeur(price_microeur * _NANOEUR_PER_MICROEUR, posted.vat_ppm)
        return {
            "type": kind,
            "price": _eur(bare),
            "vat": number(posted.vat_ppm / _PPM_PER_PERCENT),
            "step_size": step_size,
        }

    yield component("ENERGY", posted.energy_microeur_per_kwh, 1)
    if posted.session_microeur:
        yield component("FLAT", posted.session_microeur, 1)
    if posted.idle_microeur_per_minute:
        yield component("PARKING_TIME", posted.idle_microeur_per_minute * _MINUTES_PER_HOUR, 60)


def location(
    settings: ChargingSettings,
    place: Location,
    name: str,
    sockets: Sequence[SocketView],
    *,
    posted_at: datetime,
    now: datetime,
) -> Json:
    """The site as a Location with all its EVSEs."""
    ids = evse_ids(settings, [socket.point for socket in sockets])
    tariff_now = tariff_at(settings.tariffs, now)
    changed = [posted_at, *(socket.at for socket in sockets)]
    if tariff_now is not None:
        changed.append(tariff_now.from_utc)
    return {
        **_owner(settings),
        "id": LOCATION_ID,
        "publish": True,
        "name": name[:255],
        **_address(settings),
        "coordinates": _coordinates(place),
        "evses": [evse(socket, ids[socket.point.id], tariff_now, posted_at) for socket in sockets],
        "operator": {"name": settings.operator_name},
        "time_zone": AMSTERDAM.key,
        "opening_times": {"twentyfourseven": True},
        "charging_when_closed": True,
        "last_updated": instant(max(changed)),
    }


def evse(socket: SocketView, evse_id: str, posted: ChargeTariff | None, posted_at: datetime) -> Json:
    """An EVSE with its one connector."""
    changed = max(socket.at, posted_at, *([] if posted is None else [posted.from_utc]))
    return {
        "uid": evse_uid(socket.point.id),
        "evse_id": evse_id,
        "status": _status(socket),
        "connectors": [_connector(socket.point, posted, changed)],
        "physical_reference": socket.point.id[:16],
        "last_updated": instant(changed),
    }


def evse_uid(point: AssetId) -> str:
    """A charge point's technical name, at most 36 characters."""
    return (
        str(point) if len(point) <= _UID_LENGTH else hashlib.sha256(point.encode()).hexdigest()[:_UID_LENGTH]
    )


def _status(socket: SocketView) -> str:
    if not socket.connected or socket.plugged is None:
        return "UNKNOWN"
    if socket.charging:
        return "CHARGING"
    return "BLOCKED" if socket.plugged else "AVAILABLE"


def _connector(point: ChargePoint, posted: ChargeTariff | None, changed_at: datetime) -> Json:
    phases = _PHASE_COUNT if point.phases is Phases.THREE else 1
    return {
        "id": CONNECTOR_ID,
        **_plug(point),
        "max_voltage": round(NOMINAL_VOLTAGE_V),
        "max_amperage": round(point.charge_kw_max * W_PER_KW / (phases * NOMINAL_VOLTAGE_V)),
        "max_electric_power": round(point.charge_kw_max * W_PER_KW),
        **({} if posted is None else {"tariff_ids": [posted.id]}),
        "last_updated": instant(changed_at),
    }


def _plug(point: ChargePoint | None) -> Json:
    one_phase = point is not None and point.phases is not Phases.THREE
    return {
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_1_PHASE" if one_phase else "AC_3_PHASE",
    }


def session(settings: ChargingSettings, party: Party, record: SessionRecord, now: datetime) -> Json:
    """A Session, under way or over."""
    charged = record.session
    cost = charged.cost(now)
    status = "ACTIVE"
    if charged.ended_at is not None:
        status = "COMPLETED" if isinstance(make_cdr(charged), Cdr) else "INVALID"
    return {
        **_owner(settings),
        "id": charged.id,
        "start_date_time": instant(charged.started_at),
        **({} if charged.ended_at is None else {"end_date_time": instant(charged.ended_at)}),
        "kwh": _kwh(charged.energy_wh or 0),
        "cdr_token": cdr_token(party, charged),
        "auth_method": "WHITELIST",
        "location_id": LOCATION_ID,
        "evse_uid": evse_uid(charged.charge_point),
        "connector_id": CONNECTOR_ID,
        "currency": CURRENCY,
        "charging_periods": _periods(charged, now, live=True),
        **({} if cost is None else {"total_cost": total(cost.total)}),
        "status": status,
        "last_updated": instant(record.changed_at),
    }


def cdr(
    settings: ChargingSettings,
    party: Party,
    place: Location,
    points: Mapping[AssetId, ChargePoint],
    ids: Mapping[AssetId, str],
    record: Cdr,
    changed_at: datetime,
) -> Json:
    """A CDR: what a session was, what it cost, and what the meter signed of it.

    Args:
        settings: Who we are.
        party: Whose customer it was.
        place: Where the site is.
        points: The site's charge points; one that was taken away since counts as three-phase.
        ids: Their EVSE ids.
        record: The session.
        changed_at: When it was sealed.
    """
    charged, cost = record.session, record.cost
    end = charged.started_at + record.duration
    point = charged.charge_point
    paid = charged.tariff
    found: Json = {
        **_owner(settings),
        "id": charged.id,
        "start_date_time": instant(charged.started_at),
        "end_date_time": instant(end),
        "session_id": charged.id,
        "cdr_token": cdr_token(party, charged),
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": LOCATION_ID,
            "name": settings.operator_name,
            **_address(settings),
            "coordinates": _coordinates(place),
            "evse_uid": evse_uid(point),
            "evse_id": ids.get(point, "#NA"),
            "connector_id": CONNECTOR_ID,
            **{f"connector_{name}": value for name, value in _plug(points.get(point)).items()},
        },
        "currency": CURRENCY,
        "tariffs": [] if paid is None else [tariff(settings, paid, paid.from_utc)],
        "charging_periods": _periods(charged, end, live=False),
        "total_cost": total(cost.total),
        **_part_costs(cost),
        "total_energy": _kwh(record.energy_wh),
        "total_time": _hours(record.duration),
        "total_parking_time": _hours(record.idle),
        "last_updated": instant(changed_at),
    }
    if charged.first_signed is not None and charged.last_signed is not None:
        found["signed_data"] = _signed(charged.first_signed, charged.last_signed)
    return found


def _part_costs(cost: SessionCost) -> Json:
    names = {
        CostPart.ENERGY: "total_energy_cost",
        CostPart.SESSION: "total_fixed_cost",
        CostPart.IDLE: "total_parking_cost",
    }
    return {
        name: {"excl_vat": _eur(part.without_vat_nanoeur), "incl_vat": _eur(part.nanoeur)}
        for kind, name in names.items()
        if (part := cost.parts[kind]).nanoeur
    }


def total(amount: Amount) -> Json:
    """A Price in whole cents."""
    return {
        "excl_vat": amount.without_vat_cents / _CENTS_PER_EUR,
        "incl_vat": amount.cents / _CENTS_PER_EUR,
    }


def cdr_token(party: Party, charged: ChargeSession) -> Json:
    """Whose session it is, with the contract behind the token."""
    token = normal(charged.token or "")
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "uid": token,
        "type": "RFID",
        "contract_id": party.contract_of(token),
    }


def _periods(charged: ChargeSession, now: datetime, *, live: bool) -> list[Json]:
    """Charging, the grace, and the time that is paid for; the last ends with the session."""
    end = charged.ended_at or now
    idle = charged.idle(end)
    grace = timedelta(0)
    if charged.tariff is not None:
        grace = min(idle, timedelta(minutes=charged.tariff.idle_grace_minutes))
    dimensions = [
        {"type": "ENERGY", "volume": _kwh(charged.energy_wh or 0)},
        {"type": "TIME", "volume": _hours(end - charged.started_at - idle)},
    ]
    if live and charged.import_wh is not None:
        dimensions.append({"type": "ENERGY_IMPORT", "volume": _kwh(charged.import_wh)})
        if charged.export_wh is not None:
            dimensions.append({"type": "ENERGY_EXPORT", "volume": _kwh(charged.export_wh)})
    own = {} if charged.tariff is None else {"tariff_id": charged.tariff.id}
    periods: list[Json] = [{"start_date_time": instant(charged.started_at), "dimensions": dimensions, **own}]
    for begin, lasts, belongs in ((end - idle, grace, {}), (end - idle + grace, idle - grace, own)):
        if lasts > timedelta(0):
            parked = [{"type": "PARKING_TIME", "volume": _hours(lasts)}]
            periods.append({"start_date_time": instant(begin), "dimensions": parked, **belongs})
    return periods


def _signed(first: SignedReading, last: SignedReading) -> Json:
    natures = [("Start", first), ("End", last)] if last != first else [("End", last)]
    return {
        "encoding_method": last.encoding[:_ENCODING_LENGTH] or "unknown",
        **({"public_key": last.public_key} if 0 < len(last.public_key) <= _KEY_LENGTH else {}),
        "signed_values": [{"nature": nature, **_signed_value(each)} for nature, each in natures],
    }


def _signed_value(signed: SignedReading) -> Json:
    """OCPP 2.x sends it in Base64 as OCPI wants it; 1.6 as plain text."""
    if signed.data.startswith(_PLAIN_OCMF):
        return {"plain_data": signed.data, "signed_data": base64.b64encode(signed.data.encode()).decode()}
    return {"plain_data": "", "signed_data": signed.data}


def _owner(settings: ChargingSettings) -> Json:
    return {"country_code": settings.country_code, "party_id": settings.party_id}


def _address(settings: ChargingSettings) -> Json:
    postal = {"postal_code": settings.postal_code} if settings.postal_code else {}
    return {"address": settings.address, "city": settings.city, **postal, "country": settings.country}


def _coordinates(place: Location) -> Json:
    return {"latitude": f"{place.latitude_deg:.6f}", "longitude": f"{place.longitude_deg:.6f}"}


def _eur(nanoeur: int) -> float:
    """Euro with four decimals, half up."""
    return (nanoeur + _NANOEUR_PER_STEP // 2) // _NANOEUR_PER_STEP / _STEPS_PER_EUR


def _kwh(energy_wh: int) -> float:
    return energy_wh / WH_PER_KWH


def _hours(span: timedelta) -> float:
    return number(span / timedelta(hours=1))
