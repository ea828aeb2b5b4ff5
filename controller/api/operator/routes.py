"""The operator's routes: everything there is to see, and the button that stops all discharge."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError
from starlette.responses import PlainTextResponse, Response

from controller.api import wire
from controller.api.models import Done, ImposedLimitOut, PlanSpanOut, Quarter
from controller.api.operator.models import (
    AlarmOut,
    ChargerOut,
    DischargeStopIn,
    DischargeStopOut,
    EventOut,
    LedgerOut,
    NodePointOut,
    OrderBookOut,
    PlanOut,
    StateOut,
    TokenIn,
    TokenListedOut,
    TokenOut,
)
from controller.api.problems import documented, words_of
from controller.api.security import OwnToken, TheDoor, allow
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.runtime.door import Principal
from controller.runtime.ports import TOKEN_LIFE, Role, TokenRecord
from controller.runtime.tokens import HASH_SHOWN

_operator = allow(Role.OPERATOR)
ROW_MAX = 2**63 - 1
"""The highest number that a row of the ledger can have."""
Operator = Annotated[Principal, Depends(_operator)]
"""An operator of the cooperative."""

router = APIRouter(
    prefix="/api/operator", tags=["operator"], dependencies=[Depends(_operator)], responses=documented()
)
metrics_router = APIRouter(tags=["operator"], dependencies=[Depends(_operator)], responses=documented())


@router.get("/state", summary="The neighbourhood now", response_model=StateOut)
async def get_state(request: Request, door: TheDoor) -> Response:
    """Nodes, chargers, roofs, batteries, alarms and the last clearing, as they are now."""
    return wire.reply(wire.state(await door.state(), words_of(request)))


@router.get("/plan", summary="The plan in force", response_model=PlanOut)
async def get_plan(door: TheDoor) -> Response:
    """What every asset is planned to do, step by step, and what it costs."""
    return wire.reply(wire.plan(await door.plan()))


@router.get(
    "/plan/{asset_id:path}/reasons",
    summary="What the plan wants of a car or battery, and why",
    response_model=list[PlanSpanOut],
    responses=documented(404),
)
async def get_plan_reasons(request: Request, door: TheDoor, asset_id: str) -> Response:
    """From now to the plan's end, each span with what binds it in plain words."""
    words = words_of(request)
    spans = await door.plan_reasons(AssetId(asset_id))
    return wire.reply([wire.plan_span(span, words) for span in spans])


@router.get("/chargers", summary="The chargers and the cars on them", response_model=list[ChargerOut])
async def get_chargers(request: Request, door: TheDoor) -> Response:
    """Each charge point with its car, its power and the reason for it."""
    words = words_of(request)
    return wire.reply([wire.charger(view, words) for view in (await door.state()).chargers])


@router.get(
    "/chargers/{charger_id:path}", summary="One charger", response_model=ChargerOut, responses=documented(404)
)
async def get_charger(request: Request, door: TheDoor, charger_id: str) -> Response:
    """One charge point with its car, its power and the reason for it."""
    for view in (await door.state()).chargers:
        if view.id == charger_id:
            return wire.reply(wire.charger(view, words_of(request)))
    raise NotFoundError(f"there is no charger {charger_id!r}")


@router.get("/alarms", summary="The alarms, the most urgent first", response_model=list[AlarmOut])
async def get_alarms(request: Request, door: TheDoor) -> Response:
    """What an operator should know now, each with what to do."""
    words = words_of(request)
    return wire.reply([wire.alarm(view, words) for view in (await door.state()).alarms])


@router.get(
    "/nodes/{node_id:path}/history",
    summary="A node's last day",
    response_model=list[NodePointOut],
    responses=documented(404),
)
async def get_history(door: TheDoor, node_id: str) -> Response:
    """The last 96 quarter-hours of a node with its limits and the baselines, the oldest first."""
    return wire.reply([wire.node_point(point) for point in await door.node_history(NodeId(node_id))])


@router.get(
    "/nodes/{node_id:path}/limits",
    summary="The grid operator's limits on a node",
    response_model=list[ImposedLimitOut],
    responses=documented(404),
)
async def get_limits(door: TheDoor, node_id: str) -> Response:
    """The limits that hold, or will."""
    return wire.reply([wire.limit(limit) for limit in await door.limits(NodeId(node_id))])


@router.get("/limits", summary="All limits of the grid operator", response_model=list[ImposedLimitOut])
async def get_all_limits(door: TheDoor) -> Response:
    """The limits of all nodes that hold, or will."""
    limits = [limit for node in (await door.state()).nodes for limit in await door.limits(node.id)]
    return wire.reply([wire.limit(limit) for limit in limits])


@router.get(
    "/order-book",
    summary="All orders of a quarter-hour",
    response_model=OrderBookOut,
    responses=documented(404, 409, 422),
)
async def get_order_book(door: TheDoor, interval_start_utc: Quarter | None = None) -> Response:
    """The orders of a quarter-hour whose gate has closed; without one, of the newest that was cleared."""
    records = await door.order_book(interval_start_utc)
    return wire.reply({"orders": [wire.order(record) for record in records]})


@router.get("/ledger", summary="The ledger", response_model=LedgerOut, responses=documented(422))
async def get_ledger(
    door: TheDoor,
    account: str | None = None,
    after_row: Annotated[int, Query(ge=0, le=ROW_MAX)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Response:
    """Balances of all accounts, whose sum is exactly 0, and a page of postings after a row number."""
    return wire.reply(wire.ledger(await door.ledger(account=account, after_row=after_row, limit=limit)))


@router.get("/events", summary="Who did what", response_model=list[EventOut], responses=documented(422))
async def get_events(door: TheDoor, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Response:
    """What people and grid operators did, the newest first."""
    return wire.reply([wire.event(record) for record in await door.events(limit=limit)])


@router.put(
    "/discharge-stop",
    summary="Stop all discharge, or allow it again",
    response_model=DischargeStopOut,
    responses=documented(422),
)
async def put_discharge_stop(door: TheDoor, who: Operator, body: DischargeStopIn) -> Response:
    """Stands above every plan; it holds until somebody allows discharge again."""
    await door.stop_discharge(stopped=body.stopped, who=who)
    return wire.reply({"stopped": body.stopped})


@router.post(
    "/tokens", summary="Give out a token", status_code=201, response_model=TokenOut, responses=documented(422)
)
async def post_token(door: TheDoor, who: Operator, body: TokenIn) -> Response:
    """Makes a bearer token; only its hash is kept, so it is shown this once."""
    if body.role == "resident" and body.member is None:
        raise RequestValidationError(_member_needed())
    member = None if body.member is None else MemberId(body.member)
    token = await door.create_token(role=Role(body.role), member=member, label=body.label, who=who)
    days = TOKEN_LIFE.days if body.role == "resident" else None
    made = {"token": token, "role": body.role, "member": member, "label": body.label}
    return wire.reply({**made, "valid_days": days}, 201)


@router.get("/tokens", summary="The tokens that open something", response_model=list[TokenListedOut])
async def get_tokens(door: TheDoor, own: OwnToken) -> Response:
    """Everybody's, by role and the oldest first, each by the start of its hash."""
    return wire.reply([_token(record, own) for record in await door.living_tokens()])


@router.delete(
    "/tokens/{token_hash}",
    summary="Take a token back",
    response_model=Done,
    responses=documented(404, 409, 422),
)
async def delete_token(
    door: TheDoor,
    who: Operator,
    token_hash: Annotated[str, Path(min_length=HASH_SHOWN, pattern="^[0-9a-f]+$")],
) -> Response:
    """By the start of its hash, as the list shows it; it opens nothing from now on.

    Open pages and streams end. The last one of an operator is refused: give out another one first, and take
    this one back with that.
    """
    await door.take_token_back(token_hash=token_hash, who=who)
    return wire.reply({"done": True})


def _token(record: TokenRecord, own: str) -> wire.Json:
    return {
        "token_hash": record.token_hash[:HASH_SHOWN],
        "role": record.role,
        "member": record.member,
        "label": record.label,
        "scopes": None if record.scopes is None else sorted(record.scopes),
        "created_at_utc": record.created_at,
        "used_at_utc": record.used_at,
        "expires_at_utc": record.expires_at,
        "yours": record.token_hash == own,
    }


def _member_needed() -> list[object]:
    error = PydanticCustomError("member_needed", "a resident's token needs a member")
    details = InitErrorDetails(type=error, loc=("body", "member"), input=None)
    return list(ValidationError.from_exception_data("TokenIn", [details]).errors())


@metrics_router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
async def get_metrics(door: TheDoor) -> Response:
    """The figures in Prometheus' text format; needs an operator's token."""
    return Response(await door.metrics_text(), media_type="text/plain; version=0.0.4; charset=utf-8")
