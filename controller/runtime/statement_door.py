"""What the doors can see of statements, and what a supplier is told: a part of `door.Door`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from controller.domain.ids import MemberId
from market.statements import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementView:
    """A statement with the names that stand on it."""

    site: str
    member_name: str
    made_at: datetime
    tariff_source: str
    """Where the supplier's prices are written."""
    statement: Statement


class StatementDoor(Protocol):
    """The statements of the running controller."""

    async def statement(self, *, member: MemberId, first: date, last: date) -> StatementView:
        """A member's statement over some local days; `NotFoundError` where none of them is closed."""
        ...

    async def statements(self, *, member: MemberId, year: int) -> Sequence[StatementView]:
        """A year's months of which a day is closed, the oldest first; `NotFoundError` where there is none."""
        ...
