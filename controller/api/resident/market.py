"""The market's routes: what everybody may know once a quarter-hour is cleared, and a live stream of it.

The stream is one of server-sent events (WHATWG HTML Living Standard, section 9.2): each clearing is an event
whose id is its quarter-hour, so that a program that lost the line hears what it missed. People and programs
hear of a clearing at the same time, and nothing before its gate has closed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from controller.api import wire
from controller.api.models import Quarter
from controller.api.problems import documented, problem_response
from controller.api.resident.models import ClearingOut, DepthStepOut, MatchOut
from controller.api.resident.rights import Reader, limited
from controller.api.security import Standing, TheDoor, own_member
from controller.domain.ids import MemberId
from controller.domain.time import utc_text
from controller.runtime.door import Door
from controller.runtime.ports import ClearingRecord

LOOK_EVERY_S = 0.25
"""How often a stream looks for a new clearing; that is a look at memory, not at the store."""
HEARTBEAT_S = 15.0
"""After so much silence a comment goes out, so that proxies keep the line open."""
REPLAY_MAX = 7 * 96
"""How many missed clearings a stream gives: a week."""
STREAMS_MAX = 5
"""Streams that one member may have open."""
HISTORY_MAX = 1000
EVENT_STREAM = "text/event-stream"

type Sleep = Callable[[float], Awaitable[None]]

router = APIRouter(
    prefix="/api/resident",
    tags=["market"],
    dependencies=[Depends(limited)],
    responses=documented(429),
)


@router.get(
    "/stream",
    summary="Clearings as they happen",
    response_class=StreamingResponse,
    responses={
        **documented(422, 429),
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
    },
)
async def get_stream(
    request: Request,
    door: TheDoor,
    who: Reader,
    stands: Standing,
    last_event_id: Annotated[Quarter | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """Server-sent events: prices, volume and your own fills of each quarter-hour, the missed ones first.

    It ends when the token is taken back or ends.
    """
    member = own_member(who)
    events = clearing_events(door, member, last_event_id, stands, sleep=asyncio.sleep)
    return _Stream(events, request, member)


class _Stream(StreamingResponse):
    """One of a member's streams, which are counted from their first byte to their end, however that comes.

    The count is looked at when the answer begins: several that were asked for at once are counted one by one.
    """

    def __init__(self, events: AsyncIterator[bytes], request: Request, member: MemberId) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type=EVENT_STREAM, headers=headers)
        self._request = request
        self._member = member

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        open_streams = cast("Counter[str]", self._request.app.state.open_streams)
        if open_streams[self._member] >= STREAMS_MAX:
            detail = f"{STREAMS_MAX} streams are open already"
            refused = problem_response(self._request, 429, detail, headers={"Retry-After": "60"})
            await refused(scope, receive, send)
            return
        open_streams[self._member] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            open_streams[self._member] -= 1


async def clearing_events(
    door: Door,
    member: MemberId,
    after: datetime | None,
    stands: Callable[[], Awaitable[bool]],
    *,
    sleep: Sleep,
) -> AsyncIterator[bytes]:
    """The events of a stream, for as long as its token counts.

    Args:
        door: The running controller.
        member: Whose fills go with each clearing.
        after: The last quarter-hour that was heard of; None: those from now on.
        stands: Whether the token still counts.
        sleep: Waits some seconds.

    Yields:
        Events, and comments where nothing happens.
    """
    known = after
    if known is None and (latest := door.latest_clearing()) is not None:
        known = latest.interval_start
    yield b": open\n\n"
    silent_s = 0.0
    while await stands():
        latest = door.latest_clearing()
        if latest is not None and (known is None or latest.interval_start > known):
            for record in await door.clearings(after=known, until=None, limit=REPLAY_MAX):
                known, silent_s = record.interval_start, 0.0
                yield await _event(door, member, record)
        if silent_s >= HEARTBEAT_S:
            silent_s = 0.0
            yield b": still here\n\n"
        await sleep(LOOK_EVERY_S)
        silent_s += LOOK_EVERY_S


async def _event(door: Door, member: MemberId, record: ClearingRecord) -> bytes:
    own = await door.own_fills(record.interval_start, member)
    data = wire.dumps({**_clearing(record), "fills": [wire.trade(view) for view in own]})
    return b"id: %s\nevent: clearing\ndata: %s\n\n" % (utc_text(record.interval_start).encode(), data)


def _clearing(record: ClearingRecord) -> wire.Json:
    return {
        "interval_start_utc": record.interval_start,
        "price_microeur_per_kwh": record.price_microeur_per_kwh,
        "volume_wh": record.volume_wh,
        "congestion_rent_nanoeur": record.congestion_rent_nanoeur,
    }


@router.get(
    "/prices", summary="The history of prices", response_model=list[ClearingOut], responses=documented(422)
)
async def get_prices(
    door: TheDoor,
    _who: Reader,
    after_utc: Annotated[Quarter | None, Query()] = None,
    until_utc: Annotated[Quarter | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = 96,
) -> Response:
    """The newest cleared quarter-hours between two (neither included), the oldest first."""
    found = await door.clearings(after=after_utc, until=until_utc, limit=limit)
    return wire.reply([_clearing(record) for record in found])


@router.get(
    "/depth",
    summary="The book of a cleared quarter-hour",
    response_model=list[DepthStepOut],
    responses=documented(404, 422),
)
async def get_depth(door: TheDoor, _who: Reader, interval_start_utc: Annotated[Quarter, Query()]) -> Response:
    """What was asked, offered and filled at each price; without names, and not before the gate."""
    return wire.reply([wire.depth_step(step) for step in await door.depth(interval_start_utc)])


@router.get(
    "/matches",
    summary="Where your energy came from and went to",
    response_model=list[MatchOut],
    responses=documented(404, 422),
)
async def get_matches(
    door: TheDoor, who: Reader, interval_start_utc: Annotated[Quarter, Query()]
) -> Response:
    """By distance and kind; your labels decide who is matched with whom, never price or quantity."""
    found = await door.matches(interval_start_utc, own_member(who))
    return wire.reply([wire.match(view) for view in found])
