"""Runs a controller on a clock that stands still while it works: reproducible, as fast as it computes.

The same steps in the same order as the loops take on a real clock; only nothing waits. The world and
its devices are moved by two callables, so this knows nothing of the simulator.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from controller.domain.time import QUARTER, VirtualDomainClock, quarter_start
from controller.runtime.core import Controller
from controller.runtime.loops import SETTLE_EVERY, TIDY_EVERY
from controller.runtime.trading import Trading

type StepWorld = Callable[[datetime], Awaitable[None]]
"""Moves the world to an instant and lets its devices speak."""
type OnQuarter = Callable[[datetime], None]
"""Told after each quarter-hour, for progress."""


async def run_direct(
    controller: Controller,
    trading: Trading,
    clock: VirtualDomainClock,
    *,
    step_world: StepWorld,
    until: datetime,
    on_quarter: OnQuarter,
) -> None:
    """Runs from the clock's time to `until`, in steps of the safety period."""
    period = timedelta(seconds=controller.settings.safety.period_s)
    every = timedelta(seconds=controller.settings.planning.every_s)
    rest = timedelta(seconds=controller.settings.planning.replan_min_s)
    lead = timedelta(seconds=controller.settings.market.gate_lead_s)
    auction, books = controller.settings.market.is_auction, controller.settings.market.enabled
    planned = clock.now() - every
    interval = quarter_start(clock.now() + lead) + QUARTER
    tidy, settle = clock.now(), clock.now()
    quarter = quarter_start(clock.now())
    while clock.now() < until:
        clock.advance_to(clock.now() + period)
        now = clock.now()
        await step_world(now)
        cycle = controller.safety_cycle(now)
        for setpoint in cycle.setpoints:
            await controller.send(setpoint)
        soon = bool(controller.replan_because) and now - planned >= rest
        if soon or now - planned >= every:
            planned = now
            controller.replan_because = ""
            await controller.make_plan(controller.horizon(now))
        if now - tidy >= TIDY_EVERY:
            tidy = now
            controller.people.drop_past(now)
            await trading.keep_registers()
            await trading.desk.renew_departures()
        if auction and now >= interval - lead:
            await trading.clear_interval(interval)
            interval += QUARTER
        if books and now - settle >= SETTLE_EVERY:
            settle = now
            if auction:
                await trading.settle_due()
            await trading.sealing.seal_due()
        if quarter_start(now) != quarter:
            quarter = quarter_start(now)
            if books:
                await trading.closing.close_due()
            on_quarter(quarter)
