"""Plans that keep the limits of single phases, by a solver that only knows a tree.

1. The problem is solved without the rows that no kW limit can say (`phase_rows`). Most often that plan keeps
   them, and then it is the best. Its bound is one of every plan that keeps more.
2. Otherwise what a phase can carry is *shared out*. All assets of a node that hang alike become a group, a
   node of its own under theirs, and every group gets a limit in every step, such that groups at their limits
   together load no row beyond what it bears. Any plan for that tree keeps the phases.
3. Limits are given in this order, each as far as rows allow: what rules would use, who charge the least
   patient first and so keep departures; what the plan of 1 used; what a group could use at all.
4. The answer's prices say which groups would have used more. Everybody keeps what they used, what is left
   over goes to those first, and the plan is made again: it can only get better.

That is not always the best plan that phases allow, and is not told as one: the gap to the bound of 1 is.
It is for many stores; of few the exact model, which has the rows, makes the best plan sooner (`solve`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.by_phase import EVENLY, PhaseInput, PhaseShare
from controller.dispatch.evaluate import Powers
from controller.dispatch.fallback import Rules
from controller.dispatch.inputs import DispatchInputs, FixedInput, NodeInput
from controller.dispatch.phase_rows import PhaseRows
from controller.dispatch.restate import restated
from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId
from controller.domain.units import BoolArray, FloatArray, IntArray

HAIR = 1e-5
"""Of a phase's rating, what is not shared out: limits are kept to 1e-6 each, and several add up."""
ROUNDS = 3
"""How often limits are shared out at most; the second sharing brings most of what further ones could."""
PASSES = 3
"""How often what rows have left is given to the groups that can still take it."""
WORTH_EUR_PER_KWH = 2e-3
"""A group whose price is above its node's by this would use more."""
TOLERANCE = 1e-6
"""Of a rating, what is no breach (`check`)."""

type TreeSolve = Callable[[DispatchInputs], DispatchResult | None]
"""Solves a problem without phases; None where it has no plan."""


def keeps(rows: PhaseRows, powers: Powers) -> bool:
    """Whether powers load no row beyond its limit."""
    over = rows.load_kw(powers) - rows.limit_kw
    return bool((over <= TOLERANCE * np.maximum(1.0, rows.limit_kw)).all())


def shared_out(
    inputs: DispatchInputs, even: DispatchInputs, rows: PhaseRows, first: DispatchResult, solve: TreeSolve
) -> DispatchResult | None:
    """The best plan by sharing out; None where the solver has none.

    Args:
        inputs: The problem with its phases.
        even: The same without phases, and with the kW limits that stand for some (`without_even_rows`).
        rows: The rows that are left.
        first: A plan for `even`; its bound is taken over.
        solve: The planner.
    """
    if inputs.phases is None:
        return None
    rules = Rules(inputs).plan()
    groups = _groups(even, inputs.phases)
    sharing = _Sharing(even=even, rows=rows, groups=groups, sun_kw=rules.pv_kw, relief=True)
    asked = _Ask(groups, powers_of(even, first))
    caps = sharing.raised(sharing.nothing(), _Ask(groups, rules).kw, asked.kw, sharing.most_kw)
    best: DispatchResult | None = None
    for _ in range(ROUNDS):
        plan = solve(sharing.tree(caps))
        if plan is None:
            break
        if not keeps(rows, powers_of(even, plan)):
            # It turned the sun down on which others were to charge.
            sharing = replace(sharing, relief=False)
            caps = sharing.raised(sharing.nothing(), _Ask(groups, rules).kw, asked.kw, sharing.most_kw)
            continue
        told = restated(inputs, plan, first)
        if best is not None and not _better(told, best, inputs.cost_scale_eur):
            break
        best = told
        if told.status == "optimal":
            break
        used = _Ask(groups, powers_of(even, plan)).kw
        caps = sharing.raised(
            sharing.nothing(), used, sharing.scarce_kw(plan), np.maximum(asked.kw, used), sharing.most_kw
        )
    return best


def _better(one: DispatchResult, other: DispatchResult, scale_eur: float) -> bool:
    """Whether clearly better: totals in their order, then the cost."""
    for mine, theirs in zip(one.totals_kwh.as_tuple(), other.totals_kwh.as_tuple(), strict=True):
        if abs(mine - theirs) > TOLERANCE:
            return mine < theirs
    return one.cost_eur < other.cost_eur - TOLERANCE * scale_eur


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Stores that hang alike at one node."""

    node: NodeId
    id: NodeId
    stores: IntArray


def _groups(inputs: DispatchInputs, phases: PhaseInput) -> list[_Group]:
    """Every store in one group; those of unknown phase alone, for one's discharge relieves no other."""
    members: dict[tuple[NodeId, PhaseShare, str], list[int]] = {}
    for i, store in enumerate(inputs.stores):
        share = phases.share_of(store.id)
        members.setdefault((store.node, share, store.id if share.unknown else ""), []).append(i)
    found = []
    for (node, share, alone), stores in members.items():
        on = [f"L{phase + 1}" for phase in range(3) if share.known[phase] > 0.0]
        name = alone or ("three phases" if share == EVENLY else " ".join(on))
        found.append(_Group(node=node, id=NodeId(f"{node} {name}"), stores=np.array(stores, dtype=np.int64)))
    return found


class _Ask:
    """What groups take and give by a plan."""

    def __init__(self, groups: list[_Group], powers: Powers) -> None:
        net = np.array([(powers.charge_kw - powers.discharge_kw)[g.stores].sum(axis=0) for g in groups])
        self.kw: FloatArray = np.maximum(np.concatenate([net, -net]), 0.0)
        """Import of each group, then export of each [kW], shape (2 G, T)."""


@dataclass(frozen=True, kw_only=True)
class _Sharing:
    """Rows and groups, and the limits that fit. 2 G limits: import of each group, then export of each."""

    even: DispatchInputs
    rows: PhaseRows
    groups: list[_Group]
    sun_kw: FloatArray
    """The most that roofs make in the plan, shape (P, T)."""
    relief: bool
    """Whether sun that can be turned down makes room for others."""

    @cached_property
    def weight(self) -> FloatArray:
        """What a kW of each limit takes of each row, shape (R, 2 G)."""
        first = [int(group.stores[0]) for group in self.groups]
        both = (self.rows.charge[:, first].toarray(), self.rows.discharge[:, first].toarray())
        return np.asarray(np.maximum(np.concatenate(both, axis=1), 0.0))

    @cached_property
    def touched(self) -> list[IntArray]:
        """The rows of each limit."""
        return [np.flatnonzero(column) for column in self.weight.T]

    @cached_property
    def room_kw(self) -> FloatArray:
        """What each row leaves for stores, shape (R, T)."""
        rows = self.rows
        sun = np.where(rows.whole_sun, rows.sun @ rows.available_kw, rows.sun @ self.sun_kw)
        if not self.relief:
            forced = np.array([[0.0 if roof.curtailable else 1.0] for roof in self.even.pv]).reshape(-1, 1)
            sun = np.maximum(sun, rows.sun @ (forced * self.sun_kw))
        return np.asarray(np.maximum((1.0 - HAIR) * rows.limit_kw - rows.fixed_kw - sun, 0.0))

    @cached_property
    def most_kw(self) -> FloatArray:
        """What each group could use at all, shape (2 G, T)."""
        shape, stores = (-1, self.even.steps), self.even.stores
        into = np.array([store.charge_kw_max * store.plugged for store in stores]).reshape(shape)
        out = np.array([store.discharge_kw_max * store.plugged for store in stores]).reshape(shape)
        return np.array([most[group.stores].sum(axis=0) for most in (into, out) for group in self.groups])

    def nothing(self) -> FloatArray:
        """No limit given yet."""
        return np.zeros_like(self.most_kw)

    def raised(self, caps: FloatArray, *towards: FloatArray) -> FloatArray:
        """Limits raised towards each aim in turn, as far as every row allows."""
        for aim in towards:
            for _ in range(PASSES):
                wanted = np.maximum(np.minimum(aim, self.most_kw) - caps, 0.0)
                left = np.maximum(self.room_kw - self.weight @ caps, 0.0)
                need = self.weight @ wanted
                share = np.where(need > left, left / np.where(need > 0.0, need, 1.0), 1.0)
                for i, rows in enumerate(self.touched):
                    wanted[i] *= share[rows].min(axis=0) if rows.size else 1.0
                caps = caps + wanted
        return caps

    def scarce_kw(self, plan: DispatchResult) -> FloatArray:
        """All that groups could use where their price says that they would use more, 0 elsewhere."""
        price = np.array(
            [
                plan.node_price_eur_per_kwh[group.id] - plan.node_price_eur_per_kwh[group.node]
                for group in self.groups
            ]
        )
        scarce: BoolArray = np.concatenate([price, -price]) > WORTH_EUR_PER_KWH
        return np.where(scarce, self.most_kw, 0.0)

    def tree(self, caps: FloatArray) -> DispatchInputs:
        """The problem with a node for every group."""
        nodes, stores, fixed = list(self.even.nodes), list(self.even.stores), list(self.even.fixed)
        into, out = np.split(caps, 2)
        for group, most_in, most_out in zip(self.groups, into, out, strict=True):
            nodes.append(
                NodeInput(
                    id=group.id,
                    parent=group.node,
                    # Where nothing is left, the stores' own limits say so: a node without any room is hard.
                    import_limit_kw=np.where(most_in > TOLERANCE, most_in, np.inf),
                    export_limit_kw=np.where(most_out > TOLERANCE, most_out, np.inf),
                )
            )
            for place in group.stores.tolist():
                store = stores[place]
                stores[place] = replace(
                    store,
                    node=group.id,
                    charge_kw_max=np.where(most_in > TOLERANCE, store.charge_kw_max, 0.0),
                    discharge_kw_max=np.where(most_out > TOLERANCE, store.discharge_kw_max, 0.0),
                    standby_kw=0.0,
                )
                # What a store draws beside charging is counted with the fixed load.
                if store.standby_kw > 0.0:
                    drawn = store.standby_kw * store.plugged
                    fixed.append(FixedInput(id=store.id, node=group.node, power_kw=drawn))
        roofs = tuple(
            replace(roof, available_kw=sun) for roof, sun in zip(self.even.pv, self.sun_kw, strict=True)
        )
        return replace(self.even, nodes=tuple(nodes), stores=tuple(stores), fixed=tuple(fixed), pv=roofs)
