"""A store's part of the Newton step against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest

from controller.dispatch.structured.chains import LEAST_CURVATURE, factor_chains
from controller.domain.units import FloatArray

# Two stays: steps 1 to 3 and 6 to 8 of nine.
STEP = np.array([1, 2, 3, 6, 7, 8], dtype=np.int64)
RUN = np.array([0, 0, 0, 3, 3, 3], dtype=np.int64)


def _answer(energy_dual: float, step: np.ndarray, run: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """The structured answer of one store and the same by dense inversion, both (T, T)."""
    rng = np.random.default_rng(3)
    m = step.size
    gain, loss = rng.uniform(0.2, 0.25, m), rng.uniform(0.25, 0.3, m)
    low, high = np.zeros(3 * m), np.ones(3 * m)
    x = rng.uniform(0.05, 0.95, 3 * m)
    zl, zu = rng.uniform(0.1, 2.0, 3 * m), rng.uniform(0.1, 2.0, 3 * m)
    zl[2::3] *= energy_dual
    zu[2::3] *= energy_dual
    free = np.ones(3 * m, dtype=np.bool_)
    free[4] = False
    theta, pivot, ratio = np.zeros(3 * m), np.empty(m), np.empty(m)
    steps = int(step.max()) + 1
    answer = np.zeros((1, steps, steps))
    factor_chains(
        np.array([0], dtype=np.int64),
        np.array([0, m], dtype=np.int64),
        run,
        step,
        np.array([0], dtype=np.int64),
        gain,
        loss,
        x,
        low,
        high,
        zl,
        zu,
        free,
        np.zeros(m),
        theta,
        np.zeros(3 * m),
        np.zeros(3 * m),
        pivot,
        ratio,
        answer,
    )
    curvature = zl / x + zu / (1.0 - x) + LEAST_CURVATURE
    inverse = np.where(free, 1.0 / curvature, 0.0)
    charge, discharge, energy = np.diag(inverse[0::3]), np.diag(inverse[1::3]), np.diag(inverse[2::3])
    differences = np.eye(m) - np.eye(m, k=-1)
    g, b = np.diag(gain), np.diag(loss)
    matrix = differences @ energy @ differences.T + g @ charge @ g + b @ discharge @ b
    coupling = g @ charge + b @ discharge
    dense = charge + discharge - coupling @ np.linalg.inv(matrix) @ coupling
    whole = np.zeros((steps, steps))
    whole[np.ix_(step, step)] = dense
    return answer[0] + np.tril(answer[0], -1).T, whole


@pytest.mark.parametrize("energy_dual", [1e-6, 1.0, 1e3])
def test_a_stores_answer_equals_dense_inversion(energy_dual: float) -> None:
    """The semiseparable products give the same matrix as inverting the tridiagonal system."""
    structured, dense = _answer(energy_dual, STEP, RUN)
    np.testing.assert_allclose(structured, dense, rtol=1e-9, atol=1e-9 * np.abs(dense).max())


def test_long_chains_begin_their_products_anew_instead_of_underflowing() -> None:
    """Where neighbours hardly couple, prefix products would underflow; the answer stays right."""
    step = np.arange(200, dtype=np.int64)
    structured, dense = _answer(1e4, step, np.zeros(200, dtype=np.int64))
    assert np.isfinite(structured).all()
    np.testing.assert_allclose(structured, dense, rtol=1e-7, atol=1e-12 * np.abs(dense).max())
