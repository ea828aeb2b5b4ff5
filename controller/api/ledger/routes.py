"""The sealed ledger's routes.

A seal tells nothing of anybody: all roles see them, and the key. A proof shows one posting, to who pays or
receives it. A ledger file shows everybody's postings, to operators. Proofs and ledger files leave in the
very bytes that `wijkstroom verify` reads.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from controller.api import wire
from controller.api.ledger.models import LedgerHeadOut, ProofOut, SealedDayOut
from controller.api.operator.routes import Operator
from controller.api.problems import documented
from controller.api.resident.rights import Reader, limited
from controller.api.security import TheDoor, own_member, principal_of
from market.seals import SealedDay, proof_file, seal_hash, sealed_document

LEDGER_FILE_TYPE = "application/x-ndjson"
"""A line is a JSON object each."""

router = APIRouter(tags=["ledger"], responses=documented())


@router.get(
    "/api/ledger/head",
    summary="The ledger's public key and its newest sealed day",
    response_model=LedgerHeadOut,
    dependencies=[Depends(principal_of)],
)
async def get_head(door: TheDoor) -> Response:
    """Whoever keeps the newest seal's hash can tell later whether anything before it was changed."""
    head = await door.ledger_head()
    newest = None if head.newest is None else _sealed_day(head.newest)
    return wire.reply({"public_key": head.public_key.hex(), "newest": newest})


@router.get(
    "/api/ledger/days",
    summary="The sealed days",
    response_model=list[SealedDayOut],
    responses=documented(422),
    dependencies=[Depends(principal_of)],
)
async def get_days(
    door: TheDoor, after: date | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 500
) -> Response:
    """Each day's seal with its signature, the oldest first; `after` a day, for the next page."""
    return wire.reply([_sealed_day(day) for day in await door.sealed_days(after=after, limit=limit)])


@router.get(
    "/api/operator/ledger/days/{day}",
    summary="The ledger file of a sealed day",
    response_class=StreamingResponse,
    responses={
        **documented(404, 422),
        200: {"content": {LEDGER_FILE_TYPE: {"schema": {"type": "string"}}}},
    },
)
async def get_ledger_file(door: TheDoor, _who: Operator, day: date) -> Response:
    """The day's seal and all its postings, a line each, for `wijkstroom verify`."""
    return StreamingResponse(
        await door.ledger_file(day),
        media_type=LEDGER_FILE_TYPE,
        headers={"Content-Disposition": f'attachment; filename="ledger-{day}.ndjson"'},
    )


@router.get(
    "/api/resident/postings/{posting_id}/proof",
    summary="The proof that your posting is in the sealed ledger",
    response_model=ProofOut,
    dependencies=[Depends(limited)],
    responses=documented(404, 409, 429),
)
async def get_proof(door: TheDoor, who: Reader, posting_id: str) -> Response:
    """A small file for `wijkstroom verify`; 409 until the day on which it was booked is sealed."""
    proof = await door.posting_proof(posting_id=posting_id, member=own_member(who))
    return Response(proof_file(proof), media_type="application/json")


def _sealed_day(day: SealedDay) -> wire.Json:
    return {**sealed_document(day), "seal_hash": seal_hash(day.seal).hex()}
