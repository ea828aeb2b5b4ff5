"""What is said to a charger for a setpoint, and what its answers mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.domain.floor import FloorHours
from controller.domain.setpoints import Applied, NotSent, Outcome, PartlyApplied, Rejected, TimedOut
from drivers.ocpp import limits, schemas
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.v21 import requests
from tests.support.ocpp import START, charge_point, setpoint


def _profile(request: object) -> dict[str, Any]:
    """The profile of a SetChargingProfile request that follows its schema."""
    assert isinstance(request, Request)
    schemas.validate("v21", f"{request.action}Request", request.payload)
    profile: dict[str, Any] = request.payload["chargingProfile"]
    return profile


def test_discharge_setpoint_is_one_schedule_with_its_safe_value() -> None:
    """A transaction's setpoint in watts, negative for discharge, then the safe value, then the end."""
    wanted = setpoint(-7.25, life_s=600, safe_kw=4.5)
    request = requests.power_request(wanted, charge_point(), "AB1234", START)
    assert _profile(request) == {
        "id": 3,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "transactionId": "AB1234",
        "validFrom": "2024-01-15T15:55:00Z",
        "validTo": "2024-01-15T16:25:00Z",
        "chargingSchedule": [
            {
                "id": 1,
                "startSchedule": "2024-01-15T15:55:00Z",
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {
                        "startPeriod": 0,
                        "operationMode": "CentralSetpoint",
                        "setpoint": -7250.0,
                        "limit": 0.0,
                        "dischargeLimit": -7250.0,
                    },
                    {
                        "startPeriod": 900,
                        "operationMode": "CentralSetpoint",
                        "setpoint": 4500.0,
                        "limit": 4500.0,
                        "dischargeLimit": 0.0,
                    },
                ],
            }
        ],
    }


def test_without_a_transaction_the_setpoint_is_a_default() -> None:
    """It waits for the next car above the low default."""
    profile = _profile(requests.power_request(setpoint(5.0), charge_point(), None, START))
    assert profile["chargingProfilePurpose"] == "TxDefaultProfile"
    assert profile["stackLevel"] == 2
    assert "transactionId" not in profile


def test_one_way_charger_is_only_limited() -> None:
    """A one-way charger gets no value that could mean discharge (flexmeasures 2329)."""
    point = charge_point(discharge_kw_max=0.0)
    periods = _profile(requests.power_request(setpoint(-5.0, safe_kw=-1.0), point, "T", START))[
        "chargingSchedule"
    ][0]["chargingSchedulePeriod"]
    assert [(period["operationMode"], period["limit"]) for period in periods] == [("ChargingOnly", 0.0)] * 2
    assert all("dischargeLimit" not in period and "setpoint" not in period for period in periods)


def test_zero_is_zero_in_both_directions() -> None:
    """A setpoint of 0 allows neither direction (EVerest PR 1509: a zero limit flipped into discharge)."""
    period = _profile(requests.power_request(setpoint(0.0), charge_point(), "T", START))["chargingSchedule"][
        0
    ]["chargingSchedulePeriod"][0]
    assert (period["setpoint"], period["limit"], period["dischargeLimit"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("power_kw", [-50.0, -11.0, -3.3, 0.0, 4.14, 11.0, 50.0])
def test_limits_enclose_the_setpoint(power_kw: float) -> None:
    """The strictest firmware takes it: dischargeLimit <= setpoint <= limit, within the hardware."""
    profile = _profile(requests.power_request(setpoint(power_kw), charge_point(), "T", START))
    for period in profile["chargingSchedule"][0]["chargingSchedulePeriod"]:
        assert -11_000 <= period["dischargeLimit"] <= period["setpoint"] <= period["limit"] <= 11_000


def test_life_is_rounded_down() -> None:
    """The charger never holds a setpoint beyond its end, whatever the fractions of a second."""
    now = START + timedelta(microseconds=400_000)
    wanted = setpoint(5.0, life_s=59.9)
    periods = _profile(requests.power_request(wanted, charge_point(), "T", now))["chargingSchedule"][0][
        "chargingSchedulePeriod"
    ]
    assert periods[1]["startPeriod"] == 359


@pytest.mark.parametrize(
    ("power_kw", "life_s", "kind"), [(5.0, 0.0, NotSent), (float("nan"), 60.0, Rejected)]
)
def test_what_makes_no_sense_is_not_sent(power_kw: float, life_s: float, kind: type[Outcome]) -> None:
    """One that has run out may be asked anew; one that is no number never can be."""
    wanted = setpoint(power_kw, life_s=life_s)
    assert isinstance(requests.power_request(wanted, charge_point(), "T", START), kind)


def test_answers_become_outcomes() -> None:
    """Accepted, clipped, refused, in error, silent."""
    point, wanted = charge_point(), setpoint(5.0)
    accepted = Answer(action="SetChargingProfile", payload={"status": "Accepted"})
    assert requests.power_outcome(wanted, point, accepted) == Applied(setpoint=wanted)
    partly = requests.power_outcome(setpoint(-20.0), point, accepted)
    assert isinstance(partly, PartlyApplied)
    assert partly.power_kw == -11.0
    info = {"reasonCode": "TxNotFound", "additionalInfo": "gone"}
    refused = Answer(action="SetChargingProfile", payload={"status": "Rejected", "statusInfo": info})
    assert requests.power_outcome(wanted, point, refused) == Rejected(
        setpoint=wanted, code="TxNotFound", why="gone"
    )
    broken = Answer(action="SetChargingProfile", payload={}, error="InternalError")
    assert requests.power_outcome(wanted, point, broken) == Rejected(
        setpoint=wanted, code="InternalError", why="InternalError"
    )
    silent = Answer(action="SetChargingProfile", payload={}, error=limits.TIMED_OUT, description="10 s")
    assert requests.power_outcome(wanted, point, silent) == TimedOut(setpoint=wanted, why="10 s")


def test_floor_is_the_hardware_and_hours_of_the_night() -> None:
    """At 16:00 the hours from 22:00 UTC on began yesterday; they end early by what may come late."""
    hours = FloorHours(start_s=22 * 3600, length_s=5 * 3600, power_kw=4.14)
    top, rest, low = (_profile(request) for request in requests.floor_requests(charge_point(), START, hours))
    assert top["chargingProfilePurpose"] == "ChargingStationMaxProfile"
    assert top["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 11_000.0
    # Standing still lies below, and is never late.
    assert (rest["chargingProfilePurpose"], rest["stackLevel"]) == ("TxDefaultProfile", 0)
    assert rest["chargingProfileKind"] == "Absolute"
    assert "randomizedDelay" not in rest["chargingSchedule"][0]
    (still,) = rest["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert (still["startPeriod"], still["limit"]) == (0, 0.0)
    assert (low["chargingProfilePurpose"], low["stackLevel"]) == ("TxDefaultProfile", 1)
    assert low["id"] != rest["id"]
    assert (low["chargingProfileKind"], low["recurrencyKind"]) == ("Recurring", "Daily")
    (schedule,) = low["chargingSchedule"]
    assert schedule["startSchedule"] == "2024-01-14T22:00:00Z"
    assert schedule["randomizedDelay"] == 600
    assert [(part["startPeriod"], part["limit"]) for part in schedule["chargingSchedulePeriod"]] == [
        (0, 4140.0),
        (5 * 3600 - 600, 0.0),
    ]
    assert {part["operationMode"] for part in schedule["chargingSchedulePeriod"]} == {"ChargingOnly"}


@pytest.mark.parametrize(
    ("length_s", "limit_w"), [(0, 0.0), (600, 0.0), (86_400, 4140.0)], ids=["none", "too short", "always"]
)
def test_hours_that_never_change_are_one_period(length_s: int, limit_w: float) -> None:
    """A charger without hours stands still, one whose hours never end has no daily schedule."""
    hours = FloorHours(start_s=0, length_s=length_s, power_kw=4.14)
    _, default, cleared = requests.floor_requests(charge_point(), START, hours)
    profile = _profile(default)
    assert cleared.payload == {"chargingProfileId": limits.HOURS_PROFILE_ID}
    assert profile["chargingProfileKind"] == "Absolute"
    (part,) = profile["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert part["limit"] == limit_w


@pytest.mark.parametrize(
    "request_",
    [
        *requests.state_requests(),
        requests.clear_profiles(purpose="TxDefaultProfile"),
        requests.request_stop("AB1234"),
        requests.get_variables([("EVSE", "Power")]),
        requests.set_variables([("SampledDataCtrlr", "TxUpdatedInterval", "60")]),
        requests.composite_schedule(86_400),
    ],
)
def test_every_request_follows_its_schema(request_: Request) -> None:
    """What we build is what the standard asks for."""
    schemas.validate("v21", f"{request_.action}Request", request_.payload)
    assert schemas.knows("v21", request_.action)
