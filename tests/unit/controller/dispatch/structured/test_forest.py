"""The nodes' part of the Newton step against one dense system of all nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.structured.forest import FactorisationError, Forest
from controller.domain.units import BoolArray, FloatArray

# Two leaves under an inner node, a third leaf beside it under the root.
PARENT = np.array([2, 2, 4, 4, -1], dtype=np.int64)
STEPS = 7


def _answers(rng: np.random.Generator, alive: BoolArray) -> FloatArray:
    """A symmetric positive semidefinite matrix per node, zero where nothing hangs, shape (K, T, T)."""
    factor = rng.normal(size=(*alive.shape, 3)) * alive[:, :, None]
    return np.asarray(factor @ factor.transpose(0, 2, 1))


def _dense(
    answers: FloatArray, curvature: FloatArray, bound: BoolArray, power: FloatArray, rho: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Prices and powers of all nodes at once.

    Unknown are y and dP of each node: `dP = power - A y + (children's dP)`, and the node powers' own
    condition `y = y_parent - rho + h dP`, with h only where the power is bound.
    """
    nodes, steps = power.shape
    size = nodes * steps
    matrix, right = np.zeros((2 * size, 2 * size)), np.concatenate([power.ravel(), rho.ravel()])
    for n, above in enumerate(PARENT.tolist()):
        own = slice(n * steps, (n + 1) * steps)
        flow = slice(size + n * steps, size + (n + 1) * steps)
        matrix[own, own] = answers[n]
        matrix[own, flow] = np.eye(steps)
        for child in np.flatnonzero(n == PARENT).tolist():
            matrix[own, size + child * steps : size + (child + 1) * steps] = -np.eye(steps)
        matrix[flow, own] = -np.eye(steps)
        if above >= 0:
            matrix[flow, above * steps : (above + 1) * steps] = np.eye(steps)
        matrix[flow, flow] = np.diag(np.where(bound[n], curvature[n], 0.0))
    solution = np.linalg.solve(matrix, right)
    return solution[:size].reshape(nodes, steps), solution[size:].reshape(nodes, steps)


# The first call may compile.
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), hanging=st.floats(0.0, 1.0), limits=st.floats(0.0, 1.0))
def test_steps_are_those_of_the_dense_system(seed: int, hanging: float, limits: float) -> None:
    """Whatever hangs where, and wherever limits are; also where a limit has nothing under it."""
    rng = np.random.default_rng(seed)
    alive = rng.random((PARENT.size, STEPS)) < hanging
    bound = rng.random((PARENT.size, STEPS)) < limits
    curvature = np.where(bound, rng.uniform(0.1, 10.0, bound.shape), 0.0)
    answers = _answers(rng, alive)
    power, rho = rng.normal(size=(2, PARENT.size, STEPS))
    wanted = _dense(answers, curvature, bound, power, rho)
    forest = Forest(PARENT, alive, bound)
    forest.factor(np.tril(answers), curvature)
    price, step = forest.solve(power.copy(), rho)
    np.testing.assert_allclose(price, wanted[0], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(step, wanted[1], rtol=1e-8, atol=1e-8)


def test_a_second_right_side_needs_no_second_factorisation() -> None:
    """Solving leaves the factors as they were."""
    rng = np.random.default_rng(5)
    everywhere = np.ones((PARENT.size, STEPS), dtype=np.bool_)
    forest = Forest(PARENT, everywhere, everywhere)
    forest.factor(_answers(rng, everywhere), np.ones((PARENT.size, STEPS)))
    power, rho = rng.normal(size=(2, PARENT.size, STEPS))
    first = forest.solve(power.copy(), rho)
    np.testing.assert_array_equal(forest.solve(power.copy(), rho), first)


def test_what_is_no_number_is_told() -> None:
    """A curvature that is not finite fails the factorisation and gives no step."""
    everywhere = np.ones((1, 2), dtype=np.bool_)
    forest = Forest(np.array([-1], dtype=np.int64), everywhere, everywhere)
    with pytest.raises(FactorisationError):
        forest.factor(np.eye(2)[None, :, :].copy(), np.array([[np.nan, 1.0]]))
