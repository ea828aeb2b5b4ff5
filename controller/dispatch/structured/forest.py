"""The nodes' part of the Newton step: one dense matrix of steps by steps per kept node, up and down.

Under a node everything together answers a change of its price by `-A y`, A symmetric positive
semidefinite: the sum of its stores' matrices, of its roofs' diagonals, and of its child nodes' answers
to *their* parent's price. With the node's own power bounded (barrier curvature `h` per step, 0 where
nothing can bind) its price follows from its parent's by `y = y_parent - rho + h dP`, hence

    dP = f - A (y_parent - rho) - A h dP.

With `k = sqrt(h)` that is a Cholesky factorisation of `B = 1 + k A k`, never worse conditioned than it
need be, and the node answers its parent by `A - Z'Z`, `Z = inv(L) k A`. A root has no parent: its own
curvature (limits, and the kink between buying and selling) closes the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg.blas import dsyrk, dtrsm, dtrsv
from scipy.linalg.lapack import dpotrf

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import FloatArray, IntArray


class FactorisationError(ArithmeticError):
    """A node's matrix is not positive definite to working precision."""


@dataclass(frozen=True, kw_only=True)
class NodeFactor:
    """What a node keeps for the solves of one iteration."""

    answer: FloatArray
    """A, children included, shape (T, T)."""
    bound: IntArray
    """The steps in which the node's power has curvature, shape (b,)."""
    root_curvature: FloatArray
    """k at those steps, shape (b,)."""
    lower: FloatArray
    """L, shape (b, b)."""
    reduced: FloatArray
    """Z, shape (b, T)."""


@compiled
def mirror(matrix: FloatArray) -> None:
    """Copies the lower triangle of a matrix (T, T) to its upper one."""
    for i in range(matrix.shape[0]):
        for j in range(i):
            matrix[j, i] = matrix[i, j]


def factor_forest(parent: IntArray, answers: FloatArray, curvature: FloatArray) -> list[NodeFactor]:
    """Factors every node, children first; of `answers` (K, T, T) lower triangles count, it is used up.

    Raises:
        FactorisationError: If a matrix is not positive definite to working precision.
    """
    factors = []
    for n, above in enumerate(parent.tolist()):
        answer = answers[n]
        mirror(answer)
        bound = np.flatnonzero(curvature[n] > 0.0)
        k = np.sqrt(curvature[n, bound])
        # LAPACK reads by columns: transposed, a row-wise array of a symmetric matrix needs no copy.
        scaled = (answer[:, bound] * k).T
        matrix = scaled[:, bound] * k
        matrix[np.arange(bound.size), np.arange(bound.size)] += 1.0
        lower, reduced = _reduce(matrix, scaled, keep=above >= 0)
        if above >= 0:
            answers[above] += answer
            if bound.size:
                dsyrk(-1.0, reduced, beta=1.0, c=answers[above].T, trans=1, lower=0, overwrite_c=1)
        factors.append(NodeFactor(answer=answer, bound=bound, root_curvature=k, lower=lower, reduced=reduced))
    return factors


def solve_forest(
    parent: IntArray, factors: list[NodeFactor], power: FloatArray, rho: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The steps of the nodes' prices and powers, both (K, T).

    Args:
        parent: The kept parent of each node, -1 for a root.
        factors: From `factor_forest`.
        power: What hangs directly at each node does at unchanged prices, plus the balance's residual,
            shape (K, T); used up.
        rho: Right side of the node powers' own condition, shape (K, T).
    """
    held = []
    for factor, n, above in zip(factors, range(len(factors)), parent.tolist(), strict=True):
        power[n] += factor.answer @ rho[n]
        part = _lower_solve(factor.lower, factor.root_curvature * power[n, factor.bound])
        held.append(part)
        if above >= 0:
            power[above] += power[n] - factor.reduced.T @ part
    price, step = np.empty_like(rho), np.empty_like(rho)
    for n in range(len(factors) - 1, -1, -1):
        factor, above = factors[n], int(parent[n])
        given = price[above] if above >= 0 else np.zeros(rho.shape[1])
        part = held[n] - factor.reduced @ given if above >= 0 else held[n]
        moved = _lower_solve(factor.lower, part, transposed=True)
        price[n] = given - rho[n]
        price[n, factor.bound] += factor.root_curvature * moved
        step[n] = power[n] - factor.answer @ (price[n] + rho[n])
        step[n, factor.bound] = moved / factor.root_curvature
    return price, step


def _reduce(matrix: FloatArray, scaled: FloatArray, *, keep: bool) -> tuple[FloatArray, FloatArray]:
    """L and, where a parent needs it, Z; both arguments are used up."""
    if not matrix.size:
        return matrix, scaled
    # Its upper triangle is left as it was: nothing reads it.
    lower, info = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if info != 0:
        raise FactorisationError(f"leading minor {info} of a node's matrix is not positive")
    reduced = dtrsm(1.0, lower, scaled, lower=1, overwrite_b=1) if keep else scaled[:0]
    return lower, reduced


def _lower_solve(lower: FloatArray, right: FloatArray, *, transposed: bool = False) -> FloatArray:
    if not right.size:
        return right
    return cast("FloatArray", dtrsv(lower, right, lower=1, trans=int(transposed)))
