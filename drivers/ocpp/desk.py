"""The operator's tools for chargers: any request by hand, the message log, health, admission, passwords."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from controller.domain.charger_tools import (
    ChargerFacts,
    ChargerHealth,
    CommandReply,
    Direction,
    LoggedMessage,
    RequestForm,
    SecurityRaise,
)
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError, Problem
from controller.domain.ids import AssetId
from drivers.ocpp import forms, schemas
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.gate import new_password
from drivers.ocpp.link import Link, LinkLostError, NotSentError
from drivers.ocpp.raising import Raising
from drivers.ocpp.told import NOTHING_TOLD

HARMLESS = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})
"""Beside everything that only asks (`Get...`); all else needs to be confirmed."""
ASKS = "Get"
UPLOADS = frozenset({"GetDiagnostics", "GetLog"})
"""These send what the charger knows of people to any address: they need to be confirmed as well."""
TIMELINE_MAX = 5000
_EVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class OcppDesk:
    """Implements `controller.domain.charger_tools.ChargerTools` on an endpoint."""

    def __init__(self, endpoint: OcppEndpoint, charge_points: Sequence[AssetId]) -> None:
        """Needs the endpoint and the charge points in the site's order."""
        self._endpoint, self._points = endpoint, tuple(charge_points)
        self._climbing: set[AssetId] = set()
        """Those whose security profile is being raised: two climbs would take each other's steps."""

    async def command(
        self, charge_point: AssetId, action: str, payload: Mapping[str, Any], *, confirm: bool
    ) -> CommandReply:
        """Sends any request of the charger's protocol version; see `ChargerTools.command`."""
        link = self._link(charge_point)
        version = link.session.schemas
        if not schemas.knows(version, action):
            rule = f"{link.connection.subprotocol} has no request {action[:50]!r}"
            raise InputProblemsError("command", [Problem(place="action", rule=rule)])
        wrong = schemas.violations(version, f"{action}Request", dict(payload))
        if wrong:
            found = (Problem(place=_place(steps), rule=rule) for steps, rule in wrong)
            raise InputProblemsError("command", found)
        try:
            orjson.dumps(dict(payload))
        except orjson.JSONEncodeError as error:
            # No schema bounds them: an integer of more than 64 bits, vendors' data without end.
            rule = "is nested too deeply, or has too large a number"
            raise InputProblemsError("command", [Problem(place="payload", rule=rule)]) from error
        if not confirm and not is_harmless(action):
            raise ConflictError(f"{action} can do harm: send it again with confirm = true")
        answer = await self._ask(link, Request(action=action, payload=dict(payload)))
        return CommandReply(
            action=action, payload=answer.payload, error=answer.error, description=answer.description
        )

    def requests(self, charge_point: AssetId) -> Mapping[str, bool]:
        """The requests of its version and whether each only asks; see `ChargerTools.requests`."""
        return {
            action: is_harmless(action) for action in forms.ours(self._link(charge_point).session.schemas)
        }

    def request_form(self, charge_point: AssetId, action: str) -> RequestForm:
        """How one of them is written; see `ChargerTools.request_form`."""
        link = self._link(charge_point)
        if action not in forms.ours(link.session.schemas):
            raise NotFoundError(
                f"{link.connection.subprotocol} has no request {action[:50]!r} for us to send"
            )
        template, fields = forms.form(link.session.schemas, action)
        return RequestForm(action=action, is_harmless=is_harmless(action), template=template, fields=fields)

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
        """The newest messages with a charger that contain a text; see `ChargerTools.messages`."""
        self._known(charge_point)
        return await self._endpoint.log.search(
            charge_point, since=since, until=until, contains=contains, direction=direction, limit=limit
        )

    async def timeline(self, charge_point: AssetId, transaction: str) -> Sequence[LoggedMessage]:
        """Every message that speaks of a transaction, with its answer; see `ChargerTools.timeline`."""
        self._known(charge_point)
        every = await self._endpoint.log.search(
            charge_point, since=_EVER[0], until=_EVER[1], limit=TIMELINE_MAX
        )
        # Thousands of frames take a tenth of a second: the chargers' replies do not wait for it.
        told = await asyncio.to_thread(_telling_of, transaction, every)
        if not told:
            raise NotFoundError(f"{charge_point} has told of no transaction {transaction!r}")
        return told

    def health(self) -> Sequence[ChargerHealth]:
        """Every charger's health."""
        return [self._endpoint.health_of(point) for point in self._points]

    def facts(self) -> Sequence[ChargerFacts]:
        """Who every charger is."""
        return [self._facts(point) for point in self._points]

    def _facts(self, point: AssetId) -> ChargerFacts:
        known, session = self._endpoint.gate.known(point), self._endpoint.session_of(point)
        running = None if session is None else session.open_transaction
        ended = () if session is None else session.ended_transactions[::-1]
        return ChargerFacts(
            charge_point=point,
            identity=known.identity,
            security_profile=known.profile,
            station=NOTHING_TOLD if session is None else session.told,
            transactions=ended if running is None else (running, *ended),
            is_charging=running is not None,
        )

    def waiting(self) -> Mapping[str, int]:
        """Identities that knocked and are not admitted, with how often."""
        return dict(self._endpoint.gate.waiting)

    async def admit(self, identity: str, charge_point: AssetId) -> str:
        """Lets a waiting identity in; see `ChargerTools.admit`."""
        return await self._endpoint.admit(identity, charge_point)

    def refuse(self, identity: str) -> None:
        """Takes an identity off the list of those who wait; see `ChargerTools.refuse`."""
        self._endpoint.gate.refuse(identity)

    def refused(self) -> Sequence[str]:
        """The identities that were refused."""
        return self._endpoint.gate.refused

    def forgive(self, identity: str) -> None:
        """Lets a refused identity wait again; see `ChargerTools.forgive`."""
        self._endpoint.gate.forgive(identity)

    async def raise_security(
        self, charge_point: AssetId, profile: int, *, url: str, interface: str
    ) -> SecurityRaise:
        """Raises a charger's security profile; see `ChargerTools.raise_security`."""
        self._known(charge_point)
        if charge_point in self._climbing:
            raise ConflictError(f"{charge_point} is being raised already")
        self._climbing.add(charge_point)
        try:
            return await Raising(self._endpoint, charge_point, url=url, interface=interface).to(profile)
        finally:
            self._climbing.discard(charge_point)

    async def rotate_password(self, charge_point: AssetId) -> None:
        """Gives a charger a new password; see `ChargerTools.rotate_password`."""
        link = self._link(charge_point)
        password = new_password()
        # Expected before it is sent: whoever takes it and loses the connection must get in again.
        self._endpoint.gate.expect_password(charge_point, password)
        answer = await self._ask(link, link.session.password_request(password))
        if not link.session.password_taken(answer):
            raise ConflictError(f"{charge_point} did not take it: {answer.error or answer.payload}")

    def _known(self, charge_point: AssetId) -> None:
        if charge_point not in self._points:
            raise NotFoundError(f"there is no charger {charge_point!r}")

    def _link(self, charge_point: AssetId) -> Link:
        self._known(charge_point)
        link = self._endpoint.link_of(charge_point)
        if link is None:
            raise NotFoundError(f"{charge_point} is not connected")
        return link

    async def _ask(self, link: Link, request: Request) -> Answer:
        try:
            return await link.ask(request)
        except TimeoutError as error:
            raise ConflictError(f"no answer to {request.action} came in time") from error
        except (NotSentError, LinkLostError) as error:
            raise ConflictError(str(error)) from error


def is_harmless(action: str) -> bool:
    """Whether a request only asks, so that nobody needs to confirm it."""
    return action in HARMLESS or (action.startswith(ASKS) and action not in UPLOADS)


_CALLS = (2, 6)


def _telling_of(transaction: str, every: Sequence[LoggedMessage]) -> list[LoggedMessage]:
    """The messages that speak of a transaction, with their answers."""
    frames = [_frame(message.text) for message in every]
    # An answer has its question's id, and the two go in opposite directions.
    named: set[tuple[Direction, str]] = set()
    told = []
    for message, frame in zip(every, frames, strict=True):
        if frame is None:
            continue
        kind, message_id, parts = frame
        other = Direction.FROM_CHARGER if message.direction is Direction.TO_CHARGER else Direction.TO_CHARGER
        if kind in _CALLS and _names(parts, transaction):
            named.add((message.direction, message_id))
            told.append(message)
        elif kind not in _CALLS and ((other, message_id) in named or _names(parts, transaction)):
            told.append(message)
    return told


def _frame(text: str) -> tuple[int, str, Any] | None:
    """Type, id and the rest of a frame; None where it is none."""
    try:
        array = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(array, list) or len(array) < 3 or not isinstance(array[1], str):
        return None
    return array[0], array[1], array[2:]


def _names(value: Any, transaction: str) -> bool:
    """Whether a transaction's id stands in a message, at any depth: chargers may nest deeper than Python."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                if "transactionId" in found and str(found["transactionId"]) == transaction:
                    return True
                waiting.extend(found.values())
            case list() as parts:
                waiting.extend(parts)
    return False


def _place(steps: Sequence[str | int]) -> str:
    """A path into the payload as people write it: `payload.chargingSchedule[0].id`."""
    return "payload" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
