"""The operator's routes to the chargers themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from controller.api import wire
from controller.api.chargers.models import (
    AdmitIn,
    AdmitOut,
    CommandIn,
    CommandOut,
    FactsOut,
    HealthOut,
    MessageOut,
    PasswordOut,
    RefusalOut,
    RequestFormOut,
    RequestOut,
    SecurityIn,
    SecurityOut,
    WaitingOut,
)
from controller.api.models import Instant
from controller.api.operator.routes import Operator
from controller.api.problems import documented, words_of
from controller.domain.charger_tools import ChargerHealth, Direction, LoggedMessage
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId
from controller.runtime.charger_overview import ChargerOverview
from controller.runtime.chargers_door import ChargersDoor
from controller.texts import Translator

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

router = APIRouter(prefix="/api/operator", tags=["chargers"], responses=documented())


def chargers_of(request: Request, _who: Operator) -> ChargersDoor:
    """The tools for chargers.

    Raises:
        NotFoundError: If the application was made without them.
    """
    door = request.app.state.chargers
    if door is None:
        raise NotFoundError("no chargers can be reached from here")
    return cast("ChargersDoor", door)


Chargers = Annotated[ChargersDoor, Depends(chargers_of)]
"""The tools for chargers; only operators get them."""


@router.post(
    "/chargers/{charger_id:path}/ocpp",
    summary="Send a charger any request of OCPP",
    response_model=CommandOut,
    responses=documented(404, 409, 422),
)
async def post_command(chargers: Chargers, who: Operator, charger_id: str, body: CommandIn) -> Response:
    """Checked against the schema of the charger's version; what does more than ask needs `confirm`."""
    reply = await chargers.command(
        AssetId(charger_id), body.action, body.payload, confirm=body.confirm, who=who
    )
    return wire.reply(asdict(reply))


@router.get(
    "/chargers/{charger_id:path}/requests",
    summary="The requests that may be sent to a charger",
    response_model=list[RequestOut],
    responses=documented(404),
)
async def get_requests(chargers: Chargers, charger_id: str) -> Response:
    """Those of the version that it speaks now, by name."""
    found = await chargers.requests(AssetId(charger_id))
    return wire.reply([{"action": action, "is_harmless": harmless} for action, harmless in found.items()])


@router.get(
    "/chargers/{charger_id:path}/requests/{action}",
    summary="How a request is written",
    response_model=RequestFormOut,
    responses=documented(404),
)
async def get_request_form(chargers: Chargers, charger_id: str, action: str) -> Response:
    """A payload to begin with, and every field that it may have."""
    return wire.reply(asdict(await chargers.request_form(AssetId(charger_id), action)))


@router.get(
    "/chargers/{charger_id:path}/messages",
    summary="Search the messages with a charger",
    response_model=list[MessageOut],
    responses=documented(404, 422),
)
async def get_messages(
    chargers: Chargers,
    charger_id: str,
    since: Instant = _FIRST,
    until: Instant = _LAST,
    contains: Annotated[str, Query(max_length=200)] = "",
    direction: Direction | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Response:
    """The newest in [since, until) that contain a text, the oldest of them first; secrets are hidden."""
    found = await chargers.messages(
        AssetId(charger_id), since=since, until=until, contains=contains, direction=direction, limit=limit
    )
    return wire.reply(_messages(found))


@router.get(
    "/chargers/{charger_id:path}/transactions/{transaction_id}",
    summary="A transaction's timeline",
    response_model=list[MessageOut],
    responses=documented(404),
)
async def get_timeline(chargers: Chargers, charger_id: str, transaction_id: str) -> Response:
    """Every message that speaks of it, each with its answer, the oldest first."""
    return wire.reply(_messages(await chargers.timeline(AssetId(charger_id), transaction_id)))


@router.post(
    "/chargers/{charger_id:path}/password",
    summary="Give a charger a new password",
    response_model=PasswordOut,
    responses=documented(404, 409),
)
async def post_password(chargers: Chargers, who: Operator, charger_id: str) -> Response:
    """By the charger's own protocol; nobody sees it, and the old one counts until the new one is used."""
    await chargers.rotate_password(AssetId(charger_id), who)
    return wire.reply({"charger": charger_id})


@router.post(
    "/chargers/{charger_id:path}/security",
    summary="Raise a charger's security profile",
    response_model=SecurityOut,
    responses=documented(404, 409, 422),
)
async def post_security(chargers: Chargers, who: Operator, charger_id: str, body: SecurityIn) -> Response:
    """By the charger's own protocol, a step at a time; it starts anew after each, so this takes minutes.

    A charger that does not follow stays where it got to, and the answer says where it stopped.
    """
    if not body.confirm:
        raise ConflictError("it starts anew after each step: send it again with confirm = true")
    raised = await chargers.raise_security(
        AssetId(charger_id), body.profile, url=body.url, interface=body.interface, who=who
    )
    return wire.reply(
        {
            "charger": charger_id,
            "before": raised.before,
            "reached": raised.reached,
            "steps": list(raised.steps),
            "stopped": raised.stopped,
        }
    )


@router.get("/charger-health", summary="How the chargers are", response_model=list[HealthOut])
async def get_health(chargers: Chargers) -> Response:
    """Silent, ignoring their profiles, with a wrong clock, connecting again and again."""
    return wire.reply([_health(each) for each in await chargers.health()])


@router.get(
    "/charger-facts", summary="Who the chargers are, and what they were asked", response_model=list[FactsOut]
)
async def get_facts(request: Request, chargers: Chargers) -> Response:
    """Make, firmware, connectors, transactions, setpoints and own hours, in the site's order."""
    words = words_of(request)
    return wire.reply([_facts(each, words) for each in await chargers.overview()])


@router.get("/charger-admissions", summary="Chargers that wait to be let in", response_model=list[WaitingOut])
async def get_waiting(chargers: Chargers) -> Response:
    """Who knocked under a name that the site does not know, the most eager first."""
    waiting = sorted((await chargers.waiting()).items(), key=lambda pair: (-pair[1], pair[0]))
    return wire.reply([{"identity": identity, "knocks": knocks} for identity, knocks in waiting])


@router.put(
    "/charger-admissions/{identity:path}",
    summary="Let a waiting charger in",
    response_model=AdmitOut,
    responses=documented(404, 409, 422),
)
async def put_admission(chargers: Chargers, who: Operator, identity: str, body: AdmitIn) -> Response:
    """As one of the site's charge points; its password is in the answer, this once."""
    password = await chargers.admit(identity, AssetId(body.charger), who)
    return wire.reply({"identity": identity, "charger": body.charger, "password": password})


@router.delete(
    "/charger-admissions/{identity:path}",
    summary="Refuse a waiting charger",
    response_model=RefusalOut,
    responses=documented(404),
)
async def delete_admission(chargers: Chargers, who: Operator, identity: str) -> Response:
    """It is off the list and stays off, however often it knocks."""
    await chargers.refuse(identity, who)
    return wire.reply({"identity": identity})


@router.get("/charger-refusals", summary="Chargers that were refused", response_model=list[RefusalOut])
async def get_refusals(chargers: Chargers) -> Response:
    """The oldest first."""
    return wire.reply([{"identity": identity} for identity in await chargers.refused()])


@router.delete(
    "/charger-refusals/{identity:path}",
    summary="Let a refused charger wait again",
    response_model=RefusalOut,
    responses=documented(404),
)
async def delete_refusal(chargers: Chargers, who: Operator, identity: str) -> Response:
    """It is on the list again when it knocks the next time."""
    await chargers.forgive(identity, who)
    return wire.reply({"identity": identity})


def _messages(found: Iterable[LoggedMessage]) -> list[dict[str, object]]:
    return [{"at": each.at, "direction": each.direction, "text": each.text} for each in found]


def _facts(found: ChargerOverview, words: Translator) -> dict[str, object]:
    facts, station, setpoint = found.facts, found.facts.station, found.setpoint
    return {
        "charger": facts.charge_point,
        "identity": facts.identity,
        "security_profile": facts.security_profile,
        "vendor": station.vendor,
        "model": station.model,
        "serial": station.serial,
        "firmware": station.firmware,
        "booted_at": station.booted_at,
        "connectors": [asdict(each) for each in station.connectors],
        "transactions": facts.transactions,
        "is_charging": facts.is_charging,
        "asked_kw": setpoint.asked_kw,
        "asked_because": wire.reason(setpoint.asked_because, words),
        "confirmed_kw": setpoint.confirmed_kw,
        "confirmed_at": setpoint.confirmed_at,
        "valid_until": setpoint.valid_until,
        "safe_kw": setpoint.safe_kw,
        "refused": setpoint.refused,
        "floor_start_s": setpoint.floor.start_s,
        "floor_length_s": setpoint.floor.length_s,
        "floor_kw": setpoint.floor.power_kw,
    }


def _health(found: ChargerHealth) -> dict[str, object]:
    return {
        "charger": found.charge_point,
        "version": found.version,
        "heard_at": found.heard_at,
        "connects": found.connects,
        "ailments": found.ailments,
        "why": found.why,
        "since": found.since,
    }
