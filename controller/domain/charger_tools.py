"""What an operator sees of the talk with chargers, and what a driver offers to take part in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from controller.domain.ids import AssetId


class Direction(StrEnum):
    """Who said it."""

    FROM_CHARGER = "from_charger"
    TO_CHARGER = "to_charger"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """One message as it was on the wire, secrets redacted."""

    charge_point: AssetId
    at: datetime
    """Domain time."""
    direction: Direction
    text: str


class Ailment(StrEnum):
    """What is wrong with a charger."""

    SILENT = "silent"
    """Not connected, or connected and without a word for longer than it may be."""
    IGNORES_PROFILE = "ignores_profile"
    """It draws or gives more than it was told and took."""
    CLOCK_OFF = "clock_off"
    """Its timestamps cannot be: ours stand in their place."""
    FLAPPING = "flapping"
    """It connects again and again."""
    REFUSES_DEFAULTS = "refuses_defaults"
    """It did not take the profiles for the time without us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerHealth:
    """One charger's state of health."""

    charge_point: AssetId
    version: str
    """The subprotocol of its connection, `ocpp2.1`; empty: not connected."""
    heard_at: datetime | None
    """Its last message since we started."""
    connects: int
    """Connections since we started."""
    ailments: Sequence[Ailment]
    why: Sequence[str]
    """A sentence with the figures for each ailment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReply:
    """A charger's answer to an operator's request."""

    action: str
    payload: Mapping[str, Any]
    """Empty after an error."""
    error: str
    """The code with which it refused; empty: it answered."""
    description: str


class ChargerTools(Protocol):
    """What the driver of the chargers offers to operators; called on the control loop's thread."""

    async def command(
        self, charge_point: AssetId, action: str, payload: Mapping[str, Any], *, confirm: bool
    ) -> CommandReply:
        """Sends any request of the charger's protocol version and waits for the answer.

        Raises:
            NotFoundError: If the charger is not connected.
            InputProblemsError: If the version has no such request, or the payload breaks its schema.
            ConflictError: If it can do harm and `confirm` is false, or no answer came.
        """
        ...

    async def messages(
        self, charge_point: AssetId, *, since: datetime, until: datetime, contains: str, limit: int
    ) -> Sequence[LoggedMessage]:
        """The newest messages with a charger in a span that contain a text, the oldest of them first.

        Raises:
            NotFoundError: If there is no such charger.
        """
        ...

    async def timeline(self, charge_point: AssetId, transaction: str) -> Sequence[LoggedMessage]:
        """Every message that speaks of a transaction, with its answer, the oldest first.

        Raises:
            NotFoundError: If the charger or the transaction is not known.
        """
        ...

    def health(self) -> Sequence[ChargerHealth]:
        """Every charger's health, in the site's order."""
        ...

    def waiting(self) -> Mapping[str, int]:
        """Identities that knocked and are not admitted, with how often."""
        ...

    async def admit(self, identity: str, charge_point: AssetId) -> str:
        """Lets a waiting identity in as a charge point of the site, in place of who was that before.

        Returns:
            Its password, shown this once; empty where none is needed.

        Raises:
            NotFoundError: If nobody of that name waits, or there is no such charge point.
            ConflictError: If the identity is another charge point's name.
        """
        ...

    async def rotate_password(self, charge_point: AssetId) -> None:
        """Gives a charger a new password by its own protocol; nobody sees it.

        Raises:
            NotFoundError: If the charger is not connected.
            ConflictError: If it did not take it: the old one stays.
        """
        ...
