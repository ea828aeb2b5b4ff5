"""Guests whose payment provider is silent, refuses, or comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.domain.guests import PAY_WITHIN, Stage, StopAsked, Why
from controller.runtime.guests import HELD_FOR
from controller.storage.errors import StoreBusyError
from tests.support.guest_desk import MINUTE, POINT, guest_desk
from tests.support.neighbourhood import START


async def test_a_provider_that_refuses_to_reserve_is_told_to_guest_and_operators(tmp_path: Path) -> None:
    """After a few times the guest reads that it does not work; the alarm stays until it works again."""
    async with guest_desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        desk.provider.refuses = True
        secret = await desk.another()
        await desk.forward()
        session = (await desk.guests.view(secret)).session
        assert (session.stage, session.why) == (Stage.DECLINED, Why.PROVIDER)
        assert [point for point, _ in waiting.values()] == ["cp-2"]
        desk.provider.refuses = False
        await desk.another()
        await desk.forward()
        assert not waiting


async def test_what_may_be_reserved_without_an_answer_is_looked_for_as_long_as_a_guest_may_pay(
    tmp_path: Path,
) -> None:
    """A lost answer and then refusals: the amount may be set aside, so it is asked for again."""
    async with guest_desk(tmp_path) as desk:
        secret = await desk.another(silent=True)
        desk.provider.silent, desk.provider.refuses = False, True
        await desk.forward()
        await desk.forward()
        assert (await desk.guests.view(secret)).session.stage is Stage.RESERVING
        desk.clock.advance_to(START + PAY_WITHIN)
        await desk.forward()
        assert (await desk.guests.view(secret)).session.why is Why.PROVIDER


async def test_a_capture_that_is_refused_is_an_alarm_and_after_a_week_a_loss(tmp_path: Path) -> None:
    """The guest has charged and the provider takes no call of ours: operators see it; it ends in a week."""
    async with guest_desk(tmp_path) as desk:
        counters = desk.guests.controller.counters
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.provider.refuses = True
        desk.connector("11")
        await desk.forward()
        key = desk.session().id
        assert desk.session().stage is Stage.CAPTURING
        assert counters.payments_waiting[key][0] == POINT
        desk.clock.advance_to(START + HELD_FOR)
        await desk.forward()
        assert desk.session().stage is Stage.CAPTURING
        desk.clock.advance_to(START + HELD_FOR + 30 * MINUTE)
        await desk.forward()
        assert not desk.guests._open
        assert (counters.payments_waiting, list(counters.payments_lost)) == ({}, [key])
        async with desk.guests.controller.store.unit() as unit:
            (event,) = await unit.events()
        assert "were not paid" in event.what


async def test_a_provider_that_answers_again_is_no_alarm_any_more(tmp_path: Path) -> None:
    """While a guest pays it is silent for a while; then it is asked as often as before."""
    async with guest_desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        desk.provider.asks_payer = True
        await desk.another()
        await desk.forward()
        desk.provider.silent = True
        await desk.forward()
        ((key, (point, _)),) = waiting.items()
        assert (point, desk.guests._open[key].stage) == ("cp-2", Stage.PAYING)
        desk.provider.silent = False
        await desk.forward()
        assert not waiting
        assert desk.guests._open[key].stage is Stage.PAYING
        assert desk.guests._steps[key].failures == 0


async def test_a_session_that_is_over_leaves_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is busy when the reservation has been let go: once that is kept, nothing waits any more."""
    async with guest_desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        key, save = desk.session().id, desk.guests._save

        async def busy(key: str) -> None:
            if desk.guests._open[key].stage is Stage.RELEASED:
                raise StoreBusyError("another process writes")
            await save(key)

        desk.guests._apply(key, StopAsked())
        monkeypatch.setattr(desk.guests, "_save", busy)
        await desk.forward()
        assert list(waiting) == [key]
        monkeypatch.setattr(desk.guests, "_save", save)
        await desk.forward()
        assert (desk.guests._open, waiting) == ({}, {})
