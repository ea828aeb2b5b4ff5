"""A way to us as a charger is told it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where and how a charger is to connect."""

    profile: int
    """The security profile."""
    url: str
    """Without the charger's identity (OCPP 2.0.1 Part 2, NetworkConnectionProfileType)."""
    interface: str
    """Of its network interfaces, as 2.x calls it: `Wired0`."""
    version: str
    """The subprotocol that it speaks."""
    answer_timeout_s: int
    """How long it waits for our answers [s]."""
