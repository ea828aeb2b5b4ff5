"""What each supplier is told beforehand: nominations of what its customers will take and feed in.

The day before, from 13:00 on (after the day-ahead auction, before the balance responsible parties' programmes
are due), the next local day is nominated as soon as a plan covers all of it; that nomination stays as it is.
During the day the coming four hours are nominated again each quarter-hour by the newest plan. The last one
before a quarter-hour began is what imbalance is held against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from controller.domain.ids import AssetId, MemberId
from controller.domain.site import Site
from controller.domain.time import AMSTERDAM, QUARTER, quarter_start, quarters_of_local_day
from controller.runtime.core import Controller
from controller.runtime.expected import forecast_energy, planned_energy
from controller.runtime.offload import Offload
from controller.runtime.plan import ActivePlan
from controller.runtime.supply_ports import Nomination, NominationKind
from controller.supplier_settings import assets_supplied

DAY_AHEAD_AT_H = 13
"""The local hour from which the next day is nominated."""
INTRADAY_QUARTERS = 16
"""How many coming quarter-hours are nominated again."""


class Nominating:
    """Nominates for one controller."""

    def __init__(self, controller: Controller, *, offload: Offload) -> None:
        self.controller = controller
        self._offload = offload
        self._supplier_of = assets_supplied(controller.site, controller.settings.sharing.suppliers)
        """Who supplies each asset that has an allocation point."""
        self._day_ahead: date | None = None
        """The last local day that was nominated the day before."""
        self._intraday: datetime | None = None
        """The quarter-hour in which was nominated last."""

    async def nominate_due(self) -> None:
        """Nominates what is to be nominated by now; without a plan nothing is."""
        now, plan = self.controller.clock.now(), self.controller.plan
        if plan is None:
            return
        local = now.astimezone(AMSTERDAM)
        tomorrow = local.date() + timedelta(days=1)
        if local.hour >= DAY_AHEAD_AT_H and self._day_ahead != tomorrow:
            await self._nominate_tomorrow(plan, tomorrow, now)
        if self._intraday != quarter_start(now):
            first = quarter_start(now) + QUARTER
            starts = [first + i * QUARTER for i in range(INTRADAY_QUARTERS)]
            covered = [start for start in starts if plan.step_at(start) is not None]
            await self._put(plan, covered, NominationKind.INTRADAY, now)
            self._intraday = quarter_start(now)

    async def _nominate_tomorrow(self, plan: ActivePlan, day: date, now: datetime) -> None:
        starts = quarters_of_local_day(day)
        async with self.controller.store.unit() as unit:
            known = [
                await unit.nominations(
                    starts[0], starts[-1] + QUARTER, NominationKind.DAY_AHEAD, supplier=supplier
                )
                for supplier in sorted(set(self._supplier_of.values()))
            ]
        if not any(known):
            if any(plan.step_at(start) is None for start in starts):
                return
            await self._put(plan, starts, NominationKind.DAY_AHEAD, now)
        self._day_ahead = day

    async def _put(
        self, plan: ActivePlan, starts: Sequence[datetime], kind: NominationKind, now: datetime
    ) -> None:
        made: list[Nomination] = await self._offload(
            _nominations, plan, self.controller.site, self._supplier_of, starts, kind, now
        )
        async with self.controller.store.unit() as unit:
            await unit.put_nominations(made)


def _nominations(
    plan: ActivePlan,
    site: Site,
    supplier_of: Mapping[AssetId, str],
    starts: Sequence[datetime],
    kind: NominationKind,
    now: datetime,
) -> list[Nomination]:
    return [made for start in starts for made in nominations(plan, site, supplier_of, start, kind, now)]


def nominations(
    plan: ActivePlan,
    site: Site,
    supplier_of: Mapping[AssetId, str],
    start: datetime,
    kind: NominationKind,
    now: datetime,
) -> list[Nomination]:
    """What a plan says of a quarter-hour that it covers, for each supplier by its customers.

    Args:
        plan: The plan.
        site: The neighbourhood.
        supplier_of: Who supplies each asset.
        start: The quarter-hour.
        kind: Which announcement it is.
        now: Domain time.
    """
    expected = [(each.asset, each.member, each.energy_wh) for each in planned_energy(plan, site, start)]
    expected += [(each.asset, each.member, each.energy_wh) for each in forecast_energy(plan, site, start)]
    made = []
    for supplier in sorted(set(supplier_of.values())):
        net: Counter[MemberId] = Counter()
        taken = fed = 0
        for asset, member, energy_wh in expected:
            if supplier_of[AssetId(asset)] != supplier:
                continue
            net[member] += energy_wh
            taken += max(energy_wh, 0)
            fed += max(-energy_wh, 0)
        made.append(
            Nomination(
                interval_start=start,
                kind=kind,
                made_at=now,
                import_wh=taken,
                export_wh=fed,
                net_wh=dict(net),
                supplier=supplier,
            )
        )
    return made
