"""What OCPP costs: the CPU of a MeterValues exchange, and how fast a new limit reaches a thousand chargers.

The first is a ratio in one run: the CPU time that the endpoint's process spends on a call and its answer
(frame, schema, session, readings, message log, the neighbourhood's state) over that of a bare `websockets` echo
of the same bytes in a process of its own. Rounds of both take turns; the table has the medians. The goal is
at most three times.

The second: a thousand simulated chargers on real sockets in another process, each with a transaction. A grid
operator's limit on the root changes all their setpoints in one safety cycle; the time is from the limit to
the charger's confirmation of it, for 99% of them. The goal is less than two seconds.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from controller.domain.ids import AssetId
from controller.domain.telemetry import Reading
from controller.domain.time import SystemDomainClock, utc_text
from controller.state import NeighbourhoodState, apply_all
from drivers.ocpp.endpoint import OcppEndpoint
from tests.support.ocpp import charge_point

CONNECTIONS = 20
EXCHANGES = 400
"""Of each connection in a round."""
ROUNDS = 5
BATCH = 500
"""Readings that go into the state at once, as a safety cycle takes them."""
HOST = "127.0.0.1"
NAMES = tuple(f"cp-{i:03d}" for i in range(CONNECTIONS))


def meter_values(version: str) -> str:
    """A message of six values, as a three-phase charger sends it, with `%d` for the register."""
    names = [
        ("Energy.Active.Import.Register", None, "Wh", "%d"),
        ("Power.Active.Import", None, "W", "7360"),
        ("Voltage", "L1-N", "V", "231"),
        ("Voltage", "L2-N", "V", "229"),
        ("Voltage", "L3-N", "V", "230"),
        ("SoC", None, "Percent", "55"),
    ]
    values = []
    for measurand, phase, unit, value in names:
        sampled: dict[str, Any] = {"measurand": measurand, "context": "Sample.Periodic", "location": "Outlet"}
        if phase:
            sampled["phase"] = phase
        if measurand == "SoC":
            sampled["location"] = "EV"
        if version == "ocpp1.6":
            sampled |= {"unit": unit, "value": value, "format": "Raw"}
        else:
            sampled |= {"unitOfMeasure": {"unit": unit}, "value": f"<{value}>"}
        values.append(sampled)
    moment = {"timestamp": utc_text(SystemDomainClock().now()), "sampledValue": values}
    payload: dict[str, Any] = {"meterValue": [moment]}
    payload |= {"connectorId": 1} if version == "ocpp1.6" else {"evseId": 1}
    text = orjson.dumps([2, "message-%d", "MeterValues", payload]).decode()
    # Numbers of 2.x stand bare.
    return text.replace('"<', "").replace('>"', "")


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _serve_echo(control: Connection) -> None:
    subprotocols = [Subprotocol("ocpp2.1"), Subprotocol("ocpp1.6")]
    async with serve(_echo, HOST, 0, subprotocols=subprotocols, compression=None) as server:
        await _tell(control, next(iter(server.sockets)).getsockname()[1])


async def _serve_ocpp(control: Connection) -> None:
    state, inbox = NeighbourhoodState(), deque[Reading]()

    def sink(reading: Reading) -> None:
        nonlocal state
        inbox.append(reading)
        if len(inbox) >= BATCH:
            state = apply_all(state, inbox)
            inbox.clear()

    endpoint = OcppEndpoint(
        host=HOST,
        port=0,
        charge_points={AssetId(name): charge_point(name, discharge_kw_max=0.0) for name in NAMES},
        tokens=(),
        sink=sink,
        clock=SystemDomainClock(),
        boot_grace_s=3600.0,
    )
    async with endpoint:
        # As the controller does: what was built until here need not be gone through again.
        gc.collect()
        gc.freeze()
        await _tell(control, endpoint.port)


async def _tell(control: Connection, port: int) -> None:
    """Says the port, then the CPU seconds so far whenever it is asked."""
    control.send(port)
    while await asyncio.to_thread(control.recv):
        control.send(time.process_time())


def _run_server(name: str, control: Connection) -> None:
    asyncio.run({"echo": _serve_echo, "ocpp": _serve_ocpp}[name](control))


async def _exchanges(connection: ClientConnection, text: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        await connection.send(text % (number, 1000 + number // 100))
        while True:
            # The endpoint's own requests come in between and are left unanswered.
            answer = await connection.recv()
            if f'"message-{number}"' in str(answer[:40]):
                break


async def _ratio(version: str) -> str:
    """One line: microseconds of both, and the ratio."""
    text = meter_values(version)
    context = get_context("spawn")
    spent: dict[str, list[float]] = {"echo": [], "ocpp": []}
    async with AsyncExitStack() as stack:
        controls: dict[str, Connection] = {}
        links: dict[str, list[ClientConnection]] = {}
        for name in spent:
            ours, theirs = context.Pipe()
            process = context.Process(target=_run_server, args=(name, theirs), daemon=True)
            process.start()
            stack.callback(process.kill)
            controls[name] = ours
            port = await asyncio.to_thread(ours.recv)
            links[name] = [
                await stack.enter_async_context(
                    connect(
                        f"ws://{HOST}:{port}/ocpp/{charger}",
                        subprotocols=[Subprotocol(version)],
                        compression=None,
                        proxy=None,
                    )
                )
                for charger in NAMES
            ]
        for number in range(ROUNDS + 1):
            for name, found in spent.items():
                before = await _cpu_s(controls[name])
                begin = number * EXCHANGES
                async with asyncio.TaskGroup() as tasks:
                    for link in links[name]:
                        tasks.create_task(_exchanges(link, text, begin, EXCHANGES))
                found.append((await _cpu_s(controls[name]) - before) / (EXCHANGES * CONNECTIONS) * 1e6)
    # The first round warms up.
    ratios = [ocpp / echo for ocpp, echo in zip(spent["ocpp"][1:], spent["echo"][1:], strict=True)]
    echo_us, ocpp_us = (statistics.median(spent[name][1:]) for name in ("echo", "ocpp"))
    return (
        f"{version} MeterValues of {len(text)} bytes: {ocpp_us:.0f} us of CPU an exchange, "
        f"bare echo {echo_us:.0f} us: {statistics.median(ratios):.2f} times "
        f"({min(ratios):.2f} to {max(ratios):.2f} over {ROUNDS} rounds)"
    )


async def _cpu_s(control: Connection) -> float:
    def ask() -> float:
        control.send(True)
        seconds: float = control.recv()
        return seconds

    return await asyncio.to_thread(ask)


def main() -> None:
    """Prints a line for each figure."""
    parts: Mapping[str, Callable[[], str]] = {
        "exchange 1.6": lambda: asyncio.run(_ratio("ocpp1.6")),
        "exchange 2.1": lambda: asyncio.run(_ratio("ocpp2.1")),
    }
    for part in parts.values():
        sys.stdout.write(f"{part()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
