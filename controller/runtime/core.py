"""The controller itself, without a loop: what it knows, and one step of each of its duties.

Its duties are called by the loops of `loops` in a real run, and one after the other by `direct` on a
clock that stands still. So both run the same code, and a step can be tested without time passing.
In a real run another process decides the safety cycles (`safety_process`): it is told what `hear` gives,
and `take_cycle` takes over what it decided. What other threads look at here (`People`'s books, the plan,
the snapshot) is replaced as a whole and never changed in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Protocol

import structlog

from controller.config import Settings
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId, NodeId
from controller.domain.ports import SetsPower
from controller.domain.setpoints import NotSent, Outcome, Rejected, Setpoint, TimedOut
from controller.domain.site import Site
from controller.domain.telemetry import ConnectorReading, LinkReading, MeterReading, Reading
from controller.domain.time import DomainClock, quarter_start
from controller.forecast.prices import PriceBook
from controller.powerflow.result import CheckedPlan
from controller.runtime.guard import Guard, Noted
from controller.runtime.horizon import Horizon
from controller.runtime.people import People
from controller.runtime.plan import ActivePlan
from controller.runtime.planning import Forecasts, Planner
from controller.runtime.ports import RegisterRecord, Store
from controller.runtime.stays import read_stays
from controller.runtime.steering import Cycle, Steering
from controller.state import NeighbourhoodState
from controller.state.model import AHEAD_MAX

REGISTERS_MAX = 200_000
"""Registers kept while the store cannot take them; beyond it the oldest are dropped and counted."""
INBOX_READINGS_MAX = 200_000
"""Readings kept between two cycles; beyond it the oldest are dropped and counted."""
SUN_EVERY_CYCLES = 30
"""How often the sky is compared with a clear one."""
HISTORY_QUARTERS = 96
STAYS_KEY = "stays:"
"""Under this and its id a car's stays are kept in the store."""

_LOG = structlog.get_logger(__name__)


class Solver(Protocol):
    """Solves dispatch problems somewhere where it blocks nobody."""

    async def solve(self, inputs: DispatchInputs, deadline_s: float) -> DispatchResult:
        """A checked plan within the deadline [s]; with a `reason` where it is no new one of a solver."""
        ...


@dataclass
class Counters:
    """What the summary and the console count."""

    safety_cycles: int = 0
    late_cycles: int = 0
    delay_ms_max: float = 0.0
    plans: int = 0
    fallbacks: int = 0
    """Plans that are no new ones of the solver: the last one, clipped, or one by rules."""
    plans_made_again: int = 0
    """Plans that took more than one solve until voltages, currents and transformers were inside."""
    plans_straining: int = 0
    """Plans that leave one of these outside."""
    plan_seconds: list[float] = field(default_factory=list)
    refused: int = 0
    timed_out: int = 0
    dropped_readings: int = 0
    orders_refused: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """Steps that failed, by loop: the database was busy, or a bug."""
    failed_at: dict[str, datetime] = field(default_factory=dict)
    """When a step of a loop failed last."""

    payments_waiting: dict[str, tuple[AssetId, datetime]] = field(default_factory=dict)
    """Guests' sessions whose payment does not get on, by id: where, and since when."""
    payments_lost: dict[str, tuple[AssetId, datetime]] = field(default_factory=dict)
    """Those of which what was due will not be paid; the log of events keeps them."""

    def count_failure(self, loop: str, at: datetime) -> None:
        """One more step of a loop failed."""
        self.failures[loop] = self.failures.get(loop, 0) + 1
        self.failed_at[loop] = at


@dataclass(frozen=True, kw_only=True)
class NodeQuarter:
    """One node in one finished quarter-hour."""

    start: datetime
    mean_kw: Mapping[NodeId, float]
    import_limit_kw: Mapping[NodeId, float]
    export_limit_kw: Mapping[NodeId, float]
    comparison_kw: Mapping[NodeId, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the web thread reads: frozen, replaced as a whole after every cycle."""

    at: datetime
    state: NeighbourhoodState
    plan: ActivePlan | None
    cycle: Cycle | None
    refusals: Mapping[AssetId, Rejected | TimedOut]
    quarters: Sequence[NodeQuarter]
    comparison_kw: Mapping[NodeId, Mapping[str, float]]


class Controller:
    """One neighbourhood's controller."""

    def __init__(
        self,
        *,
        site: Site,
        settings: Settings,
        clock: DomainClock,
        store: Store,
        solver: Solver,
        prices: PriceBook,
    ) -> None:
        self.site = site
        self.settings = settings
        self.clock = clock
        self.store = store
        self.solver = solver
        self.people = People()
        self.forecasts = Forecasts(site=site, prices=prices)
        self.planner = Planner(site=site, settings=settings, forecasts=self.forecasts)
        self.guard = Guard(site, settings.safety, self.people)
        self.drivers: tuple[SetsPower, ...] = ()
        self.counters = Counters()
        self.plan: ActivePlan | None = None
        self.replan_because = "start"
        """Why a plan is wanted at once; empty where none is."""
        self.refusals: dict[AssetId, Rejected | TimedOut] = {}
        self.comparison_kw: Mapping[NodeId, Mapping[str, float]] = {}
        self._inbox: deque[Reading] = deque(maxlen=INBOX_READINGS_MAX)
        self._noted: list[Noted] = []
        self._registers: deque[RegisterRecord] = deque()
        self._cycles_taken = 0
        self._quarters: deque[NodeQuarter] = deque(maxlen=HISTORY_QUARTERS)
        self._quarter_sums: dict[NodeId, float] = {}
        self._quarter_counts: dict[NodeId, int] = {}
        self._quarter: datetime | None = None
        self._quarter_comparison: Mapping[NodeId, Mapping[str, float]] = self.comparison_kw
        self.snapshot = Snapshot(
            at=clock.now(),
            state=self.guard.state,
            plan=None,
            cycle=None,
            refusals={},
            quarters=(),
            comparison_kw={},
        )

    def receive(self, reading: Reading) -> None:
        """Takes a reading from a driver (`TelemetrySink`); it counts from the next cycle on."""
        if reading.at - self.clock.now() > AHEAD_MAX:
            self.counters.dropped_readings += 1
            return
        if len(self._inbox) == INBOX_READINGS_MAX:
            self.counters.dropped_readings += 1
        self._inbox.append(reading)

    def compare(self, comparison_kw: Mapping[NodeId, Mapping[str, float]]) -> None:
        """Takes what a demo's baselines draw in this quarter-hour [kW], by node and baseline."""
        self.comparison_kw = comparison_kw

    async def load(self) -> None:
        """Reads what people have set from the store: a restart goes on where it stopped."""
        now = self.clock.now()
        async with self.store.unit() as unit:
            self.people.limits = {limit.id: limit for limit in await unit.limits(ending_after=now)}
            self.people.lockouts = {lockout.node: lockout for lockout in await unit.lockouts()}
            self.people.bookings = {booking.id: booking for booking in await unit.bookings(ending_after=now)}
            self.people.wishes = {wishes.asset: wishes for wishes in await unit.wishes()}
            self.people.discharge_stopped = await unit.value("discharge_stopped") == "true"
            kept = {car.id: await unit.value(STAYS_KEY + car.id) for car in self.site.vehicles}
        self.planner.stays.cars = {car: read_stays(text) for car, text in kept.items() if text is not None}

    @property
    def state(self) -> NeighbourhoodState:
        """The newest state."""
        return self.guard.state

    @property
    def steering(self) -> Steering:
        """What is known of the devices' setpoints."""
        return self.guard.steering

    @property
    def speed(self) -> float:
        """Domain seconds per machine second; infinite on a clock that takes no time."""
        machine_s = self.clock.machine_s(timedelta(seconds=1))
        return 1.0 / machine_s if machine_s > 0.0 else inf

    def safety_cycle(self, now: datetime) -> Cycle:
        """Hears what has come and decides here; the caller sends the setpoints and notes the outcomes."""
        self.hear()
        self.counters.safety_cycles += 1
        cycle = self.guard.cycle(now)
        self.take_cycle(cycle)
        return cycle

    def hear(self) -> tuple[Sequence[Reading], Sequence[Noted]]:
        """Takes in what has come since the last call, and gives it."""
        readings = [self._inbox.popleft() for _ in range(len(self._inbox))]
        noted, self._noted = self._noted, []
        self._look_at(readings)
        guard = self.guard
        guard.hear(readings, noted, self.clock.now())
        guard.steerable = self.steerable()
        guard.guide = self.plan.guide if self.plan is not None else None
        return readings, noted

    def take_cycle(self, cycle: Cycle) -> None:
        """Learns from a cycle that was decided, and shows it."""
        self.forecasts.learn(cycle.base, cycle.at)
        if self._cycles_taken % SUN_EVERY_CYCLES == 0:
            self.forecasts.learn_sun(self.state, cycle.at)
        self._cycles_taken += 1
        self._remember_quarter(cycle.at)
        self.snapshot = Snapshot(
            at=cycle.at,
            state=self.state,
            plan=self.plan,
            cycle=cycle,
            refusals=dict(self.refusals),
            quarters=self.snapshot.quarters,
            comparison_kw=self.comparison_kw,
        )

    def steerable(self) -> frozenset[AssetId]:
        """The devices that can be reached now."""
        return frozenset[AssetId]().union(*(driver.steerable() for driver in self.drivers))

    async def send(self, setpoint: Setpoint) -> Outcome:
        """Sends one setpoint through the driver that can reach the device, and notes how it was taken."""
        driver = next((d for d in self.drivers if setpoint.asset in d.steerable()), None)
        if driver is None:
            outcome: Outcome = NotSent(setpoint=setpoint, why="the device is not connected")
        else:
            try:
                outcome = await driver.set_power(setpoint)
            except Exception as error:  # noqa: BLE001  # a driver's bug: nobody knows what the device took
                _LOG.exception("a driver failed", asset=setpoint.asset)
                self.counters.count_failure("send", self.clock.now())
                outcome = TimedOut(setpoint=setpoint, why=f"the driver failed: {type(error).__name__}")
        self.note(outcome)
        return outcome

    def note(self, outcome: Outcome) -> None:
        """Takes in how a device took its setpoint."""
        self._noted.append(Noted(outcome=outcome, at=self.clock.now()))
        asset = outcome.setpoint.asset
        match outcome:
            case Rejected():
                self.counters.refused += 1
                self.refusals[asset] = outcome
                _LOG.warning("setpoint refused", asset=asset, code=outcome.code, why=outcome.why)
            case TimedOut():
                self.counters.timed_out += 1
                self.refusals[asset] = outcome
            case NotSent():
                _LOG.info("setpoint not sent", asset=asset, why=outcome.why)
            case _:
                self.refusals.pop(asset, None)

    def horizon(self, now: datetime) -> Horizon:
        """The dispatch problem as seen now."""
        return self.planner.horizon(self.state, self.people, self.steering, now)

    async def make_plan(self, horizon: Horizon, seconds: float | None = None) -> None:
        """Solves a horizon and takes the plan over."""
        self._look_at_stays(horizon)
        result = await self.solver.solve(horizon.inputs, self.settings.planning.deadline_s)
        self.counters.plans += 1
        self.counters.plan_seconds.append(result.build_s + result.solve_s if seconds is None else seconds)
        if result.reason:
            self.counters.fallbacks += 1
            _LOG.warning("no new plan", instead=result.method, reason=result.reason)
        if isinstance(result, CheckedPlan):
            self.counters.plans_made_again += result.rounds > 0
            self.counters.plans_straining += bool(result.findings)
        self.plan = ActivePlan(horizon=horizon, result=result)
        await self._keep_stays()

    def _look_at_stays(self, horizon: Horizon) -> None:
        """Who is plugged in, and until when by what they said."""
        standing: dict[AssetId, datetime | None] = {}
        for vehicle in horizon.charge_point_of:
            asked = self.people.departures_of(self.site.vehicle_by_id[vehicle], horizon.made_at)
            standing[vehicle] = asked[0].at_utc if asked else None
        self.planner.stays.look(horizon.made_at, standing)

    async def _keep_stays(self) -> None:
        """Writes down the stays that have changed; where that fails, after the next plan."""
        book = self.planner.stays
        if book.unsaved:
            async with self.store.unit() as unit:
                for car in sorted(book.unsaved):
                    await unit.put_value(STAYS_KEY + car, book.cars[car].text())
            book.unsaved.clear()

    def take_registers(self) -> list[RegisterRecord]:
        """The registers at quarter-hours that have come in since the last call."""
        return [self._registers.popleft() for _ in range(len(self._registers))]

    def give_back(self, registers: Sequence[RegisterRecord]) -> None:
        """Takes registers back that could not be stored: they are handed out again, the oldest first."""
        self._registers.extendleft(reversed(registers))
        while len(self._registers) > REGISTERS_MAX:
            self._registers.popleft()
            self.counters.dropped_readings += 1

    def want_plan(self, because: str) -> None:
        """Asks for a new plan at once."""
        self.replan_because = self.replan_because or because

    def _look_at(self, readings: Sequence[Reading]) -> None:
        """Sees what readings mean beyond the state: a plan is wanted, a register is to be stored."""
        for reading in readings:
            match reading:
                case ConnectorReading():
                    before = self.state.connectors.get(reading.charge_point)
                    known = before is not None and (before.plugged, before.token) == (
                        reading.plugged,
                        reading.token,
                    )
                    if not known:
                        self.want_plan("a car came or went")
                case LinkReading():
                    link = self.state.links.get(reading.asset)
                    if not reading.up:
                        self.refusals.pop(AssetId(reading.asset), None)
                    elif link is not None and not link.up:
                        # What was held back for it while it was silent can be planned again.
                        self.want_plan("a device is back")
                case MeterReading():
                    self._keep_register(reading)
                case _:
                    pass

    def _keep_register(self, reading: MeterReading) -> None:
        if reading.import_wh is None or reading.export_wh is None or reading.at != quarter_start(reading.at):
            return
        self._registers.append(
            RegisterRecord(
                meter=reading.meter, at=reading.at, import_wh=reading.import_wh, export_wh=reading.export_wh
            )
        )

    def _remember_quarter(self, now: datetime) -> None:
        """Adds the node powers of now to the mean of their quarter-hour, for the charts."""
        quarter = quarter_start(now)
        if self._quarter is not None and quarter != self._quarter and self._quarter_sums:
            network, people = self.site.network, self.people
            limits = {node: people.limit_at(network, node, self._quarter) for node in self._quarter_sums}
            self._quarters.append(
                NodeQuarter(
                    start=self._quarter,
                    mean_kw={n: total / self._quarter_counts[n] for n, total in self._quarter_sums.items()},
                    import_limit_kw={n: limit.import_kw for n, limit in limits.items()},
                    export_limit_kw={n: limit.export_kw for n, limit in limits.items()},
                    comparison_kw=self._quarter_comparison,
                )
            )
            self._quarter_sums, self._quarter_counts = {}, {}
            self.snapshot = replace(self.snapshot, quarters=tuple(self._quarters))
        self._quarter = quarter
        self._quarter_comparison = self.comparison_kw
        for node in self.site.network.nodes:
            power_kw = self.state.power_kw(node.id, now, self.settings.safety.node_meter_stale_s)
            if power_kw is not None:
                self._quarter_sums[node.id] = self._quarter_sums.get(node.id, 0.0) + power_kw
                self._quarter_counts[node.id] = self._quarter_counts.get(node.id, 0) + 1
