"""The limits of single phases as rows beside the tree's: what loads them, and what they allow.

A node's kW limit counts three phases together. A fuse or a cable bears its current on each, and a car on one
phase loads that one alone. So each phase of a node with a rating gives a row for import and one for export:

    fixed load on the phase + sum of share * power of all that is steered under the node <= rating

What hangs on an unknown phase counts in full on every phase where it loads it, and never relieves one. Where
what cannot be steered is over a rating by itself (homes of unknown phase add up on paper), stores add nothing
to it; nobody is asked to discharge against it.

Rows that nothing steered can make bind are left out. Of nodes under which all that is steered hangs evenly on
three phases, a row says no more than a lower kW limit of the node: `without_even_rows` puts it there, so that
only rows with single-phase assets are left.

Where the fixed load alone is over a rating and only the sun brings it back, turning the sun down (for a limit
elsewhere) is no fault of the plan, but nobody may charge on the strength of that sun either: there the row
counts the whole sun, whatever is used of it, and allows what is then left without stores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controller.dispatch.by_phase import EVENLY, PHASES
from controller.dispatch.evaluate import Powers, standby_kw
from controller.dispatch.inputs import DispatchInputs
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class PhaseRows:
    """R rows; each is one phase of one node in one direction. S stores, P roofs, T steps."""

    node: tuple[NodeId, ...]
    phase: IntArray
    """0, 1 or 2, shape (R,)."""
    sign: FloatArray
    """1 for import, -1 for export, shape (R,)."""
    charge: Any
    """What a kW of charging adds to the row's load, a sparse matrix, shape (R, S)."""
    discharge: Any
    """What a kW of discharging adds, shape (R, S); negative where it relieves."""
    sun: Any
    """What a kW of production adds, shape (R, P)."""
    fixed_kw: FloatArray
    """What nobody steers adds, shape (R, T)."""
    limit_kw: FloatArray
    """The rating; where what nobody steers is over it, what is there with idle stores, and the whole sun
    (import) or none that can be turned down (export); shape (R, T)."""
    available_kw: FloatArray
    """What the roofs can make, shape (P, T)."""
    whole_sun: BoolArray
    """Where the whole sun counts, whatever is used of it, shape (R, T)."""

    def load_kw(self, powers: Powers) -> FloatArray:
        """How much each row carries in its direction [kW], shape (R, T)."""
        steered = self.charge @ powers.charge_kw + self.discharge @ powers.discharge_kw
        sun = np.where(self.whole_sun, self.sun @ self.available_kw, self.sun @ powers.pv_kw)
        return np.asarray(self.fixed_kw + steered + sun)

    def full(self, powers: Powers, within_kw: float) -> BoolArray:
        """Where an import row is at its limit, shape (R, T)."""
        at = self.load_kw(powers) >= self.limit_kw - within_kw
        return np.asarray(at & (self.sign[:, None] > 0.0))

    def of_charging(self, store: int) -> IntArray:
        """The rows that a store's charging loads."""
        return np.asarray(self.charge[:, [store]].tocoo().coords[0], dtype=np.int64)

    def name(self, row: int) -> str:
        """The node and its phase."""
        return f"{self.node[row]} L{int(self.phase[row]) + 1}"

    def chosen(self, rows: BoolArray) -> PhaseRows:
        """Some of the rows."""
        at = np.flatnonzero(rows)
        return PhaseRows(
            node=tuple(self.node[i] for i in at.tolist()),
            phase=self.phase[at],
            sign=self.sign[at],
            charge=self.charge[at],
            discharge=self.discharge[at],
            sun=self.sun[at],
            fixed_kw=self.fixed_kw[at],
            limit_kw=self.limit_kw[at],
            available_kw=self.available_kw,
            whole_sun=self.whole_sun[at],
        )


def phase_rows(inputs: DispatchInputs) -> PhaseRows | None:
    """The rows that what is steered could make bind; None where there is none.

    `inputs.phase_rows` has them, made once.
    """
    phases = inputs.phases
    if phases is None or not phases.import_limit_kw:
        return None
    # Whoever only checks plans without phases does not load it.
    from scipy import sparse

    under = _under(inputs)
    limited = [inputs.node_index[node] for node in phases.import_limit_kw if node in inputs.node_index]
    nodes = [inputs.nodes[place].id for place in limited]
    count, steps = len(limited), inputs.steps
    rows = [(k, phase, sign) for sign in (1.0, -1.0) for k in range(count) for phase in range(PHASES)]
    if not rows:
        return None
    at = np.array([limited[k] for k, _, _ in rows])
    phase = np.array([phase for _, phase, _ in rows], dtype=np.int64)
    sign = np.array([sign for _, _, sign in rows])

    def weights(assets: list[tuple[AssetId, NodeId]], towards: float) -> Any:
        """What a kW of consumption (towards 1) or production (-1) of each asset adds to each row."""
        share = [phases.share_of(asset) for asset, _ in assets]
        known = np.array([one.known for one in share]).reshape(-1, PHASES)
        unknown = np.array([one.unknown for one in share])
        place = np.array([inputs.node_index[node] for _, node in assets], dtype=np.int64)
        loads = (sign * towards)[:, None] > 0.0
        part = known.T[phase] + np.where(loads, unknown, 0.0)
        return sparse.csr_array(under[at][:, place] * np.where(loads, part, -part))

    stores = [(store.id, store.node) for store in inputs.stores]
    roofs = [(roof.id, roof.node) for roof in inputs.pv]
    loads = [(load.id, load.node) for load in inputs.fixed]
    charge, discharge, sun = weights(stores, 1.0), weights(stores, -1.0), weights(roofs, -1.0)
    power = np.array([load.power_kw for load in inputs.fixed]).reshape(-1, steps)
    fixed = weights(loads, 1.0) @ np.maximum(power, 0.0) + weights(loads, -1.0) @ np.maximum(-power, 0.0)
    fixed = np.asarray(fixed + charge @ standby_kw(inputs))
    available = np.array([roof.available_kw for roof in inputs.pv]).reshape(-1, steps)
    forced = np.array([0.0 if roof.curtailable else 1.0 for roof in inputs.pv]).reshape(-1, 1) * available
    idle = fixed + np.where(sign[:, None] > 0.0, sun @ available, sun @ forced)
    rating = np.array(
        [(phases.import_limit_kw if s > 0.0 else phases.export_limit_kw)[nodes[k]][p] for k, p, s in rows]
    )
    whole_sun = (sign[:, None] > 0.0) & (fixed + sun @ forced > rating)
    most = _most(inputs)
    reach = fixed + np.maximum(charge @ most[0], 0.0) + np.maximum(discharge @ most[1], 0.0)
    reach = reach + np.where(sign[:, None] > 0.0, 0.0, sun @ available)
    found = PhaseRows(
        node=tuple(nodes[k] for k, _, _ in rows),
        phase=phase,
        sign=sign,
        charge=charge,
        discharge=discharge,
        sun=sun,
        fixed_kw=fixed,
        limit_kw=np.where(whole_sun, idle, np.maximum(rating, idle)),
        available_kw=available,
        whole_sun=whole_sun,
    )
    binding = np.asarray((reach > rating).any(axis=1))
    return found.chosen(binding) if binding.any() else None


def without_even_rows(inputs: DispatchInputs) -> tuple[DispatchInputs, PhaseRows | None]:
    """The problem with lower kW limits where these say all that rows would, and the rows that are left.

    Under a node where everything steered hangs evenly, the fullest phase is over its rating as soon as the
    node's power passes `sum of the fixed load + 3 (rating - the fullest phase's fixed load)`. Two things no
    limit of a node can say, and there the row is left: that stores add nothing whatever sun is used (the
    limit would have them make up for sun that is turned down), and that power must flow the other way.

    Returns:
        The problem without its phases, no limit of which is higher than before, and the other rows.
    """
    rows = inputs.phase_rows
    bare = replace(inputs, phases=None)
    if rows is None or inputs.phases is None:
        return bare, None
    under = _under(inputs)
    steered = [(store.id, store.node) for store in inputs.stores]
    steered += [(roof.id, roof.node) for roof in inputs.pv]
    places = [inputs.node_index[node] for asset, node in steered if inputs.phases.share_of(asset) != EVENLY]
    even = ~under[:, places].any(axis=1) if places else np.ones(len(inputs.nodes), dtype=np.bool_)
    own = np.zeros((len(inputs.nodes), inputs.steps))
    for load in inputs.fixed:
        own[inputs.node_index[load.node]] += load.power_kw
    if inputs.stores:
        np.add.at(own, [inputs.node_index[store.node] for store in inputs.stores], standby_kw(inputs))
    fixed = under @ own
    limits = {
        1.0: [node.import_limit_kw for node in inputs.nodes],
        -1.0: [node.export_limit_kw for node in inputs.nodes],
    }
    left = np.ones(len(rows.node), dtype=np.bool_)
    moves = rows.whole_sun & (rows.sun @ rows.available_kw != 0.0)
    for row, node in enumerate(rows.node):
        place, sign = inputs.node_index[node], float(rows.sign[row])
        if even[place]:
            most = sign * fixed[place] + PHASES * (rows.limit_kw[row] - rows.fixed_kw[row])
            same = ~moves[row] & (most >= 0.0)
            left[row] = not same.all()
            limits[sign][place] = np.where(same, np.minimum(limits[sign][place], most), limits[sign][place])
    nodes = tuple(
        replace(node, import_limit_kw=limits[1.0][i], export_limit_kw=limits[-1.0][i])
        for i, node in enumerate(inputs.nodes)
    )
    return replace(bare, nodes=nodes), rows.chosen(left) if left.any() else None


def _under(inputs: DispatchInputs) -> FloatArray:
    """1 where a node (column) lies at or below another (row), shape (N, N)."""
    under = np.eye(len(inputs.nodes))
    for place in reversed(inputs.parents_first):
        parent = int(inputs.parent_index[place])
        if parent >= 0:
            under[parent] += under[place]
    return under


def _most(inputs: DispatchInputs) -> tuple[FloatArray, FloatArray]:
    """What each store can charge and discharge with [kW], shape (S, T) each."""
    shape = (len(inputs.stores), inputs.steps)
    charge = [store.charge_kw_max * store.plugged for store in inputs.stores]
    discharge = [store.discharge_kw_max * store.plugged for store in inputs.stores]
    return np.array(charge).reshape(shape), np.array(discharge).reshape(shape)
