"""What is kept of charge sessions; a part of `ports.UnitOfWork`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from controller.domain.charge_session import ChargeSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session as it is kept."""

    session: ChargeSession
    changed_at: datetime
    """When it was written last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """Which sessions are asked for."""

    tokens: Collection[str] | None = None
    """Started by one of these, in the form in which tokens are compared; None: by anybody."""
    began_from: Mapping[str, datetime] = field(default_factory=dict)
    """Of some of the tokens only those that began from then on."""
    began_before: Mapping[str, datetime] = field(default_factory=dict)
    """Of some of the tokens only those that began before."""
    changed_from: datetime | None = None
    """Included."""
    changed_before: datetime | None = None
    """Not included."""
    billable: bool = False
    """Only those that have a record."""


class SessionsUnit(Protocol):
    """Charge sessions inside one transaction."""

    async def put_charge_sessions(self, records: Iterable[SessionRecord]) -> None:
        """Keeps sessions; one that is known is replaced, unless it has ended: then it stays as it is."""
        ...

    async def open_charge_sessions(self) -> Sequence[ChargeSession]:
        """Those that have not ended, by start."""
        ...

    async def charge_session(self, session_id: str) -> SessionRecord | None:
        """One session."""
        ...

    async def charge_sessions(
        self, query: SessionQuery, *, offset: int, limit: int
    ) -> Sequence[SessionRecord]:
        """A page of sessions, by start and id."""
        ...

    async def count_charge_sessions(self, query: SessionQuery) -> int:
        """How many there are."""
        ...

    async def drop_charge_sessions(self, *, ended_before: datetime) -> int:
        """Forgets sessions that ended before an instant; gives how many."""
        ...
