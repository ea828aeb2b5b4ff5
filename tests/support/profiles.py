"""Charging profiles as requests of the CSMS, for the tests of the simulated chargers' own engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sim.chargers import rules
from sim.chargers.profiles import Profiles, read_profile, read_profile_16
from tests.support.ocpp import START

TX = "AB1234"


def after(seconds: float) -> str:
    """A moment so long after the start, as messages say it."""
    return (START + timedelta(seconds=seconds)).isoformat()


def request(
    purpose: str = "TxProfile",
    periods: list[dict[str, Any]] | None = None,
    *,
    evse: int = 1,
    stack: int = 0,
    kind: str = "Absolute",
    profile_id: int = 1,
    schedule: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A SetChargingProfileRequest of 2.1; at most 6 kW from `START` on where nothing else is said."""
    start = {} if kind in {"Relative", "Dynamic"} else {"startSchedule": after(0)}
    body: dict[str, Any] = {
        "id": profile_id,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": periods or [limit(6000.0)],
                **start,
                **(schedule or {}),
            }
        ],
        **({"transactionId": TX} if purpose == "TxProfile" else {}),
        **more,
    }
    return {"evseId": evse, "chargingProfile": body}


def request_16(
    purpose: str,
    periods: list[dict[str, Any]],
    *,
    connector: int = 1,
    stack: int = 0,
    kind: str = "Absolute",
    profile_id: int = 1,
    schedule: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A SetChargingProfile.req of 1.6, in amperes, without a start where none is given."""
    body: dict[str, Any] = {
        "chargingProfileId": profile_id,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": periods,
            **(schedule or {}),
        },
        **more,
    }
    return {"connectorId": connector, "csChargingProfiles": body}


def limit(value: float, start: int = 0, **more: Any) -> dict[str, Any]:
    """A period that only limits charging."""
    return {"startPeriod": start, "limit": value, **more}


def setpoint(watts: float, start: int = 0, **more: Any) -> dict[str, Any]:
    """A period of 2.1 that asks for a power in either direction."""
    return {"startPeriod": start, "operationMode": "CentralSetpoint", "setpoint": watts, **more}


def held(*requests: dict[str, Any]) -> Profiles:
    """A charger's profiles after these requests, each taken at `START`; the version is seen from the form."""
    profiles: Profiles = ()
    for payload in requests:
        if by_16 := "csChargingProfiles" in payload:
            profile = read_profile_16(payload, START, TX)
        else:
            profile = read_profile(payload, START)
        profiles = rules.install(profiles, profile, by_16=by_16)
    return profiles
