"""Direct mode: controller and simulated devices in one process, without sockets, on a virtual clock.

No wall-clock deadline acts and nothing runs in another thread, so two runs with the same options are
the same to the last trade.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from controller.demo.options import DemoOptions, new_database
from controller.demo.simulated import Simulated
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.network import ImposedLimit
from controller.domain.site import Site
from controller.domain.time import VirtualDomainClock
from controller.powerflow.solve import live_planner
from controller.runtime.core import Controller
from controller.runtime.direct import run_direct
from controller.runtime.door import Principal
from controller.runtime.offload import run_inline
from controller.runtime.ports import Role
from controller.runtime.report import controller_report
from controller.runtime.service import Service
from controller.runtime.trading import Trading
from controller.storage import SqlStore, open_store
from sim.baseline_process import BaselineJob, BaselineProcess
from sim.direct import DirectDevices
from sim.endpoints.grid import EveningPlan, Wish, congestion_node, evening_limit_kw, holds_from
from sim.summary import summarise
from sim.world import World

GRACE = timedelta(minutes=3)
"""The last quarter-hour is settled in this time."""


class InlineSolver:
    """Plans in this process as the solver's process does, for as long as it takes."""

    def __init__(self, site: Site | None) -> None:
        """Checks plans on the network of a site where there is one."""
        self._planner = live_planner(site, ready=False)
        self._born_s = time.monotonic()
        self._cpu_s = 0.0

    async def solve(self, inputs: DispatchInputs, deadline_s: float) -> DispatchResult:  # noqa: ARG002  # none acts
        """The plan; the same inputs in the same order give the same plans."""
        begun_s = time.process_time()
        result = self._planner(inputs)
        self._cpu_s += time.process_time() - begun_s
        return result

    def core_fraction(self) -> float:
        """Processor time of solving over the machine time of the run, which here is mostly computing."""
        return self._cpu_s / max(time.monotonic() - self._born_s, 1e-9)


async def run_direct_demo(
    options: DemoOptions, simulated: Simulated, progress: Callable[[datetime, World], None]
) -> dict[str, Any]:
    """Runs to the end and gives the summary of formats.md."""
    # All that is loaded lives as long as this process; looked through again and again, and once more at the
    # very end, it takes a second.
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="wijkstroom-") as scratch:
        folder = options.data if options.data is not None else Path(scratch)
        store = await open_store(new_database(folder))
        try:
            return await _run(options, simulated, store, progress)
        finally:
            await store.close()


async def _run(
    options: DemoOptions, simulated: Simulated, store: SqlStore, progress: Callable[[datetime, World], None]
) -> dict[str, Any]:
    scenario, start, end = simulated.scenario, simulated.start, simulated.end
    clock = VirtualDomainClock(start)
    settings = simulated.settings()
    controller = Controller(
        site=scenario.site,
        settings=settings,
        clock=clock,
        store=store,
        solver=InlineSolver(scenario.site if settings.planning.power_flow else None),
        prices=simulated.price_book(),
    )
    world = World(scenario, weather=simulated.weather, start=start, seed=options.seed)
    devices = DirectDevices(world, controller.receive, clock, controller.guard.floor.hours)
    controller.drivers = (devices,)
    trading = Trading(controller, offload=run_inline)
    service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
    fleet = Principal(role=Role.FLEET, member=None, label="simulated fleet")
    evening = Evening(service, world)

    async def step(now: datetime) -> None:
        announced = world.trips_announced(now)
        if announced:
            await service.put_bookings(announced, fleet)
        await evening.act(now)
        devices.tick(now)

    quarters = options.quarters or 0
    job = BaselineJob(
        scenario=scenario, weather=simulated.weather, prices=simulated.prices, quarters=quarters
    )
    async with BaselineProcess(job, niceness=0) as beside:
        await step(start)
        await run_direct(
            controller,
            trading,
            clock,
            step_world=step,
            until=end + GRACE,
            on_quarter=lambda at: progress(at, world),
        )
        baselines = await beside.books()
    summary = summarise(
        scenario=scenario,
        weather=simulated.weather,
        prices=simulated.prices,
        quarters=quarters,
        controlled=world.recorder,
        baselines=baselines,
        imposed=evening.imposed,
        direct=True,
    )
    report = await controller_report(controller, {})
    report["memory_mib_max"]["simulator"] = report["memory_mib_max"]["controller"]
    return {**summary, **report}


class Evening:
    """The simulated grid operator without a socket: the same evenings, carried out at the door."""

    def __init__(self, service: Service, world: World) -> None:
        self._service = service
        self._world = world
        self._who = Principal(role=Role.GRID, member=None, label="simulated grid operator")
        self._plan = EveningPlan()
        self._node, self._base_kw = congestion_node(world)
        self.imposed: list[ImposedLimit] = []
        """Every limit with the span in which it held."""

    async def act(self, now: datetime) -> None:
        """Does what is due, once a minute as over the socket."""
        if now.second:
            return
        match self._plan.wish(now):
            case Wish.SET:
                limit = await self._service.put_limit(
                    node=self._node.id,
                    import_kw=evening_limit_kw(self._node.import_limit_kw(), self._base_kw()),
                    export_kw=None,
                    from_utc=holds_from(now),
                    to_utc=None,
                    who=self._who,
                )
                self.imposed.append(limit)
                self._plan = self._plan.with_limit(now)
            case Wish.WITHDRAW:
                standing = self.imposed[-1]
                await self._service.withdraw_limit(node=self._node.id, limit_id=standing.id, who=self._who)
                self.imposed[-1] = replace(standing, to_utc=max(now, standing.from_utc))
                self._plan = self._plan.without_limit()
            case Wish.NOTHING:
                return
