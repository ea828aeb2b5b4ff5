"""What a charger tells of itself: who it is when it boots, and how each connector is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from controller.domain.charger_tools import ConnectorState, StationFacts
from drivers.ocpp.frames import Payload

NO_ERROR = "NoError"
"""1.6's word for it."""
CONNECTORS_MAX = 64
"""Connectors of one charger that are remembered, many times what any has: whoever tells of more is wrong."""
NOTHING_TOLD = StationFacts()


def _booted(facts: StationFacts, payload: Payload, at: datetime) -> StationFacts:
    """2.x puts the station's plate into an object of its own; 1.6 prefixes the names."""
    plate = payload.get("chargingStation")
    if plate is None:
        return replace(
            facts,
            vendor=payload["chargePointVendor"],
            model=payload["chargePointModel"],
            serial=payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber") or "",
            firmware=payload.get("firmwareVersion", ""),
            booted_at=at,
        )
    return replace(
        facts,
        vendor=plate["vendorName"],
        model=plate["model"],
        serial=plate.get("serialNumber", ""),
        firmware=plate.get("firmwareVersion", ""),
        booted_at=at,
    )


def _status(facts: StationFacts, payload: Payload, at: datetime) -> StationFacts:
    error = payload.get("errorCode", NO_ERROR)
    told = ConnectorState(
        evse=payload.get("evseId", 0),
        connector=payload["connectorId"],
        status=payload.get("connectorStatus") or payload["status"],
        error="" if error == NO_ERROR else error,
        at=at,
    )
    others = [one for one in facts.connectors if (one.evse, one.connector) != (told.evse, told.connector)]
    if len(others) >= CONNECTORS_MAX:
        return facts
    ordered = sorted([*others, told], key=lambda one: (one.evse, one.connector))
    return replace(facts, connectors=tuple(ordered))


TELLING: Mapping[str, Callable[[StationFacts, Payload, datetime], StationFacts]] = MappingProxyType(
    {"BootNotification": _booted, "StatusNotification": _status}
)
"""By action: the facts before, a payload that fits its schema, and now; to the facts after."""
