"""The supplier's side of the running controller (`supplier_door.SupplierDoor`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

from controller.domain.errors import ConflictError
from controller.domain.time import AMSTERDAM, QUARTER, quarters_of_local_day, utc_text
from controller.domain.units import NANOEUR_PER_EUR
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import EventRecord, UnitOfWork
from controller.runtime.supplier_door import ImbalanceView
from controller.runtime.supply_ports import AskedClosing, Nomination, NominationKind
from controller.runtime.trading import Trading
from market.benefit import Benefit, benefits
from market.day_closing import DayPoint
from market.imbalance import ImbalanceCost
from market.ledger import NO_ENERGY_BILL


class Supply(OnLoop):
    """What a supplier may see and tell."""

    trading: Trading

    async def nominations(self, *, day: date, kind: NominationKind, supplier: str) -> Sequence[Nomination]:
        """A local day's nominations."""
        first, after = _bounds(day)
        return await self._in_unit(lambda unit: unit.nominations(first, after, kind, supplier=supplier))

    async def imbalance(self, *, day: date, supplier: str) -> Sequence[ImbalanceView]:
        """A local day's quarter-hours."""
        first, after = _bounds(day)

        async def run(unit: UnitOfWork) -> Sequence[ImbalanceView]:
            told = {
                each.interval_start: each.import_wh - each.export_wh
                for each in await unit.nominations(first, after, NominationKind.INTRADAY, supplier=supplier)
            }
            closed = await unit.supplied(first, after, supplier=supplier)
            supplied = {each.interval_start: each for each in closed}
            costs = await unit.imbalance_costs(first, after, supplier=supplier)
            return [
                ImbalanceView(
                    interval_start=start,
                    nominated_wh=told.get(start),
                    supplied=supplied.get(start),
                    cost=costs.get(start),
                )
                for start in quarters_of_local_day(day)
            ]

        return await self._in_unit(run)

    async def put_imbalance_costs(
        self, *, costs: Mapping[datetime, ImbalanceCost], supplier: str, who: str
    ) -> int:
        """Keeps what imbalance cost, and that its days are to be closed again; gives how many."""
        now = self.controller.clock.now()
        if early := [start for start in costs if start + QUARTER > now]:
            raise ConflictError(f"the quarter-hour of {utc_text(min(early))} is not over")
        days = sorted({start.astimezone(AMSTERDAM).date() for start in costs})

        async def run(unit: UnitOfWork) -> None:
            await unit.put_imbalance_costs(costs, supplier=supplier)
            await unit.ask_closings(days, supplier=supplier, at=now)
            subject = ", ".join(map(str, days))
            await unit.add_event(
                EventRecord(at=now, who=who, what="told what imbalance cost", subject=subject)
            )

        await self._in_unit(run)
        await self._on_loop(self.trading.closing_again.wake())
        return len(days)

    async def closings(self, *, supplier: str) -> Sequence[AskedClosing]:
        """The days that are still to be closed for what a supplier has told."""
        return await self._in_unit(lambda unit: unit.asked_closings(supplier=supplier))

    async def benefit(self, *, first: date, last: date) -> Sequence[Benefit]:
        """What the auction brought each member on the closed days from `first` to `last`."""
        points: list[DayPoint] = []
        paid: dict[str, int] = {}
        for day in (first + timedelta(days=i) for i in range((last - first).days + 1)):
            # A transaction each: a year's postings are many, and others want the database too.
            found, balances = await self._in_unit(partial(_day, day=day))
            if found:
                points += found
                for account, amount in balances.items():
                    paid[account] = paid.get(account, 0) + amount
        fee = round(self.controller.settings.market.auction_fee_eur_per_year * NANOEUR_PER_EUR)
        return benefits(points, paid, fee)


async def _day(unit: UnitOfWork, *, day: date) -> tuple[Sequence[DayPoint], Mapping[str, int]]:
    """A closed day's points and what each account paid for its energy: of guests it says nothing."""
    points = await unit.closed_days(day, day)
    return points, await unit.balances_between(*_bounds(day), but=NO_ENERGY_BILL) if points else {}


def _bounds(day: date) -> tuple[datetime, datetime]:
    starts = quarters_of_local_day(day)
    return starts[0], starts[-1] + QUARTER
