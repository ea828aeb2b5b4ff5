"""The safety cycle's decision: from the newest state to one setpoint per device.

It re-reads everything each time and remembers only what it can't read: which setpoints were confirmed
and which may have been taken without a word, the recent mean of the unsteered load and the last that each
node's meter showed, and the energy a car was last seen with. It waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import assert_never

import numpy as np

from controller.config import SafetySettings
from controller.domain.assets import ChargePoint, Load, Vehicle
from controller.domain.floor import NOTHING, Floor
from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import (
    SAFE_TAIL,
    Applied,
    NotSent,
    Outcome,
    PartlyApplied,
    Rejected,
    Setpoint,
    TimedOut,
)
from controller.domain.site import Site
from controller.domain.telemetry import CarReading, ConnectorReading, LinkReading, Reading
from controller.runtime.cycle_memory import CycleMemory
from controller.runtime.people import People
from controller.runtime.plan import NO_PLAN, PlanGuide, PlanNow
from controller.runtime.restraint import Comeback, MessageBudget, Refusals
from controller.runtime.silence import Silence
from controller.setpoints.base_load import BaseLoad, Group, base_load, rooms, shares
from controller.setpoints.candidate import (
    Candidate,
    CarContext,
    battery_candidate,
    car_candidate,
    roof_candidate,
)
from controller.setpoints.safety import Decision, Fitter
from controller.setpoints.unsure import fit_beside_unsure
from controller.state import NeighbourhoodState
from controller.state.model import is_stale

SMOOTHING_S = 60.0
"""Time constant of the unsteered load's recent mean [s]."""
LOADS_EVERY_S = 60.0
"""How often the single loads are gone through while every node meter is live [s]."""
SAME_KW = 1e-3
"""Two powers that differ by less are the same one."""
CHANGE_KW = 0.3
"""A smaller change towards the plan is not worth a message; one that keeps a limit always is."""
PLAN_CODES = frozenset({ReasonCode.PLAN, ReasonCode.FALLBACK, ReasonCode.DEPARTURE, ReasonCode.CHARGE_NOW})


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What a device confirmed, and when."""

    setpoint: Setpoint
    power_kw: float
    at: datetime
    """Since when this power is confirmed; a renewal does not move it."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What one safety cycle found and decided."""

    at: datetime
    decisions: Mapping[AssetId, Decision]
    setpoints: Sequence[Setpoint]
    """Those that have to be sent."""
    base: BaseLoad


@dataclass
class Steering:
    """The safety loop's memory and its decision."""

    site: Site
    settings: SafetySettings
    load_forecast_kw: Callable[[Load, datetime], tuple[float, float]]
    """The (low, high) end of a load without a live meter [kW]."""
    floor: Floor = field(default_factory=dict)
    """What chargers do on their own."""
    confirmed: dict[AssetId, Confirmed] = field(default_factory=dict)
    seen_kwh: dict[AssetId, float] = field(default_factory=dict)
    """The energy with which a car was last seen."""
    doubts: dict[AssetId, dict[float, datetime]] = field(default_factory=dict)
    """The powers [kW] of setpoints that were sent and not answered, until one is, and when each ends."""
    _transactions: dict[AssetId, tuple[bool, str | None]] = field(default_factory=dict)
    memory: CycleMemory = field(default_factory=CycleMemory)
    _loads: Group | None = None
    _loads_at: datetime | None = None
    _comeback: Comeback = field(default_factory=Comeback)
    _refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self._budget = MessageBudget(self.settings.setpoints_per_day)
        nodes = self.site.network.nodes
        self._place = {node.id: i for i, node in enumerate(nodes)}
        self._load_nodes = np.array([self._place[load.node] for load in self.site.loads], dtype=np.int64)
        self._roofs = {roof.id for roof in self.site.pv}
        self._fitter = Fitter(self.site.network)
        self._silence = Silence(site=self.site, settings=self.settings)
        self._load_shares = shares([load.phases for load in self.site.loads])

    def vehicle_on(self, state: NeighbourhoodState, point: AssetId) -> Vehicle | None:
        """The known car on a charger."""
        connector = state.connectors.get(point)
        if connector is None or not connector.plugged or connector.token is None:
            return None
        return self.site.vehicle_by_token.get(connector.token)

    def energy_kwh(self, state: NeighbourhoodState, point: AssetId, now: datetime) -> float | None:
        """What the battery of the car on a charger holds [kWh]; None: unknown or too old to rely on."""
        vehicle = self.vehicle_on(state, point)
        return None if vehicle is None else self._energy_in_kwh(vehicle, state.cars.get(point), now)

    def _energy_in_kwh(self, vehicle: Vehicle, car: CarReading | None, now: datetime) -> float | None:
        if car is None or car.soc_fraction is None:
            return None
        if is_stale(car.soc_told_at, now, self.settings.meter_stale_s):
            return None
        return car.soc_fraction * (vehicle.capacity_kwh if car.capacity_kwh is None else car.capacity_kwh)

    def decide(
        self,
        state: NeighbourhoodState,
        people: People,
        plan: PlanGuide | None,
        steerable: frozenset[AssetId],
        now: datetime,
    ) -> Cycle:
        """One cycle. `steerable` are the devices whose drivers can reach them now."""
        wanted = NO_PLAN if plan is None else plan.at(now)
        candidates = [
            *self._charger_candidates(state, people, wanted, steerable, now),
            *self._battery_candidates(state, people, wanted, steerable, now),
            *self._roof_candidates(state, wanted, steerable, now),
        ]
        # Whoever ignores its setpoints is no room for the others to reckon with, and is told to stand still.
        ignoring = {point for point in state.obedience if state.ignores(point)}
        wild = [c for c in candidates if c.asset in ignoring]
        # A charger that has connected and not told yet whether a car is there may go on as if it were silent.
        mute = {point.id for point in self.site.charge_points if point.id not in state.connectors}
        base = self._base_load(state, candidates, steerable - ignoring - mute, now)
        candidates = [c for c in candidates if c.asset not in ignoring]
        network = self.site.network
        limits = {node.id: people.limit_at(network, node.id, now) for node in network.nodes}
        # A node that is limited in one direction only has a limit all the same.
        limited = {key: limit for key, limit in limits.items() if min(limit.import_kw, limit.export_kw) < inf}
        room = rooms(network, base, limited, self.settings.margin_fraction)
        unsure = {asset: self._may_kw(state, asset, now) for asset in {*self.doubts, *self._refusals.open}}
        decisions = {d.asset: d for d in fit_beside_unsure(self._fitter, candidates, room, unsure)}
        for each in wild:
            reason = Reason(code=ReasonCode.IGNORES_PROFILE, subject=each.asset)
            decisions[each.asset] = Decision(asset=each.asset, power_kw=0.0, reason=reason)
        safe = {c.asset: c for c in (*candidates, *wild)}
        setpoints = [
            setpoint
            for asset, decision in decisions.items()
            if (setpoint := self._to_send(decision, safe[asset], now)) is not None
        ]
        return Cycle(at=now, decisions=decisions, setpoints=setpoints, base=base)

    def note(self, outcome: Outcome, now: datetime) -> None:
        """Takes in how a device took its setpoint.

        One that was refused or never sent changes nothing in the device: what it confirmed before still
        holds. An unanswered one may have been taken or not, so both count until there is an answer again.
        """
        if not isinstance(outcome, NotSent):
            self._budget.spend(outcome.setpoint.asset, now)
        match outcome:
            case Applied(setpoint=setpoint):
                self._confirm(setpoint, setpoint.power_kw, now)
            case PartlyApplied(setpoint=setpoint, power_kw=power_kw):
                self._confirm(setpoint, power_kw, now)
            case TimedOut(setpoint=setpoint):
                self._doubt(setpoint.asset, setpoint.power_kw, setpoint.valid_until, now)
            case Rejected(setpoint=setpoint):
                must = setpoint.reason.code not in PLAN_CODES
                self._refusals.note(setpoint.asset, setpoint.power_kw, now, must=must)
            case NotSent(setpoint=setpoint):
                self._refusals.not_asked(setpoint.asset)
            case _:
                assert_never(outcome)

    def _confirm(self, setpoint: Setpoint, power_kw: float, now: datetime) -> None:
        standing = self.confirmed.get(setpoint.asset)
        renewed = standing is not None and abs(standing.power_kw - power_kw) < SAME_KW
        since = min(standing.at, now) if standing is not None and renewed else now
        self.confirmed[setpoint.asset] = Confirmed(setpoint=setpoint, power_kw=power_kw, at=since)
        self.doubts.pop(setpoint.asset, None)
        self._refusals.forget(setpoint.asset)

    def _doubt(self, asset: AssetId, power_kw: float, until: datetime, now: datetime) -> None:
        over = now - timedelta(seconds=self.settings.setpoint_life_s)
        doubt = {kw: end for kw, end in self.doubts.get(asset, {}).items() if end > over}
        self.doubts[asset] = doubt | {power_kw: max(until, doubt.get(power_kw, until))}

    def follow(self, state: NeighbourhoodState, readings: Iterable[Reading], now: datetime) -> None:
        """Takes in what readings, already part of the state, say of what was confirmed before.

        A profile ends with its transaction, and a charger that reconnects may have started anew: both get
        their setpoint again, whatever they confirmed before.
        """
        for reading in readings:
            match reading:
                case ConnectorReading(charge_point=point):
                    self._same_transaction(state, point)
                    self._seen(state, point, now)
                case CarReading(charge_point=point):
                    self._seen(state, point, now)
                case LinkReading(asset=asset, at=at, up=up):
                    self._comeback.link(AssetId(asset), at, up=up)
                    self._same_connection(state, AssetId(asset), now)
                    if not up:
                        self._refusals.forget(AssetId(asset))
                case _:
                    pass

    def _same_transaction(self, state: NeighbourhoodState, point: AssetId) -> None:
        connector = state.connectors[point]
        key = (connector.plugged, connector.transaction)
        if self._transactions.setdefault(point, key) != key:
            self._transactions[point] = key
            self.confirmed.pop(point, None)
            self._refusals.forget(point)

    def _same_connection(self, state: NeighbourhoodState, asset: AssetId, now: datetime) -> None:
        link, confirmed = state.links[asset], self.confirmed.get(asset)
        if confirmed is None or not link.up or link.at <= confirmed.at or asset in self.doubts:
            return
        self.confirmed.pop(asset)
        self._doubt(asset, confirmed.power_kw, confirmed.setpoint.valid_until, now)

    def _seen(self, state: NeighbourhoodState, point: AssetId, now: datetime) -> None:
        vehicle, energy_kwh = self.vehicle_on(state, point), self.energy_kwh(state, point, now)
        if vehicle is not None and energy_kwh is not None:
            self.seen_kwh[vehicle.id] = energy_kwh

    def drawn_kw(self, state: NeighbourhoodState, asset: AssetId, now: datetime) -> float:
        """What a steered device draws now [kW]: its meter, or a setpoint that it confirmed then or later.

        With a stale meter and no setpoint in force nobody knows: it is 0 here, and what it draws is part of
        the unsteered load. What a roof confirmed is a cap, not a power: it makes no more than its meter said.
        """
        meter = state.meters.get(asset)
        if meter is not None and is_stale(meter.at, now, self.settings.meter_stale_s):
            meter = None
        confirmed = self.confirmed.get(asset)
        measured_kw = meter.power_kw if meter is not None and meter.power_kw is not None else 0.0
        if (
            confirmed is not None
            and not state.ignores(asset)
            and (meter is None or confirmed.at >= meter.at)
            and confirmed.setpoint.valid_until > now
        ):
            return max(confirmed.power_kw, measured_kw) if asset in self._roofs else confirmed.power_kw
        return measured_kw

    def _charger_candidates(
        self,
        state: NeighbourhoodState,
        people: People,
        plan: PlanNow,
        steerable: frozenset[AssetId],
        now: datetime,
    ) -> list[Candidate]:
        found = []
        for point in self.site.charge_points:
            connector = state.connectors.get(point.id)
            if connector is None or not connector.plugged or point.id not in steerable:
                continue
            candidate = car_candidate(self._car_context(state, people, plan, point, now), now)
            found.append(self._comeback.held(candidate, now))
        return found

    def _car_context(
        self,
        state: NeighbourhoodState,
        people: People,
        plan: PlanNow,
        point: ChargePoint,
        now: datetime,
    ) -> CarContext:
        vehicle, reading = self.vehicle_on(state, point.id), state.cars.get(point.id)
        departure = energy = None
        wishes = people.wishes.get(point.id)
        if vehicle is not None:
            energy = self._energy_in_kwh(vehicle, reading, now)
            departure = people.next_departure(vehicle, now)
            wishes = people.wishes.get(vehicle.id, wishes)
        return CarContext(
            point=point,
            vehicle=vehicle,
            reading=reading,
            energy_kwh=energy,
            wishes=wishes,
            departure_at=departure.at_utc if departure is not None else None,
            departure_kwh=departure.energy_kwh if departure is not None else 0.0,
            target=None if vehicle is None else plan.targets.get(vehicle.id),
            discharge_stopped=people.discharge_stop(self.site.network, point.node),
            drawn_kw=self.drawn_kw(state, point.id, now),
            safe_kw=self._safe_kw(point.id, now),
        )

    def _safe_kw(self, point: AssetId, now: datetime) -> float:
        """What a charger may hold after a setpoint of now has run out [kW]: the least of its own then."""
        end = now + timedelta(seconds=self.settings.setpoint_life_s)
        return self.floor.get(point, NOTHING).least_kw(end, end + SAFE_TAIL)

    def _battery_candidates(
        self,
        state: NeighbourhoodState,
        people: People,
        plan: PlanNow,
        steerable: frozenset[AssetId],
        now: datetime,
    ) -> list[Candidate]:
        found = []
        for battery in self.site.batteries:
            if battery.id not in steerable:
                continue
            reading = state.storages.get(battery.id)
            if reading is not None and is_stale(reading.at, now, self.settings.meter_stale_s):
                reading = None
            target = plan.targets.get(battery.id)
            stop = people.discharge_stop(self.site.network, battery.node)
            found.append(
                battery_candidate(battery, reading, target, stop, now, self.drawn_kw(state, battery.id, now))
            )
        return found

    def _roof_candidates(
        self, state: NeighbourhoodState, plan: PlanNow, steerable: frozenset[AssetId], now: datetime
    ) -> list[Candidate]:
        return [
            roof_candidate(
                roof,
                state.inverters.get(roof.id),
                plan.sun_share.get(roof.node, inf),
                self.drawn_kw(state, roof.id, now),
            )
            for roof in self.site.pv
            if roof.id in steerable
        ]

    def _base_load(
        self,
        state: NeighbourhoodState,
        candidates: Sequence[Candidate],
        steerable: frozenset[AssetId],
        now: datetime,
    ) -> BaseLoad:
        stale_s = self.settings.node_meter_stale_s
        meters: dict[NodeId, Sequence[float]] = {}
        for node in self.site.network.nodes:
            reading = state.meters.get(node.id)
            if reading is None or reading.power_kw is None or is_stale(reading.at, now, stale_s):
                continue
            meters[node.id] = (reading.power_kw, *(reading.phase_power_kw or ()))
        all_live = all(node.id in meters for node in self.site.network.nodes if node.metered)
        drawn = np.array([c.drawn_kw for c in candidates])
        steered = Group(
            nodes=len(self._place),
            node=np.array([self._place[c.node] for c in candidates], dtype=np.int64),
            share=shares([c.phases for c in candidates]),
            high_kw=drawn,
            low_kw=drawn,
            live=np.ones(len(candidates), dtype=np.bool_),
        )
        read_at = {node: state.meters[node].at for node in meters}
        memory = self.memory
        memory.taken_up.look(candidates, {asset: known.at for asset, known in self.confirmed.items()})
        seen_kw = memory.taken_up.then_kw(read_at)
        new_at = {node: at for node, at in read_at.items() if node not in seen_kw}
        later_kw = memory.taken_up.later_kw(self.site.network, candidates, new_at)
        base = base_load(
            self.site.network,
            self._loads_now(state, now, cached=all_live),
            steered,
            meters,
            self._silence.reserved(
                state, steerable, now, heard=memory.heard, floor=self.floor, told_kw=self._told_kw
            ),
            memory.last_kw,
            seen_kw,
            later_kw,
        )
        for node_id in meters:
            i = self._place[node_id]
            if node_id in new_at:
                then_kw = base.drawn_kw[i] - later_kw.get(node_id, 0.0)
                memory.taken_up.note(node_id, new_at[node_id], then_kw)
            memory.last_kw[node_id] = base.high_kw[i] - base.reserved_kw[i]
        memory.mean = base.mean_with(memory.mean, min(1.0, self.settings.period_s / SMOOTHING_S))
        return base.smoothed(memory.mean)

    def _loads_now(self, state: NeighbourhoodState, now: datetime, *, cached: bool) -> Group:
        """The single loads; gone through once a minute while the node meters say it all."""
        fresh = self._loads_at is not None and not is_stale(self._loads_at, now, LOADS_EVERY_S)
        if self._loads is not None and cached and fresh:
            return self._loads
        count = len(self.site.loads)
        low, high, live = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.bool_)
        for i, load in enumerate(self.site.loads):
            power = state.power_kw(load.id, now, self.settings.meter_stale_s)
            if power is not None:
                low[i] = high[i] = power
                live[i] = True
                continue
            low[i], high[i] = self.load_forecast_kw(load, now)
            last = state.meters.get(load.id)
            if last is not None and last.power_kw is not None:
                high[i] = max(high[i], last.power_kw)
        self._loads = Group(
            nodes=len(self._place),
            node=self._load_nodes,
            share=self._load_shares,
            high_kw=high,
            low_kw=low,
            live=live,
        )
        self._loads_at = now
        return self._loads

    def _told_kw(self, asset: AssetId, after: datetime) -> Iterator[float]:
        """The powers [kW] of what a device was told and may follow, as far as it ends after an instant."""
        confirmed = self.confirmed.get(asset)
        if confirmed is not None and after < confirmed.setpoint.valid_until:
            yield confirmed.power_kw
        yield from (power_kw for power_kw, until in self.doubts.get(asset, {}).items() if after < until)

    def _may_kw(self, state: NeighbourhoodState, asset: AssetId, now: datetime) -> tuple[float, ...]:
        """What an unsure device may do, beside what it draws by its meter [kW]."""
        told_kw = tuple(self._told_kw(asset, now))
        point = self.site.charge_point_by_id.get(asset)
        if told_kw or point is None or state.power_kw(asset, now, self.settings.meter_stale_s) is not None:
            return told_kw
        # It has taken nothing yet and no meter sees it, not even its node's.
        seen = state.power_kw(point.node, now, self.settings.node_meter_stale_s) is not None
        return () if seen else (point.charge_kw_max,)

    def _to_send(self, decision: Decision, candidate: Candidate, now: datetime) -> Setpoint | None:
        """The setpoint to send, or None where the one that stands is good and not half spent."""
        wanted = decision.power_kw
        life = timedelta(seconds=self.settings.setpoint_life_s)
        standing = self.confirmed.get(decision.asset)
        if candidate.production and wanted <= candidate.low_kw + 1e-6:
            # A roof that may run free needs no setpoint, but one that ends a limit which still holds.
            if standing is None or standing.power_kw <= candidate.safe_kw:
                return None
            wanted = candidate.safe_kw
        by_plan = decision.reason.code in PLAN_CODES
        alike_kw = CHANGE_KW if by_plan else SAME_KW
        if self._refusals.waits(decision.asset, wanted, now, alike_kw, must=not by_plan):
            return None
        sure = decision.asset not in self.doubts
        # One with more than a life left is from before our clock was set back: the device ends it sooner.
        if standing is not None and sure and life / 2 < standing.setpoint.valid_until - now <= life:
            change = abs(wanted - standing.setpoint.power_kw)
            small = wanted != 0.0 and change < CHANGE_KW
            if change < SAME_KW or (by_plan and (small or self._budget.is_short(decision.asset, now))):
                return None
        return Setpoint(
            asset=decision.asset,
            power_kw=wanted,
            valid_until=now + life,
            safe_kw=candidate.safe_kw,
            reason=decision.reason,
        )


def idle_reason(point: ChargePoint) -> Reason:
    """Why nothing happens on a charger without a car."""
    return Reason(code=ReasonCode.NOT_CONNECTED, subject=point.id)
