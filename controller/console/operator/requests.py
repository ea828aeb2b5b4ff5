"""The requests that operators send often, in each version's words, and reading what they write. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.domain.errors import InputProblemsError, Problem
from controller.texts import mark

OLD = "ocpp1.6"
"""The version whose requests are named and filled in otherwise."""
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """A request behind a button."""

    name: str
    """Source string of what stands on it."""
    old: tuple[str, Mapping[str, Any]]
    """Action and payload of OCPP 1.6."""
    new: tuple[str, Mapping[str, Any]]
    """The same in 2.0.1 and 2.1."""

    def said(self, version: str) -> tuple[str, Mapping[str, Any]]:
        """Action and payload in a version."""
        return self.old if version == OLD else self.new


QUICK = (
    Quick(
        name=mark("Ask for its status"),
        old=("TriggerMessage", {"requestedMessage": "StatusNotification"}),
        new=(
            "TriggerMessage",
            {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
        ),
    ),
    Quick(
        name=mark("Composite schedule"),
        old=("GetCompositeSchedule", {"connectorId": 1, "duration": _DAY_S}),
        new=("GetCompositeSchedule", {"evseId": 1, "duration": _DAY_S}),
    ),
    Quick(
        name=mark("Read its configuration"),
        old=("GetConfiguration", {}),
        new=("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
    ),
    Quick(
        name=mark("Unlock the plug"),
        old=("UnlockConnector", {"connectorId": 1}),
        new=("UnlockConnector", {"evseId": 1, "connectorId": 1}),
    ),
    Quick(
        name=mark("Restart (soft)"),
        old=("Reset", {"type": "Soft"}),
        new=("Reset", {"type": "OnIdle"}),
    ),
)
"""The buttons, those that only ask first."""


def written(payload: Mapping[str, Any]) -> str:
    """A payload as people edit it."""
    return json.dumps(payload, indent=2, ensure_ascii=False)


def read_payload(source: str) -> Mapping[str, Any]:
    """A payload that a person wrote; nothing at all is an empty one.

    Raises:
        InputProblemsError: If it is no JSON object, with the place of the mistake.
    """
    try:
        payload = json.loads(source or "{}")
    except json.JSONDecodeError as error:
        place = f"payload {error.lineno}:{error.colno}"
        raise InputProblemsError("request", [Problem(place=place, rule="is not valid JSON")]) from error
    if not isinstance(payload, dict):
        raise InputProblemsError("request", [Problem(place="payload", rule="must be a JSON object")])
    return payload
