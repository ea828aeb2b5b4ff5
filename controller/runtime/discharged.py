"""What each car has given back of its lifetime budget, by the registers of the chargers it stood at.

A charger's register of fed-in energy is read at every quarter-hour; what it rose by belongs to the car that
stands there, or stood there last. Of two cars within one quarter-hour the later gets both: a small error
on the careful side of one of them. The tally is kept as one small value beside the registers, in the same
transaction, so that nothing counts twice after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.time import QUARTER_H, parse_utc, utc_text
from controller.domain.units import WH_PER_KWH
from controller.domain.v2g import V2gUse
from controller.runtime.ports import RegisterRecord, UnitOfWork

KEY = "v2g_use"
"""The name of the kept value."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How far the counting is."""

    use: Mapping[AssetId, V2gUse] = field(default_factory=dict)
    """By car, since its budget began."""
    registers: Mapping[AssetId, RegisterRecord] = field(default_factory=dict)
    """The newest register of each charger."""
    cars: Mapping[AssetId, AssetId] = field(default_factory=dict)
    """The car that stood at each charger last."""

    def counted(
        self, registers: Sequence[RegisterRecord], standing: Mapping[AssetId, AssetId], site: Site
    ) -> Tally:
        """The tally with more registers.

        Args:
            registers: At quarter-hours, of any meter, in any order; known ones change nothing.
            standing: The car at each charger now.
            site: For the chargers and the cars with a budget.
        """
        cars = {**self.cars, **standing}
        use, newest = dict(self.use), dict(self.registers)
        counting = {vehicle.id: vehicle.v2g_budget for vehicle in site.vehicles if vehicle.v2g_budget}
        for register in sorted(registers, key=lambda one: one.at):
            point = site.charge_point_by_id.get(AssetId(str(register.meter)))
            if point is None or register.estimated:
                continue
            before = newest.get(point.id)
            if before is not None and register.at <= before.at:
                continue
            newest[point.id] = register
            car = cars.get(point.id)
            fed_wh = 0 if before is None else register.export_wh - before.export_wh
            # A register that ran backwards was exchanged: it begins anew.
            if car not in counting or fed_wh <= 0 or register.at.date() < counting[car].since:
                continue
            fed_kwh = fed_wh / WH_PER_KWH
            known = use.get(car, V2gUse())
            # Where registers are missing in between, nobody knows in which quarter-hours it was.
            at_full_h = fed_kwh / point.discharge_kw_max if point.discharge_kw_max > 0.0 else 0.0
            use[car] = V2gUse(
                energy_kwh=known.energy_kwh + fed_kwh, hours=known.hours + max(QUARTER_H, at_full_h)
            )
        return Tally(use=use, registers=newest, cars=cars)


async def load_tally(unit: UnitOfWork) -> Tally:
    """The tally as it was kept; an empty one where there is none."""
    text = await unit.value(KEY)
    if text is None:
        return Tally()
    kept = json.loads(text)
    return Tally(
        use={AssetId(car): V2gUse(energy_kwh=kwh, hours=hours) for car, (kwh, hours) in kept["use"].items()},
        registers={
            AssetId(point): RegisterRecord(
                meter=AssetId(point), at=parse_utc(at), import_wh=0, export_wh=export_wh
            )
            for point, (at, export_wh) in kept["registers"].items()
        },
        cars={AssetId(point): AssetId(car) for point, car in kept["cars"].items()},
    )


async def keep_tally(unit: UnitOfWork, tally: Tally) -> None:
    """Keeps the tally for the next start."""
    kept = {
        "use": {car: [use.energy_kwh, use.hours] for car, use in tally.use.items()},
        "registers": {point: [utc_text(one.at), one.export_wh] for point, one in tally.registers.items()},
        "cars": dict(tally.cars),
    }
    await unit.put_value(KEY, json.dumps(kept))
