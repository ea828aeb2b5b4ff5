"""Everything an operator sees of one charger: who it is, how it is, and what it was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.domain.assets import ChargePoint
from controller.domain.charger_tools import ChargerFacts, ChargerHealth
from controller.domain.floor import NOTHING, FloorHours
from controller.domain.ids import AssetId
from controller.domain.reasons import Reason
from controller.runtime.core import Controller


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointView:
    """What a charger was asked last, what it confirmed, and what it does without us."""

    asked_kw: float | None
    """None: nothing yet."""
    asked_because: Reason | None
    """Who bound it."""
    confirmed_kw: float | None
    confirmed_at: datetime | None
    """Since when that power is confirmed."""
    valid_until: datetime | None
    """When the confirmed setpoint runs out."""
    safe_kw: float | None
    """What it does then, until its own hours count."""
    refused: str
    """How it took the last one, where it did not; empty: it took it."""
    floor: FloorHours
    """What it does on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerOverview:
    """One charger."""

    facts: ChargerFacts
    health: ChargerHealth
    setpoint: SetpointView
    charge_kw_max: float
    discharge_kw_max: float
    template: str
    """Its make's template; empty: it follows its specification."""


def overview_of(
    controller: Controller, point: ChargePoint, facts: ChargerFacts, health: ChargerHealth
) -> ChargerOverview:
    """One charger as it is now."""
    return ChargerOverview(
        facts=facts,
        health=health,
        setpoint=_setpoint(controller, point.id),
        charge_kw_max=point.charge_kw_max,
        discharge_kw_max=point.discharge_kw_max,
        template=point.template or "",
    )


def _setpoint(controller: Controller, point: AssetId) -> SetpointView:
    cycle = controller.snapshot.cycle
    decision = None if cycle is None else cycle.decisions.get(point)
    confirmed = controller.steering.confirmed.get(point)
    refusal = controller.refusals.get(point)
    return SetpointView(
        asked_kw=None if decision is None else decision.power_kw,
        asked_because=None if decision is None else decision.reason,
        confirmed_kw=None if confirmed is None else confirmed.power_kw,
        confirmed_at=None if confirmed is None else confirmed.at,
        valid_until=None if confirmed is None else confirmed.setpoint.valid_until,
        safe_kw=None if confirmed is None else confirmed.setpoint.safe_kw,
        refused="" if refusal is None else refusal.why,
        floor=controller.guard.floor.hours.get(point, NOTHING),
    )
