"""The simulated charger's profiles, on cases worked by hand from OCPP 2.1 Part 2, block K."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sim.endpoints import profiles
from sim.endpoints.profiles import Decision, Profiles
from tests.support.ocpp import START

TX = "AB1234"


def _payload(
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
    """A SetChargingProfileRequest; ChargingOnly at 6 kW from `START` where nothing else is said."""
    body: dict[str, Any] = {
        "id": profile_id,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": periods or [{"startPeriod": 0, "limit": 6000.0}],
                **({} if kind == "Relative" else {"startSchedule": START.isoformat()}),
                **(schedule or {}),
            }
        ],
        **({"transactionId": TX} if purpose == "TxProfile" else {}),
        **more,
    }
    return {"evseId": evse, "chargingProfile": body}


def _setpoint(watts: float, start: int = 0, **more: Any) -> dict[str, Any]:
    return {"startPeriod": start, "operationMode": "CentralSetpoint", "setpoint": watts, **more}


def _held(*payloads: dict[str, Any]) -> Profiles:
    held: Profiles = ()
    for payload in payloads:
        held = profiles.install(held, profiles.read_profile(payload))
    return held


def _at(held: Profiles, seconds: float, *, default_w: float = 0.0) -> Decision:
    return profiles.compose(
        held,
        START + timedelta(seconds=seconds),
        transaction=TX,
        started=START - timedelta(seconds=600),
        local_default_w=default_w,
        charge_w_max=11_000.0,
        discharge_w_max=11_000.0,
    )


LOW = _payload("TxDefaultProfile", [{"startPeriod": 0, "limit": 4200.0}], profile_id=2)
MAXIMUM = _payload("ChargingStationMaxProfile", [{"startPeriod": 0, "limit": 9000.0}], evse=0, profile_id=3)
ENDING: dict[str, Any] = {"validTo": (START + timedelta(seconds=1200)).isoformat()}
TIGHTER = _payload(periods=[_setpoint(-1500.0, dischargeLimit=-2000.0, limit=0.0)])
AMPERES = _payload(periods=[{"startPeriod": 0, "limit": 10.0}], schedule={"chargingRateUnit": "A"})
LATER = _payload(validFrom=(START + timedelta(seconds=60)).isoformat())
HIGH_STACK = _payload(periods=[_setpoint(1000.0)], stack=2, profile_id=9, **ENDING)
HIGH_DEFAULT = _payload("TxDefaultProfile", [{"startPeriod": 0, "limit": 1.0}], stack=9, profile_id=9)
RELATIVE = _payload(kind="Relative", periods=[_setpoint(1.0), _setpoint(2.0, 600), _setpoint(3.0, 700)])
HOURS = [_setpoint(1.0), _setpoint(2.0, 3600)]
DAILY = _payload(kind="Recurring", recurrencyKind="Daily", periods=HOURS)
WEEKLY = _payload(kind="Recurring", recurrencyKind="Weekly", periods=HOURS)
EXTERNAL = _payload(
    "ChargingStationExternalConstraints", [{"startPeriod": 0, "limit": 1400.0}], evse=0, profile_id=7
)


@pytest.mark.parametrize(
    ("payloads", "seconds", "power_w", "source"),
    [
        ([], 0, 3000.0, "Local"),
        ([LOW], 0, 4200.0, "TxDefaultProfile"),
        ([LOW, _payload()], 0, 6000.0, "TxProfile"),
        # A TxProfile of another transaction leads nothing.
        ([LOW, _payload(transactionId="OTHER")], 0, 4200.0, "TxDefaultProfile"),
        # Validity: before, within, at the end.
        ([LOW, LATER], 59, 4200.0, "TxDefaultProfile"),
        ([LOW, LATER], 60, 6000.0, "TxProfile"),
        ([LOW, _payload(**ENDING)], 1199, 6000.0, "TxProfile"),
        ([LOW, _payload(**ENDING)], 1200, 4200.0, "TxDefaultProfile"),
        # A schedule that has not begun, and one whose duration is over.
        ([LOW, _payload()], -1, 3000.0, "Local"),
        ([LOW, _payload(schedule={"duration": 300})], 299, 6000.0, "TxProfile"),
        ([LOW, _payload(schedule={"duration": 300})], 300, 4200.0, "TxDefaultProfile"),
        # Periods.
        ([_payload(periods=[_setpoint(-5000.0), _setpoint(4000.0, 600)])], 599, -5000.0, "TxProfile"),
        ([_payload(periods=[_setpoint(-5000.0), _setpoint(4000.0, 600)])], 600, 4000.0, "TxProfile"),
        # The higher stack level leads; where it has run out, the lower one does.
        ([_payload(), HIGH_STACK], 0, 1000.0, "TxProfile"),
        ([_payload(), HIGH_STACK], 1200, 6000.0, "TxProfile"),
        # A low TxProfile beats a high TxDefaultProfile.
        ([_payload(), HIGH_DEFAULT], 0, 6000.0, "TxProfile"),
        # The tighter wins: maximum profile, hardware, the period's own limits.
        ([MAXIMUM, _payload(periods=[{"startPeriod": 0, "limit": 20_000.0}])], 0, 9000.0, "TxProfile"),
        ([MAXIMUM, _payload(periods=[_setpoint(10_000.0)])], 0, 9000.0, "TxProfile"),
        ([MAXIMUM], 0, 3000.0, "Local"),
        ([_payload(periods=[_setpoint(50_000.0)])], 0, 11_000.0, "TxProfile"),
        ([_payload(periods=[_setpoint(-50_000.0)])], 0, -11_000.0, "TxProfile"),
        ([MAXIMUM, _payload(periods=[_setpoint(-10_000.0)])], 0, -10_000.0, "TxProfile"),
        # EVerest's case: discharge of 2000 W is allowed, a setpoint of -1500 W is wanted.
        ([TIGHTER], 0, -1500.0, "TxProfile"),
        ([_payload(periods=[{"startPeriod": 0, "operationMode": "Idle"}])], 0, 0.0, "TxProfile"),
        # Relative schedules count from the start of the transaction, ten minutes before.
        ([RELATIVE], 0, 2.0, "TxProfile"),
        ([RELATIVE], 100, 3.0, "TxProfile"),
        # Daily: the third day begins like the first.
        ([DAILY],
         2 * 86_400 + 10, 1.0, "TxProfile"),
        ([DAILY],
         2 * 86_400 + 3600, 2.0, "TxProfile"),
        ([WEEKLY],
         2 * 86_400 + 10, 2.0, "TxProfile"),
        # 10 A over three phases at 230 V.
        ([AMPERES], 0, 6900.0, "TxProfile"),
        # External constraints narrow like the maximum.
        ([EXTERNAL, _payload()], 0, 1400.0, "TxProfile"),
    ],
)  # fmt: skip
def test_composite_by_hand(
    payloads: list[dict[str, Any]], seconds: float, power_w: float, source: str
) -> None:
    """Each case of the specification gives the power that a person reckons."""
    decision = _at(_held(*payloads), seconds, default_w=3000.0)
    assert (decision.power_w, decision.source) == (power_w, source)


def test_decision_says_when_to_ask_again() -> None:
    """Nothing changes before `until`: a charger need not reckon at every step."""
    held = _held(LOW, _payload(periods=[_setpoint(-5000.0), _setpoint(4000.0, 600)], **ENDING))
    edges: list[datetime | None] = []
    at = 0.0
    for _ in range(3):
        until = _at(held, at).until
        edges.append(until)
        if until is not None:
            at = (until - START).total_seconds()
    assert edges == [START + timedelta(seconds=600), START + timedelta(seconds=1200), None]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (_payload(), None),
        (_payload(periods=[_setpoint(-1000.0, limit=0.0, dischargeLimit=-1000.0)]), None),
        (LOW, None),
        (MAXIMUM, None),
        (_payload(transactionId="OTHER"), "TxNotFound"),
        (_payload(evse=0), "InvalidProfile"),
        (_payload("TxDefaultProfile", evse=2), "UnknownEvse"),
        (_payload("TxDefaultProfile", transactionId=TX), "InvalidProfile"),
        (_payload("ChargingStationMaxProfile"), "InvalidProfile"),
        (_payload("ChargingStationMaxProfile", [_setpoint(1.0)], evse=0), "InvalidOperationMode"),
        (_payload(periods=[_setpoint(5000.0, limit=4000.0)]), "InvalidSchedule"),
        (_payload(periods=[_setpoint(-5000.0, dischargeLimit=-4000.0)]), "InvalidSchedule"),
        (_payload(periods=[{"startPeriod": 0, "operationMode": "CentralSetpoint"}]), "InvalidSchedule"),
        (_payload(periods=[{"startPeriod": 0, "limit": -1.0}]), "InvalidSchedule"),
        (_payload(periods=[{"startPeriod": 5, "limit": 1.0}]), "InvalidSchedule"),
        (_payload(periods=[{"startPeriod": 0, "limit": 1.0}] * 2), "InvalidSchedule"),
        (_payload(periods=[{"startPeriod": 0, "operationMode": "LocalFrequency"}]), "InvalidOperationMode"),
        (_payload("TxDefaultProfile", [_setpoint(1.0, setpoint_L2=1.0)]), "PhaseConflict"),
        (_payload("PriorityCharging"), "UnsupportedPurpose"),
        (_payload(kind="Dynamic"), "UnsupportedPurpose"),
        (_payload(kind="Recurring"), "InvalidProfile"),
        (_payload(validTo=START.isoformat()), "InvalidProfile"),
        (_payload(validTo="2024-02-31T00:00:00Z"), "InvalidProfile"),
        (_payload("TxDefaultProfile", profile_id=77), "DuplicateProfile"),
    ],
)
def test_refusals_by_the_book(payload: dict[str, Any], code: str | None) -> None:
    """A charger takes what fits, and says by its code why it refuses the rest."""
    refusal = profiles.refusal(payload, _held(LOW), transaction=TX, now=START, two_way=True)
    assert (None if refusal is None else refusal.code) == code


def test_absolute_schedule_needs_its_start() -> None:
    """Without a start nobody knows when it begins."""
    payload = _payload()
    del payload["chargingProfile"]["chargingSchedule"][0]["startSchedule"]
    refusal = profiles.refusal(payload, (), transaction=TX, now=START, two_way=True)
    assert refusal is not None
    assert refusal.code == "InvalidSchedule"


def test_same_id_takes_the_place() -> None:
    """A renewal is no second profile."""
    held = _held(LOW, _payload(), _payload(periods=[_setpoint(1.0)]))
    assert len(held) == 2
    assert _at(held, 0).power_w == 1.0


def test_clearing_takes_what_matches_everything() -> None:
    """By id, by purpose, by purpose and EVSE; criteria that fit nothing clear nothing."""
    held = _held(LOW, MAXIMUM, _payload())
    assert len(profiles.without(held, profile_id=2)) == 2
    assert len(profiles.without(held, purpose="TxProfile")) == 2
    assert len(profiles.without(held, purpose="TxProfile", stack_level=4)) == 3
    assert profiles.without(held, evse=1) == _held(MAXIMUM)
    assert profiles.without(held) == ()
