"""What is kept of charging tokens and of guests' sessions; a part of `ports.UnitOfWork`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.domain.charging_tokens import ChargingToken
from controller.domain.ids import AssetId


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRecord:
    """A guest's session as it is kept."""

    session_id: str
    secret_hash: str
    """SHA-256 of the secret in the guest's link, hexadecimal."""
    charge_point: AssetId
    ended_at: datetime | None
    """When it was paid or given up; None: something is still to be done."""
    content: str
    """The session itself, as JSON text."""


class ChargingUnit(Protocol):
    """Tokens and guests inside one transaction."""

    async def put_charging_token(self, token: ChargingToken) -> None:
        """Keeps a token; one that is known is replaced."""
        ...

    async def charging_tokens(self) -> Sequence[ChargingToken]:
        """All of them, blocked ones too, the oldest first."""
        ...

    async def put_guest(self, record: GuestRecord) -> None:
        """Keeps a guest's session; one that is known is replaced."""
        ...

    async def guest(self, secret_hash: str) -> GuestRecord | None:
        """The session that a link opens."""
        ...

    async def open_guests(self) -> Sequence[GuestRecord]:
        """The sessions of which something is still to be done, by id."""
        ...

    async def drop_guests(self, *, ended_before: datetime) -> int:
        """Forgets sessions that ended before an instant; gives how many."""
        ...
