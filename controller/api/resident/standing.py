"""A member's standing instructions, and the tokens that they make for their own programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from controller.api import wire
from controller.api.models import Done
from controller.api.problems import documented
from controller.api.resident.models import (
    InstructionIn,
    InstructionOut,
    OwnTokenIn,
    OwnTokenMadeOut,
    OwnTokenOut,
    RenewedOut,
)
from controller.api.resident.rights import Reader, Resident, Trader, limited
from controller.api.security import TheDoor, own_member
from controller.domain.ids import AssetId
from controller.domain.instructions import EVERY_DAY, GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.runtime.ports import Role, Scope, TokenRecord
from controller.runtime.tokens import HASH_SHOWN

router = APIRouter(
    prefix="/api/resident",
    tags=["standing"],
    dependencies=[Depends(limited)],
    responses=documented(429),
)


@router.get("/instructions", summary="Your standing instructions", response_model=list[InstructionOut])
async def get_instructions(door: TheDoor, who: Reader) -> Response:
    """What is done for you every quarter-hour until you end it."""
    found = await door.instructions(own_member(who))
    return wire.reply([wire.instruction(one) for one in found])


@router.post(
    "/instructions",
    summary="Leave a standing instruction",
    status_code=201,
    response_model=InstructionOut,
    responses=documented(404, 409, 422),
)
async def post_instruction(door: TheDoor, who: Trader, body: InstructionIn) -> Response:
    """Sell your surplus at or above a price, give it to public buildings, or leave at a time of day."""
    kept = await door.instruct(
        Instruction(
            id=body.id, member=own_member(who), wanted=_wanted(body), created_at=(await door.state()).now
        )
    )
    return wire.reply(wire.instruction(kept), 201)


def _wanted(body: InstructionIn) -> Wanted:
    if body.sell_surplus is not None:
        return SellSurplus(min_price_microeur_per_kwh=body.sell_surplus.min_price_microeur_per_kwh)
    if body.leave_at is not None:
        leave = body.leave_at
        return LeaveAt(
            vehicle=AssetId(leave.vehicle),
            at_local=leave.at_local,
            soc_fraction=leave.soc_fraction,
            weekdays=EVERY_DAY if leave.weekdays is None else tuple(sorted(set(leave.weekdays))),
        )
    return GiveSurplus()


@router.delete(
    "/instructions/{instruction_id}",
    summary="End a standing instruction",
    response_model=Done,
    responses=documented(404),
)
async def delete_instruction(door: TheDoor, who: Trader, instruction_id: str) -> Response:
    """What it ordered before stands; nothing more is made."""
    await door.end_instruction(instruction_id=instruction_id, member=own_member(who))
    return wire.reply({"done": True})


@router.get("/tokens", summary="Your tokens", response_model=list[OwnTokenOut])
async def get_tokens(door: TheDoor, who: Resident) -> Response:
    """Every token that opens your data, by the start of its hash; the tokens themselves are kept nowhere."""
    return wire.reply([_token(record) for record in await door.own_tokens(own_member(who))])


@router.post(
    "/tokens",
    summary="Make a token for a program of yours",
    status_code=201,
    response_model=OwnTokenMadeOut,
    responses=documented(422),
)
async def post_token(door: TheDoor, who: Resident, body: OwnTokenIn) -> Response:
    """It may do what you name and nothing else; it is shown this once."""
    token = await door.create_token(
        role=Role.RESIDENT,
        member=own_member(who),
        label=body.label,
        who=who,
        scopes=frozenset(map(Scope, body.scopes)),
        life=timedelta(days=body.valid_days),
    )
    made = {"token": token, "label": body.label, "scopes": sorted(set(body.scopes))}
    return wire.reply({**made, "valid_days": body.valid_days}, 201)


@router.post(
    "/tokens/{token_hash}/renewal",
    summary="Renew a token",
    response_model=RenewedOut,
    responses=documented(404, 422),
)
async def renew_token(
    door: TheDoor,
    who: Resident,
    token_hash: Annotated[str, Path(min_length=HASH_SHOWN, pattern="^[0-9a-f]+$")],
) -> Response:
    """It is good for a year from now. Also the one that you send: do it before it ends."""
    until = await door.renew_own_token(token_hash=token_hash, member=own_member(who))
    return wire.reply({"expires_at_utc": until})


@router.delete(
    "/tokens/{token_hash}", summary="Take a token back", response_model=Done, responses=documented(404, 422)
)
async def delete_token(
    door: TheDoor,
    who: Resident,
    token_hash: Annotated[str, Path(min_length=HASH_SHOWN, pattern="^[0-9a-f]+$")],
) -> Response:
    """By the start of its hash, as the list shows it; it opens nothing from now on."""
    await door.revoke_own_token(token_hash=token_hash, member=own_member(who))
    return wire.reply({"done": True})


def _token(record: TokenRecord) -> wire.Json:
    return {
        "token_hash": record.token_hash[:HASH_SHOWN],
        "label": record.label,
        "scopes": None if record.scopes is None else sorted(record.scopes),
        "created_at_utc": record.created_at,
        "expires_at_utc": record.expires_at,
    }
