"""Statements, made of the store when they are asked for: nothing of them is kept."""

from __future__ import annotations

import calendar
from collections.abc import Collection, Sequence
from datetime import date, datetime
from functools import partial

from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.domain.time import QUARTER, quarters_of_local_day
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import UnitOfWork
from controller.runtime.statement_door import StatementView
from controller.supplier_settings import tariffs
from market.ledger import member_account
from market.rates import Rate
from market.statements import Statement, make_statement


class Statements(OnLoop):
    """The statements of a running controller."""

    async def statement(self, *, member: MemberId, first: date, last: date) -> StatementView:
        """A member's statement over some local days."""
        made = await self._in_unit(partial(self._made, member=member, first=first, last=last))
        if not made[0].days:
            raise NotFoundError(f"no day from {first} to {last} is closed yet")
        return self._view(*made)

    async def statements(self, *, member: MemberId, year: int) -> Sequence[StatementView]:
        """A year's months of which a day is closed, the oldest first."""
        found = []
        for month in range(1, 13):
            first, last = month_days(year, month)
            # A transaction each: a year's postings are many, and others want the database too.
            made = await self._in_unit(partial(self._made, member=member, first=first, last=last))
            if made[0].days:
                found.append(self._view(*made))
        if not found:
            raise NotFoundError(f"no day of {year} is closed yet")
        return found

    async def _made(
        self, unit: UnitOfWork, *, member: MemberId, first: date, last: date
    ) -> tuple[Statement, Sequence[str]]:
        """The statement, and who supplied the member in its days: by now it may be somebody else."""
        start = quarters_of_local_day(first)[0]
        after = quarters_of_local_day(last)[-1] + QUARTER
        points = await unit.closed_days(first, last, member=member)
        suppliers = sorted({point.supplier for point in points})
        made = make_statement(
            member,
            first,
            last,
            points,
            await unit.postings_between(start, after, account=member_account(member)),
            self._rates(start, after, suppliers),
        )
        return made, suppliers

    def _rates(self, start: datetime, after: datetime, suppliers: Collection[str]) -> list[Rate]:
        """The rates that held in some of the time, for everybody or for customers of some suppliers."""
        return [
            rate
            for rate in self.controller.settings.sharing.rates
            if rate.from_utc < after
            and (rate.to_utc is None or rate.to_utc > start)
            and (not rate.supplier or rate.supplier in suppliers)
        ]

    def _view(self, made: Statement, suppliers: Sequence[str]) -> StatementView:
        site = self.controller.site
        names = {member.id: member.name for member in site.members}
        margins = tariffs(self.controller.settings.sharing.suppliers, site.tariff)
        sources = [margins[supplier].source for supplier in suppliers if supplier in margins]
        return StatementView(
            site=site.name,
            member_name=names.get(made.member, made.member),
            made_at=self.controller.clock.now(),
            tariff_source="; ".join(filter(None, sources)),
            statement=made,
        )


def month_days(year: int, month: int) -> tuple[date, date]:
    """The first and the last day of a month.

    Raises:
        ValueError: If there is no such month.
    """
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
