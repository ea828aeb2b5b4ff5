"""The Newton system of one iterate: factored once, solved a few times.

Hinges are eliminated into their targets (two scalars each), stores into their nodes (`chains`), nodes into
their parents (`forest`); a solve goes up that order and down again. Curvatures differ by twenty orders
of magnitude towards the end, so a solve checks what its full step would leave of the rows and, where
that is more than rounding, solves for the rest with the same factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.structured.chains import (
    LEAST_CURVATURE,
    condense_chains,
    expand_chains,
    factor_chains,
)
from controller.dispatch.structured.forest import Forest
from controller.dispatch.structured.program import Point, Program, Residuals
from controller.dispatch.structured.team import Part
from controller.domain.units import FloatArray, IntArray

type _System = tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray]
SLOTS = 3
"""Steps alive at once, at most: one, and the latest with a refinement."""
REFINE_FROM = 5e-9
"""A full step should leave no residual; from here on it is refined, kW or kWh."""


@dataclass(frozen=True, kw_only=True)
class Direction:
    """A step of everything; shapes as in `Point`."""

    x: FloatArray
    lam: FloatArray
    price: FloatArray
    omega: FloatArray
    left: Residuals
    """What a full step leaves of the rows."""


class Workspace:
    """Room for one run, taken once: fresh arrays of this size cost as much as the arithmetic on them.

    A step's arrays are used again `SLOTS` solves later; no step is kept that long.
    """

    def __init__(self, program: Program) -> None:
        c, size = program.chains, program.low.size
        m, nodes = c.step.size, program.tree.kept.size
        self.zero = np.zeros(size)
        """Stays 0."""
        self.inverse_l, self.inverse_u, self.theta = (np.zeros(size) for _ in range(3))
        self.dx, self.own, self.aim_l, self.aim_u = (np.zeros(size) for _ in range(4))
        self.more_l, self.more_u = np.zeros(size), np.zeros(size)
        self.settled = Residuals(
            recursion=np.zeros(m),
            balance=np.zeros((nodes, program.steps)),
            hinge=np.zeros(program.target.size),
        )
        """Nothing is off."""
        self.pivot, self.ratio, self.beta = (np.zeros(m) for _ in range(3))
        self.rho, self.slope, self.hinges = np.zeros(size), np.zeros(size), np.zeros(program.hinge_from)
        self.answers = np.zeros((len(program.parts), nodes, program.steps, program.steps))
        """Of each part's stores by themselves."""
        self.forest = _forest(program)
        self._slots = [(np.zeros(size), np.zeros(m), np.zeros(m)) for _ in range(SLOTS)]
        self._next = 0

    def slot(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Arrays for the next step: unknowns, water values, what is left of the recursions."""
        self._next = (self._next + 1) % SLOTS
        return self._slots[self._next]


def _forest(program: Program) -> Forest:
    """Room for the nodes' factors: where anything answers their prices, and where limits or kinks are."""
    c, roofs, p, h = program.chains, program.roofs, program.node_from, program.hinge_from
    shape = (program.tree.kept.size, program.steps)
    alive, bound = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    alive[program.chain_node[c.store], c.step] = True
    alive[roofs.node, roofs.step] = True
    bound |= (np.isfinite(program.low[p:h]) | np.isfinite(program.high[p:h])).reshape(shape)
    bound.reshape(-1)[program.target[program.target >= p] - p] = True
    return Forest(program.tree.parent, alive, bound)


class Newton:
    """The factored system; `inverse_l` and `inverse_u` (n,) are one over the distances to the bounds.

    Raises:
        FactorisationError: If a node's matrix is not positive definite to working precision.
    """

    def __init__(self, program: Program, point: Point, room: Workspace) -> None:
        self.program, self.point, self.room = program, point, room
        c, p, h, m = program.chains, program.node_from, program.hinge_from, 3 * program.chain_steps
        self.inverse_l, self.inverse_u, self.theta = room.inverse_l, room.inverse_u, room.theta
        tail = self._tail_curvature(m)
        count = program.target.size
        with np.errstate(divide="ignore"):
            # Not damped: a hinge with hardly a kink begins far out and must be free to come in.
            self.theta[h:] = 1.0 / (tail[h - m :] + np.finfo(np.float64).tiny)
        self.hinge_stiffness = 1.0 / (self.theta[h : h + count] + self.theta[h + count :])
        stiffness = room.hinges
        stiffness.fill(0.0)
        np.add.at(stiffness, program.target, self.hinge_stiffness)
        self.theta[m:p] = np.where(program.free[m:p], 1.0 / (tail[: p - m] + LEAST_CURVATURE), 0.0)
        self.pivot, self.ratio = room.pivot, room.ratio
        shape = (program.tree.kept.size, program.steps, program.steps)
        answers = room.answers[0]
        room.answers.fill(0.0)
        energy_stiffness = stiffness[2:m:3].copy()

        def factor(part: Part, into: FloatArray) -> None:
            chains = (program.order[part.stores], c.first, c.run, c.step, program.chain_node, c.gain, c.loss)
            values = (point.x, program.low, program.high, point.zl, point.zu, program.free, energy_stiffness)
            written = (self.theta, self.inverse_l, self.inverse_u, self.pivot, self.ratio)
            factor_chains(*chains, *values, *written, into)

        program.team.each(lambda work: factor(*work), tuple(zip(program.parts, room.answers, strict=True)))
        for more in room.answers[1:]:
            answers += more
        roofs = program.roofs
        np.add.at(answers, (roofs.node, roofs.step, roofs.step), self.theta[m:p])
        node_curvature = (tail[p - m : h - m] + stiffness[p:]).reshape(shape[:2])
        room.forest.factor(answers, node_curvature)

    def _tail_curvature(self, m: int) -> FloatArray:
        """Barrier curvatures behind the chains' section, shape (n - 3 M,); fills the inverses there."""
        program, point = self.program, self.point
        with np.errstate(divide="ignore", invalid="ignore"):
            self.inverse_l[m:] = 1.0 / (point.x[m:] - program.low[m:])
            self.inverse_u[m:] = 1.0 / (program.high[m:] - point.x[m:])
        return np.asarray(point.zl[m:] * self.inverse_l[m:] + point.zu[m:] * self.inverse_u[m:])

    def solve(self, slope: FloatArray, off: Residuals, aim_l: FloatArray, aim_u: FloatArray) -> Direction:
        """The step that removes the slopes and residuals and aims at given products."""
        step = self._solve_once(slope, off, aim_l, aim_u)
        if not REFINE_FROM < step.left.worst < np.inf:
            return step
        zero = self.room.zero
        more = self._solve_once(zero, step.left, zero, zero)
        return Direction(
            x=step.x + more.x,
            lam=step.lam + more.lam,
            price=step.price + more.price,
            omega=step.omega + more.omega,
            left=more.left,
        )

    def _solve_once(
        self, slope: FloatArray, off: Residuals, aim_l: FloatArray, aim_u: FloatArray
    ) -> Direction:
        program, theta = self.program, self.theta
        c, roofs = program.chains, program.roofs
        m, p, h, count = 3 * c.step.size, program.node_from, program.hinge_from, program.target.size
        rho, beta, hinges = self.room.rho, self.room.beta, self.room.hinges
        dx, lam, left = self.room.slot()
        rho[m:] = aim_l[m:] * self.inverse_l[m:] - aim_u[m:] * self.inverse_u[m:]
        rho[m:] -= slope[m:]
        above, below = theta[h : h + count], theta[h + count :]
        kappa = off.hinge - above * rho[h : h + count] + below * rho[h + count :]
        hinges.fill(0.0)
        np.add.at(hinges, program.target, self.hinge_stiffness * kappa)
        rho[p:h] -= hinges[p:]
        power, moved = off.balance.copy(), np.zeros_like(off.balance)
        energy_pull = hinges[2:m:3].copy()

        def system(part: Part) -> _System:
            return (c.first[part.edges], c.step, program.chain_node[part.stores], c.gain, c.loss, theta)

        def condense(part: Part) -> FloatArray:
            own = np.zeros_like(power)
            boxes = (self.inverse_l, self.inverse_u, self.pivot, self.ratio, slope, energy_pull, aim_l, aim_u)
            condense_chains(*system(part), *boxes, off.recursion, rho, beta, own)
            return own

        for own in program.team.each(condense, program.parts):
            power += own
        np.subtract.at(power, (roofs.node, roofs.step), theta[m:p] * rho[m:p])
        price, node_step = self.room.forest.solve(power, rho[p:h].reshape(power.shape))

        def expand(part: Part) -> FloatArray:
            own = np.zeros_like(price)
            factors = (self.pivot, self.ratio, rho, beta)
            expand_chains(*system(part), *factors, price, lam, dx, off.recursion, left, own)
            return own

        for own in program.team.each(expand, program.parts):
            moved += own
        dx[m:p] = theta[m:p] * (rho[m:p] + price[roofs.node, roofs.step])
        dx[p:h] = node_step.ravel()
        omega = self.hinge_stiffness * (dx[program.target] + kappa)
        dx[h : h + count] = above * (rho[h : h + count] + omega)
        dx[h + count :] = below * (rho[h + count :] - omega)
        left_over = program.left_after(off, dx, left, moved)
        return Direction(x=dx, lam=lam, price=price, omega=omega, left=left_over)
