"""The fields of a problem file, read one by one; every problem is kept with its path.

Where a field is wrong a harmless value stands in for it, so that the walk goes on and finds the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from controller.dispatch.inputs import (
    DispatchInputs,
    FixedInput,
    NodeInput,
    PvInput,
    Stay,
    StoreInput,
    StoreKind,
    Trip,
    store_problems,
)
from controller.domain.errors import Problem
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import tree_problems
from controller.domain.time import parse_utc
from controller.domain.units import FloatArray

MOST_STEPS = 100_000
"""More steps than this are a mistake: nearly three years of quarter-hours."""
MINUTES_PER_HOUR = 60.0
_OPTIONAL = (
    "charge_adder_eur_per_kwh",
    "discharge_adder_eur_per_kwh",
    "charge_kw_min",
    "discharge_kw_min",
    "standby_kw",
)
_STORE = (
    "id",
    "node",
    "capacity_kwh",
    "min_kwh",
    "initial_kwh",
    "final_min_kwh",
    "charge_kw_max",
    "discharge_kw_max",
    "efficiency_charge",
    "efficiency_discharge",
    "wear_eur_per_kwh_discharged",
)
_LISTS = ("fixed", "pv", "batteries", "vehicles")


class Reader:
    """Walks through the content of a problem file."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.steps = 1

    def problem(self, content: Any) -> DispatchInputs | None:
        """The whole file; None where it is no object or has no usable `steps`."""
        required = (
            "start_utc",
            "step_minutes",
            "steps",
            "import_price_eur_per_kwh",
            "export_price_eur_per_kwh",
            "nodes",
        )
        fields = self._object("file", content, required, _LISTS)
        if fields is None:
            return None
        steps = fields.get("steps")
        if not (isinstance(steps, int) and not isinstance(steps, bool) and 1 <= steps <= MOST_STEPS):
            if "steps" in fields:
                self._wrong("steps", f"must be a whole number from 1 to {MOST_STEPS}")
            return None
        self.steps = steps
        minutes = self._number("step_minutes", fields.get("step_minutes", 1.0), above=0.0)
        buy = self._series("import_price_eur_per_kwh", fields.get("import_price_eur_per_kwh", 0.0))
        sell = self._series("export_price_eur_per_kwh", fields.get("export_price_eur_per_kwh", 0.0))
        if {"import_price_eur_per_kwh", "export_price_eur_per_kwh"} <= fields.keys():
            self._prices(buy, sell, listed=isinstance(fields["export_price_eur_per_kwh"], list))
        nodes = [self._node(path, item) for path, item in self._items(fields, "nodes")]
        if fields.get("nodes") == []:
            self._wrong("nodes", "must have at least one node")
        fixed = [self._fixed(path, item) for path, item in self._items(fields, "fixed")]
        pv = [self._pv(path, item) for path, item in self._items(fields, "pv")]
        batteries = [self._battery(path, item) for path, item in self._items(fields, "batteries")]
        vehicles = [self._vehicle(path, item) for path, item in self._items(fields, "vehicles")]
        inputs = DispatchInputs(
            start_utc=self._start(fields),
            step_h=np.full(steps, minutes / MINUTES_PER_HOUR),
            import_price_eur_per_kwh=buy,
            export_price_eur_per_kwh=sell,
            nodes=tuple(node for node in nodes if node is not None),
            fixed=tuple(load for load in fixed if load is not None),
            pv=tuple(roof for roof in pv if roof is not None),
            stores=tuple(store for store in [*batteries, *vehicles] if store is not None),
        )
        self._references(
            inputs, nodes, {"fixed": fixed, "pv": pv, "batteries": batteries, "vehicles": vehicles}
        )
        return inputs

    def _prices(self, buy: FloatArray, sell: FloatArray, *, listed: bool) -> None:
        """Selling dearer than buying would be money from nothing."""
        place = "export_price_eur_per_kwh"
        # What is no price was named already, and is not compared.
        named = {problem.place for problem in self.problems}
        prices = ("import_price_eur_per_kwh", place)
        above = [
            t
            for t in np.flatnonzero(sell > buy).tolist()
            if not named & {*prices, *(f"{price}[{t}]" for price in prices)}
        ]
        if above and not listed:
            self._wrong(place, f"must not be above the import price, and is in step {above[0]}")
        elif listed:
            for t in above:
                self._wrong(f"{place}[{t}]", "must not be above the import price")

    def _references(
        self,
        inputs: DispatchInputs,
        nodes: Sequence[NodeInput | None],
        lists: dict[str, Sequence[FixedInput | PvInput | StoreInput | None]],
    ) -> None:
        """The tree, and ids over all assets."""
        for rule in tree_problems([(node.id, node.parent) for node in inputs.nodes if node.id]):
            field = "id" if "more than once" in rule else "parent"
            at = [i for i, node in enumerate(nodes) if node and rule.startswith(f"node {node.id!r} ")]
            self._wrong(f"nodes[{at[-1]}].{field}" if at else "nodes", rule)
        known = {node.id for node in inputs.nodes}
        assets = [
            (f"{name}[{i}]", a) for name, items in lists.items() for i, a in enumerate(items) if a is not None
        ]
        counts = Counter(asset.id for _, asset in assets if asset.id)
        for path, asset in assets:
            if counts[asset.id] > 1:
                self._wrong(f"{path}.id", f"{asset.id!r} is there more than once")
            if asset.node and known and asset.node not in known:
                self._wrong(f"{path}.node", f"there is no node {asset.node!r}")

    def _node(self, path: str, item: Any) -> NodeInput | None:
        fields = self._object(path, item, ("id", "parent", "import_limit_kw", "export_limit_kw"))
        if fields is None:
            return None
        parent = fields.get("parent")
        if parent is not None:
            parent = self._text(f"{path}.parent", parent) or None
        return NodeInput(
            id=NodeId(self._text(f"{path}.id", fields.get("id", ""))),
            parent=None if parent is None else NodeId(parent),
            import_limit_kw=self._magnitudes(f"{path}.import_limit_kw", fields.get("import_limit_kw", 0.0)),
            export_limit_kw=self._magnitudes(f"{path}.export_limit_kw", fields.get("export_limit_kw", 0.0)),
        )

    def _fixed(self, path: str, item: Any) -> FixedInput | None:
        fields = self._object(path, item, ("id", "node", "power_kw"))
        if fields is None:
            return None
        name, node = self._identity(path, fields)
        return FixedInput(
            id=name, node=node, power_kw=self._series(f"{path}.power_kw", fields.get("power_kw", 0.0))
        )

    def _pv(self, path: str, item: Any) -> PvInput | None:
        fields = self._object(path, item, ("id", "node", "available_kw", "curtailable"))
        if fields is None:
            return None
        name, node = self._identity(path, fields)
        curtailable = fields.get("curtailable", True)
        if not isinstance(curtailable, bool):
            self._wrong(f"{path}.curtailable", "must be true or false")
        available = self._magnitudes(f"{path}.available_kw", fields.get("available_kw", 0.0))
        return PvInput(id=name, node=node, available_kw=available, curtailable=curtailable is True)

    def _battery(self, path: str, item: Any) -> StoreInput | None:
        fields = self._object(path, item, _STORE, _OPTIONAL)
        stays = (Stay(from_step=0, to_step=self.steps),)
        return None if fields is None else self._store(path, fields, StoreKind.BATTERY, stays, ())

    def _vehicle(self, path: str, item: Any) -> StoreInput | None:
        fields = self._object(path, item, (*_STORE, "stays"), (*_OPTIONAL, "trips"))
        if fields is None:
            return None
        stays = [self._stay(place, stay) for place, stay in self._items(fields, "stays", path)]
        trips = [self._trip(place, trip) for place, trip in self._items(fields, "trips", path)]
        return self._store(path, fields, StoreKind.VEHICLE, tuple(stays), tuple(trips))

    def _stay(self, path: str, item: Any) -> Stay:
        fields = self._object(path, item, ("from_step", "to_step"), ("departure_min_kwh",))
        if fields is None:
            return Stay(from_step=0, to_step=0)
        wanted = fields.get("departure_min_kwh")
        return Stay(
            from_step=self._whole(f"{path}.from_step", fields.get("from_step", 0)),
            to_step=self._whole(f"{path}.to_step", fields.get("to_step", 0)),
            departure_min_kwh=None if wanted is None else self._number(f"{path}.departure_min_kwh", wanted),
        )

    def _trip(self, path: str, item: Any) -> Trip:
        fields = self._object(path, item, ("step", "energy_kwh")) or {}
        return Trip(
            step=self._whole(f"{path}.step", fields.get("step", 0)),
            energy_kwh=self._number(f"{path}.energy_kwh", fields.get("energy_kwh", 0.0)),
        )

    def _store(
        self,
        path: str,
        fields: dict[str, Any],
        kind: StoreKind,
        stays: tuple[Stay, ...],
        trips: tuple[Trip, ...],
    ) -> StoreInput:
        name, node = self._identity(path, fields)
        stand_in = {"efficiency_charge": 1.0, "efficiency_discharge": 1.0}
        scalars = {
            field: self._number(f"{path}.{field}", fields.get(field, stand_in.get(field, 0.0)))
            for field in (*_STORE, *_OPTIONAL)
            if field not in {"id", "node", "charge_kw_max", "discharge_kw_max"}
        }
        named = {problem.place for problem in self.problems}
        if f"{path}.capacity_kwh" in named:
            scalars["capacity_kwh"] = math.inf  # An unknown capacity bounds nothing.
        store = StoreInput(
            id=name,
            node=node,
            kind=kind,
            charge_kw_max=self._scalar_magnitude(f"{path}.charge_kw_max", fields.get("charge_kw_max", 0.0)),
            discharge_kw_max=self._scalar_magnitude(
                f"{path}.discharge_kw_max", fields.get("discharge_kw_max", 0.0)
            ),
            stays=stays,
            trips=trips,
            place=None,
            **scalars,
        )
        # What the walk already named (a missing field, a text where a number belongs) is not named twice.
        named = {problem.place for problem in self.problems}
        self.problems += [
            problem
            for problem in store_problems(store, path, self.steps)
            if not any(problem.place == place or problem.place.startswith(f"{place}.") for place in named)
        ]
        return store

    def _identity(self, path: str, fields: dict[str, Any]) -> tuple[AssetId, NodeId]:
        name = self._text(f"{path}.id", fields["id"]) if "id" in fields else ""
        node = self._text(f"{path}.node", fields["node"]) if "node" in fields else ""
        return AssetId(name), NodeId(node)

    def _start(self, fields: dict[str, Any]) -> datetime:
        stand_in = datetime(2000, 1, 1, tzinfo=UTC)
        if "start_utc" not in fields:
            return stand_in
        try:
            return parse_utc(self._text("start_utc", fields["start_utc"]) or "2000-01-01T00:00Z")
        except ValueError as error:
            self._wrong("start_utc", f"must be an instant with a time zone, as 2024-06-03T22:00Z: {error}")
            return stand_in

    # The building blocks: each names what is wrong and gives a harmless value.

    def _wrong(self, place: str, rule: str) -> None:
        self.problems.append(Problem(place=place, rule=rule))

    def _object(
        self, path: str, item: Any, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        if not isinstance(item, dict):
            self._wrong(path, "must be an object")
            return None
        prefix = "" if path == "file" else f"{path}."
        for name in item:
            if name not in required and name not in optional:
                self._wrong(f"{prefix}{name}", f"unknown field {name!r}")
        for name in required:
            if name not in item:
                self._wrong(f"{prefix}{name}", "is missing")
        return item

    def _items(self, fields: dict[str, Any], name: str, path: str = "") -> list[tuple[str, Any]]:
        items = fields.get(name, [])
        place = f"{path}.{name}" if path else name
        if not isinstance(items, list):
            self._wrong(place, "must be a list")
            return []
        return [(f"{place}[{i}]", item) for i, item in enumerate(items)]

    def _text(self, path: str, value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        self._wrong(path, "must be a text that is not empty")
        return ""

    def _whole(self, path: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self._wrong(path, "must be a whole number")
        return 0

    def _number(self, path: str, value: Any, *, above: float | None = None) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            self._wrong(path, "must be a finite number")
            return 1.0
        if above is not None and value <= above:
            self._wrong(path, f"must be more than {above:g}")
            return 1.0
        return float(value)

    def _series(self, path: str, value: Any) -> FloatArray:
        if not isinstance(value, list):
            return np.full(self.steps, self._number(path, value))
        if len(value) != self.steps:
            self._wrong(path, f"must be one number or {self.steps} numbers, has {len(value)}")
            return np.zeros(self.steps)
        return np.array([self._number(f"{path}[{t}]", item) for t, item in enumerate(value)])

    def _magnitudes(self, path: str, value: Any) -> FloatArray:
        numbers = self._series(path, value)
        for t in np.flatnonzero(numbers < 0.0).tolist()[: None if isinstance(value, list) else 1]:
            self._wrong(
                f"{path}[{t}]" if isinstance(value, list) else path, "must not be negative: it is a magnitude"
            )
        return np.maximum(numbers, 0.0)

    def _scalar_magnitude(self, path: str, value: Any) -> FloatArray:
        number = self._number(path, value)
        if number < 0.0:
            self._wrong(path, "must not be negative: it is a magnitude")
        return np.full(self.steps, max(number, 0.0))


def _finite(value: float) -> bool:
    """Whether a number of the file fits a float: an integer of 400 digits does not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
