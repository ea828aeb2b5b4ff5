"""The requests that a version has for us to send, and how each is written, read from its schemas.

A template holds every required field and nothing else: an enumeration's first value, a number's smallest one,
an empty text. It is a start to be filled in, not something to send as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from controller.domain.charger_tools import FieldFacts
from drivers.ocpp import schemas

_THEIRS = frozenset(
    {
        "Authorize",
        "BatterySwap",
        "BootNotification",
        "ClearedChargingLimit",
        "ClosePeriodicEventStream",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Get15118EVCertificate",
        "GetCertificateChainStatus",
        "GetCertificateStatus",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDERAlarm",
        "NotifyDERStartStop",
        "NotifyDisplayMessages",
        "NotifyEVChargingNeeds",
        "NotifyEVChargingSchedule",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyPriorityCharging",
        "NotifyReport",
        "NotifySettlement",
        "OpenPeriodicEventStream",
        "PublishFirmwareStatusNotification",
        "PullDynamicScheduleUpdate",
        "ReportChargingProfiles",
        "ReportDERControl",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
        "TransactionEvent",
        "VatNumberValidation",
    }
)
"""The requests that only a charger sends, of all versions (OCPP 2.1 Part 2, the messages' tables)."""
_UNSAID = "customData"
"""Every object of 2.x may have one; a list of fields is easier read without."""
_DEPTH_MAX = 6
"""Of the lists of fields: deeper ones repeat themselves."""
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "array": "list",
}


@cache
def ours(version: str) -> tuple[str, ...]:
    """The requests that we may send in a version (`v21`), by name."""
    known = schemas.schema_names(version)
    actions = {name.removesuffix("Request") for name in known if name.endswith("Request")}
    return tuple(sorted(actions - _THEIRS))


@cache
def form(version: str, action: str) -> tuple[Mapping[str, Any], tuple[FieldFacts, ...]]:
    """A payload with every required field, and all fields in the schema's order."""
    schema = schemas.read(version, f"{action}Request")
    definitions = schema.get("definitions", {})
    template: Mapping[str, Any] = _sample(schema, definitions)
    return template, tuple(_fields(schema, definitions, "", 0))


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a schema, or what it refers to."""
    reference = part.get("$ref")
    found: Mapping[str, Any] = part if reference is None else definitions[reference.rpartition("/")[2]]
    return found


def _sample(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """The plainest value of a schema's form."""
    part = _resolved(part, definitions)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object" | None:
            required = part.get("required", ())
            inside = part.get("properties", {}).items()
            return {name: _sample(each, definitions) for name, each in inside if name in required}
        case "array":
            return [_sample(part["items"], definitions)]
        case "integer" | "number":
            return max(0, int(part.get("minimum", 0)))
        case "boolean":
            return False
        case _:
            return ""


def _fields(
    part: Mapping[str, Any], definitions: Mapping[str, Any], place: str, depth: int
) -> Iterator[FieldFacts]:
    """The fields of an object, and behind each those inside it."""
    for name, raw in part.get("properties", {}).items():
        if name == _UNSAID:
            continue
        each = _resolved(raw, definitions)
        is_list = each.get("type") == "array"
        at = f"{place}.{name}".lstrip(".") + ("[]" if is_list else "")
        inner = _resolved(each["items"], definitions) if is_list else each
        yield FieldFacts(
            place=at,
            kind=_kind(each),
            is_required=name in part.get("required", ()),
            choices=tuple(map(str, inner.get("enum", ()))),
            length_max=inner.get("maxLength"),
        )
        if depth < _DEPTH_MAX:
            yield from _fields(inner, definitions, at, depth + 1)


def _kind(part: Mapping[str, Any]) -> str:
    """What sort of value it is, in a person's words."""
    if part.get("format") == "date-time":
        return "time"
    return _KINDS.get(part.get("type", "object"), "object")
