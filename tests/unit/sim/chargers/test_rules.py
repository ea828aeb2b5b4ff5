"""Which charging profiles the simulated charger takes, by OCPP 2.1 Part 2, block K, and by 1.6."""

from __future__ import annotations

from typing import Any

import pytest

from sim.chargers import rules
from sim.chargers.profiles import read_profile, read_profile_16
from sim.chargers.rules import Manners, Refusal
from tests.support.ocpp import START
from tests.support.profiles import TX, held, limit, request, request_16, setpoint

TWO_WAY = Manners(two_way=True)
LOW = request("TxDefaultProfile", [limit(4200.0)], profile_id=2)
MAXIMUM = request("ChargingStationMaxProfile", [limit(9000.0)], evse=0, profile_id=3)


def _refusal(payload: dict[str, Any], manners: Manners = TWO_WAY) -> Refusal | None:
    profile = read_profile(payload, START)
    return rules.refusal(profile, held(LOW), transaction=TX, now=START, manners=manners)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (request(), None),
        (request(periods=[setpoint(-1000.0, limit=0.0, dischargeLimit=-1000.0)]), None),
        (LOW, None),
        (MAXIMUM, None),
        (request(kind="Dynamic"), None),
        (request(schedule={"randomizedDelay": 60}), None),
        (request(transactionId="OTHER"), "TxNotFound"),
        (request(evse=0), "InvalidProfile"),
        (request(stack=9), "InvalidStackLevel"),
        (request("TxDefaultProfile", evse=2), "UnknownEvse"),
        (request("TxDefaultProfile", transactionId=TX), "InvalidProfile"),
        (request("ChargingStationMaxProfile"), "InvalidProfile"),
        (request("ChargingStationMaxProfile", [setpoint(1.0)], evse=0), "InvalidOperationMode"),
        (request("ChargingStationMaxProfile", evse=0, schedule={"randomizedDelay": 5}), "InvalidSchedule"),
        (request("ChargingStationExternalConstraints", evse=0), "UnsupportedPurpose"),
        (request("PriorityCharging"), None),
        (request("PriorityCharging", [setpoint(1.0)]), "InvalidOperationMode"),
        (request("PriorityCharging", transactionId=TX), "InvalidProfile"),
        (request("LocalGeneration", evse=0), None),
        (request("LocalGeneration", [limit(1.0, operationMode="ExternalLimits")]), None),
        (request("LocalGeneration", [limit(-1.0, operationMode="ExternalLimits")]), "InvalidSchedule"),
        (request("LocalGeneration", [setpoint(1.0)]), "InvalidOperationMode"),
        (request(periods=[setpoint(5000.0, limit=4000.0)]), "InvalidSchedule"),
        (request(periods=[setpoint(-5000.0, dischargeLimit=-4000.0)]), "InvalidSchedule"),
        (request(periods=[{"startPeriod": 0, "operationMode": "CentralSetpoint"}]), "InvalidSchedule"),
        (request(periods=[limit(-1.0)]), "InvalidSchedule"),
        (request(periods=[limit(1.0, 5)]), "InvalidSchedule"),
        (request(periods=[limit(1.0)] * 2), "InvalidSchedule"),
        (request(periods=[{"startPeriod": 0, "operationMode": "LocalFrequency"}]), "InvalidOperationMode"),
        (request(kind="Dynamic", periods=[limit(1.0), limit(2.0, 60)]), "InvalidSchedule"),
        (request(kind="Relative", schedule={"startSchedule": START.isoformat()}), "InvalidSchedule"),
        (request(kind="Recurring"), "InvalidProfile"),
        (request(recurrencyKind="Daily"), "InvalidProfile"),
        (request(validTo=START.isoformat()), "InvalidProfile"),
        (request("TxDefaultProfile", profile_id=77), "DuplicateProfile"),
        (request("TxDefaultProfile", profile_id=77, evse=0), "DuplicateProfile"),
        (request("TxDefaultProfile", profile_id=77, stack=1), None),
    ],
)
def test_refusals_by_the_book(payload: dict[str, Any], code: str | None) -> None:
    """A charger takes what fits, and says by its code why it refuses the rest."""
    refusal = _refusal(payload)
    assert (None if refusal is None else refusal.code) == code


def test_one_way_charger_refuses_to_discharge() -> None:
    """Not silently: with a code and a sentence."""
    refusal = _refusal(request(periods=[setpoint(-1000.0)]), Manners(two_way=False))
    assert refusal == Refusal(code="InvalidOperationMode", why="this charger cannot discharge")


def test_values_per_phase_belong_in_a_tx_profile() -> None:
    """Elsewhere they are a PhaseConflict."""
    body = request("TxDefaultProfile", [setpoint(1.0, setpoint_L2=1.0)])["chargingProfile"]
    refusal = rules.phase_refusal(body, "TxDefaultProfile")
    assert refusal is not None
    assert refusal.code == "PhaseConflict"
    assert rules.phase_refusal(body, "TxProfile") is None


def test_absolute_schedule_needs_its_start() -> None:
    """Without a start nobody knows when it begins; 1.6 counts from the start of charging."""
    payload = request()
    del payload["chargingProfile"]["chargingSchedule"][0]["startSchedule"]
    refusal = _refusal(payload)
    assert refusal is not None
    assert refusal.code == "InvalidSchedule"
    assert _refusal(payload, Manners(two_way=True, by_16=True)) is None


@pytest.mark.parametrize(
    ("manners", "taken"),
    [
        (Manners(two_way=True, by_16=True, negative_limits=True), True),
        (Manners(two_way=True, by_16=True), False),
        (Manners(two_way=False, by_16=True, negative_limits=True), False),
    ],
)
def test_negative_limit_is_taken_where_the_make_knows_it(manners: Manners, *, taken: bool) -> None:
    """1.6 has no word for discharge; some two-way makes take a limit below 0 for one."""
    profile = read_profile_16(request_16("TxProfile", [limit(-9.0)]), START, TX)
    refusal = rules.refusal(profile, (), transaction=TX, now=START, manners=manners)
    assert (refusal is None) == taken


def test_same_id_takes_the_place() -> None:
    """A renewal is no second profile."""
    found = held(LOW, request(), request(periods=[setpoint(1.0)]))
    assert [profile.id for profile in found] == [2, 1]
    assert found[1].periods[0].setpoint_w == 1.0


def test_clearing_takes_what_matches_everything() -> None:
    """By id, by purpose, by purpose and EVSE; criteria that fit nothing clear nothing."""
    found = held(LOW, MAXIMUM, request())
    assert len(rules.without(found, profile_id=2)) == 2
    # K10.FR.03: where an id is given, other criteria do not count.
    assert len(rules.without(found, profile_id=2, purpose="TxProfile")) == 2
    assert len(rules.without(found, purpose="TxProfile")) == 2
    assert len(rules.without(found, purpose="TxProfile", stack_level=4)) == 3
    assert rules.without(found, evse=1) == held(MAXIMUM)
    assert rules.without(found) == ()
