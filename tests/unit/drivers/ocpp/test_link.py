"""How a reply goes out: at once where it fits, and never beyond what a charger reads."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from controller.domain.ids import AssetId
from drivers.ocpp.link import Link
from tests.support.ocpp import raw_charger, session, street, until


class _Full:
    """A connection whose charger does not read: bytes wait already, and a send has to wait for room."""

    def __init__(self) -> None:
        self.transport = self
        self.room = asyncio.Event()
        self.sent: list[str] = []

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""
        return 1

    async def send(self, text: str) -> None:
        """Waits as a real one does above its high-water mark."""
        await self.room.wait()
        self.sent.append(text)


async def test_a_charger_that_does_not_read_is_waited_for() -> None:
    """No reply is put on top of those that wait, so that nobody fills our memory."""
    full = _Full()
    link = Link(cast("Any", full), session(), call_timeout_s=1.0, sent=lambda _: None)
    reply = asyncio.create_task(link.reply("[3]"))
    await asyncio.sleep(0.01)
    assert not reply.done()
    assert full.sent == []
    full.room.set()
    await reply
    assert full.sent == ["[3]"]


async def test_a_reply_that_fits_goes_out_at_once_and_in_order() -> None:
    """Without a turn of the loop in between; on a connection that has ended it goes nowhere."""
    async with street(boot_grace_s=30.0) as place, raw_charger(place) as charger:
        await until(lambda: place.endpoint.connected() == 1)
        link = place.endpoint.link_of(AssetId("cp-001"))
        assert link is not None
        for number in range(3):
            with pytest.raises(StopIteration):
                link.reply(f"[{number}]").send(None)
        assert [await charger.recv() for _ in range(3)] == ["[0]", "[1]", "[2]"]
        await charger.close()
        await until(lambda: place.endpoint.connected() == 0)
        await link.reply("[4]")
