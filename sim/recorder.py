"""What happened, in quarter-hours: the books from which a run's summary is made.

The world tells the recorder every step; whatever is asked of it is a sum over steps. Node power is the
mean of a quarter-hour, losses included, and imports and exports are those of quarter-hour means at the
roots: it is how a connection is allocated to its supplier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from controller.domain.units import FloatArray

QUARTER_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartureRecord:
    """A car left on a booking."""

    vehicle: int
    booking: str
    at: datetime
    need_kwh: float
    """What the driver asked for."""
    energy_kwh: float
    """What was in the car."""
    alone_kwh: float
    """What the car alone, at full tapered power since it was plugged in, would have had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What flowed over all assets in a step or a quarter-hour [kWh], every figure a magnitude."""

    loads: float = 0.0
    produced: float = 0.0
    """PV after curtailment."""
    charged: float = 0.0
    """AC side, cars and batteries."""
    discharged: float = 0.0
    """AC side, cars and batteries."""
    losses: float = 0.0
    wear_eur: float = 0.0

    def __add__(self, other: Energy) -> Energy:
        """The sum, figure by figure."""
        return Energy(**{name: getattr(self, name) + getattr(other, name) for name in Energy.__slots__})


class Recorder:
    """The books of one run, per finished quarter-hour."""

    def __init__(self, nodes: int, stored_kwh: float) -> None:
        """Opens the books for `nodes` nodes with what cars and batteries hold [kWh] at this moment."""
        self.node_kw: list[FloatArray] = []
        """A row (N,) each: mean power."""
        self.energy: list[Energy] = []
        self.stored_kwh: list[float] = [stored_kwh]
        """In cars and batteries, at the opening and after each quarter-hour; what cars had to charge
        elsewhere, because they held less than their trip took, is taken off."""
        self.departures: list[DepartureRecord] = []
        self.elsewhere_kwh = 0.0
        self.voltage_min_v = float("inf")
        self.voltage_max_v = float("-inf")
        self._sum_kwh = np.zeros(nodes)
        self._energy = Energy()
        self._elapsed_s = 0.0

    def step(self, node_kw: FloatArray, energy: Energy, dt_s: float) -> bool:
        """Adds one step; tells whether the quarter-hour is full and wants to be closed."""
        self._sum_kwh += node_kw * (dt_s / 3600.0)
        self._energy = self._energy + energy
        self._elapsed_s += dt_s
        return self._elapsed_s >= QUARTER_S

    def close_quarter(self, held_kwh: float) -> None:
        """Closes the quarter-hour with what cars and batteries hold [kWh]."""
        self.node_kw.append(self._sum_kwh * 4.0)
        self.energy.append(self._energy)
        self.stored_kwh.append(held_kwh - self.elsewhere_kwh)
        self._sum_kwh = np.zeros_like(self._sum_kwh)
        self._energy = Energy()
        self._elapsed_s = 0.0

    def voltages(self, voltage_v: FloatArray) -> None:
        """Adds a solution of the power flow."""
        self.voltage_min_v = min(self.voltage_min_v, float(voltage_v.min()))
        self.voltage_max_v = max(self.voltage_max_v, float(voltage_v.max()))

    def quarters(self) -> FloatArray:
        """Mean power of each finished quarter-hour and node [kW], shape (Q, N)."""
        return np.array(self.node_kw).reshape(-1, len(self._sum_kwh))
