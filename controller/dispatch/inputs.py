"""What a dispatch problem is made of: steps, prices, a forest of nodes, and what hangs under them.

The arrays have one value per step; steps may differ in length (the running controller begins with a
short first step and ends with hours; a problem file has equal ones). Batteries and vehicles are one
type, `StoreInput`: a battery is a store with a single stay over the whole horizon.

Sign: power is positive for consumption. `available_kw`, limits and `*_kw_max` are magnitudes.
`problems` lists everything that keeps an input from having a meaning; `formats.md` holds the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from controller.dispatch.by_phase import PhaseInput
from controller.domain.errors import Problem
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import tree_problems
from controller.domain.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from controller.dispatch.phase_rows import PhaseRows


class StoreKind(StrEnum):
    """What a store is, for the words of a report; the model treats both alike."""

    BATTERY = "battery"
    VEHICLE = "vehicle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A span in which a store is connected: it can exchange power in `from_step <= t < to_step`."""

    from_step: int
    to_step: int
    departure_min_kwh: float | None = None
    """Energy wanted at the start of `to_step` [kWh]; None where nothing is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Energy driven outside the stays."""

    step: int
    energy_kwh: float
    """Taken during `step` [kWh]; not negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInput:
    """A node of the network with what it may carry."""

    id: NodeId
    parent: NodeId | None
    """None for a root; roots are separate problems."""
    import_limit_kw: FloatArray
    """Most that may flow down [kW], shape (T,); infinity where there is no limit."""
    export_limit_kw: FloatArray
    """Most that may flow up [kW], a magnitude, shape (T,); infinity where there is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedInput:
    """Load or production that nobody steers."""

    id: AssetId
    node: NodeId
    power_kw: FloatArray
    """Power [kW], shape (T,), positive for consumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PvInput:
    """A roof."""

    id: AssetId
    node: NodeId
    available_kw: FloatArray
    """What the sun gives [kW], a magnitude, shape (T,)."""
    curtailable: bool
    """Whether it can be turned down."""


@dataclass(frozen=True, kw_only=True)
class StoreInput:
    """A battery or a vehicle."""

    id: AssetId
    node: NodeId
    kind: StoreKind
    capacity_kwh: float
    min_kwh: float
    """The plan never discharges below it [kWh]; a trip may go lower."""
    initial_kwh: float
    final_min_kwh: float
    """Energy wanted at the end of the horizon [kWh]."""
    charge_kw_max: FloatArray
    """Most it can charge with [kW], AC side, without standby, shape (T,); 0 outside stays is not needed."""
    discharge_kw_max: FloatArray
    """Most it can discharge with [kW], a magnitude, shape (T,); all 0 for a one-way charger."""
    efficiency_charge: float
    """Energy stored per energy taken at the AC side, in (0, 1]."""
    efficiency_discharge: float
    """Energy given at the AC side per energy taken from the store, in (0, 1]."""
    wear_eur_per_kwh_discharged: float = 0.0
    """What a discharged kWh (AC side) costs in lifetime [EUR/kWh]."""
    charge_adder_eur_per_kwh: FloatArray | float = 0.0
    """Taxes and fees per kWh charged, AC side [EUR/kWh]: one number, or shape (T,)."""
    discharge_adder_eur_per_kwh: FloatArray | float = 0.0
    """Taxes and fees per kWh discharged, AC side [EUR/kWh]: one number, or shape (T,)."""
    charge_kw_min: float = 0.0
    """Charging is 0 or at least this [kW]."""
    discharge_kw_min: float = 0.0
    """Discharging is 0 or at least this [kW]."""
    standby_kw: float = 0.0
    """Drawn in every step of a stay [kW], beside what is charged."""
    stays: tuple[Stay, ...]
    """Not overlapping; `ordered_stays` has them in order of time."""
    trips: tuple[Trip, ...] = ()
    place: AssetId | None = None
    """The charge point where a car stands; None: away, unknown or no car. Only a power flow looks."""

    @cached_property
    def steps(self) -> int:
        """The number of steps T."""
        return int(self.charge_kw_max.shape[0])

    @cached_property
    def charge_rate_eur_per_kwh(self) -> FloatArray:
        """What a kWh charged costs beside the energy, AC side [EUR/kWh], shape (T,)."""
        return np.broadcast_to(np.asarray(self.charge_adder_eur_per_kwh, dtype=np.float64), (self.steps,))

    @cached_property
    def discharge_rate_eur_per_kwh(self) -> FloatArray:
        """What a kWh discharged costs in fees and wear, AC side [EUR/kWh], shape (T,)."""
        rate = np.asarray(self.discharge_adder_eur_per_kwh + self.wear_eur_per_kwh_discharged)
        return np.broadcast_to(rate, (self.steps,))

    @cached_property
    def ordered_stays(self) -> tuple[Stay, ...]:
        """The stays in order of time."""
        return tuple(sorted(self.stays, key=lambda stay: stay.from_step))

    @cached_property
    def plugged(self) -> BoolArray:
        """In which steps it is connected, shape (T,)."""
        mask = np.zeros(self.steps, dtype=np.bool_)
        for stay in self.stays:
            mask[stay.from_step : stay.to_step] = True
        return mask

    @cached_property
    def trips_kwh(self) -> FloatArray:
        """Energy that trips take in each step [kWh], shape (T,)."""
        taken = np.zeros(self.steps)
        for trip in self.trips:
            taken[trip.step] += trip.energy_kwh
        return taken

    @cached_property
    def idle_kwh(self) -> FloatArray:
        """Energy if it never exchanged power: initial less the trips before t [kWh], shape (T + 1,)."""
        return self.initial_kwh - np.concatenate([[0.0], np.cumsum(self.trips_kwh)])

    @cached_property
    def floor_kwh(self) -> FloatArray:
        """The hard lower bound of the energy, `min(min_kwh, idle)` [kWh], shape (T + 1,)."""
        return np.minimum(self.min_kwh, self.idle_kwh)

    @cached_property
    def two_way(self) -> bool:
        """Whether it can discharge at all."""
        return bool(np.any(self.discharge_kw_max > 0.0))

    @cached_property
    def has_minimum_power(self) -> bool:
        """Whether some power between 0 and its maximum is not possible."""
        return self.charge_kw_min > 0.0 or (self.two_way and self.discharge_kw_min > 0.0)


@dataclass(frozen=True, kw_only=True)
class DispatchInputs:
    """A whole problem."""

    start_utc: datetime
    step_h: FloatArray
    """Length of each step [h], shape (T,)."""
    import_price_eur_per_kwh: FloatArray
    """What a kWh into a root costs [EUR/kWh], shape (T,)."""
    export_price_eur_per_kwh: FloatArray
    """What a kWh out of a root earns [EUR/kWh], shape (T,); never above the import price."""
    nodes: tuple[NodeInput, ...]
    fixed: tuple[FixedInput, ...] = ()
    pv: tuple[PvInput, ...] = ()
    stores: tuple[StoreInput, ...] = ()
    phases: PhaseInput | None = None
    """What is known of phases; None: only the tree's limits count."""

    @cached_property
    def steps(self) -> int:
        """The number of steps T."""
        return int(self.step_h.shape[0])

    @cached_property
    def node_index(self) -> Mapping[NodeId, int]:
        """Each node's place in `nodes`."""
        return {node.id: place for place, node in enumerate(self.nodes)}

    @cached_property
    def parent_index(self) -> IntArray:
        """The place of each node's parent, -1 for a root, shape (N,)."""
        return np.array(
            [-1 if n.parent is None else self.node_index[n.parent] for n in self.nodes], dtype=np.int64
        )

    @cached_property
    def parents_first(self) -> tuple[int, ...]:
        """Places of the nodes, every parent before its children."""
        children: dict[int, list[int]] = {}
        for place, parent in enumerate(self.parent_index.tolist()):
            children.setdefault(parent, []).append(place)
        order: list[int] = []
        stack = list(reversed(children.get(-1, [])))
        while stack:
            place = stack.pop()
            order.append(place)
            stack.extend(reversed(children.get(place, [])))
        return tuple(order)

    @cached_property
    def root_index(self) -> IntArray:
        """The place of the root above each node (a root's own), shape (N,)."""
        roots = np.full(len(self.nodes), -1, dtype=np.int64)
        for place in self.parents_first:
            parent = int(self.parent_index[place])
            roots[place] = place if parent < 0 else roots[parent]
        return roots

    @cached_property
    def phase_rows(self) -> PhaseRows | None:
        """The limits of single phases as rows: the planner, the check and the reasons all ask for them."""
        from controller.dispatch.phase_rows import phase_rows

        return phase_rows(self)

    @cached_property
    def cost_scale_eur(self) -> float:
        """What a cost's gaps and errors are taken of [EUR]: max(1, h * sum(|fixed * import price|))."""
        weights = self.step_h * np.abs(self.import_price_eur_per_kwh)
        return max(1.0, float(sum(float(weights @ np.abs(load.power_kw)) for load in self.fixed)))


def split_by_root(inputs: DispatchInputs) -> tuple[DispatchInputs, ...]:
    """One problem per root, in the order of the roots; they share nothing."""
    roots = inputs.root_index
    parts = []
    for root in (place for place, parent in enumerate(inputs.parent_index.tolist()) if parent < 0):
        inside = {node.id for node, top in zip(inputs.nodes, roots.tolist(), strict=True) if top == root}
        parts.append(
            DispatchInputs(
                start_utc=inputs.start_utc,
                step_h=inputs.step_h,
                import_price_eur_per_kwh=inputs.import_price_eur_per_kwh,
                export_price_eur_per_kwh=inputs.export_price_eur_per_kwh,
                nodes=tuple(node for node in inputs.nodes if node.id in inside),
                fixed=tuple(load for load in inputs.fixed if load.node in inside),
                pv=tuple(roof for roof in inputs.pv if roof.node in inside),
                stores=tuple(store for store in inputs.stores if store.node in inside),
                phases=inputs.phases,
            )
        )
    return tuple(parts)


def problems(inputs: DispatchInputs) -> list[Problem]:
    """Everything that is wrong with an input, each with its place; empty where it can be solved.

    Shapes, types and finiteness, the tree, ids, and the ranges of formats.md. The places are paths into
    `DispatchInputs`; `plan_file` has its own walk that names the paths of a file.
    """
    found: list[Problem] = []
    steps = inputs.steps
    found += _series_problems("step_h", inputs.step_h, steps, low=0.0)
    if not found and not (inputs.step_h > 0.0).all():
        found.append(Problem(place="step_h", rule="must be more than 0"))
    prices = [
        *_series_problems("import_price_eur_per_kwh", inputs.import_price_eur_per_kwh, steps),
        *_series_problems("export_price_eur_per_kwh", inputs.export_price_eur_per_kwh, steps),
    ]
    found += prices
    if not prices:
        above = np.flatnonzero(inputs.export_price_eur_per_kwh > inputs.import_price_eur_per_kwh)
        found += [
            Problem(place=f"export_price_eur_per_kwh[{t}]", rule="must not be above the import price")
            for t in above.tolist()
        ]
    found += _node_problems(inputs, steps)
    found += _asset_problems(inputs, steps)
    return found


def _node_problems(inputs: DispatchInputs, steps: int) -> Iterator[Problem]:
    if not inputs.nodes:
        yield Problem(place="nodes", rule="there must be at least one node")
    for rule in tree_problems([(node.id, node.parent) for node in inputs.nodes]):
        yield Problem(place="nodes", rule=rule)
    for place, node in enumerate(inputs.nodes):
        for name in ("import_limit_kw", "export_limit_kw"):
            yield from _series_problems(
                f"nodes[{place}].{name}", getattr(node, name), steps, low=0.0, infinite=True
            )


def _asset_problems(inputs: DispatchInputs, steps: int) -> Iterator[Problem]:
    assets: Sequence[tuple[str, FixedInput | PvInput | StoreInput]] = [
        *((f"fixed[{i}]", load) for i, load in enumerate(inputs.fixed)),
        *((f"pv[{i}]", roof) for i, roof in enumerate(inputs.pv)),
        *((f"stores[{i}]", store) for i, store in enumerate(inputs.stores)),
    ]
    counts = Counter(asset.id for _, asset in assets)
    node_ids = {node.id for node in inputs.nodes}
    for place, asset in assets:
        if counts[asset.id] > 1:
            yield Problem(place=f"{place}.id", rule=f"{asset.id!r} is there more than once")
        if asset.node not in node_ids:
            yield Problem(place=f"{place}.node", rule=f"there is no node {asset.node!r}")
        match asset:
            case FixedInput():
                yield from _series_problems(f"{place}.power_kw", asset.power_kw, steps)
            case PvInput():
                yield from _series_problems(f"{place}.available_kw", asset.available_kw, steps, low=0.0)
            case StoreInput():
                yield from _series_problems(f"{place}.charge_kw_max", asset.charge_kw_max, steps, low=0.0)
                yield from _series_problems(
                    f"{place}.discharge_kw_max", asset.discharge_kw_max, steps, low=0.0
                )
                yield from store_problems(asset, place, steps)


def _series_problems(
    place: str, series: FloatArray, steps: int, *, low: float | None = None, infinite: bool = False
) -> list[Problem]:
    """What is wrong with one series; `low` is the least value allowed, `infinite` allows +infinity."""
    if series.shape != (steps,) or steps == 0:
        return [Problem(place=place, rule=f"must have shape ({max(steps, 1)},), has {series.shape}")]
    if series.dtype != np.float64:
        return [Problem(place=place, rule=f"must be float64, is {series.dtype}")]
    wrong = np.isnan(series) | np.isneginf(series) if infinite else ~np.isfinite(series)
    if wrong.any():
        return [
            Problem(place=f"{place}[{t}]", rule="must be a finite number")
            for t in np.flatnonzero(wrong).tolist()
        ]
    if low is None:
        return []
    return [
        Problem(place=f"{place}[{t}]", rule=f"must not be below {low:g}")
        for t in np.flatnonzero(series < low).tolist()
    ]


def store_problems(store: StoreInput, place: str, steps: int) -> list[Problem]:
    """What is wrong with the scalars, stays and trips of one store; `place` is the path to it."""
    fits = bool(np.isfinite(store.capacity_kwh) and store.capacity_kwh >= 0.0)
    found: list[Problem] = []
    for name in (
        "capacity_kwh",
        "wear_eur_per_kwh_discharged",
        "charge_kw_min",
        "discharge_kw_min",
        "standby_kw",
    ):
        value = getattr(store, name)
        if not (np.isfinite(value) and value >= 0.0):
            found.append(Problem(place=f"{place}.{name}", rule="must be a finite number of at least 0"))
    for name in ("min_kwh", "initial_kwh", "final_min_kwh"):
        found += _level_problems(f"{place}.{name}", getattr(store, name), store.capacity_kwh, fits=fits)
    for name in ("efficiency_charge", "efficiency_discharge"):
        if not 0.0 < getattr(store, name) <= 1.0:
            found.append(Problem(place=f"{place}.{name}", rule="must be above 0 and at most 1"))
    for name in ("charge_adder_eur_per_kwh", "discharge_adder_eur_per_kwh"):
        adder = np.asarray(getattr(store, name))
        if adder.shape not in {(), (steps,)}:
            found.append(Problem(place=f"{place}.{name}", rule=f"must be one number or {steps}"))
        elif not np.isfinite(adder).all():
            found.append(Problem(place=f"{place}.{name}", rule="must be a finite number"))
    for i, stay in enumerate(store.stays):
        if stay.departure_min_kwh is not None:
            path = f"{place}.stays[{i}].departure_min_kwh"
            found += _level_problems(path, stay.departure_min_kwh, store.capacity_kwh, fits=fits)
    return found + calendar_problems(store.stays, store.trips, place, steps)


def _level_problems(place: str, value: float, capacity_kwh: float, *, fits: bool) -> Iterator[Problem]:
    """An energy must lie within the store; a capacity that is itself wrong (`fits`) bounds nothing."""
    if not np.isfinite(value):
        yield Problem(place=place, rule="must be a finite number")
    elif value < 0.0 or (fits and value > capacity_kwh):
        yield Problem(place=place, rule="must lie between 0 and capacity_kwh")


def calendar_problems(stays: Sequence[Stay], trips: Sequence[Trip], place: str, steps: int) -> list[Problem]:
    """Stays outside the horizon, empty or on top of each other; trips outside it or during a stay."""
    found: list[Problem] = []
    sound: list[tuple[int, Stay]] = []
    for i, stay in enumerate(stays):
        path = f"{place}.stays[{i}]"
        if not 0 <= stay.from_step < steps:
            found.append(Problem(place=f"{path}.from_step", rule=f"must lie in 0..{steps - 1}"))
        elif not 0 < stay.to_step <= steps:
            found.append(Problem(place=f"{path}.to_step", rule=f"must lie in 1..{steps}"))
        elif stay.to_step <= stay.from_step:
            found.append(Problem(place=f"{path}.to_step", rule="must be after from_step"))
        else:
            sound.append((i, stay))
    until, holder = 0, -1
    for i, stay in sorted(sound, key=lambda pair: (pair[1].from_step, pair[0])):
        if stay.from_step < until:
            rule = f"begins before stays[{holder}] has ended"
            found.append(Problem(place=f"{place}.stays[{i}].from_step", rule=rule))
        if stay.to_step > until:
            until, holder = stay.to_step, i
    for i, trip in enumerate(trips):
        found += _trip_problems(trip, f"{place}.trips[{i}]", sound, steps)
    return found


def _trip_problems(trip: Trip, path: str, stays: Sequence[tuple[int, Stay]], steps: int) -> Iterator[Problem]:
    if not (np.isfinite(trip.energy_kwh) and trip.energy_kwh >= 0.0):
        yield Problem(place=f"{path}.energy_kwh", rule="must be a finite number of at least 0")
    if not 0 <= trip.step < steps:
        yield Problem(place=f"{path}.step", rule=f"must lie in 0..{steps - 1}")
        return
    for j, stay in stays:
        if stay.from_step <= trip.step < stay.to_step:
            yield Problem(place=f"{path}.step", rule=f"lies in stays[{j}]: a trip is outside the stays")
