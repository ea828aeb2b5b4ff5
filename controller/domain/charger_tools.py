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
    since: Sequence[datetime | None]
    """Since when each ailment is known; None: since before we started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorState:
    """What a charger last said of one connector, in the words of its protocol."""

    evse: int
    """0 in OCPP 1.6, which counts connectors only."""
    connector: int
    """0 in OCPP 1.6: the charger as a whole."""
    status: str
    """`Available`, `SuspendedEV`, ..."""
    error: str = ""
    """1.6's error code; empty: none."""
    at: datetime
    """When we heard it, domain time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationFacts:
    """What a charger has told of itself since we started; empty: not told."""

    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    booted_at: datetime | None = None
    connectors: tuple[ConnectorState, ...] = ()
    """By number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerFacts:
    """Who a charger is and what goes on in it."""

    charge_point: AssetId
    identity: str
    """The name with which it connects."""
    security_profile: int
    """The highest that it has used, below which it is not let in."""
    station: StationFacts
    transactions: Sequence[str]
    """Those that are remembered, the newest first."""
    is_charging: bool
    """Whether the first of them goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """One field of a request, by its schema."""

    place: str
    """`chargingProfile.chargingSchedule[].duration`."""
    kind: str
    """text, time, whole number, number, yes or no, object, list."""
    is_required: bool
    """Where the object that it stands in is sent at all."""
    choices: Sequence[str] = ()
    """All values that it may have; empty: any."""
    length_max: int | None = None
    """Characters of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """How a request of the charger's protocol version is written."""

    action: str
    is_harmless: bool
    """Whether it only asks; others need to be confirmed."""
    template: Mapping[str, Any]
    """A payload with every required field, to be filled in."""
    fields: Sequence[FieldFacts]
    """All of them, in the schema's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReply:
    """A charger's answer to an operator's request."""

    action: str
    payload: Mapping[str, Any]
    """Empty after an error."""
    error: str
    """The code with which it refused; empty: it answered."""
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRaise:
    """How far a charger followed to a higher security profile."""

    charge_point: AssetId
    before: int
    """Its profile when it began."""
    reached: int
    """Below this it is not let in any more."""
    steps: Sequence[str]
    """What it took, in order: `took a password`, `came back with security profile 1`."""
    stopped: str
    """At which step it ended and why; empty: it is where it was to go."""


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

    def requests(self, charge_point: AssetId) -> Mapping[str, bool]:
        """The requests that a charger's protocol version has for us to send, and whether each only asks.

        Raises:
            NotFoundError: If the charger is not connected.
        """
        ...

    def request_form(self, charge_point: AssetId, action: str) -> RequestForm:
        """How one of them is written.

        Raises:
            NotFoundError: If the charger is not connected, or its version has no such request.
        """
        ...

    async def messages(
        self,
        charge_point: AssetId,
        *,
        since: datetime,
        until: datetime,
        contains: str,
        direction: Direction | None,
        limit: int,
    ) -> Sequence[LoggedMessage]:
        """The newest messages with a charger in a span that contain a text, the oldest of them first.

        `direction` None: both.

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

    def facts(self) -> Sequence[ChargerFacts]:
        """Who every charger is, in the site's order."""
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

    def refuse(self, identity: str) -> None:
        """Takes an identity off the list of those who wait; it may knock as it likes.

        Raises:
            NotFoundError: If nobody of that name waits.
        """
        ...

    def refused(self) -> Sequence[str]:
        """The identities that were refused."""
        ...

    def forgive(self, identity: str) -> None:
        """Lets a refused identity wait again when it knocks.

        Raises:
            NotFoundError: If it was not refused.
        """
        ...

    async def raise_security(
        self, charge_point: AssetId, profile: int, *, url: str, interface: str
    ) -> SecurityRaise:
        """Raises a charger's security profile by its own protocol, step by step; it starts anew after each.

        Args:
            charge_point: The charger.
            profile: Where it is to go, 1 to 3.
            url: Where it is to connect encrypted, without its identity; empty: under the name by which it
                reaches us now. OCPP 1.6 has no words for it.
            interface: Of its network interfaces (`Wired0`); OCPP 2.x only.

        Raises:
            NotFoundError: If the charger is not connected.
            ConflictError: If it stands there or higher already, a car charges, or we do not offer it.
        """
        ...

    async def rotate_password(self, charge_point: AssetId) -> None:
        """Gives a charger a new password by its own protocol; nobody sees it.

        Raises:
            NotFoundError: If the charger is not connected.
            ConflictError: If it did not take it: the old one stays.
        """
        ...
