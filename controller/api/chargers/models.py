"""What the operator's charger routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from controller.api.models import Identifier, In, Out


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
