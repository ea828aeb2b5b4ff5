"""The interior point: Mehrotra's predictor-corrector on a `Program`, with the Newton step by structure.

One iteration:

1. curvatures of all boxes; hinges are eliminated into their targets (two scalars each);
2. every store is factored and added to its node (`chains`), the nodes are factored up the tree (`forest`);
3. a first step aims at complementarity 0; how far it gets decides how much centring the second needs,
   and its second-order terms correct the second (`boxes`);
4. both use the same factors: stores condense to their nodes, prices are solved, stores expand.

The cost per iteration is linear in the stores. It ends when the rows hold and the *proven* bound
(`Program.bound`, valid whatever the iterate is) is within the wanted gap of the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from controller.dispatch.structured.boxes import (
    centre_outliers,
    curvatures,
    dual_steps,
    products,
    right_sides,
)
from controller.dispatch.structured.chains import (
    chain_residuals,
    condense_chains,
    expand_chains,
    factor_chains,
)
from controller.dispatch.structured.forest import (
    FactorisationError,
    NodeFactor,
    factor_forest,
    mirror,
    solve_forest,
)
from controller.dispatch.structured.program import Program
from controller.domain.units import FloatArray

TO_BOUNDARY = 0.995
"""The part of the way to the nearest bound that a step takes."""
LEAST_CURVATURE = 1e-10
"""Added to every free unknown's curvature: its inverse stays finite, the step hardly changes."""
CORRECTIONS = 2
"""Centrality corrections at most: one costs a fifth of an iteration and together they save a third."""
WORTH_IT = 0.02
"""A correction must lengthen the two steps together by this."""
GOOD_STEP = 0.95
"""Steps this long need no correction."""
REFINE_FROM = 1e-9
"""A full step should leave no residual; from here on it is refined, kW or kWh."""
OFF_MAX = 1e-6
"""Residual at which rows count as holding, kW or kWh; limits are checked again on the finished plan."""
ITERATIONS_MAX = 100
"""Usual are 20 to 45."""
START_SPREAD = 50.0
"""How far above a typical power times price the first products lie."""


@dataclass(kw_only=True)
class Point:
    """An iterate; its arrays are changed in place."""

    x: FloatArray
    """The unknowns, shape (n,)."""
    zl: FloatArray
    """Duals of the lower bounds, shape (n,)."""
    zu: FloatArray
    """Duals of the upper bounds, shape (n,)."""
    lam: FloatArray
    """Water values [EUR/kWh], shape (M,)."""
    price: FloatArray
    """Node prices times step length [EUR/kW], shape (K, T)."""
    omega: FloatArray
    """Slopes of the hinges, shape (J,)."""


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """By how much the rows are off."""

    recursion: FloatArray
    """Energy recursions [kWh], shape (M,)."""
    balance: FloatArray
    """Node balances [kW], shape (K, T)."""
    hinge: FloatArray
    """Shape (J,)."""

    @property
    def worst(self) -> float:
        """The largest, kW or kWh."""
        return max(
            float(np.abs(self.recursion).max(initial=0.0)),
            float(np.abs(self.balance).max(initial=0.0)),
            float(np.abs(self.hinge).max(initial=0.0)),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where the interior point came to."""

    point: Point
    cost_eur: float
    """The stage's cost at the point; the rows hold to `off`."""
    bound_eur: float
    """The best proven lower bound met on the way."""
    off: float
    """The largest residual, kW or kWh."""
    iterations: int
    converged: bool
    """Whether the wanted gap and residual were reached."""


def residuals(program: Program, x: FloatArray) -> Residuals:
    """By how much a vector misses the rows."""
    c, tree = program.chains, program.tree
    recursion = np.empty(c.step.size)
    balance = tree.base_kw.copy()
    chain_residuals(c.first, c.initial_kwh, c.step, program.chain_node, c.gain, c.loss, x, recursion, balance)
    m, p, h = 3 * c.step.size, program.node_from, program.hinge_from
    np.subtract.at(balance, (program.roofs.node, program.roofs.step), x[m:p])
    power = x[p:h].reshape(balance.shape)
    inner = tree.parent >= 0
    np.add.at(balance, tree.parent[inner], power[inner])
    balance -= power
    count = program.target.size
    hinge = x[program.target] - program.level - x[h : h + count] + x[h + count :]
    return Residuals(recursion=recursion, balance=balance, hinge=hinge)


@dataclass(frozen=True, kw_only=True)
class NewtonStep:
    """A direction; shapes as in `Point`."""

    x: FloatArray
    lam: FloatArray
    price: FloatArray
    omega: FloatArray


@dataclass(kw_only=True)
class Newton:
    """The factored Newton system of one iterate, and its solves."""

    program: Program
    point: Point
    theta: FloatArray = field(init=False)
    hinge_stiffness: FloatArray = field(init=False)
    factors: list[NodeFactor] = field(init=False)
    pivot: FloatArray = field(init=False)
    ratio: FloatArray = field(init=False)

    def factor(self) -> None:
        """Builds and factors the system at the current point."""
        program, point = self.program, self.point
        c, p, h = program.chains, program.node_from, program.hinge_from
        curvature = np.empty_like(point.x)
        curvatures(point.x, program.low, program.high, point.zl, point.zu, program.free, curvature)
        count = program.target.size
        with np.errstate(divide="ignore"):
            hinge_theta = 1.0 / (curvature[h:] + LEAST_CURVATURE)
            self.hinge_stiffness = 1.0 / (hinge_theta[:count] + hinge_theta[count:])
            np.add.at(curvature, program.target, self.hinge_stiffness)
            self.theta = np.where(program.free, 1.0 / (curvature + LEAST_CURVATURE), 0.0)
        self.theta[h:] = hinge_theta
        self.pivot, self.ratio = np.empty(c.step.size), np.empty(c.step.size)
        shape = (program.tree.kept.size, program.steps, program.steps)
        answers = np.zeros(shape)
        factor_chains(
            c.first,
            c.step,
            program.chain_node,
            c.gain,
            c.loss,
            self.theta,
            self.pivot,
            self.ratio,
            np.empty(c.step.size),
            answers,
        )
        mirror(answers)
        roofs = program.roofs
        np.add.at(answers, (roofs.node, roofs.step, roofs.step), self.theta[3 * c.step.size : p])
        node_curvature = curvature[p:h].reshape(shape[:2])
        self.factors = factor_forest(program.tree.parent, answers, node_curvature)

    def solve(self, rho: FloatArray, off: Residuals) -> NewtonStep:
        """The step for a right side; `rho` is used up."""
        program = self.program
        c, p, h = program.chains, program.node_from, program.hinge_from
        m, count = 3 * c.step.size, program.target.size
        above, below = self.theta[h : h + count], self.theta[h + count :]
        kappa = off.hinge - above * rho[h : h + count] + below * rho[h + count :]
        np.subtract.at(rho, program.target, self.hinge_stiffness * kappa)
        beta, lam, power = np.empty(c.step.size), np.empty(c.step.size), off.balance.copy()
        node = program.chain_node
        condense_chains(
            c.first,
            c.step,
            node,
            c.gain,
            c.loss,
            self.theta,
            self.pivot,
            self.ratio,
            rho,
            off.recursion,
            beta,
            lam,
            power,
        )
        roofs = program.roofs
        np.subtract.at(power, (roofs.node, roofs.step), self.theta[m:p] * rho[m:p])
        price, node_step = solve_forest(
            program.tree.parent, self.factors, power, rho[p:h].reshape(power.shape)
        )
        dx = np.empty_like(rho)
        expand_chains(
            c.first,
            c.step,
            node,
            c.gain,
            c.loss,
            self.theta,
            self.pivot,
            self.ratio,
            rho,
            beta,
            price,
            lam,
            dx,
        )
        dx[m:p] = self.theta[m:p] * (rho[m:p] + price[roofs.node, roofs.step])
        dx[p:h] = node_step.ravel()
        omega = self.hinge_stiffness * (dx[program.target] + kappa)
        dx[h : h + count] = above * (rho[h : h + count] + omega)
        dx[h + count :] = below * (rho[h + count :] - omega)
        return NewtonStep(x=dx, lam=lam, price=price, omega=omega)


def iterate(program: Program, point: Point, off: Residuals, gradient: FloatArray) -> bool:
    """One iteration with a few centrality corrections; changes the point, False if arithmetic gave out."""
    low, high, free = program.low, program.high, program.free
    at = (point.x, low, high, point.zl, point.zu, free)
    newton = Newton(program=program, point=point)
    newton.factor()
    second_l, second_u = np.zeros_like(point.x), np.zeros_like(point.x)
    rho, dzl, dzu = np.empty_like(point.x), np.empty_like(point.x), np.empty_like(point.x)
    right_sides(point.x, low, high, free, gradient, 0.0, second_l, second_u, rho)
    step = newton.solve(rho, off)
    primal, dual = dual_steps(*at, step.x, 0.0, second_l, second_u, dzl, dzu)
    now, count = products(*at, step.x, dzl, dzu, 0.0, 0.0)
    then, _ = products(*at, step.x, dzl, dzu, primal, dual)
    aim = (then / now) ** 3 * now / count
    second_l, second_u = step.x * dzl, -step.x * dzu
    best: tuple[NewtonStep, FloatArray, FloatArray, float, float] | None = None
    for _ in range(1 + CORRECTIONS):
        if best is not None:
            further = (min(1.0, 1.5 * best[3] + 0.1), min(1.0, 1.5 * best[4] + 0.1))
            centre_outliers(*at, best[0].x, best[1], best[2], *further, aim, second_l, second_u)
        right_sides(point.x, low, high, free, gradient, aim, second_l, second_u, rho)
        step, dzl, dzu = newton.solve(rho, off), np.empty_like(dzl), np.empty_like(dzu)
        primal, dual = dual_steps(*at, step.x, aim, second_l, second_u, dzl, dzu)
        if best is not None and primal + dual < best[3] + best[4] + WORTH_IT:
            break
        best = (step, dzl, dzu, primal, dual)
        if min(primal, dual) > GOOD_STEP:
            break
    assert best is not None
    return _move(point, *_refined(newton, best, aim, (second_l, second_u)))


def _refined(
    newton: Newton,
    best: tuple[NewtonStep, FloatArray, FloatArray, float, float],
    aim: float,
    second: tuple[FloatArray, FloatArray],
) -> tuple[NewtonStep, FloatArray, FloatArray, float, float]:
    """The step made to keep the rows, where rounding has put it off (very unequal curvatures do)."""
    program, point, (step, dzl, dzu, _, _) = newton.program, newton.point, best
    left = residuals(program, point.x + step.x)
    if not REFINE_FROM < left.worst < np.inf:
        return best
    more = newton.solve(np.zeros_like(point.x), left)
    step = NewtonStep(
        x=step.x + more.x,
        lam=step.lam + more.lam,
        price=step.price + more.price,
        omega=step.omega + more.omega,
    )
    at = (point.x, program.low, program.high, point.zl, point.zu, program.free)
    primal, dual = dual_steps(*at, step.x, aim, *second, dzl, dzu)
    return step, dzl, dzu, primal, dual


def _move(
    point: Point, step: NewtonStep, dzl: FloatArray, dzu: FloatArray, primal: float, dual: float
) -> bool:
    """Takes a step unless it is not a number."""
    if not (np.isfinite(step.x).all() and np.isfinite(step.price).all() and np.isfinite(step.lam).all()):
        return False
    primal, dual = min(1.0, TO_BOUNDARY * primal), min(1.0, TO_BOUNDARY * dual)
    point.x += primal * step.x
    point.zl += dual * dzl
    point.zu += dual * dzu
    point.lam += dual * step.lam
    point.price += dual * step.price
    point.omega += dual * step.omega
    return True


def run(
    program: Program,
    point: Point,
    *,
    gap_eur: float,
    off_max: float = OFF_MAX,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Iterates until the rows hold to `off_max` and the cost is within `gap_eur` of the proven bound.

    Args:
        program: One stage.
        point: Where to start; it is changed.
        gap_eur: The wanted gap [EUR].
        off_max: The wanted residual, kW or kWh.
        stop: Asked before each iteration; True ends the run where it is.
    """
    bound, sound, count = -np.inf, True, 0
    while True:
        off = residuals(program, point.x)
        gradient = program.gradient(point.lam, point.price, point.omega)
        bound = max(bound, program.bound(point.lam, point.price, point.omega))
        cost = float(program.cost @ point.x)
        done = off.worst <= off_max and cost - bound <= gap_eur
        if done or not sound or count == ITERATIONS_MAX or stop():
            break
        try:
            sound = iterate(program, point, off, gradient)
        except FactorisationError:
            sound = False
        count += 1
    return Outcome(
        point=point, cost_eur=cost, bound_eur=bound, off=off.worst, iterations=count, converged=done
    )


def cold_start(program: Program, price: FloatArray) -> Point:
    """A centred point: every box and hinge answers given prices as it would with a strong barrier.

    Conditions on the slopes hold from the start, and all products are equal; only the rows are off.

    Args:
        program: What is to be solved.
        price: A first guess of the price times step length [EUR/kW], shape (T,).
    """
    c, tree = program.chains, program.tree
    m, p, h, count = c.step.size, program.node_from, program.hinge_from, program.target.size
    power = program.high[: 2 * m][program.free[: 2 * m]]
    typical = max(float(power.mean()) if power.size else 0.0, 1e-3)
    aim = START_SPREAD * typical * max(float(np.abs(price).max(initial=0.0)), 1e-3)
    prices = np.repeat(price[None, :], tree.kept.size, axis=0)
    worth = float(price.sum()) / max(float(c.gain.sum()) / max(m, 1) * price.size, 1e-9)
    lam, omega = np.full(m, worth), np.zeros(count)
    slope = program.gradient(lam, prices, omega)
    x = np.zeros(program.low.size)
    x[:p] = _centred(program.low[:p], program.high[:p], slope[:p], aim)
    x[:p] = np.where(program.free[:p], x[:p], 0.0)
    power = residuals(program, x).balance
    for n, above in enumerate(tree.parent.tolist()):
        if above >= 0:
            power[above] += power[n]
    low, high = program.low[p:h], program.high[p:h]
    with np.errstate(invalid="ignore"):
        margin = np.where(np.isfinite(high - low), 0.1 * (high - low), 1.0)
    x[p:h] = np.clip(power.ravel(), low + margin, high - margin)
    miss = x[program.target] - program.level
    width = program.cost[h : h + count] + program.cost[h + count :]
    up = 2.0 * aim * width / (np.hypot(miss * width, 2.0 * aim) + 2.0 * aim - miss * width)
    x[h : h + count], x[h + count :] = aim / (width - up), aim / up
    with np.errstate(divide="ignore"):
        zl = np.where(program.free & np.isfinite(program.low), aim / (x - program.low), 0.0)
        zu = np.where(program.free & np.isfinite(program.high), aim / (program.high - x), 0.0)
    return Point(x=x, zl=zl, zu=zu, lam=lam, price=prices, omega=up - program.cost[h + count :])


def _centred(low: FloatArray, high: FloatArray, slope: FloatArray, aim: float) -> FloatArray:
    """Where `aim / (x - low) - aim / (high - x) = slope`."""
    width = high - low
    return low + 2.0 * aim * width / (slope * width + 2.0 * aim + np.hypot(slope * width, 2.0 * aim))
