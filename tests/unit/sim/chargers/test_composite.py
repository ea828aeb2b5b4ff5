"""The simulated charger's composite schedule, on cases worked by hand from the specification's text.

Each case says which rule it stands for and how its figure is reckoned. The charger does 11 kW both ways over
three phases of 230 V and 3 kW by itself; its transaction began 600 s before `START` (2024-01-15 16:00 UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sim.chargers.composite import Decision, Hardware, Situation, compose
from sim.chargers.profiles import Profiles
from tests.support.ocpp import START
from tests.support.profiles import TX, after, held, limit, request, request_16, setpoint

HARDWARE = Hardware(local_default_w=3000.0, charge_w_max=11_000.0, discharge_w_max=11_000.0)
RUNNING = Situation(transaction=TX, started=START - timedelta(seconds=600))
HOUR, DAY = 3600, 86_400


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case worked by hand."""

    rule: str
    """The rule and the arithmetic."""
    profiles: list[dict[str, Any]] = field(default_factory=list)
    at_s: float = 0
    """After `START` [s]."""
    power_w: float
    source: str = "TxProfile"
    situation: Situation = RUNNING


DEFAULT = request("TxDefaultProfile", [limit(4200.0)], profile_id=2)
STATION = request("ChargingStationMaxProfile", [limit(9000.0)], evse=0, profile_id=3)
EXTERNAL = request("ChargingStationExternalConstraints", [limit(1400.0)], evse=0, profile_id=7)
TX_DEFAULT, LOCAL = "TxDefaultProfile", "Local"

PRECEDENCE = [
    Case(rule="no profile: the charger's own 3 kW", power_w=3000.0, source=LOCAL),
    Case(rule="a default leads: min(11 000, 4200)", profiles=[DEFAULT], power_w=4200.0, source=TX_DEFAULT),
    Case(rule="TxProfile before TxDefaultProfile: 6000", profiles=[DEFAULT, request()], power_w=6000.0),
    Case(
        rule="a TxProfile of another transaction leads nothing: the default's 4200",
        profiles=[DEFAULT, request(transactionId="OTHER")],
        power_w=4200.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="without a transaction only defaults count",
        profiles=[DEFAULT, request()],
        power_w=4200.0,
        source=TX_DEFAULT,
        situation=Situation(transaction=None, started=None),
    ),
    Case(
        rule="a low TxProfile beats a default of stack level 8: 6000, not 1",
        profiles=[request(), request("TxDefaultProfile", [limit(1.0)], stack=8, profile_id=9)],
        power_w=6000.0,
    ),
    Case(
        rule="the higher stack level leads: 1000",
        profiles=[request(), request(periods=[setpoint(1000.0)], stack=2, profile_id=9)],
        power_w=1000.0,
    ),
    Case(
        rule="a higher level need not be lower in watts: 8000 of level 2, not 6000 of level 0",
        profiles=[request(), request(periods=[limit(8000.0)], stack=2, profile_id=9)],
        power_w=8000.0,
    ),
    Case(
        rule="where the higher level has run out (validTo 1200 s) the lower one leads again",
        profiles=[request(), request(periods=[limit(1000.0)], stack=2, profile_id=9, validTo=after(1200))],
        at_s=1200,
        power_w=6000.0,
    ),
    Case(
        rule="a higher level whose duration (300 s) is over leaves the lower one: 6000",
        profiles=[
            request(),
            request(periods=[limit(1000.0)], stack=2, profile_id=9, schedule={"duration": 300}),
        ],
        at_s=300,
        power_w=6000.0,
    ),
]
VALIDITY = [
    Case(
        rule="validFrom 60 s: at 59 s not yet, the default's 4200",
        profiles=[DEFAULT, request(validFrom=after(60))],
        at_s=59,
        power_w=4200.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="validFrom 60 s: at 60 s it is, 6000",
        profiles=[DEFAULT, request(validFrom=after(60))],
        at_s=60,
        power_w=6000.0,
    ),
    Case(rule="validTo 1200 s: at 1199 s still", profiles=[request(validTo=after(1200))], at_s=1199,
         power_w=6000.0),
    Case(
        rule="validTo 1200 s: at 1200 s not any more; no profile, 3000",
        profiles=[request(validTo=after(1200))],
        at_s=1200,
        power_w=3000.0,
        source=LOCAL,
    ),
    Case(
        rule="validTo cuts a schedule whose duration is longer: min(300, 600) s are over at 300 s",
        profiles=[request(validTo=after(300), schedule={"duration": 600})],
        at_s=300,
        power_w=3000.0,
        source=LOCAL,
    ),
    Case(rule="startSchedule to come: 3000", profiles=[request()], at_s=-1, power_w=3000.0, source=LOCAL),
    Case(rule="duration 300 s: at 299 s", profiles=[request(schedule={"duration": 300})], at_s=299,
         power_w=6000.0),
    Case(
        rule="without a duration the last period goes on: ten days later 4000",
        profiles=[request(periods=[limit(6000.0), limit(4000.0, 600)])],
        at_s=10 * DAY,
        power_w=4000.0,
    ),
    Case(
        rule="a period ends where the next begins: at 599 s the first",
        profiles=[request(periods=[setpoint(-5000.0), setpoint(4000.0, 600)])],
        at_s=599,
        power_w=-5000.0,
    ),
    Case(
        rule="... and at 600 s the second",
        profiles=[request(periods=[setpoint(-5000.0), setpoint(4000.0, 600)])],
        at_s=600,
        power_w=4000.0,
    ),
]  # fmt: skip
LIMITS = [
    Case(
        rule="of all limits the lowest: min(11 000, 9000, 20 000)",
        profiles=[STATION, request(periods=[limit(20_000.0)])],
        power_w=9000.0,
    ),
    Case(
        rule="a setpoint too: min(10 000, 9000)",
        profiles=[STATION, request(periods=[setpoint(10_000.0)])],
        power_w=9000.0,
    ),
    Case(rule="a maximum is no order to charge: 3000", profiles=[STATION], power_w=3000.0, source=LOCAL),
    Case(
        rule="external constraints narrow as well: min(9000, 1400, 6000)",
        profiles=[STATION, EXTERNAL, request()],
        power_w=1400.0,
    ),
    Case(
        rule="of two maxima the higher stack level leads, not the lower limit: min(10 000, 6000)",
        profiles=[
            request("ChargingStationMaxProfile", [limit(2000.0)], evse=0, profile_id=3),
            request("ChargingStationMaxProfile", [limit(10_000.0)], evse=0, profile_id=4, stack=1),
            request(),
        ],
        power_w=6000.0,
    ),
    Case(
        rule="a maximum of level 1 that has run out leaves that of level 0: min(2000, 6000)",
        profiles=[
            request("ChargingStationMaxProfile", [limit(2000.0)], evse=0, profile_id=3),
            request(
                "ChargingStationMaxProfile",
                [limit(10_000.0)],
                evse=0,
                profile_id=4,
                stack=1,
                schedule={"duration": 60},
            ),
            request(),
        ],
        at_s=60,
        power_w=2000.0,
    ),
    Case(rule="the hardware: min(50 000, 11 000)", profiles=[request(periods=[setpoint(50_000.0)])],
         power_w=11_000.0),
    Case(rule="the hardware the other way: max(-50 000, -11 000)",
         profiles=[request(periods=[setpoint(-50_000.0)])], power_w=-11_000.0),
    Case(
        rule="a maximum does not bound discharge: -10 000",
        profiles=[STATION, request(periods=[setpoint(-10_000.0)])],
        power_w=-10_000.0,
    ),
    Case(
        rule="discharge of 2000 W is allowed, a setpoint of -1500 W is within it",
        profiles=[request(periods=[setpoint(-1500.0, dischargeLimit=-2000.0, limit=0.0)])],
        power_w=-1500.0,
    ),
    Case(
        rule="an external limit on discharge is tighter: max(-1500, -1000)",
        profiles=[
            request(
                "ChargingStationExternalConstraints",
                [{"startPeriod": 0, "operationMode": "ExternalLimits", "dischargeLimit": -1000.0}],
                evse=0,
                profile_id=7,
            ),
            request(periods=[setpoint(-1500.0)]),
        ],
        power_w=-1000.0,
    ),
    Case(rule="Idle: neither way", power_w=0.0,
         profiles=[request(periods=[{"startPeriod": 0, "operationMode": "Idle"}])]),
    Case(rule="a limit of 0 is 0, whatever the charger does by itself",
         profiles=[request(periods=[limit(0.0)])], power_w=0.0),
    Case(
        rule="beyond 80% at most 2000: the car is at 81%",
        profiles=[request(schedule={"limitAtSoC": {"soc": 80, "limit": 2000.0}})],
        power_w=2000.0,
        situation=replace(RUNNING, soc_fraction=0.81),
    ),
    Case(
        rule="at 80% it is not yet beyond: 6000",
        profiles=[request(schedule={"limitAtSoC": {"soc": 80, "limit": 2000.0}})],
        power_w=6000.0,
        situation=replace(RUNNING, soc_fraction=0.80),
    ),
]  # fmt: skip
UNITS = [
    Case(
        rule="10 A on three phases, as where numberPhases is absent: 10 x 3 x 230",
        profiles=[request(periods=[limit(10.0)], schedule={"chargingRateUnit": "A"})],
        power_w=6900.0,
    ),
    Case(
        rule="10 A on one phase: 10 x 1 x 230",
        profiles=[request(periods=[limit(10.0, numberPhases=1)], schedule={"chargingRateUnit": "A"})],
        power_w=2300.0,
    ),
    Case(
        rule="one phase of an 11 kW charger carries 11 000 / 3 W, less than the 6000 that are allowed",
        profiles=[request(periods=[limit(6000.0, numberPhases=1)])],
        power_w=11_000.0 / 3,
    ),
    Case(
        rule="amperes and watts together: min(13 x 690 = 8970, 9000) and then 20 x 690 = 13 800 no more",
        profiles=[
            STATION,
            request(periods=[limit(13.0), limit(20.0, 60)], schedule={"chargingRateUnit": "A"}),
        ],
        power_w=8970.0,
    ),
]
DAILY_HOURS = [setpoint(1.0), setpoint(2.0, HOUR)]
DAILY = request(kind="Recurring", recurrencyKind="Daily", periods=DAILY_HOURS)
WEEKLY = request(kind="Recurring", recurrencyKind="Weekly", periods=DAILY_HOURS)
TWO_HOURS = request(
    "TxDefaultProfile",
    [limit(7000.0)],
    kind="Recurring",
    recurrencyKind="Daily",
    profile_id=5,
    schedule={"duration": 2 * HOUR},
)
# 2024-03-30 21:00 UTC is 22:00 in Utrecht; that night the clocks go an hour ahead.
BEFORE_SUMMER = (datetime(2024, 3, 30, 21, tzinfo=UTC) - START).total_seconds()
UTC_EVENINGS = request(
    kind="Recurring",
    recurrencyKind="Daily",
    periods=[limit(1000.0), limit(2000.0, HOUR)],
    schedule={"startSchedule": "2024-03-30T22:00:00+01:00"},
)
WALL_EVENINGS = request(
    kind="Recurring",
    recurrencyKind="Daily",
    periods=[limit(1000.0), limit(2000.0, HOUR)],
    schedule={"startSchedule": "2024-03-30T22:00:00Z", "useLocalTime": True},
)
RECURRENCE = [
    Case(rule="daily: the third day begins like the first", profiles=[DAILY], at_s=2 * DAY + 10, power_w=1.0),
    Case(rule="daily: an hour later the second period", profiles=[DAILY], at_s=2 * DAY + HOUR, power_w=2.0),
    Case(rule="daily: a second before the next day still the last", profiles=[DAILY], at_s=DAY - 1,
         power_w=2.0),
    Case(rule="weekly: two days on still the last period", profiles=[WEEKLY], at_s=2 * DAY + 10, power_w=2.0),
    Case(rule="weekly: seven days on the first again", profiles=[WEEKLY], at_s=7 * DAY, power_w=1.0),
    Case(
        rule="daily with a duration of two hours: at 2 h it is over, at 24 h it is back",
        profiles=[TWO_HOURS],
        at_s=2 * HOUR,
        power_w=3000.0,
        source=LOCAL,
    ),
    Case(
        rule="... back at 24 h: 7000",
        profiles=[TWO_HOURS],
        at_s=DAY,
        power_w=7000.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="daily in UTC: 24 h on it is 21:00 UTC, the first period, though the wall clock shows 23:00",
        profiles=[UTC_EVENINGS],
        at_s=BEFORE_SUMMER + DAY,
        power_w=1000.0,
    ),
    Case(
        rule="useLocalTime: 24 h on the wall clock shows 23:00, an hour after its start: the second period",
        profiles=[WALL_EVENINGS],
        at_s=BEFORE_SUMMER + DAY,
        power_w=2000.0,
    ),
    Case(
        rule="useLocalTime: 23 h on it is 22:00 on the wall, the zone in the message disregarded: the first",
        profiles=[WALL_EVENINGS],
        at_s=BEFORE_SUMMER + 23 * HOUR,
        power_w=1000.0,
    ),
]  # fmt: skip
THREE = [setpoint(1.0), setpoint(2.0, 600), setpoint(3.0, 700)]
KINDS = [
    Case(rule="Relative counts from the transaction's start, 600 s ago: the second period",
         profiles=[request(kind="Relative", periods=THREE)], power_w=2.0),
    Case(rule="... and 100 s later, at 700 s: the third",
         profiles=[request(kind="Relative", periods=THREE)], at_s=100, power_w=3.0),
    Case(
        rule="Dynamic has no time but its validity: ten hours later the same",
        profiles=[request(kind="Dynamic", periods=[setpoint(-2500.0)])],
        at_s=10 * HOUR,
        power_w=-2500.0,
    ),
    Case(
        rule="a Dynamic schedule's duration counts from its receipt: over at 900 s, the default's 4200",
        profiles=[DEFAULT, request(kind="Dynamic", periods=[setpoint(1.0)], schedule={"duration": 900})],
        at_s=900,
        power_w=4200.0,
        source=TX_DEFAULT,
    ),
]  # fmt: skip
GONE = replace(RUNNING, offline_since=START)
FRAGILE = request(stack=1, profile_id=9, maxOfflineDuration=300)
OFFLINE = [
    Case(
        rule="without maxOfflineDuration a profile stays valid off line, for ever (libocpp 781)",
        profiles=[request()],
        at_s=30 * DAY,
        power_w=6000.0,
        situation=GONE,
    ),
    Case(rule="maxOfflineDuration 300 s: at 299 s of silence still valid", profiles=[DEFAULT, FRAGILE],
         at_s=299, power_w=6000.0, situation=GONE),
    Case(
        rule="... at 300 s the charger reverts to a lower level: 4200",
        profiles=[DEFAULT, FRAGILE],
        at_s=300,
        power_w=4200.0,
        source=TX_DEFAULT,
        situation=GONE,
    ),
    Case(rule="... and on line again it is valid again", profiles=[DEFAULT, FRAGILE], at_s=400,
         power_w=6000.0),
    Case(
        rule="maxOfflineDuration 0 is invalid at once when off line",
        profiles=[DEFAULT, request(stack=1, profile_id=9, maxOfflineDuration=0)],
        power_w=4200.0,
        source=TX_DEFAULT,
        situation=GONE,
    ),
]  # fmt: skip
DEFAULT_16 = request_16("TxDefaultProfile", [limit(10.0)], connector=0, stack=3, profile_id=2)
VERSION_16 = [
    Case(
        rule="a default for connector 0 holds for each connector: 10 x 690",
        profiles=[DEFAULT_16],
        power_w=6900.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="one for connector 1 overrules it even from a lower level: 6 x 690",
        profiles=[DEFAULT_16, request_16("TxDefaultProfile", [limit(6.0)], stack=0, profile_id=4)],
        power_w=4140.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="ChargePointMaxProfile narrows the TxProfile: min(8, 16) x 690",
        profiles=[
            request_16("ChargePointMaxProfile", [limit(8.0)], connector=0, profile_id=3),
            request_16("TxProfile", [limit(16.0)], profile_id=4),
        ],
        power_w=5520.0,
    ),
    Case(
        rule="Absolute without startSchedule is relative to the start of charging, 600 s ago: 7 x 690",
        profiles=[request_16("TxProfile", [limit(6.0), limit(7.0, 600)], profile_id=4)],
        power_w=4830.0,
    ),
    Case(
        rule="the same purpose, level and connector takes the earlier one's place: 7 x 690",
        profiles=[
            request_16("TxDefaultProfile", [limit(6.0)], profile_id=4),
            request_16("TxDefaultProfile", [limit(7.0)], profile_id=5),
        ],
        power_w=4830.0,
        source=TX_DEFAULT,
    ),
    Case(
        rule="where a make takes it, a limit below 0 asks for discharge: -9 x 690",
        profiles=[request_16("TxProfile", [limit(-9.0)], profile_id=4)],
        power_w=-6210.0,
    ),
]
CASES = [
    *PRECEDENCE, *VALIDITY, *LIMITS, *UNITS, *RECURRENCE, *KINDS, *OFFLINE, *VERSION_16,
]  # fmt: skip


def _at(profiles: Profiles, at_s: float, situation: Situation = RUNNING) -> Decision:
    return compose(profiles, START + timedelta(seconds=at_s), situation, HARDWARE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_composite_by_hand(case: Case) -> None:
    """The engine gives the power that a person reckons from the text."""
    decision = _at(held(*case.profiles), case.at_s, case.situation)
    assert decision.power_w == pytest.approx(case.power_w)
    assert decision.source == case.source


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_nothing_changes_before_it_has_to_be_asked_again(case: Case) -> None:
    """`until` is no later than the next change: a second before it the decision is the same."""
    profiles = held(*case.profiles)
    first = _at(profiles, case.at_s, case.situation)
    begin = START + timedelta(seconds=case.at_s)
    end = begin + timedelta(days=2) if first.until is None else first.until
    span_s = (end - begin).total_seconds()
    for share in (0.1, 0.5, 0.9):
        later = _at(profiles, case.at_s + share * span_s, case.situation)
        assert (later.power_w, later.source) == (first.power_w, first.source)
    assert span_s > 0
