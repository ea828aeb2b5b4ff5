"""Steps between bounds: as long as possible and no longer, and corrections that bring products back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from controller.dispatch.structured.boxes import FAR, NEAR, PARTS, centring, mixed_lengths, move
from controller.domain.units import BoolArray, FloatArray

SIZE = 60


@dataclass(frozen=True, kw_only=True)
class _Boxes:
    """Unknowns between bounds, some without an upper one, some not free, and a step with a change to it."""

    x: FloatArray
    inverse_l: FloatArray
    inverse_u: FloatArray
    zl: FloatArray
    zu: FloatArray
    free: BoolArray
    step: FloatArray
    aim_l: FloatArray
    aim_u: FloatArray
    more: FloatArray
    more_l: FloatArray
    more_u: FloatArray

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]:
        """What every loop takes first."""
        return self.inverse_l, self.inverse_u, self.zl, self.zu, self.free

    def moved(self, part: float, primal: float, dual: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Distances below and the duals after a step with a part of the change."""
        x, zl, zu = self.x.copy(), self.zl.copy(), self.zu.copy()
        step = self.step + part * self.more
        aims = (self.aim_l + part * self.more_l, self.aim_u + part * self.more_u)
        far = np.full(SIZE, np.inf)
        move(self.inverse_l, self.inverse_u, self.free, step, step, *aims, primal, dual, -far, far, x, zl, zu)
        return x, zl, zu


def _boxes(seed: int) -> _Boxes:
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(0.01, 2.0, SIZE), rng.uniform(0.01, 2.0, SIZE)
    unbounded = rng.random(SIZE) < 0.3
    steps = rng.standard_normal((6, SIZE))
    return _Boxes(
        x=np.zeros(SIZE),
        inverse_l=1.0 / low,
        inverse_u=np.where(unbounded, 0.0, 1.0 / high),
        zl=rng.uniform(0.01, 2.0, SIZE),
        zu=np.where(unbounded, 0.0, rng.uniform(0.01, 2.0, SIZE)),
        free=rng.random(SIZE) < 0.9,
        step=steps[0],
        aim_l=steps[1],
        aim_u=steps[2],
        more=steps[3],
        more_l=steps[4],
        more_u=steps[5],
    )


def _inside(boxes: _Boxes, x: FloatArray, zl: FloatArray, zu: FloatArray) -> tuple[bool, bool]:
    """Whether the unknowns, and whether the duals, are on the right side."""
    bounded = boxes.inverse_u > 0.0
    below = 1.0 / boxes.inverse_l + x
    above = 1.0 / boxes.inverse_u[bounded] - x[bounded]
    return bool((below > 0.0).all() and (above > 0.0).all()), bool((zl > 0.0).all() and (zu >= 0.0).all())


@pytest.mark.parametrize("seed", range(8))
def test_the_lengths_go_to_the_nearest_bound_and_no_further(seed: int) -> None:
    """A trace less stays inside, a trace more does not, for each part of the change and both steps."""
    boxes = _boxes(seed)
    aims = (boxes.aim_l, boxes.aim_u, boxes.more, boxes.more_l, boxes.more_u)
    worst = np.reshape(mixed_lengths(*boxes.bounds, boxes.step, boxes.step, *aims), (2, -1))
    assert (worst > 1.0).all(), "the steps are meant to be blocked"
    for place, part in enumerate(PARTS.tolist()):
        primal, dual = (1.0 / worst[:, place]).tolist()
        assert _inside(boxes, *boxes.moved(part, 0.999999 * primal, 0.999999 * dual)) == (True, True)
        assert _inside(boxes, *boxes.moved(part, 1.000001 * primal, 1.000001 * dual)) == (False, False)


@pytest.mark.parametrize("seed", range(4))
def test_a_centring_brings_back_the_products_that_would_stray_and_no_others(seed: int) -> None:
    """To the nearest of the limits, but never down by more than the upper one."""
    boxes, aim, primal, dual = _boxes(seed), 0.3, 0.4, 0.3
    more_l, more_u = np.full(SIZE, np.nan), np.full(SIZE, np.nan)
    aims = (boxes.aim_l, boxes.aim_u)
    centring(*boxes.bounds, boxes.step, boxes.step, *aims, primal, dual, aim, more_l, more_u)
    x, zl, zu = boxes.moved(0.0, primal, dual)
    bounded = boxes.free & (boxes.inverse_u > 0.0)
    for product, more, counts in (
        ((1.0 / boxes.inverse_l + x) * zl, more_l, boxes.free),
        ((1.0 / np.where(bounded, boxes.inverse_u, 1.0) - x) * zu, more_u, bounded),
    ):
        wanted = np.clip(product, NEAR * aim, FAR * aim)
        expected = np.maximum(wanted - product, -FAR * aim)
        assert more[counts] == pytest.approx(expected[counts])
        assert (expected[counts] > 0.0).any()
        assert (expected[counts] < 0.0).any()
        assert (more[~counts] == 0.0).all()


def test_no_step_ends_on_a_bound() -> None:
    """Where what is left of the way is less than numbers differ by, a digit of it stays."""
    low, high = np.array([68.64, -np.inf]), np.array([np.inf, 68.64])
    x = np.array([np.nextafter(68.64, 70.0), np.nextafter(68.64, 60.0)])
    inverse_l, inverse_u = 1.0 / (x - low), 1.0 / (high - x)
    step, zero = 0.995 * (np.array([68.64, 68.64]) - x), np.zeros(2)
    assert (x + step == 68.64).all()
    duals = np.full(2, 1584.0), np.full(2, 1584.0)
    free = np.ones(2, dtype=np.bool_)
    move(inverse_l, inverse_u, free, step, step, zero, zero, 1.0, 0.0, low, high, x, *duals)
    assert x[0] > low[0]
    assert x[1] < high[1]
    assert x.tolist() == pytest.approx([68.64, 68.64], rel=1e-15)
