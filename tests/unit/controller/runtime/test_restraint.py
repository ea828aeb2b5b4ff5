"""The rush after an outage is spread out, and a device's messages are counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.runtime.restraint import (
    ASK_AGAIN,
    ASK_AGAIN_MOST,
    BURST,
    MUST_AGAIN_MOST,
    RAMP,
    Comeback,
    MessageBudget,
    Refusals,
)
from controller.setpoints.candidate import Candidate
from tests.support.neighbourhood import START

CANDIDATE = Candidate(
    asset=AssetId("cp-1"),
    node=NodeId("f1"),
    low_kw=-11.0,
    high_kw=11.0,
    must_kw=11.0,
    want_kw=11.0,
    min_kw=4.14,
    urgency=0.0,
    reason=Reason(code=ReasonCode.DEPARTURE),
    safe_kw=0.0,
    drawn_kw=4.14,
)


def test_a_thousand_devices_come_back_along_a_ramp() -> None:
    """After each tenth of the ramp about as many tenths of them are free, and all of them at its end."""
    comeback = Comeback()
    devices = [replace(CANDIDATE, asset=AssetId(f"cp-{i}")) for i in range(1000)]
    for each in devices:
        comeback.link(each.asset, START, up=True)
    for tenth in range(10):
        now = START + RAMP * (tenth / 10)
        power_kw = sum(comeback.held(each, now).want_kw for each in devices)
        assert power_kw / 1000 == pytest.approx(4.14 + (11.0 - 4.14) * tenth / 10, abs=0.4)
    assert all(comeback.held(each, START + RAMP) == each for each in devices)


@given(
    drawn=st.floats(-12.0, 12.0),
    low=st.floats(-11.0, 0.0),
    high=st.floats(0.0, 11.0),
    part=st.floats(0.0, 1.0),
)
def test_who_waits_never_does_more_than_before_and_may_always_stop(
    drawn: float, low: float, high: float, part: float
) -> None:
    """Inside its own window, between standing still and what it draws."""
    comeback = Comeback()
    comeback.link(CANDIDATE.asset, START, up=True)
    want = low + part * (high - low)
    asked = replace(CANDIDATE, drawn_kw=drawn, low_kw=low, high_kw=high, want_kw=want, must_kw=max(want, 0.0))
    held = comeback.held(asked, START)
    assert low <= held.low_kw <= held.want_kw <= held.high_kw <= high
    assert held.low_kw <= 0.0 <= held.high_kw
    assert held.must_kw <= held.high_kw
    assert min(drawn, 0.0) <= held.want_kw <= max(drawn, 0.0)
    assert (held.reason.code is ReasonCode.RAMP) == (held.want_kw != want)


def test_nobody_waits_for_a_clock_that_was_set_back() -> None:
    """By an hour, a minute after the device came back."""
    comeback = Comeback()
    comeback.link(CANDIDATE.asset, START, up=True)
    assert comeback.held(CANDIDATE, START - timedelta(hours=1)) == CANDIDATE


def test_only_who_was_away_waits() -> None:
    """A newer connection that takes over is no return; after a real one the wait begins anew."""
    comeback = Comeback()
    comeback.link(CANDIDATE.asset, START, up=True)
    assert comeback.held(CANDIDATE, START + RAMP) == CANDIDATE
    comeback.link(CANDIDATE.asset, START + RAMP, up=True)
    assert comeback.held(CANDIDATE, START + RAMP) == CANDIDATE
    comeback.link(CANDIDATE.asset, START + 2 * RAMP, up=False)
    comeback.link(CANDIDATE.asset, START + 2 * RAMP, up=True)
    assert comeback.held(CANDIDATE, START + 2 * RAMP).want_kw == 4.14


def test_who_stood_still_when_we_restarted_waits_as_well() -> None:
    """Why it draws nothing is not remembered: no more than the ramp, and nothing of it while it lasts."""
    comeback = Comeback()
    stood = replace(CANDIDATE, drawn_kw=0.0)
    comeback.link(stood.asset, START, up=True)
    held = comeback.held(stood, START)
    assert (held.want_kw, held.high_kw, held.reason.code) == (0.0, 0.0, ReasonCode.RAMP)
    assert comeback.held(stood, START + RAMP) == stood


def test_a_budget_grows_with_the_day_and_begins_anew_at_midnight() -> None:
    """At 17:00 UTC 17/24 of the day's messages and the burst are free."""
    budget = MessageBudget(per_day=240)
    asset = AssetId("cp-1")
    for _ in range(170 + BURST - 1):
        budget.spend(asset, START)
    assert not budget.is_short(asset, START)
    budget.spend(asset, START)
    assert budget.is_short(asset, START)
    assert not budget.is_short(AssetId("cp-2"), START)
    assert not budget.is_short(asset, START + timedelta(minutes=6))
    assert not budget.is_short(asset, START + timedelta(hours=7))


def test_who_refuses_is_asked_less_and_less_often_and_something_else_at_once() -> None:
    """Twice as long each time, at most five minutes; a set-back clock makes nobody wait."""
    refusals, asset, at, waited = Refusals(), AssetId("cp-1"), START, []
    for _ in range(9):
        refusals.note(asset, 11.0, at, must=False)
        assert refusals.waits(asset, 11.2, at, 0.3, must=False)
        assert not refusals.waits(asset, 10.0, at, 0.3, must=False)
        assert not refusals.waits(asset, 11.0, at, 0.3, must=True)
        assert not refusals.waits(AssetId("cp-2"), 11.0, at, 0.3, must=False)
        assert not refusals.waits(asset, 11.0, at - timedelta(hours=1), 0.3, must=False)
        seconds = (at + timedelta(seconds=i) for i in range(1, 400))
        back = next(
            i for i, then in enumerate(seconds, 1) if not refusals.waits(asset, 11.0, then, 0.3, must=False)
        )
        waited.append(back)
        at += timedelta(seconds=back)
    assert waited == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (ASK_AGAIN.seconds, ASK_AGAIN_MOST.seconds) == (waited[0], waited[-1])
    refusals.note(asset, 11.0, at, must=True)
    assert refusals.waits(asset, 11.0, at + MUST_AGAIN_MOST - timedelta(seconds=1), 0.3, must=True)
    assert not refusals.waits(asset, 11.0, at + MUST_AGAIN_MOST, 0.3, must=True)
    refusals.forget(asset)
    assert not refusals.waits(asset, 11.0, at, 0.3, must=False)
