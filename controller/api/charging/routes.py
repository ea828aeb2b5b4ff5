"""Charging tokens: a member registers and blocks their own, an operator anybody's."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from controller.api import wire
from controller.api.charging.models import BlockedIn, ChargingTokenIn, ChargingTokenOut, MemberTokenIn
from controller.api.operator.routes import Operator
from controller.api.problems import documented
from controller.api.resident.rights import Resident, limited
from controller.api.security import Caller, own_member
from controller.domain.charging_tokens import ChargingToken, TokenKind
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId
from controller.runtime.charging_tokens import ChargingTokens, NewToken

resident_router = APIRouter(
    prefix="/api/resident/charging-tokens",
    tags=["charging tokens"],
    dependencies=[Depends(limited)],
    responses=documented(429),
)
operator_router = APIRouter(
    prefix="/api/operator/charging-tokens", tags=["charging tokens"], responses=documented()
)


def tokens_of(request: Request, _who: Caller) -> ChargingTokens:
    """The tokens of the running controller.

    Raises:
        NotFoundError: If the application was made without them.
    """
    found = request.app.state.charging_tokens
    if found is None:
        raise NotFoundError("there are no charging tokens here")
    return cast("ChargingTokens", found)


Tokens = Annotated[ChargingTokens, Depends(tokens_of)]
"""The charging tokens; each route names who may use it."""


@resident_router.get("", summary="Your charging tokens", response_model=list[ChargingTokenOut])
async def get_own(who: Resident, tokens: Tokens) -> Response:
    """Your cards and app tokens, blocked ones too, and what your cars identify themselves with."""
    return wire.reply([_out(one) for one in await tokens.tokens(own_member(who))])


@resident_router.post(
    "",
    summary="Register a charging token",
    status_code=201,
    response_model=ChargingTokenOut,
    responses=documented(409, 422),
)
async def post_own(who: Resident, tokens: Tokens, body: ChargingTokenIn) -> Response:
    """It may charge at every socket from now on; sent again, its name and car change."""
    return wire.reply(_out(await tokens.register(_new(body), own_member(who), who)), 201)


@resident_router.put(
    "/{handle}/blocked",
    summary="Block a charging token, or allow it again",
    response_model=ChargingTokenOut,
    responses=documented(404, 422),
)
async def put_own_blocked(who: Resident, tokens: Tokens, handle: str, body: BlockedIn) -> Response:
    """A lost card charges nowhere from now on, also at chargers that decide by themselves.

    What it charges ends now, unless `stop_running` is false.
    """
    changed = await tokens.set_blocked(
        handle, blocked=body.blocked, member=own_member(who), who=who, stop_running=body.stop_running
    )
    return wire.reply(_out(changed))


@operator_router.get("", summary="All charging tokens", response_model=list[ChargingTokenOut])
async def get_all(_who: Operator, tokens: Tokens, member: str | None = None) -> Response:
    """Everybody's, or one member's."""
    found = await tokens.tokens(None if member is None else MemberId(member))
    return wire.reply([_out(one) for one in found])


@operator_router.post(
    "",
    summary="Register a charging token for a member",
    status_code=201,
    response_model=ChargingTokenOut,
    responses=documented(409, 422),
)
async def post_for(who: Operator, tokens: Tokens, body: MemberTokenIn) -> Response:
    """As members do it themselves."""
    return wire.reply(_out(await tokens.register(_new(body), MemberId(body.member), who)), 201)


@operator_router.put(
    "/{handle}/blocked",
    summary="Block anybody's charging token, or allow it again",
    response_model=ChargingTokenOut,
    responses=documented(404, 422),
)
async def put_blocked(who: Operator, tokens: Tokens, handle: str, body: BlockedIn) -> Response:
    """A lost card charges nowhere from now on; what it charges ends now, unless `stop_running` is false."""
    changed = await tokens.set_blocked(
        handle, blocked=body.blocked, member=None, who=who, stop_running=body.stop_running
    )
    return wire.reply(_out(changed))


def _new(body: ChargingTokenIn) -> NewToken:
    return NewToken(
        token=body.token,
        kind=TokenKind(body.kind),
        label=body.label,
        vehicle=None if body.vehicle is None else AssetId(body.vehicle),
    )


def _out(one: ChargingToken) -> wire.Json:
    own = one.kind is TokenKind.CAR
    return {
        "handle": one.handle,
        "ends_with": one.masked,
        "member": one.member,
        "kind": one.kind,
        "label": one.label,
        "vehicle": one.vehicle,
        "created_at_utc": None if own else one.created_at,
        "blocked_at_utc": one.blocked_at,
    }
