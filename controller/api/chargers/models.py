"""What the operator's charger routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from controller.api.models import Identifier, In, Out, ReasonOut


class CommandIn(In):
    """A request in the charger's own protocol."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"action": "TriggerMessage", "payload": {"requestedMessage": "Heartbeat"}}]
        }
    )

    action: str = Field(min_length=1, max_length=50)
    """The request's name in OCPP, `GetBaseReport`."""
    payload: dict[str, Any] = Field(default_factory=dict)
    """As the version's schema wants it."""
    confirm: bool = False
    """Whatever does more than ask is sent only when this is true."""


class CommandOut(Out):
    """The charger's answer."""

    action: str
    payload: dict[str, Any]
    """Empty after an error."""
    error: str
    """The code with which it refused; empty: it answered."""
    description: str


class MessageOut(Out):
    """One message as it was on the wire, secrets redacted."""

    at: datetime
    direction: str
    """from_charger or to_charger."""
    text: str


class PasswordOut(Out):
    """A charger that took a new password, which nobody is shown."""

    charger: str


class SecurityIn(In):
    """To which security profile a charger is to be raised."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"profile": 2, "confirm": True}]})

    profile: int = Field(ge=1, le=3)
    url: str = Field(default="", max_length=512, pattern="^(wss://.+)?$")
    """Where it is to connect encrypted (`wss://HOST:PORT/ocpp`), without its identity; empty: under the
    name by which it reaches us now. OCPP 2.x only."""
    interface: str = Field(default="Wired0", pattern="^(Wired|Wireless)[0-3]$")
    """Of its network interfaces; OCPP 2.x only."""
    confirm: bool = False
    """It starts anew after each step: say that this is meant."""


class SecurityOut(Out):
    """How far a charger followed."""

    charger: str
    before: int
    """Its security profile when it began."""
    reached: int
    """Below this it is not let in any more."""
    steps: list[str]
    """What it took, in order."""
    stopped: str
    """At which step it ended and why; empty: it is where it was to go."""


class HealthOut(Out):
    """A charger's state of health."""

    charger: str
    version: str
    """`ocpp2.1`; empty: not connected."""
    heard_at: datetime | None
    connects: int
    """Connections since the controller started."""
    ailments: list[str]
    """silent, ignores_profile, clock_off, flapping, refuses_defaults."""
    why: list[str]
    """A sentence with the figures for each."""
    since: list[datetime | None]
    """Since when each is known; null: since before the controller started."""


class RequestOut(Out):
    """A request that may be sent to a charger."""

    action: str
    is_harmless: bool
    """Whether it only asks; others need `confirm`."""


class FieldOut(Out):
    """One field of a request."""

    place: str
    """`chargingProfile.chargingSchedule[].duration`."""
    kind: str
    """text, time, whole number, number, yes or no, object, list."""
    is_required: bool
    choices: list[str]
    length_max: int | None


class RequestFormOut(Out):
    """How a request is written."""

    action: str
    is_harmless: bool
    template: dict[str, Any]
    """A payload with every required field, to be filled in."""
    fields: list[FieldOut]


class ConnectorOut(Out):
    """What a charger last said of one connector."""

    evse: int
    """0 in OCPP 1.6."""
    connector: int
    status: str
    error: str
    at: datetime


class FactsOut(Out):
    """What a charger told of itself, and what it was asked."""

    charger: str
    identity: str
    security_profile: int
    vendor: str
    model: str
    serial: str
    firmware: str
    booted_at: datetime | None
    connectors: list[ConnectorOut]
    transactions: list[str]
    """The newest first."""
    is_charging: bool
    """Whether the first of them goes on."""
    asked_kw: float | None
    asked_because: ReasonOut | None
    """Who bound it."""
    confirmed_kw: float | None
    confirmed_at: datetime | None
    valid_until: datetime | None
    safe_kw: float | None
    """What it does when the confirmed setpoint has run out, until its own hours count."""
    refused: str
    """How it took the last setpoint, where it did not."""
    floor_start_s: int
    """Seconds after midnight UTC at which its own hours begin."""
    floor_length_s: int
    """0: it does nothing on its own."""
    floor_kw: float


class RefusalOut(Out):
    """A charger that was refused."""

    identity: str


class WaitingOut(Out):
    """A charger that is not admitted."""

    identity: str
    knocks: int
    """How often it tried."""


class AdmitIn(In):
    """As what a charger is let in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"charger": "charger-1"}]})

    charger: Identifier
    """A charge point of the site, whose device until now is shown out."""


class AdmitOut(Out):
    """A charger that was let in."""

    identity: str
    charger: str
    password: str
    """Shown this once; empty where none is needed."""
