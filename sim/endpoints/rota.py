"""Whose turn it is to speak: many devices, each at its own interval and phase."""

from __future__ import annotations

import numpy as np

from controller.domain.units import FloatArray

_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however many there are."""


class Rota:
    """N devices; device n speaks every `interval_s[n]`, at a phase that differs from its neighbours'."""

    def __init__(self, interval_s: FloatArray) -> None:
        self._interval_s = interval_s
        phase = np.arange(1, len(interval_s) + 1) * _GOLDEN % 1.0
        self._next_s: FloatArray = phase * interval_s
        self._soonest_s = float(self._next_s.min(initial=np.inf))

    def due(self, elapsed_s: float) -> list[int]:
        """Whose turn came by `elapsed_s` [s since the start], in ascending order; each only once.

        A device that missed turns, because time took a long step, does not make up for them.
        """
        if elapsed_s < self._soonest_s:
            return []
        numbers = np.flatnonzero(self._next_s <= elapsed_s)
        missed = np.floor((elapsed_s - self._next_s[numbers]) / self._interval_s[numbers]) + 1.0
        self._next_s[numbers] += missed * self._interval_s[numbers]
        self._soonest_s = float(self._next_s.min(initial=np.inf))
        found: list[int] = numbers.tolist()
        return found
