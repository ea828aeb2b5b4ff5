"""Solves one root with the cvxpy model: first relaxed, then with the directions and minimum powers decided.

The relaxed model lets a store charge and discharge at once and run below its minimum power. Its cost is a
lower bound. Where prices are not negative no plan gains from burning energy, so its answer usually keeps
those two rules already. Where it does not:

1. *Net.* Charging and discharging at once is replaced by the one power that moves the stored energy alike.
   If nothing gets dearer and no limit breaks, that is an optimal plan.
2. *Decide exactly.* The offending slots get binaries, and only those: the problem is then still a relaxation,
   so an answer without offence is optimal for all. Otherwise the new offenders join, up to `MOST_BINARIES`.
3. *Decide by rounding*, where there are too many (`rounding`); the relaxed cost stays the bound.

The plan itself always comes from a last linear problem in which every decision is a bound, so no integrality
tolerance leaks into it; its duals are the node prices and water values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.evaluate import Powers, evaluate
from controller.dispatch.highs import Deadline, Failed, OutOfTime, Runner
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.layout import Layout, layout_of
from controller.dispatch.problem import build, charge_high_kw, discharge_high_kw, per_slot
from controller.dispatch.result import SAME_KWH
from controller.dispatch.rounding import Decisions, group, repair
from controller.dispatch.stages import Staged, cost_stage, run_priced, run_stages
from controller.domain.units import BoolArray, FloatArray, IntArray

MOST_BINARIES = 400
"""Up to here directions and minimum powers are decided exactly."""
POWER_NOISE_KW = 1e-6
"""Power below this is a solver's rounding [kW]; a charger's smallest step is a million times that."""
RELATIVE_COST_NOISE = 1e-7
"""Costs this close count as equal, a thousandth of the gap that formats.md asks for."""
BELOW_KWH = 1e-6
"""How far below a least total the prices are taken (`run_priced`)."""
QUICK_BINARIES = 40
"""The same where a plan is needed often and will soon be made anew."""
MIXED_S = 120.0
"""Longest that one mixed-integer problem may take where no deadline says so [s]."""
MIXED_SHARE = 0.6
"""Of what is left of the deadline, what it may take; the rest is for rounding if it comes to nothing."""
DIVE_ROUNDS = 40
QUICK_DIVE_ROUNDS = 6
REPAIR_ROUNDS = 8
MOST_KERNEL_BINARIES = 1500
"""Up to here a rounded plan is improved by deciding exactly among the slots that it used."""
KERNEL_GAP = 4e-4
"""Where that may stop, of the cost's scale: under half of the gap that counts as optimal."""
KERNEL_NODES = 2000
"""A limit in nodes, not seconds, so that two runs give the same plan."""


@dataclass(frozen=True, kw_only=True)
class RootPlan:
    """The answer for one root."""

    powers: Powers
    node_price_eur_per_kwh: FloatArray
    """Shape (N, T), not yet kept within bounds."""
    water_value_eur_per_kwh: FloatArray
    """Shape (S, T)."""
    bound_eur: float
    """Minus infinity where the deadline left no time for one."""
    method: str
    solve_s: float
    totals_are_least: bool
    """Whether the totals are proven to be as small as they can be."""


@dataclass(frozen=True, kw_only=True)
class _Slots:
    """The powers of the slots in the model, discharge spread over all slots [kW], shapes (K,)."""

    charge: FloatArray
    discharge: FloatArray


class RootSolver:
    """One root, its layout and its relaxed model."""

    def __init__(self, inputs: DispatchInputs, deadline: Deadline, *, thorough: bool = True) -> None:
        self.deadline, self.thorough = deadline, thorough
        self.rows = inputs.phase_rows
        self.inputs = inputs = replace(inputs, phases=None)
        self.layout: Layout = layout_of(inputs)
        self.runner = Runner(build(inputs, self.layout, rows=self.rows))
        self.mixed_s = 0.0
        slots = self.layout
        self.high = charge_high_kw(inputs, slots)
        self.high_out = np.zeros(slots.store.size)
        self.high_out[slots.discharge_slot] = discharge_high_kw(inputs, slots)
        self.low, self.low_out = (
            per_slot(inputs, slots, "charge_kw_min"),
            per_slot(inputs, slots, "discharge_kw_min"),
        )
        self.into = per_slot(inputs, slots, "efficiency_charge")
        self.out = per_slot(inputs, slots, "efficiency_discharge")

    def solve(self) -> RootPlan | OutOfTime | Failed:
        """The best plan that the deadline allows."""
        if (self.low > 0.0).any() or (self.low_out > 0.0).any():
            self._close_what_never_runs()
        staged = run_stages(self.runner, self.deadline)
        if not isinstance(staged, Staged):
            return staged
        slots = self._values()
        offending = self._offending(slots)
        if not offending.any():
            return self._finished(staged, slots, "relaxed", staged.bound_eur)
        netted = self._netted(slots)
        if not self._offending(netted).any() and self._as_good(netted, staged):
            return self._finished(staged, netted, "relaxed, netted", staged.bound_eur)
        decided = self._decided_exactly(offending, staged)
        if decided is None:
            return self._rounded(staged)
        return decided

    def _close_what_never_runs(self) -> None:
        """A slot whose most power is below its minimum power can only be at 0."""
        slots = self.layout.discharge_slot
        self.high = np.where(self.high < self.low, 0.0, self.high)
        self.high_out = np.where(self.high_out < self.low_out, 0.0, self.high_out)
        self.runner.model.set(charge_high=self.high, discharge_high=self.high_out[slots])

    def _values(self) -> _Slots:
        return self._values_of(self.runner)

    def _values_of(self, runner: Runner) -> _Slots:
        variables = runner.model.variables
        discharge = np.zeros(self.layout.store.size)
        discharge[self.layout.discharge_slot] = np.asarray(variables["discharge"].value).reshape(-1)
        charge = np.asarray(variables["charge"].value).reshape(-1)
        return _Slots(
            charge=np.clip(charge, 0.0, self.high), discharge=np.clip(discharge, 0.0, self.high_out)
        )

    def _offending(self, slots: _Slots) -> BoolArray:
        """Slots that charge and discharge at once or run below their minimum power."""
        charges, discharges = slots.charge > POWER_NOISE_KW, slots.discharge > POWER_NOISE_KW
        low = charges & (slots.charge < self.low - POWER_NOISE_KW)
        low_out = discharges & (slots.discharge < self.low_out - POWER_NOISE_KW)
        return np.asarray((charges & discharges) | low | low_out)

    def _netted(self, slots: _Slots) -> _Slots:
        """One direction per slot with the same change of stored energy."""
        both = (slots.charge > 0.0) & (slots.discharge > 0.0)
        change = self.into * slots.charge - slots.discharge / self.out
        return _Slots(
            charge=np.where(both, np.maximum(change, 0.0) / self.into, slots.charge),
            discharge=np.where(both, np.maximum(-change, 0.0) * self.out, slots.discharge),
        )

    def _as_good(self, slots: _Slots, staged: Staged) -> bool:
        """Whether powers that were changed by hand still keep the totals and the cost."""
        powers = self._powers(slots)
        if self.rows is not None and (self.rows.load_kw(powers) > self.rows.limit_kw).any():
            return False
        figures = evaluate(self.inputs, powers)
        kept = np.array(figures.totals.as_tuple()) <= staged.totals_kwh + SAME_KWH
        dearer = figures.cost_eur - staged.cost_eur
        return bool(kept.all()) and dearer <= RELATIVE_COST_NOISE * self.inputs.cost_scale_eur

    def _powers(self, slots: _Slots) -> Powers:
        shape = (len(self.inputs.stores), self.inputs.steps)
        charge, discharge = np.zeros(shape), np.zeros(shape)
        at = (self.layout.store, self.layout.step)
        charge[at], discharge[at] = slots.charge, slots.discharge
        pv = np.array([roof.available_kw for roof in self.inputs.pv]).reshape(-1)
        model = self.runner.model
        if model.curtailable.size:
            curtailed = np.asarray(model.variables["curtailed"].value).reshape(-1)
            pv[model.curtailable] -= np.clip(curtailed, 0.0, pv[model.curtailable])
        return Powers(charge_kw=charge, discharge_kw=discharge, pv_kw=pv.reshape(-1, self.inputs.steps))

    def _decided_exactly(self, offending: BoolArray, relaxed: Staged) -> RootPlan | OutOfTime | Failed | None:
        """Adds binaries where rules are broken until none is; None where that takes too many or too long."""
        mask, totals = offending.copy(), relaxed.totals_kwh
        most = MOST_BINARIES if self.thorough else QUICK_BINARIES
        for attempt in range(len(mask) + 1):
            binaries = np.flatnonzero(mask).astype(np.int64)
            if np.count_nonzero(mask) + np.count_nonzero(self.high_out[mask] > 0.0) > most:
                return None
            runner = Runner(build(self.inputs, self.layout, binaries, self.rows))
            self._copy_bounds(runner)
            staged = run_stages(runner, self.deadline.part(MIXED_SHARE, MIXED_S), totals)
            self.mixed_s += runner.solve_s
            if not isinstance(staged, Staged):
                return None
            slots = self._values_of(runner)
            fresh = self._offending(self._netted_where(slots, ~mask)) & ~mask
            if not fresh.any():
                self._fix_decided(runner, binaries)
                return self._last_linear(staged, slots, "binaries", staged.bound_eur)
            # Few rounds: after the second, everything that the offending stores could do is decided at once.
            mask |= fresh
            if attempt >= 1:
                mask |= np.isin(self.layout.store, self.layout.store[mask]) & (
                    (self.low > 0.0) | (self.low_out > 0.0) | (self.high_out > 0.0)
                )
            totals = staged.totals_kwh
        return None

    def _netted_where(self, slots: _Slots, where: BoolArray) -> _Slots:
        """Nets what is lossless to net: efficiencies of 1 make both at once the same as their difference."""
        lossless = where & (self.into * self.out >= 1.0)
        netted = self._netted(slots)
        return _Slots(
            charge=np.where(lossless, netted.charge, slots.charge),
            discharge=np.where(lossless, netted.discharge, slots.discharge),
        )

    def _copy_bounds(self, runner: Runner) -> None:
        for name in ("charge_high", "discharge_high"):
            runner.model.set(**{name: self.runner.model.value(name)})

    def _fix_decided(self, runner: Runner, binaries: IntArray, closed: BoolArray | None = None) -> None:
        """Turns the binaries into bounds of the relaxed model; minimum-power slots in `closed` stay off."""
        on = np.ones(self.layout.store.size, dtype=np.bool_)
        on_out = on.copy()
        decided = np.zeros(on.size, dtype=np.bool_)
        decided[binaries] = True
        on[binaries] = np.asarray(runner.model.variables["charging"].value).reshape(-1) > 0.5
        on_out[binaries] = False
        if "discharging" in runner.model.variables:
            can = np.isin(binaries, self.layout.discharge_slot)
            on_out[binaries[can]] = np.asarray(runner.model.variables["discharging"].value).reshape(-1) > 0.5
        if closed is not None:
            on &= ~(closed & (self.low > 0.0))
            on_out &= ~(closed & (self.low_out > 0.0))
        self._set_on(on, on_out, decided)

    def _set_on(self, on: BoolArray, on_out: BoolArray, decided: BoolArray) -> None:
        """Sets the bounds: 0 where off, from the minimum power up where on and decided."""
        out = self.layout.discharge_slot
        self.runner.model.set(
            charge_low=np.where(on & decided, self.low, 0.0),
            charge_high=np.where(on, self.high, 0.0),
            discharge_low=np.where(on_out & decided, self.low_out, 0.0)[out],
            discharge_high=np.where(on_out, self.high_out, 0.0)[out],
        )

    def _last_linear(
        self, staged: Staged, mixed: _Slots, method: str, bound_eur: float
    ) -> RootPlan | OutOfTime | Failed:
        """The plan and its prices, every decision a bound, every total as small as these decisions allow.

        Slots that got no binary are free at first, so that the prices see what they could do; should the
        linear problem use one of them wrongly, all do what they do in the mixed-integer plan (`mixed`).
        """
        for attempt in range(2):
            outcome = run_stages(self.runner, self.deadline, staged.totals_kwh)
            if isinstance(outcome, Staged):
                staged = outcome
            elif not run_priced(self.runner, self.deadline, staged.totals_kwh, 0.0):
                return outcome
            slots = self._values()
            if attempt or not self._offending(slots).any():
                break
            on, on_out = mixed.charge > POWER_NOISE_KW, mixed.discharge > POWER_NOISE_KW
            self._set_on(on | ((self.low <= 0.0) & ~on_out), on_out, np.ones(on.size, dtype=np.bool_))
        return self._finished(staged, slots, method, bound_eur)

    def _rounded(self, relaxed: Staged) -> RootPlan | OutOfTime | Failed:
        """Decides by rounding; where there is time, a small mixed-integer problem improves on it."""
        decisions, touched = self._dive(relaxed)
        staged = self._repaired(decisions, relaxed)
        if not isinstance(staged, Staged):
            return staged
        plan = self._finished(staged, self._values(), "rounded", relaxed.bound_eur)
        if self.thorough:
            better = self._kernel(relaxed, staged, touched)
            if better is not None:
                staged, plan = better
        if (staged.totals_kwh <= relaxed.totals_kwh + SAME_KWH).all():
            return plan
        # Larger totals allow cheaper plans, so the bound is taken anew, at those totals without the rounding.
        self._set_decisions(Decisions.open(self.high.size))
        again = cost_stage(self.runner, self.deadline, staged.totals_kwh)
        bound = again.bound_eur if isinstance(again, Staged) else -np.inf
        return replace(
            plan, bound_eur=bound, totals_are_least=False, solve_s=self.runner.solve_s + self.mixed_s
        )

    def _dive(self, relaxed: Staged) -> tuple[Decisions, BoolArray]:
        """Decides the offending slots round by round; also says which slots ever charged or discharged."""
        decisions = Decisions.open(self.high.size)
        touched = np.zeros(self.high.size, dtype=np.bool_)
        for _ in range(DIVE_ROUNDS if self.thorough else QUICK_DIVE_ROUNDS):
            slots = self._values()
            touched |= (slots.charge > POWER_NOISE_KW) | (slots.discharge > POWER_NOISE_KW)
            offending = self._offending(slots)
            if not offending.any():
                break
            self._decide_round(decisions, slots, offending)
            self._set_decisions(decisions)
            if not run_priced(self.runner, self.deadline, relaxed.totals_kwh, 0.0):
                # Too much runs for what a store can hold: nothing that was forced is sure any more.
                self._force_nothing(decisions)
                break
        slots = self._values()
        self._decide_round(decisions, slots, self._offending(slots))
        running, running_out = self.low > 0.0, self.low_out > 0.0
        charges = slots.charge >= np.maximum(self.low - POWER_NOISE_KW, POWER_NOISE_KW)
        decisions.turn_on(running & charges & ~decisions.off)
        decisions.turn_off(running & ~decisions.on)
        discharges = slots.discharge >= np.maximum(self.low_out - POWER_NOISE_KW, POWER_NOISE_KW)
        decisions.on_out |= running_out & discharges & ~decisions.on & ~decisions.off_out
        decisions.off |= decisions.on_out
        decisions.off_out |= running_out & ~decisions.on_out
        return decisions, touched

    def _force_nothing(self, decisions: Decisions) -> None:
        """Turns off what has to run at a minimum power: that always fits; the repair adds what is missing."""
        decisions.turn_off(self.low > 0.0)
        decisions.on_out &= self.low_out <= 0.0
        decisions.off_out |= self.low_out > 0.0

    def _decide_round(self, decisions: Decisions, slots: _Slots, offending: BoolArray) -> None:
        """Offenders that charge on balance form groups; of the others the smaller direction is closed."""
        net = self.into * slots.charge - slots.discharge / self.out
        below = np.flatnonzero(offending & (net > 0.0) & (slots.charge < self.low - POWER_NOISE_KW))
        runs = np.zeros(self.high.size, dtype=np.bool_)
        runs[below] = group(self.layout.step[below], slots.charge[below], self.low[below])
        waits = np.zeros(self.high.size, dtype=np.bool_)
        waits[below] = True
        decisions.turn_on(runs)
        decisions.turn_off(waits & ~runs)
        decisions.off_out |= offending & (net > 0.0)
        decisions.turn_off(offending & (net <= 0.0))
        decisions.off_out |= offending & (net <= 0.0) & (slots.discharge < self.low_out / 2.0)

    def _set_decisions(self, decisions: Decisions) -> None:
        out = self.layout.discharge_slot
        high = np.where(decisions.off, 0.0, self.high)
        high_out = np.where(decisions.off_out, 0.0, self.high_out)
        self.runner.model.set(
            charge_low=np.where(decisions.on, np.minimum(self.low, high), 0.0),
            charge_high=high,
            discharge_low=np.where(decisions.on_out, np.minimum(self.low_out, high_out), 0.0)[out],
            discharge_high=high_out[out],
        )

    def _repaired(self, decisions: Decisions, relaxed: Staged) -> Staged | OutOfTime | Failed:
        """The best plan with these decisions, after repairing what they spoilt."""
        staged: Staged | OutOfTime | Failed = OutOfTime()
        for last in (*(False,) * REPAIR_ROUNDS, True):
            self._set_decisions(decisions)
            staged = run_stages(self.runner, self.deadline, relaxed.totals_kwh)
            if isinstance(staged, Failed) and not last:
                self._force_nothing(decisions)
                continue
            if not isinstance(staged, Staged):
                return staged
            slots = self._values()
            offending = self._offending(slots)
            if offending.any():
                self._decide_round(decisions, slots, offending)
                continue
            if last or (staged.totals_kwh <= relaxed.totals_kwh + SAME_KWH).all():
                break
            figures = evaluate(self.inputs, self._powers(slots))
            least = float(relaxed.totals_kwh[0])
            if not repair(self.inputs, self.layout, decisions, figures, slots.charge, least_excess_kwh=least):
                break
        return staged

    def _kernel(self, relaxed: Staged, best: Staged, touched: BoolArray) -> tuple[Staged, RootPlan] | None:
        """Decides exactly among the slots that the rounding ever used; None where that is no better."""
        binaries = np.flatnonzero(touched).astype(np.int64)
        if binaries.size > MOST_KERNEL_BINARIES:
            return None
        runner = Runner(build(self.inputs, self.layout, binaries, self.rows))
        out = self.layout.discharge_slot
        runner.model.set(
            charge_high=np.where(touched | (self.low <= 0.0), self.high, 0.0),
            discharge_high=np.where(touched | (self.low_out <= 0.0), self.high_out, 0.0)[out],
        )
        runner.set_option("mip_abs_gap", KERNEL_GAP * self.inputs.cost_scale_eur)
        runner.set_option("mip_max_nodes", KERNEL_NODES)
        staged = run_stages(runner, self.deadline.part(MIXED_SHARE, MIXED_S), relaxed.totals_kwh)
        self.mixed_s += runner.solve_s
        if not isinstance(staged, Staged) or not _better(staged, best):
            return None
        self._fix_decided(runner, binaries, closed=~touched)
        plan = self._last_linear(staged, self._values_of(runner), "rounded, improved", relaxed.bound_eur)
        return (staged, plan) if isinstance(plan, RootPlan) else None

    def _finished(self, staged: Staged, slots: _Slots, method: str, bound_eur: float) -> RootPlan:
        """The plan in the model, with the prices that its duals give."""
        powers = self._powers(self._netted(self._cleaned(slots)))
        if (staged.totals_kwh > SAME_KWH).any():
            # At a least total the dual is taken where the total is priced, not inside the slack of its cap.
            run_priced(self.runner, self.deadline, staged.totals_kwh, BELOW_KWH)
        constraints, h = self.runner.model.constraints, self.inputs.step_h
        balance = np.asarray(constraints["node_balance"].dual_value).reshape(-1, self.inputs.steps)
        return RootPlan(
            powers=powers,
            node_price_eur_per_kwh=-balance / h,
            water_value_eur_per_kwh=self._water_values(),
            bound_eur=bound_eur,
            method=method,
            solve_s=self.runner.solve_s + self.mixed_s,
            totals_are_least=True,
        )

    def _cleaned(self, slots: _Slots) -> _Slots:
        """Rounds a solver's noise to 0, so that an idle car is idle."""
        noise = np.where(self.low > 0.0, POWER_NOISE_KW, POWER_NOISE_KW / 100.0)
        noise_out = np.where(self.low_out > 0.0, POWER_NOISE_KW, POWER_NOISE_KW / 100.0)
        return _Slots(
            charge=np.where(slots.charge < noise, 0.0, slots.charge),
            discharge=np.where(slots.discharge < noise_out, 0.0, slots.discharge),
        )

    def _water_values(self) -> FloatArray:
        """The dual of the recursion, away as of the next slot [EUR/kWh], shape (S, T)."""
        values = np.zeros((len(self.inputs.stores), self.inputs.steps))
        if not self.layout.store.size:
            return values
        dual = np.asarray(self.runner.model.constraints["energy_recursion"].dual_value).reshape(-1)
        known = np.zeros(values.shape, dtype=np.bool_)
        values[self.layout.store, self.layout.step] = dual
        known[self.layout.store, self.layout.step] = True
        for t in range(values.shape[1] - 2, -1, -1):
            values[:, t] = np.where(known[:, t], values[:, t], values[:, t + 1])
        return values


def _better(one: Staged, other: Staged) -> bool:
    """Whether smaller totals, in their order, or else a smaller cost."""
    differ = np.abs(one.totals_kwh - other.totals_kwh) > 2.0 * SAME_KWH
    if differ.any():
        first = int(np.argmax(differ))
        return bool(one.totals_kwh[first] < other.totals_kwh[first])
    return one.cost_eur < other.cost_eur
