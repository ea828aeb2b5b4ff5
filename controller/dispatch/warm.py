"""The last plan, for whoever makes the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.units import FloatArray, IntArray

SECONDS_PER_HOUR = 3600.0
OVERLAP_S = 1.0
"""Steps overlap if they share more than this [s]: boundaries are sums of rounded hours."""


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """The last plan and what it was made for."""

    inputs: DispatchInputs
    result: DispatchResult

    def steps_at(self, inputs: DispatchInputs) -> tuple[IntArray, FloatArray]:
        """Where a new problem's steps lie in the last plan.

        Returns:
            For each step the last plan's step at its middle, and 1 where there is one, 0 beyond; shapes (T,).
        """
        ends_h = np.cumsum(self.inputs.step_h)
        middle_h = np.cumsum(inputs.step_h) - 0.5 * inputs.step_h + self.shift_h(inputs)
        at = np.searchsorted(ends_h, middle_h, side="right")
        inside = ((middle_h >= 0.0) & (middle_h < ends_h[-1])).astype(np.float64)
        return np.clip(at, 0, self.inputs.steps - 1).astype(np.int64), inside

    def shift_h(self, inputs: DispatchInputs) -> float:
        """How much later a new problem starts [h]."""
        return (inputs.start_utc - self.inputs.start_utc).total_seconds() / SECONDS_PER_HOUR


def lowest_over(series: FloatArray, bounds_s: FloatArray, new_bounds_s: FloatArray) -> FloatArray:
    """The lowest value that overlaps each of other steps, infinite beyond the end, shape (K,).

    Args:
        series: Shape (T,).
        bounds_s: The start of each of its steps and the end of the last [s], shape (T + 1,).
        new_bounds_s: The same of the other steps, on the same clock, shape (K + 1,).
    """
    first = np.searchsorted(bounds_s, new_bounds_s[:-1] + OVERLAP_S, side="right") - 1
    last = np.searchsorted(bounds_s, new_bounds_s[1:] - OVERLAP_S, side="left")
    return np.array(
        [
            series[max(begin, 0) : min(end, series.size)].min(initial=np.inf)
            for begin, end in zip(first.tolist(), last.tolist(), strict=True)
        ]
    )
