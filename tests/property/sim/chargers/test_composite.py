"""The simulated charger's engine on any profiles: it never goes over a limit, and knows when it changes."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.chargers.composite import Decision, Hardware, Situation, compose, schedule
from sim.chargers.profiles import (
    CHARGING_ONLY,
    EXTERNAL,
    IDLE,
    MAX,
    SETPOINT,
    TX,
    TX_DEFAULT,
    Period,
    Profile,
    Profiles,
)
from tests.support.ocpp import START
from tests.support.profiles import TX as TRANSACTION

HARDWARE = Hardware(local_default_w=3000.0, charge_w_max=11_000.0, discharge_w_max=7000.0)
RUNNING = Situation(transaction=TRANSACTION, started=START - timedelta(minutes=7))
HOURS = 30
WATTS = st.integers(0, 15_000).map(float)


@st.composite
def _period(draw: st.DrawFn, start_s: int, purpose: str) -> Period:
    mode = draw(
        st.sampled_from([CHARGING_ONLY, SETPOINT, IDLE] if purpose in {TX, TX_DEFAULT} else [CHARGING_ONLY])
    )
    return Period(
        start_s=start_s,
        mode=mode,
        limit_w=draw(WATTS) if mode == CHARGING_ONLY else None,
        discharge_limit_w=None,
        setpoint_w=draw(st.integers(-15_000, 15_000).map(float)) if mode == SETPOINT else None,
        phases=draw(st.sampled_from([1, 3])),
    )


@st.composite
def _profile(draw: st.DrawFn, number: int) -> Profile:
    purpose = draw(st.sampled_from([TX, TX_DEFAULT, MAX, EXTERNAL]))
    kind = draw(st.sampled_from(["Absolute", "Recurring", "Relative", "Dynamic"]))
    starts = [0, *sorted(draw(st.sets(st.integers(1, 40_000), max_size=0 if kind == "Dynamic" else 3)))]
    moment = st.none() | st.integers(-HOURS * 60, HOURS * 60).map(lambda m: START + timedelta(minutes=m))
    day = timedelta(days=draw(st.sampled_from([1, 7])))
    timed = kind in {"Absolute", "Recurring"}
    return Profile(
        id=number,
        evse=1 if purpose in {TX, TX_DEFAULT} else 0,
        purpose=purpose,
        kind=kind,
        stack_level=draw(st.integers(0, 3)),
        transaction=draw(st.sampled_from([TRANSACTION, "OTHER"])) if purpose == TX else None,
        recurrence=day if kind == "Recurring" else None,
        valid_from=draw(moment),
        valid_to=draw(moment),
        start=START + timedelta(minutes=draw(st.integers(-3000, 300))) if timed else None,
        duration_s=draw(st.none() | st.integers(1, 90_000)),
        periods=tuple(draw(_period(start_s, purpose)) for start_s in starts),
        received=START - timedelta(minutes=30),
        local_time=draw(st.booleans()) if kind == "Recurring" else False,
        offline_s_max=draw(st.none() | st.integers(0, 7200)),
    )


@st.composite
def _profiles(draw: st.DrawFn) -> Profiles:
    return tuple(draw(_profile(number)) for number in range(draw(st.integers(0, 6))))


SITUATIONS = st.sampled_from(
    [
        RUNNING,
        Situation(transaction=None, started=START),
        Situation(transaction=TRANSACTION, started=START, offline_since=START - timedelta(minutes=20)),
    ]
)
SECONDS = st.integers(0, HOURS * 3600)


def _decide(profiles: Profiles, second: float, situation: Situation) -> Decision:
    return compose(profiles, START + timedelta(seconds=second), situation, HARDWARE)


@given(profiles=_profiles(), second=SECONDS, situation=SITUATIONS)
@settings(max_examples=80, deadline=None)
def test_no_limit_that_holds_is_passed(profiles: Profiles, second: int, situation: Situation) -> None:
    """Neither the hardware's, nor that of the leading maximum and the leading external constraint."""
    decision = _decide(profiles, second, situation)
    assert -HARDWARE.discharge_w_max <= decision.power_w <= HARDWARE.charge_w_max
    at = START + timedelta(seconds=second)
    for purpose in (MAX, EXTERNAL):
        holding = [
            (profile.stack_level, period.limit_w)
            for profile in profiles
            if profile.purpose == purpose
            and (period := profile.period_at(at, situation.started, situation.offline_since)) is not None
        ]
        if holding:
            highest = max(level for level, _ in holding)
            # Of equal levels, which a charger would not have taken together, either may lead.
            assert decision.power_w <= max(
                limit for level, limit in holding if level == highest and limit is not None
            )


@given(profiles=_profiles(), second=SECONDS, situation=SITUATIONS, share=st.floats(0, 0.999))
@settings(max_examples=80, deadline=None)
def test_nothing_changes_before_it_is_to_be_asked_again(
    profiles: Profiles, second: int, situation: Situation, share: float
) -> None:
    """Between a decision and its `until` every moment gives the same one: a charger may sleep so long."""
    first = _decide(profiles, second, situation)
    end_s = second + 86_400.0 if first.until is None else (first.until - START).total_seconds()
    assert end_s > second
    later = _decide(profiles, second + share * (end_s - second), situation)
    assert (later.power_w, later.source) == (first.power_w, first.source)


@given(profiles=_profiles(), situation=SITUATIONS, second=st.integers(0, 7199))
@settings(max_examples=40, deadline=None)
def test_composite_schedule_is_the_decision_at_each_moment(
    profiles: Profiles, situation: Situation, second: int
) -> None:
    """What the charger tells of the coming two hours is what it does."""
    told = schedule(lambda at: compose(profiles, at, situation, HARDWARE), START, 7200)
    power_w = [watts for start_s, watts in told if start_s <= second][-1]
    assert power_w == _decide(profiles, second, situation).power_w
