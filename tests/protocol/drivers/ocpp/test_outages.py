"""Half a day on a bad link, in each version: what is kept off line arrives, once, and in its own time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import pytest

from controller.domain.setpoints import NotSent
from controller.domain.telemetry import ConnectorReading, MeterReading
from controller.domain.time import quarter_start
from drivers.ocpp.codec import NoticeCode
from sim.chargers.client import DIALECTS, SimulatedCharger
from tests.support.ocpp import FakeSocket, Street, setpoint, street, until

CARS = ("NL-WST-C00000001", "NL-WST-C00000002")
OF_TRANSACTIONS = {"StartTransaction", "StopTransaction", "TransactionEvent"}
STEP_S = 30.0
STEPS = 1440
"""Twelve hours."""


async def _caught_up(charger: SimulatedCharger, place: Street) -> None:
    """Waits until the link is there again and everything that waited is answered."""
    outbox = charger.core.outbox
    # All at one moment: a link that falls in between leaves a full box that does not want to speak.
    await until(
        lambda: (
            charger.connected
            and bool(place.endpoint.connected())
            and outbox.online
            and not outbox.has_open_call()
            and not outbox.wants_to_speak()
        )
    )


def _losing_every_fourth_answer(charger: SimulatedCharger) -> Callable[[str | bytes], str | None]:
    """Hears as the charger does, but now and then the link falls just before an answer.

    The CSMS has taken then what the charger will send again.
    """
    hear, answers = charger.core.receive, count(1)

    def receive(message: str | bytes) -> str | None:
        waiting, connection = charger.core.outbox._open, charger._connection
        answer = str(message).startswith("[3") and waiting and waiting[1].action in OF_TRANSACTIONS
        if answer and connection and next(answers) % 4 == 0:
            connection.transport.abort()
            return None
        return hear(message)

    return receive


@pytest.mark.parametrize("version", list(DIALECTS))
async def test_nothing_is_lost_or_counted_twice_on_a_bad_link(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cars come and go, the link falls some thirty times, also between a message and its answer.

    Each stay is one transaction that began and ended, each quarter-hour of it has its registers to the
    watt-hour, and what was sent again because its answer got lost is known as a duplicate.
    """
    lot = random.Random(7)
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket, version=version)
        await until(lambda: len(charger.core.profiles) == 2)
        hear = charger.core.receive
        monkeypatch.setattr(charger.core, "receive", _losing_every_fourth_answer(charger))
        stays = drops = 0
        registers: dict[datetime, int] = {}
        for _ in range(STEPS):
            if lot.random() < 0.02:
                socket.token = None if socket.token else CARS[stays % 2]
                stays += socket.token is not None
                socket.soc = 0.2
            if lot.random() < 0.02:
                drops += 1
                await charger.drop()
            place.advance(STEP_S, charger, step_s=STEP_S)
            now = place.clock.now()
            if now == quarter_start(now) and charger.core.transaction is not None:
                registers[now] = round(socket.imported_wh)
            if lot.random() < 0.3:
                await _caught_up(charger, place)
                if socket.token and place.endpoint.steerable():
                    await place.endpoint.set_power(setpoint(lot.choice([0.0, 6.0, 11.0]), at=now))
        monkeypatch.setattr(charger.core, "receive", hear)
        socket.token = None
        place.advance(STEP_S, charger, step_s=STEP_S)
        await _caught_up(charger, place)

        assert drops > 10
        assert stays > 5
        assert not charger.core.has_kept_messages()
        connectors = place.of(ConnectorReading)
        assert len({reading.transaction for reading in connectors} - {None}) == stays
        assert (connectors[-1].plugged, connectors[-1].transaction) == (False, None)
        told = {m.at: m.import_wh for m in place.of(MeterReading) if m.import_wh is not None}
        assert {at: told.get(at) for at in registers} == registers
        # A day's ride of 11 kW at most, with what was off line told in its own time.
        assert all(at <= place.clock.now() and at > place.clock.now() - timedelta(days=1) for at in told)
        assert {notice.code for notice in place.endpoint.notices} == {NoticeCode.DUPLICATE}


async def test_many_setpoints_at_once_leave_others_their_turns() -> None:
    """Eighty setpoints of one cycle: whoever answers a charger runs after every few of them."""
    names = [f"cp-{i:03d}" for i in range(80)]
    turns, seen = 0, list[int]()

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with street(*names) as place:

        async def send(name: str) -> None:
            outcome = await place.endpoint.set_power(setpoint(5.0, asset=name))
            assert isinstance(outcome, NotSent)
            seen.append(turns)

        running = asyncio.create_task(other())
        await asyncio.gather(*(send(name) for name in names))
        running.cancel()
    assert len(seen) == len(names)
    assert max(seen.count(turn) for turn in seen) <= 8
