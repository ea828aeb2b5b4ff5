"""What the cables and transformers behind the tree of limits are made of: the site file's `[electrical]`.

The tree says how much power a node may carry; this says what that power does to voltages and currents. A
*bus* is a place on a cable where something hangs or branches off. Each bus belongs to a node of the tree:
the busbar to its transformer, a joint along a feeder to that feeder. Lines lead from bus to bus, away from
the transformer. Medium voltage is held at the transformers, so nothing above them is described.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.domain.errors import Problem
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Network, Node, tree_problems

_INFINITY = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class CableType:
    """A low-voltage cable, per kilometre."""

    id: str
    r1_ohm_per_km: float
    """Positive sequence, at working temperature."""
    x1_ohm_per_km: float
    r0_ohm_per_km: float
    """Zero sequence, the way back through neutral and earth included."""
    x0_ohm_per_km: float
    ampacity_a: float | None = None
    """Most that each phase carries [A]; None: only the cable limit of the line's node counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A distribution transformer (delta, star with neutral), as its plate says."""

    bus: str
    """Its low-voltage busbar; the busbar's node is the transformer's."""
    kva: float
    short_circuit_voltage: float = 0.04
    """Per unit."""
    copper_loss_kw: float = 0.0
    """At rated current."""
    no_load_loss_kw: float = 0.0
    no_load_current: float = 0.01
    """Per unit."""
    no_load_voltage_v: float = 400.0
    """Between phases on the low-voltage side while the primary has its rated voltage: the tap in force."""
    clock: int = 5
    """Of the vector group: 5 for Dyn5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """A busbar, a joint or the end of a cable."""

    id: str
    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A stretch of cable. Its `to_bus` is the far one; its node is that bus's."""

    from_bus: str
    to_bus: str
    cable: str
    length_m: float


@dataclass(frozen=True, kw_only=True)
class Electrical:
    """Everything that a power flow needs beside the tree."""

    medium_voltage_kv: float = 10.0
    """Rated, between phases."""
    source_voltage_pu: float = 1.0
    """What the medium voltage is held at, of the rated one."""
    source_short_circuit_mva: float = 250.0
    load_power_factor: float = 1.0
    """Of what nobody steers, inductive. Chargers, batteries and inverters count with 1."""
    cable_types: tuple[CableType, ...] = ()
    transformers: tuple[Transformer, ...] = ()
    buses: tuple[Bus, ...] = ()
    lines: tuple[Line, ...] = ()
    places: Mapping[AssetId, str] = field(default_factory=dict)
    """The bus of each charge point, roof, battery and load; needed where a node has more than one bus."""

    def bus_of(self, asset: AssetId, node: NodeId) -> str | None:
        """Where an asset of `node` hangs; None where that is not said."""
        place = self.places.get(asset)
        if place is not None:
            return place
        own = [bus.id for bus in self.buses if bus.node == node]
        return own[0] if len(own) == 1 else None


def electrical_problems(
    data: Electrical, nodes: Sequence[Node], assets: Mapping[AssetId, NodeId]
) -> Iterator[Problem]:
    """Everything that keeps the description from being one network under the tree.

    Args:
        data: The description.
        nodes: The tree.
        assets: The node of each charge point, roof, battery and load.
    """
    yield from _figure_problems(data)
    for kind, ids in (
        ("cable_types", [cable.id for cable in data.cable_types]),
        ("buses", [bus.id for bus in data.buses]),
        ("transformers", [item.bus for item in data.transformers]),
    ):
        for double in sorted(key for key, count in Counter(ids).items() if count > 1):
            yield Problem(place=f"electrical.{kind}", rule=f"{double!r} is there more than once")
    yield from _name_problems(data, {node.id for node in nodes})
    yield from _feed_problems(data)
    yield from _place_problems(data, nodes, assets)


def _figure_problems(data: Electrical) -> Iterator[Problem]:
    positive: list[tuple[str, float]] = [
        ("medium_voltage_kv", data.medium_voltage_kv),
        ("source_voltage_pu", data.source_voltage_pu),
        ("source_short_circuit_mva", data.source_short_circuit_mva),
    ]
    not_negative: list[tuple[str, float]] = []
    for i, cable in enumerate(data.cable_types):
        place = f"cable_types[{i}]"
        positive += [(f"{place}.r1_ohm_per_km", cable.r1_ohm_per_km)]
        positive += [(f"{place}.r0_ohm_per_km", cable.r0_ohm_per_km)]
        if cable.ampacity_a is not None:
            positive += [(f"{place}.ampacity_a", cable.ampacity_a)]
        not_negative += [
            (f"{place}.{name}", getattr(cable, name)) for name in ("x1_ohm_per_km", "x0_ohm_per_km")
        ]
    for i, item in enumerate(data.transformers):
        place = f"transformers[{i}]"
        positive += [
            (f"{place}.{name}", getattr(item, name))
            for name in ("kva", "short_circuit_voltage", "no_load_voltage_v")
        ]
        not_negative += [
            (f"{place}.{name}", getattr(item, name))
            for name in ("copper_loss_kw", "no_load_loss_kw", "no_load_current")
        ]
        if item.kva > 0.0 and item.copper_loss_kw > item.short_circuit_voltage * item.kva:
            rule = "the copper loss must not be above short_circuit_voltage x kva"
            yield Problem(place=f"electrical.{place}.copper_loss_kw", rule=rule)
        if item.clock not in range(1, 12, 2):
            rule = f"must be odd, from 1 to 11, for delta and star; is {item.clock}"
            yield Problem(place=f"electrical.{place}.clock", rule=rule)
    positive += [(f"lines[{i}].length_m", line.length_m) for i, line in enumerate(data.lines)]
    for place, value in positive:
        if not 0.0 < value < _INFINITY:
            rule = f"must be a finite number of more than 0, is {value}"
            yield Problem(place=f"electrical.{place}", rule=rule)
    for place, value in not_negative:
        if not 0.0 <= value < _INFINITY:
            rule = f"must be a finite number of at least 0, is {value}"
            yield Problem(place=f"electrical.{place}", rule=rule)
    if not 0.0 < data.load_power_factor <= 1.0:
        rule = f"must lie in (0, 1], is {data.load_power_factor}"
        yield Problem(place="electrical.load_power_factor", rule=rule)


def _name_problems(data: Electrical, nodes: set[NodeId]) -> Iterator[Problem]:
    buses, cables = {bus.id for bus in data.buses}, {cable.id for cable in data.cable_types}
    for i, bus in enumerate(data.buses):
        if bus.node not in nodes:
            yield Problem(place=f"electrical.buses[{i}].node", rule=f"there is no node {bus.node!r}")
    for i, item in enumerate(data.transformers):
        if item.bus not in buses:
            yield Problem(place=f"electrical.transformers[{i}].bus", rule=f"there is no bus {item.bus!r}")
    for i, line in enumerate(data.lines):
        for name in ("from_bus", "to_bus"):
            if getattr(line, name) not in buses:
                rule = f"there is no bus {getattr(line, name)!r}"
                yield Problem(place=f"electrical.lines[{i}].{name}", rule=rule)
        if line.cable not in cables:
            rule = f"there is no cable type {line.cable!r}"
            yield Problem(place=f"electrical.lines[{i}].cable", rule=rule)


def _feed_problems(data: Electrical) -> Iterator[Problem]:
    """Every bus must be reached from a transformer."""
    if not data.transformers:
        yield Problem(place="electrical.transformers", rule="there must be at least one")
        return
    beside: dict[str, list[str]] = defaultdict(list)
    for line in data.lines:
        beside[line.from_bus].append(line.to_bus)
        beside[line.to_bus].append(line.from_bus)
    fed = {item.bus for item in data.transformers}
    stack = list(fed)
    while stack:
        for other in beside[stack.pop()]:
            if other not in fed:
                fed.add(other)
                stack.append(other)
    for i, bus in enumerate(data.buses):
        if bus.id not in fed:
            yield Problem(
                place=f"electrical.buses[{i}]",
                rule=f"no line leads from a transformer to {bus.id!r}",
                way_out="add the line, or take the bus out",
            )


def _place_problems(
    data: Electrical, nodes: Sequence[Node], assets: Mapping[AssetId, NodeId]
) -> Iterator[Problem]:
    """Every asset needs a bus, of its own node or of one above it."""
    for asset in sorted(set(data.places) - set(assets)):
        rule = "there is no charge point, roof, battery or load of that id"
        yield Problem(place=f"electrical.places.{asset}", rule=rule)
    if tree_problems([(node.id, node.parent) for node in nodes]):
        return
    paths = Network(tuple(nodes)).paths
    node_of_bus = {bus.id: bus.node for bus in data.buses}
    count = Counter(bus.node for bus in data.buses)
    for asset, node in assets.items():
        place = data.places.get(asset)
        if place is None and count[node] != 1:
            yield Problem(
                place=f"electrical.places.{asset}",
                rule=f"is missing: node {node!r} has {count[node]} buses of its own",
                way_out=f'name the bus where it hangs: {asset} = "a bus"',
            )
        elif place is not None and place not in node_of_bus:
            yield Problem(place=f"electrical.places.{asset}", rule=f"there is no bus {place!r}")
        elif place is not None and node in paths and node_of_bus[place] not in paths[node]:
            rule = f"bus {place!r} belongs to {node_of_bus[place]!r}, neither {node!r} nor above it"
            yield Problem(place=f"electrical.places.{asset}", rule=rule)
