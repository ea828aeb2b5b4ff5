"""The compiled loops made ready before a plan with a deadline needs them.

In a new installation each loop is compiled at its first call, all of them in ten seconds or so of a
processor; later programs read them from disk. Small problems that take every way through the solver bring
that forward.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from controller.dispatch.inputs import DispatchInputs, NodeInput, Stay, StoreInput, StoreKind
from controller.dispatch.structured.program import build_program, with_weights
from controller.dispatch.structured.responses import water_values
from controller.dispatch.structured.solve import solve_structured
from controller.dispatch.structured.team import Team
from controller.domain.ids import AssetId, NodeId

_STEPS = 24
_CARS = 8


def compile_loops() -> None:
    """Plans a few cars behind a fuse too small for all: free to trade, in need, with a least power."""
    for wanted_kwh, charge_kw_min in ((0.0, 0.0), (58.0, 0.0), (30.0, 4.14)):
        solve_structured(_problem(wanted_kwh, charge_kw_min), threads=1)
    with Team(1) as team:
        program = with_weights(build_program(_problem(0.0, 0.0), team), (1.0, 1.0, 1.0, 1.0), cost=True)
        water_values(program, np.zeros((program.tree.kept.size, _STEPS)))


def _problem(wanted_kwh: float, charge_kw_min: float) -> DispatchInputs:
    root, feeder, step = NodeId("root"), NodeId("feeder"), np.ones(_STEPS)
    cars = [
        StoreInput(
            id=AssetId(f"car-{number}"),
            node=feeder,
            kind=StoreKind.VEHICLE,
            capacity_kwh=60.0,
            min_kwh=6.0,
            initial_kwh=20.0 + number,
            final_min_kwh=wanted_kwh,
            charge_kw_max=11.0 * step,
            discharge_kw_max=11.0 * step,
            efficiency_charge=0.95,
            efficiency_discharge=0.95,
            wear_eur_per_kwh_discharged=0.03,
            charge_kw_min=charge_kw_min,
            stays=(Stay(from_step=0, to_step=9), Stay(from_step=12, to_step=_STEPS)),
        )
        for number in range(_CARS)
    ]
    swing_eur_per_kwh = 0.15 * np.sin(np.arange(_STEPS))
    return DispatchInputs(
        start_utc=datetime(2024, 1, 15, tzinfo=UTC),
        step_h=0.5 * step,
        import_price_eur_per_kwh=0.25 + swing_eur_per_kwh,
        export_price_eur_per_kwh=0.20 + swing_eur_per_kwh,
        nodes=(
            NodeInput(id=root, parent=None, import_limit_kw=30.0 * step, export_limit_kw=10.0 * step),
            NodeInput(id=feeder, parent=root, import_limit_kw=25.0 * step, export_limit_kw=np.inf * step),
        ),
        stores=tuple(cars),
    )
