"""From a snapshot to what the doors show. Pure: runs on the web thread, on values that do not change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import isfinite

from controller.config import Settings
from controller.dispatch.result import OPTIMAL_GAP
from controller.domain.assets import Battery, ChargePoint, Departure, PvRoof, Wishes
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.reasons import ReasonCode
from controller.domain.site import Site
from controller.domain.time import QUARTER_H
from controller.powerflow.result import UNITS, CheckedPlan
from controller.runtime.coming import coming, soon
from controller.runtime.core import Counters, Snapshot
from controller.runtime.door import (
    AlarmView,
    AssetView,
    ChargerView,
    FlexibilityPoint,
    NodePoint,
    NodeView,
    PlanSpanView,
    PlanView,
    SourceView,
    StrainView,
    Urgency,
)
from controller.runtime.people import People
from controller.runtime.plan import ActivePlan
from controller.runtime.steering import Steering, idle_reason
from controller.state.model import is_stale

OVER_LIMIT_TOLERANCE = 1.001
"""A node counts as over its limit beyond this (formats.md: 0.1%)."""
AT_RISK_KWH = 0.1
"""A departure is at risk when more than this will be missing."""
PLAN_LATE = timedelta(minutes=20)
LOSS_SHOWN = timedelta(days=1)
"""How long a guest's payment that was lost stands among the alarms."""
FAILURE_SHOWN = timedelta(minutes=15)
"""How long an operator is told of a step that failed."""
COMING = timedelta(hours=12)
"""How far ahead a resident is told what the plan wants."""
COMING_CARS_MAX = 50
"""A member with more cars is a fleet: it is not told of each at every look, which takes 5 to 10 ms a car."""


class Views:
    """Makes views; holds the things that it reads."""

    def __init__(
        self, site: Site, settings: Settings, people: People, steering: Steering, counters: Counters
    ) -> None:
        self.site = site
        self.settings = settings
        self.people = people
        self.steering = steering
        self.counters = counters
        self._spans: tuple[ActivePlan | None, dict[AssetId, Sequence[PlanSpanView]]] = (None, {})
        """The spans of the newest plan that somebody asked for."""

    def nodes(self, snapshot: Snapshot) -> list[NodeView]:
        """Every node now."""
        now, cycle = snapshot.at, snapshot.cycle
        found = []
        for i, node in enumerate(self.site.network.nodes):
            measured = snapshot.state.power_kw(node.id, now, self.settings.safety.node_meter_stale_s)
            limit = self.people.limit_at(self.site.network, node.id, now)
            reading = snapshot.state.meters.get(node.id)
            power = measured
            if power is None and cycle is not None:
                power = float(cycle.base.high_kw[i, 0]) + self._steered_kw(snapshot, node.id)
            found.append(
                NodeView(
                    id=node.id,
                    parent=node.parent,
                    kind=node.kind,
                    power_kw=power,
                    estimated=measured is None,
                    import_limit_kw=limit.import_kw,
                    export_limit_kw=limit.export_kw,
                    limited_by_grid_operator=ReasonCode.GRID_OPERATOR_LIMIT in {limit.by, limit.export_by},
                    discharge_locked_out=node.id in self.people.lockouts,
                    observed_fraction=0.0 if cycle is None else float(cycle.base.observed_fraction[i]),
                    voltage_v=None if reading is None else reading.voltage_v,
                    price_eur_per_kwh=(
                        None if snapshot.plan is None else snapshot.plan.node_price_eur_per_kwh(node.id, now)
                    ),
                    comparison_kw=snapshot.comparison_kw.get(node.id, {}),
                )
            )
        return found

    def chargers(self, snapshot: Snapshot) -> list[ChargerView]:
        """Every charge point now."""
        return [self.charger(snapshot, point) for point in self.site.charge_points]

    def charger(self, snapshot: Snapshot, point: ChargePoint) -> ChargerView:
        """One charge point now."""
        state, now = snapshot.state, snapshot.at
        connector = state.connectors.get(point.id)
        vehicle = self.steering.vehicle_on(state, point.id)
        energy = self.steering.energy_kwh(state, point.id, now)
        car = state.cars.get(point.id)
        decision = snapshot.cycle.decisions.get(point.id) if snapshot.cycle is not None else None
        confirmed = self.steering.confirmed.get(point.id)
        departures = self.people.departures_of(vehicle, now) if vehicle is not None else []
        return ChargerView(
            id=point.id,
            node=point.node,
            connected=state.connected(point.id),
            plugged=connector is not None and connector.plugged,
            vehicle=vehicle.id if vehicle is not None else None,
            soc_fraction=car.soc_fraction if car is not None and energy is not None else None,
            energy_kwh=energy,
            capacity_kwh=vehicle.capacity_kwh if vehicle is not None else None,
            power_kw=state.power_kw(point.id, now, self.settings.safety.meter_stale_s),
            setpoint_kw=confirmed.power_kw if confirmed is not None else None,
            reason=decision.reason if decision is not None else idle_reason(point),
            departure_utc=departures[0].at_utc if departures else None,
            departure_kwh=departures[0].energy_kwh if departures else None,
            at_risk_kwh=_risk_kwh(snapshot.plan, departures[0]) if snapshot.plan and departures else 0.0,
        )

    def sources(self, snapshot: Snapshot) -> list[SourceView]:
        """Every roof and battery now."""
        return [
            *(self._source(snapshot, roof, "pv", roof.rated_kw) for roof in self.site.pv),
            *(self._source(snapshot, b, "battery", b.charge_kw_max) for b in self.site.batteries),
        ]

    def alarms(
        self, snapshot: Snapshot, nodes: Sequence[NodeView], chargers: Sequence[ChargerView]
    ) -> list[AlarmView]:
        """What an operator should know, the most urgent first."""
        rank = list(Urgency)
        found = [
            *self._node_alarms(snapshot, nodes),
            *self._charger_alarms(snapshot, chargers),
            *self._plan_alarms(snapshot),
            *self._failure_alarms(snapshot),
        ]
        return sorted(found, key=lambda alarm: (rank.index(alarm.urgency), alarm.code, alarm.subject))

    def plan(self, snapshot: Snapshot) -> PlanView:
        """The plan in force."""
        plan = snapshot.plan
        if plan is None:
            return PlanView(
                made_at=None,
                status="none",
                cost_eur=None,
                lower_bound_eur=None,
                seconds=None,
                starts=(),
                node_power_kw={},
                asset_power_kw={},
                price_eur_per_kwh={},
                import_price_eur_per_kwh=(),
            )
        result = plan.result
        gap = _gap_fraction(plan)
        proven = gap is not None and gap <= OPTIMAL_GAP and result.inside_bound_eur is not None
        return PlanView(
            made_at=plan.horizon.made_at,
            status="optimal_inside" if proven and result.status == "feasible" else result.status,
            cost_eur=result.cost_eur,
            lower_bound_eur=result.lower_bound_eur,
            inside_bound_eur=result.inside_bound_eur,
            gap_fraction=gap,
            seconds=result.build_s + result.solve_s,
            starts=plan.horizon.boundaries[:-1],
            node_power_kw={key: series.tolist() for key, series in result.node_power_kw.items()},
            asset_power_kw={key: series.tolist() for key, series in result.power_kw.items()},
            price_eur_per_kwh={key: series.tolist() for key, series in result.node_price_eur_per_kwh.items()},
            import_price_eur_per_kwh=plan.horizon.inputs.import_price_eur_per_kwh.tolist(),
            strains=_strains(plan),
        )

    def plan_reasons(self, snapshot: Snapshot, asset: AssetId) -> Sequence[PlanSpanView]:
        """What the plan wants of a car or battery to its end, and why; none without a plan of it.

        Raises:
            NotFoundError: If there is no such car or battery.
        """
        if asset not in self.site.vehicle_by_id and all(asset != one.id for one in self.site.batteries):
            raise NotFoundError(f"there is no car or battery {asset!r}")
        return self._coming(snapshot, asset)

    def _coming(self, snapshot: Snapshot, asset: AssetId) -> Sequence[PlanSpanView]:
        plan = snapshot.plan
        if plan is None:
            return ()
        made_of, spans = self._spans
        if made_of is not plan:
            spans = {}
            self._spans = (plan, spans)
        if asset not in spans:
            spans[asset] = coming(plan, asset)
        return spans[asset]

    def node_history(self, snapshot: Snapshot, node: NodeId) -> list[NodePoint]:
        """The last quarter-hours of one node."""
        return [
            NodePoint(
                start=quarter.start,
                power_kw=quarter.mean_kw.get(node),
                import_limit_kw=quarter.import_limit_kw.get(node, float("inf")),
                export_limit_kw=quarter.export_limit_kw.get(node, float("inf")),
                comparison_kw=quarter.comparison_kw.get(node, {}),
            )
            for quarter in snapshot.quarters
        ]

    def flexibility(self, snapshot: Snapshot, node: NodeId) -> list[FlexibilityPoint]:
        """Forecast and flexibility of a node for each step of the plan.

        Up is what the stores under the node could draw more, down what they could draw less, inside
        their powers and the energy they hold then; roofs count as down only when they are turned down
        no further (they can always make less, which is up).
        """
        plan = snapshot.plan
        if plan is None or node not in plan.result.node_power_kw:
            return []
        inputs, result = plan.horizon.inputs, plan.result
        below = {n.id for n in self.site.network.nodes if node in self.site.network.paths[n.id]}
        stores = [store for store in inputs.stores if store.node in below]
        points = []
        for step, start in enumerate(plan.horizon.boundaries[:-1]):
            hours = max(float(inputs.step_h[step]), QUARTER_H)
            up = down = 0.0
            for store in stores:
                if not store.plugged[step]:
                    continue
                power = float(result.charge_kw[store.id][step] - result.discharge_kw[store.id][step])
                energy = float(result.energy_kwh[store.id][step])
                room_kw = (store.capacity_kwh - energy) / store.efficiency_charge / hours
                held_kw = max(energy - store.min_kwh, 0.0) * store.efficiency_discharge / hours
                up += max(min(float(store.charge_kw_max[step]), room_kw) - power, 0.0)
                down += max(power + min(float(store.discharge_kw_max[step]), held_kw), 0.0)
            points.append(
                FlexibilityPoint(
                    start=start, forecast_kw=float(result.node_power_kw[node][step]), up_kw=up, down_kw=down
                )
            )
        return points

    def assets(self, snapshot: Snapshot, member: MemberId) -> list[AssetView]:
        """A member's own things."""
        site, state, now = self.site, snapshot.state, snapshot.at
        stale_s = self.settings.safety.meter_stale_s
        standing = {
            vehicle.id: point
            for point in site.charge_points
            if (vehicle := self.steering.vehicle_on(state, point.id)) is not None
        }
        found: list[AssetView] = []
        own = [vehicle for vehicle in site.vehicles if vehicle.member == member]
        for vehicle in own:
            at = standing.get(vehicle.id)
            charger = self.charger(snapshot, at) if at is not None else None
            found.append(
                AssetView(
                    id=vehicle.id,
                    kind="vehicle",
                    node=at.node if at is not None else None,
                    power_kw=charger.power_kw if charger is not None else None,
                    soc_fraction=charger.soc_fraction if charger is not None else None,
                    charger=charger,
                    wishes=self.people.wishes.get(vehicle.id, Wishes(asset=vehicle.id)),
                    reason=charger.reason if charger is not None else None,
                    coming=(
                        soon(self._coming(snapshot, vehicle.id), now, now + COMING)
                        if len(own) <= COMING_CARS_MAX
                        else ()
                    ),
                )
            )
        kinds: list[tuple[str, AssetId, NodeId, MemberId]] = [
            *(("charge_point", p.id, p.node, p.member) for p in site.charge_points),
            *(("pv", r.id, r.node, r.member) for r in site.pv),
            *(("battery", b.id, b.node, b.member) for b in site.batteries),
            *((x.kind.value, x.id, x.node, x.member) for x in site.loads),
        ]
        for kind, asset, node, owner in kinds:
            if owner != member:
                continue
            decision = snapshot.cycle.decisions.get(asset) if snapshot.cycle is not None else None
            found.append(
                AssetView(
                    id=asset,
                    kind=kind,
                    node=node,
                    power_kw=state.power_kw(asset, now, stale_s),
                    soc_fraction=None,
                    charger=None,
                    wishes=self.people.wishes.get(asset, Wishes(asset=asset)),
                    reason=decision.reason if decision is not None else None,
                    coming=soon(self._coming(snapshot, asset), now, now + COMING),
                )
            )
        return found

    def _steered_kw(self, snapshot: Snapshot, node: NodeId) -> float:
        cycle = snapshot.cycle
        if cycle is None:
            return 0.0
        paths, node_of = self.site.network.paths, self.site.node_of
        return sum(
            self.steering.drawn_kw(snapshot.state, asset, snapshot.at)
            for asset in cycle.decisions
            if node in paths[node_of[asset]]
        )

    def _source(self, snapshot: Snapshot, asset: PvRoof | Battery, kind: str, rated_kw: float) -> SourceView:
        decision = snapshot.cycle.decisions.get(asset.id) if snapshot.cycle is not None else None
        storage = snapshot.state.storages.get(asset.id)
        confirmed = self.steering.confirmed.get(asset.id)
        return SourceView(
            id=asset.id,
            node=asset.node,
            kind=kind,
            connected=snapshot.state.connected(asset.id),
            power_kw=snapshot.state.power_kw(asset.id, snapshot.at, self.settings.safety.meter_stale_s),
            rated_kw=rated_kw,
            soc_fraction=storage.soc_fraction if storage is not None else None,
            setpoint_kw=confirmed.power_kw if confirmed is not None else None,
            reason=decision.reason if decision is not None else None,
        )

    def _node_alarms(self, snapshot: Snapshot, nodes: Sequence[NodeView]) -> Iterator[AlarmView]:
        metered = {node.id for node in self.site.network.nodes if node.metered}
        for node in nodes:
            if node.power_kw is not None and not node.estimated:
                for excess, limit in (
                    (node.power_kw - node.import_limit_kw * OVER_LIMIT_TOLERANCE, node.import_limit_kw),
                    (-node.power_kw - node.export_limit_kw * OVER_LIMIT_TOLERANCE, node.export_limit_kw),
                ):
                    if excess > 0:
                        yield _alarm(
                            Urgency.NOW, "node_over_limit", node.id, snapshot.at, excess + limit * 1e-3, "kW"
                        )
            if node.estimated and node.id in metered:
                reading = snapshot.state.meters.get(node.id)
                since = reading.at if reading is not None else snapshot.at
                yield _alarm(Urgency.TODAY, "meter_stale", node.id, since)

    def _charger_alarms(self, snapshot: Snapshot, chargers: Sequence[ChargerView]) -> Iterator[AlarmView]:
        for charger in chargers:
            if not charger.connected:
                link = snapshot.state.links.get(charger.id)
                yield _alarm(
                    Urgency.TODAY, "device_silent", charger.id, link.at if link is not None else snapshot.at
                )
            if charger.at_risk_kwh > AT_RISK_KWH and charger.departure_utc is not None:
                soon = charger.departure_utc - snapshot.at < timedelta(hours=3)
                urgency = Urgency.NOW if soon else Urgency.TODAY
                yield _alarm(
                    urgency, "departure_at_risk", charger.id, snapshot.at, charger.at_risk_kwh, "kWh"
                )
        for source in self.sources(snapshot):
            if not source.connected:
                yield _alarm(Urgency.TODAY, "device_silent", source.id, snapshot.at)
        for asset in snapshot.refusals:
            yield _alarm(Urgency.TODAY, "setpoint_refused", asset, snapshot.at)

    def _plan_alarms(self, snapshot: Snapshot) -> Iterator[AlarmView]:
        plan = snapshot.plan
        if plan is None or is_stale(plan.horizon.made_at, snapshot.at, PLAN_LATE.total_seconds()):
            since = plan.horizon.made_at if plan is not None else snapshot.at
            yield _alarm(Urgency.TODAY, "plan_late", self.site.name, since)
        elif plan.result.reason:
            yield _alarm(Urgency.NOTE, "plan_fallback", self.site.name, plan.horizon.made_at)
        first: dict[NodeId, StrainView] = {}
        for strain in () if plan is None else _strains(plan) or ():
            first.setdefault(strain.node, strain)
        for node, strain in first.items():
            yield _alarm(Urgency.TODAY, "network_strained", node, strain.start, strain.value, strain.unit)

    def _failure_alarms(self, snapshot: Snapshot) -> Iterator[AlarmView]:
        for loop, at in list(self.counters.failed_at.items()):
            if snapshot.at - at < FAILURE_SHOWN:
                yield _alarm(Urgency.TODAY, "step_failed", loop, at)
        for point, since in list(self.counters.payments_waiting.values()):
            yield _alarm(Urgency.TODAY, "payment_waits", point, since)
        for point, at in list(self.counters.payments_lost.values()):
            if snapshot.at - at < LOSS_SHOWN:
                yield _alarm(Urgency.TODAY, "payment_lost", point, at)


def _gap_fraction(plan: ActivePlan) -> float | None:
    """What a solver has proven of a plan, inside the limits that it was made for; None of other plans."""
    result, inputs = plan.result, plan.horizon.inputs
    if result.reason or result.status == "fallback":
        return None
    bound = result.lower_bound_eur if result.inside_bound_eur is None else result.inside_bound_eur
    return max(0.0, result.cost_eur - bound) / inputs.cost_scale_eur


def _strains(plan: ActivePlan) -> Sequence[StrainView] | None:
    """What the power flow finds outside its bounds, in order of time; None where there was none."""
    result = plan.result
    if not isinstance(result, CheckedPlan):
        return None
    return tuple(
        StrainView(
            start=plan.horizon.boundaries[finding.step],
            kind=finding.kind.value,
            node=finding.node,
            place=finding.place,
            value=finding.value if isfinite(finding.value) else None,
            bound=finding.bound,
            unit=UNITS[finding.kind],
        )
        for finding in result.findings
    )


def _risk_kwh(plan: ActivePlan, departure: Departure) -> float:
    """What a plan says will be missing at a departure [kWh], without the margins that it keeps itself."""
    energy_kwh = plan.result.energy_kwh.get(departure.vehicle)
    bounds = plan.horizon.boundaries
    if energy_kwh is None or departure.at_utc >= bounds[-1]:
        return 0.0
    step = max(bisect_right(bounds, departure.at_utc) - 1, 1)
    return max(0.0, departure.energy_kwh - float(energy_kwh[step]))


def _alarm(
    urgency: Urgency, code: str, subject: str, since: datetime, value: float | None = None, unit: str = ""
) -> AlarmView:
    return AlarmView(
        id=f"{code}:{subject}",
        urgency=urgency,
        code=code,
        subject=subject,
        since=since,
        value=value,
        unit=unit,
    )
