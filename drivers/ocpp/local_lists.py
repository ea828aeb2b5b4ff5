"""Keeps the chargers' own lists of tokens: who may charge while we are gone, and who may not any more.

Each list has a version. A charger is asked for its own once it has settled after it connected, and when a
token came or was blocked; what changed since goes to it, or the whole list where nobody knows what it holds.
A whole list too long for one message goes in pieces under small versions of their own, so that one that broke
off in between is sent whole again. A charger without such lists is left alone until it connects anew.

Source: OCPP 1.6 section 5.15 (SendLocalList) and its key SendLocalListMaxLength; OCPP 2.0.1 Part 2, use cases
D01 and D02.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import batched

import structlog

from controller.domain.charging_tokens import TOKEN_LENGTH_MAX, ListEntry, TokenBook, TokenKind
from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.telemetry import LinkReading, Reading
from drivers.ocpp.codec import Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.frames import Payload
from drivers.ocpp.link import Link

PIECE = 20
"""Tokens a message: what the smallest chargers take."""
AT_ONCE = 8
"""Chargers that are told at the same time."""
SETTLE_S = 60.0
"""After it connected a charger has more urgent things to do, machine time [s]."""
AGAIN_S = 30.0
"""A charger that was busy is tried again after so long, machine time [s]."""
_KINDS = {TokenKind.CARD: "ISO14443", TokenKind.APP: "Central", TokenKind.CAR: "eMAID"}
_LOG = structlog.get_logger("drivers.ocpp")


class LocalLists:
    """The lists of all chargers of an endpoint."""

    def __init__(
        self, endpoint: OcppEndpoint, book: Callable[[], TokenBook], *, settle_s: float = SETTLE_S
    ) -> None:
        """Needs the endpoint and who may charge now."""
        self._endpoint, self._book, self._settle_s = endpoint, book, settle_s
        self._told: dict[AssetId, int] = {}
        """The version that each charger was told, or cannot be told, since it connected."""
        self._due: dict[AssetId, float] = {}
        """When a charger that connected is looked at, on the event loop's clock [s]."""
        self._wake = asyncio.Event()

    def hear(self, reading: Reading) -> None:
        """Notices chargers that come and go."""
        if isinstance(reading, LinkReading):
            point = AssetId(reading.asset)
            self._told.pop(point, None)
            self._due.pop(point, None)
            if reading.up:
                self._due[point] = asyncio.get_running_loop().time() + self._settle_s
                self._wake.set()

    def changed(self) -> None:
        """The lists are new: who is connected hears it at once."""
        self._wake.set()

    async def run(self) -> None:
        """Tells whoever has to be told, until it is cancelled."""
        while True:
            wait_s = await self.tell_all()
            self._wake.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def tell_all(self) -> float | None:
        """Tells every charger that is due and behind.

        Returns:
            After how long somebody is due again, machine time [s]; None: nobody is.
        """
        now, version = asyncio.get_running_loop().time(), self._book().version
        behind = [
            point for point, due in self._due.items() if due <= now and self._told.get(point) != version
        ]
        turns = asyncio.Semaphore(AT_ONCE)

        async def tell(point: AssetId) -> None:
            async with turns:
                await self._tell(point)

        async with asyncio.TaskGroup() as tasks:
            for point in behind:
                tasks.create_task(tell(point))
        now, version = asyncio.get_running_loop().time(), self._book().version
        waits = [due - now for point, due in self._due.items() if self._told.get(point) != version]
        return max(0.0, min(waits)) if waits else None

    async def _tell(self, point: AssetId) -> None:
        """Tells one charger; where it is too busy, later."""
        book, link = self._book(), self._endpoint.link_of(point)
        if link is None:
            self._due.pop(point, None)
            return
        try:
            why_not = await self._bring_up_to(book, point, link)
        except (WijkstroomError, TimeoutError) as error:
            _LOG.info("local_list_waits", charge_point=point, why=str(error) or "timeout")
            self._due[point] = asyncio.get_running_loop().time() + AGAIN_S
            return
        if why_not:
            _LOG.info("local_list_not_taken", charge_point=point, why=why_not)
        if self._endpoint.link_of(point) is link:
            self._told[point] = book.version

    async def _bring_up_to(self, book: TokenBook, point: AssetId, link: Link) -> str:
        """Brings one charger's list up to the book; gives why it cannot, empty where it could."""
        by_16 = link.session.schemas == "v16"
        answer = await link.ask(Request(action="GetLocalListVersion", payload={}))
        known = answer.payload.get("listVersion" if by_16 else "versionNumber", -1)
        if answer.error or known < 0:
            return answer.error or "it keeps no list"
        if known == book.version:
            return ""
        whole = _fitting(book.whole_list(point), by_16=by_16)
        if not whole and known == 0:
            return ""
        changes = book.changes_since(known)
        if changes is not None and len(changes) <= PIECE:
            status = await _send(link, _fitting(changes, by_16=by_16), book.version, full=False, by_16=by_16)
            if status == "Accepted":
                return ""
        return await _send_whole(link, whole, book.version, by_16=by_16)


async def _send_whole(link: Link, whole: Mapping[str, ListEntry], version: int, *, by_16: bool) -> str:
    pieces = [dict(piece) for piece in batched(whole.items(), PIECE)] or [{}]
    for number, piece in enumerate(pieces, start=1):
        says = version if number == len(pieces) else number
        status = await _send(link, piece, says, full=number == 1, by_16=by_16)
        if status != "Accepted":
            return f"piece {number} of {len(pieces)}: {status}"
    return ""


async def _send(
    link: Link, entries: Mapping[str, ListEntry], version: int, *, full: bool, by_16: bool
) -> str:
    """Sends one message; gives its status, or the error."""
    payload: Payload = {
        "listVersion" if by_16 else "versionNumber": version,
        "updateType": "Full" if full else "Differential",
    }
    if entries:
        said = [_entry(token, entry, by_16=by_16) for token, entry in entries.items()]
        payload["localAuthorizationList"] = said
    answer = await link.ask(Request(action="SendLocalList", payload=payload))
    return answer.error or str(answer.payload["status"])


def _entry(token: str, entry: ListEntry, *, by_16: bool) -> Payload:
    status = {"status": "Accepted" if entry.accepted else "Blocked"}
    if by_16:
        return {"idTag": token, "idTagInfo": status}
    return {"idToken": {"idToken": token, "type": _KINDS[entry.kind]}, "idTokenInfo": status}


def _fitting(entries: Mapping[str, ListEntry], *, by_16: bool) -> Mapping[str, ListEntry]:
    """Those that the version has room for."""
    if not by_16:
        return entries
    return {token: entry for token, entry in entries.items() if len(token) <= TOKEN_LENGTH_MAX}
