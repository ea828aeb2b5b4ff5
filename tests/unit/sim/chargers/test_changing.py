"""The simulated charger's profiles as time goes on: schedules told, ended, updated and begun late, by hand.

The charger does 11 kW both ways and 3 kW by itself; its transaction began 600 s before `START`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from sim.chargers import rules
from sim.chargers.composite import Decision, Hardware, Situation, compose, schedule, surviving
from sim.chargers.profiles import Profiles, delayed, read_profile
from tests.support.ocpp import START
from tests.support.profiles import TX, after, held, limit, request, setpoint

HARDWARE = Hardware(local_default_w=3000.0, charge_w_max=11_000.0, discharge_w_max=11_000.0)
RUNNING = Situation(transaction=TX, started=START - timedelta(seconds=600))
HOUR, DAY = 3600, 86_400
DEFAULT = request("TxDefaultProfile", [limit(4200.0)], profile_id=2)
STATION = request("ChargingStationMaxProfile", [limit(9000.0)], evse=0, profile_id=3)


def _at(profiles: Profiles, at_s: float) -> Decision:
    return compose(profiles, START + timedelta(seconds=at_s), RUNNING, HARDWARE)


def test_composite_schedule_joins_what_is_equal() -> None:
    """By hand: 6000 to 600 s, 9000 (of 12 000) to 900 s, 4200 of the default after the validity's end."""
    profiles = held(
        DEFAULT,
        STATION,
        request(
            periods=[limit(6000.0), limit(12_000.0, 600), limit(9000.0, 700)], stack=1, validTo=after(900)
        ),
    )
    found = schedule(lambda at: compose(profiles, at, RUNNING, HARDWARE), START, HOUR)
    assert found == [(0, 6000.0), (600, 9000.0), (900, 4200.0)]


def test_profile_may_be_gone_for_good_after_a_time_off_line() -> None:
    """InvalidAfterOfflineDuration: after 300 s of silence it is not there any more, the others are."""
    profiles = held(DEFAULT, request(stack=1, profile_id=9, maxOfflineDuration=300,
                                     invalidAfterOfflineDuration=True))  # fmt: skip
    at = START + timedelta(seconds=300)
    assert surviving(profiles, at - timedelta(seconds=1), START) == profiles
    assert surviving(profiles, at, START) == held(DEFAULT)
    assert surviving(profiles, at, None) == profiles


def test_dynamic_update_changes_only_what_it_names() -> None:
    """K28: the setpoint moves, the limits stay; in the unit of the profile, here 10 A x 690."""
    profiles = held(
        request(
            kind="Dynamic",
            periods=[setpoint(5.0, limit=12.0, dischargeLimit=-12.0)],
            schedule={"chargingRateUnit": "A"},
        )
    )
    found = rules.after_update(profiles, 1, {"setpoint": -10.0}, rules.Manners(two_way=True))
    assert not isinstance(found, rules.Refusal)
    assert _at(found, 0).power_w == -6900.0
    beyond = rules.after_update(profiles, 1, {"setpoint": 13.0}, rules.Manners(two_way=True))
    assert isinstance(beyond, rules.Refusal)
    unknown = rules.after_update(profiles, 2, {"setpoint": 1.0}, rules.Manners(two_way=True))
    assert isinstance(unknown, rules.Refusal)


def test_yesterdays_last_period_goes_on_until_todays_first_begins_late() -> None:
    """A daily default of 4.2 kW for four hours, then 0, each up to ten minutes late.

    Until the first period of a day begins no period holds: alone, the charger does its own 3 kW meanwhile;
    with a default of 0 below it, which is not late, it stands still.
    """
    periods = [limit(4200.0), limit(0.0, 4 * HOUR)]
    payload = request(
        "TxDefaultProfile",
        periods,
        kind="Recurring",
        recurrencyKind="Daily",
        schedule={"randomizedDelay": 600},
    )
    late = next(
        profile
        for seed in range(50)
        if (profile := delayed(read_profile(payload, START), Random(seed))).periods[0].start_s > 60
    )
    first_s = late.periods[0].start_s
    below = request("TxDefaultProfile", [limit(0.0)], id=9)
    zero = read_profile(below, START)
    above = replace(late, stack_level=1)
    for start_s in (0, DAY):
        moments = (start_s + 60, start_s + first_s)
        assert [_at((late,), at_s).power_w for at_s in moments] == [3000.0, 4200.0]
        assert [_at((zero, above), at_s).power_w for at_s in moments] == [0.0, 4200.0]
    assert _at((late,), DAY - 1).power_w == 0.0


def test_periods_begin_later_by_lot_within_the_delay() -> None:
    """RandomizedDelay: each period starts 0 to 120 s later, differently in two chargers."""
    payload = request(periods=[limit(1000.0), limit(2000.0, 900)], schedule={"randomizedDelay": 120})
    profile = read_profile(payload, START)
    starts = {
        tuple(period.start_s for period in delayed(profile, Random(seed)).periods) for seed in range(20)
    }
    assert len(starts) > 10
    assert all(0 <= first <= 120 and 900 <= second <= 1020 for first, second in starts)
    assert delayed(read_profile(request(), START), Random(1)).periods[0].start_s == 0
