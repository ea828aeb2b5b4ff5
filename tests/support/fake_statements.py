"""What the fake street shows of statements: two days of January, of one home."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.runtime.statement_door import StatementView
from market.rates import Rate, RateKind
from market.statements import Line, LineKind, Statement
from tests.support.fake_views import RESIDENT, START

JANUARY = date(2024, 1, 1), date(2024, 1, 31)


def fake_statement(member: MemberId = RESIDENT) -> Statement:
    """10 kWh used, 4 of them neighbours'; half a cent decides."""
    lines = (
        (LineKind.SHARED_BUY, 4000, 600_000_000, 60),
        (LineKind.SUPPLY, 6000, 1_800_000_000, 180),
        (LineKind.FEED_IN, 1000, -50_000_000, -5),
        (LineKind.ENERGY_TAX, 10_000, 1_004_999_999, 100),
        (LineKind.VAT, None, 210_000_001, 21),
    )
    return Statement(
        member=member,
        first=JANUARY[0],
        last=JANUARY[1],
        used_wh=10_000,
        made_wh=1000,
        lines=tuple(
            Line(kind=kind, energy_wh=energy, amount_nanoeur=amount, cents=cents)
            for kind, energy, amount, cents in lines
        ),
        total_nanoeur=sum(amount for _, _, amount, _ in lines),
        without_nanoeur=4_000_000_000,
        sharing_nanoeur=3_600_000_000,
        days=2,
        estimated_quarters=3,
        unsettled_quarters=0,
        rates=(
            Rate(
                kind=RateKind.ENERGY_TAX,
                value=100_500,
                from_utc=datetime(2023, 12, 31, 23, tzinfo=UTC),
                source="the law <of the year>",
            ),
        ),
    )


class FakeStatements:
    """The part of a door that makes statements."""

    async def statement(self, *, member: MemberId, first: date, last: date) -> StatementView:
        """January's."""
        if (first, last) != JANUARY:
            raise NotFoundError(f"no day from {first} to {last} is closed yet")
        return StatementView(
            site="The fake street",
            member_name="Home <7>",
            made_at=START,
            tariff_source="the supplier's sheet",
            statement=fake_statement(member),
        )

    async def statements(self, *, member: MemberId, year: int) -> Sequence[StatementView]:
        """January of 2024."""
        if year != JANUARY[0].year:
            raise NotFoundError(f"no day of {year} is closed yet")
        return [await self.statement(member=member, first=date(year, 1, 1), last=date(year, 1, 31))]
