"""What 2.1 adds to charging profiles: priority, local generation, values that the charger asks for.

The composite figures are worked by hand from the specification's words: a PriorityCharging profile is used in
place of a Tx(Default)Profile while priority is asked for; LocalGeneration's capacity is added on top of other
profiles, here of the one that leads, under the station's maximum and the grid's constraints. The charger does
11 kW over three phases and 4.2 kW (in the composite cases 3 kW) by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sim.chargers.answers import press_priority
from sim.chargers.composite import Hardware, Situation, compose
from tests.support.lines import ANSWERS, Charger
from tests.support.ocpp import START, FakeSocket
from tests.support.profiles import TX, after, held, limit, request, setpoint

CAR = "NL-WST-C00000001"
HARDWARE = Hardware(local_default_w=3000.0, charge_w_max=11_000.0, discharge_w_max=11_000.0)
RUNNING = Situation(transaction=TX, started=START)
PRIOR = replace(RUNNING, priority=True)
DEFAULT = request("TxDefaultProfile", [limit(4200.0)], profile_id=2)
PRIORITY = request("PriorityCharging", [limit(9000.0)], profile_id=5)
SUN = request("LocalGeneration", [limit(2500.0)], evse=0, profile_id=6)
STATION = request("ChargingStationMaxProfile", [limit(7000.0)], evse=0, profile_id=3)
GRID = request("ChargingStationExternalConstraints", [limit(6200.0)], evse=0, profile_id=7)


@pytest.mark.parametrize(
    ("rule", "profiles", "situation", "at_s", "power_w", "source"),
    [
        ("not asked for: the default's 4200", [DEFAULT, PRIORITY], RUNNING, 0, 4200.0, "TxDefaultProfile"),
        ("in place of the default: 9000", [DEFAULT, PRIORITY], PRIOR, 0, 9000.0, "PriorityCharging"),
        (
            "in place of a TxProfile, whatever its level: 9000, not 6000",
            [request(stack=8), PRIORITY],
            PRIOR,
            0,
            9000.0,
            "PriorityCharging",
        ),
        ("under the station's 7000", [PRIORITY, STATION], PRIOR, 0, 7000.0, "PriorityCharging"),
        (
            "over after 600 s: the default's 4200 again",
            [DEFAULT, request("PriorityCharging", [limit(9000.0)], schedule={"duration": 600})],
            PRIOR,
            600,
            4200.0,
            "TxDefaultProfile",
        ),
        (
            "of two the higher level: 8000",
            [PRIORITY, request("PriorityCharging", [limit(8000.0)], stack=1, profile_id=8)],
            PRIOR,
            0,
            8000.0,
            "PriorityCharging",
        ),
        (
            "no transaction, no priority: the default's 4200",
            [DEFAULT, PRIORITY],
            Situation(transaction=None, started=None, priority=True),
            0,
            4200.0,
            "TxDefaultProfile",
        ),
        ("4200 and 2500 of the sun: 6700", [DEFAULT, SUN], RUNNING, 0, 6700.0, "TxDefaultProfile"),
        ("9000 and 2500, but 11 000 at most", [PRIORITY, SUN], PRIOR, 0, 11_000.0, "PriorityCharging"),
        ("6700, but 6200 from the grid", [DEFAULT, SUN, GRID], RUNNING, 0, 6200.0, "TxDefaultProfile"),
        ("6000 and 2500, but the station's 7000", [request(), SUN, STATION], RUNNING, 0, 7000.0, "TxProfile"),
        ("nothing leads, nothing is added: 3000", [SUN], RUNNING, 0, 3000.0, "Local"),
        (
            "a setpoint stays: the sun only raises its limit",
            [request(periods=[setpoint(-5000.0, limit=0.0, dischargeLimit=-5000.0)]), SUN],
            RUNNING,
            0,
            -5000.0,
            "TxProfile",
        ),
        (
            "a setpoint of 5000 under a limit of 4000: 4000; with the sun's 2500 all 5000",
            [request(periods=[setpoint(5000.0, limit=4000.0)]), SUN],
            RUNNING,
            0,
            5000.0,
            "TxProfile",
        ),
        (
            "one phase carries 11 000 / 3 whatever the sun does",
            [request(periods=[limit(3000.0, numberPhases=1)]), SUN],
            RUNNING,
            0,
            11_000.0 / 3,
            "TxProfile",
        ),
        (
            "the sun's profile is over at 900 s: 4200",
            [DEFAULT, request("LocalGeneration", [limit(2500.0)], evse=0, profile_id=6, validTo=after(900))],
            RUNNING,
            900,
            4200.0,
            "TxDefaultProfile",
        ),
    ],
)
def test_by_hand(
    rule: str,
    profiles: list[dict[str, Any]],
    situation: Situation,
    at_s: float,
    power_w: float,
    source: str,
) -> None:
    """Each case says its rule and its arithmetic."""
    decision = compose(held(*profiles), START + timedelta(seconds=at_s), situation, HARDWARE)
    assert decision.power_w == pytest.approx(power_w), rule
    assert decision.source == source, rule


def _charging() -> Charger:
    charger = Charger("ocpp2.1", socket=FakeSocket(token=CAR))
    charger.connect()
    return charger


def test_priority_is_used_on_the_words_of_the_csms() -> None:
    """Without a profile for it `NoProfile`; with one until the CSMS says so, or the car leaves."""
    charger = _charging()
    transaction = charger.core.transaction
    use = {"transactionId": transaction, "activate": True}
    assert charger.ask("UsePriorityCharging", use) == {"status": "NoProfile"}
    assert charger.ask("SetChargingProfile", PRIORITY) == {"status": "Accepted"}
    assert charger.ask("UsePriorityCharging", use | {"transactionId": "x"}) == {"status": "Rejected"}
    assert charger.core.power_request_kw() == 4.2
    assert charger.ask("UsePriorityCharging", use) == {"status": "Accepted"}
    assert charger.core.power_request_kw() == 9.0
    assert charger.ask("UsePriorityCharging", use | {"activate": False}) == {"status": "Accepted"}
    assert charger.core.power_request_kw() == 4.2
    charger.ask("UsePriorityCharging", use)
    charger.socket.token = None
    charger.at(10)
    assert not charger.core.priority
    assert charger.of("NotifyPriorityCharging") == []


def test_priority_at_the_charger_is_told_to_the_csms() -> None:
    """K22: the driver's button; where there is no profile for it nothing happens and nothing is said."""
    charger = _charging()
    assert not press_priority(charger.core, active=True)
    charger.ask("SetChargingProfile", PRIORITY)
    for active in (True, False):
        assert press_priority(charger.core, active=active)
    charger.talk()
    told = [payload["activated"] for payload in charger.of("NotifyPriorityCharging")]
    assert told == [True, False]


def _dynamic(transaction: str | None) -> dict[str, Any]:
    return request(kind="Dynamic", periods=[limit(6000.0)], transactionId=transaction, dynUpdateInterval=300)


def test_a_charger_asks_for_new_values_after_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken at 0 s: asked at 300 s and, updated then, not before 600 s; what is answered counts at once."""
    charger = _charging()
    charger.ask("SetChargingProfile", _dynamic(charger.core.transaction))
    fresh = {"status": "Accepted", "scheduleUpdate": {"limit": 2500.0}}
    monkeypatch.setitem(ANSWERS, "PullDynamicScheduleUpdate", fresh)
    counts = []
    for seconds in (299, 300, 599, 600):
        charger.at(seconds)
        charger.talk()
        counts.append(len(charger.of("PullDynamicScheduleUpdate")))
    assert counts == [0, 1, 1, 2]
    assert charger.of("PullDynamicScheduleUpdate")[0] == {"chargingProfileId": 1}
    assert charger.core.power_request_kw() == 2.5


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "Rejected"},
        {"status": "Accepted"},
        {"status": "Accepted", "scheduleUpdate": {"limit": -1.0}},
    ],
    ids=["refused", "empty", "no limit at all"],
)
def test_a_pull_that_brings_nothing_leaves_the_profile(
    answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays as it was, and is asked for again after the next interval."""
    charger = _charging()
    charger.ask("SetChargingProfile", _dynamic(charger.core.transaction))
    monkeypatch.setitem(ANSWERS, "PullDynamicScheduleUpdate", answer)
    for seconds in (300, 600):
        charger.at(seconds)
        charger.talk()
    assert len(charger.of("PullDynamicScheduleUpdate")) == 2
    assert charger.core.power_request_kw() == 6.0


def _pushed(charger: Charger) -> None:
    update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": 5000.0}}
    assert charger.ask("UpdateDynamicSchedule", update) == {"status": "Accepted"}


def _again(charger: Charger) -> None:
    charger.ask("SetChargingProfile", _dynamic(charger.core.transaction))


@pytest.mark.parametrize("renew", [_pushed, _again], ids=["an update", "the profile anew"])
def test_the_interval_counts_from_the_last_update(renew: Callable[[Charger], None]) -> None:
    """Updated at 200 s: nothing is asked at 300 s, but at 500 s; off line nothing is asked at all."""
    charger = _charging()
    charger.ask("SetChargingProfile", _dynamic(charger.core.transaction))
    charger.at(200)
    renew(charger)
    counts = []
    for seconds in (300, 499, 500):
        charger.at(seconds)
        charger.talk()
        counts.append(len(charger.of("PullDynamicScheduleUpdate")))
    assert counts == [0, 0, 1]
    charger.core.link_down()
    charger.at(900)
    charger.connect()
    assert len(charger.of("PullDynamicScheduleUpdate")) == 1
