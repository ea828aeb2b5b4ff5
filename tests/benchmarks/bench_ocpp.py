"""What OCPP costs: the CPU of a MeterValues exchange, and how fast a new limit reaches a thousand chargers.

The first is a ratio in one run: the CPU time that the endpoint's process spends on a call and its answer
(frame, schema, session, readings, message log, the neighbourhood's state) over that of a bare `websockets`
echo of the same bytes in a process of its own. Rounds of both take turns; the table has the medians. The
goal is at most three times.

The second: a thousand chargers on real sockets, played by another process, each with a car that draws 11 kW.
A grid operator's limit of nothing on the root changes all their setpoints; the time is from the limit to the
charger's confirmation, for 99% of them, with the safety process and everything between. The goal is less
than two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from controller.config import Settings
from controller.domain.assets import Member
from controller.domain.ids import AssetId, NodeId, ean_from_number
from controller.domain.network import ImposedLimit, Limit, LimitKind, Network, Node, NodeKind
from controller.domain.setpoints import Applied, Setpoint
from controller.domain.site import Site
from controller.domain.telemetry import Reading
from controller.domain.time import SystemDomainClock, utc_text
from controller.runtime.safety_process import SafetyProcess
from controller.state import NeighbourhoodState, apply_all
from drivers.ocpp.endpoint import OcppEndpoint
from tests.support.neighbourhood import site
from tests.support.ocpp import charge_point, patient_answer
from tests.support.running import make_controller
from tests.support.storage import opened

CONNECTIONS = 20
EXCHANGES = 400
"""Of each connection in a round."""
ROUNDS = 5
BATCH = 500
"""Readings that go into the state at once, as a safety cycle takes them."""
CHARGERS, LIMITS = 1000, 3
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
    state, inbox, clock = NeighbourhoodState(), deque[Reading](), SystemDomainClock()

    def sink(reading: Reading) -> None:
        nonlocal state
        inbox.append(reading)
        if len(inbox) >= BATCH:
            state = apply_all(state, inbox, clock.now())
            inbox.clear()

    endpoint = OcppEndpoint(
        host=HOST,
        port=0,
        charge_points={AssetId(name): charge_point(name, discharge_kw_max=0.0) for name in NAMES},
        tokens=(),
        sink=sink,
        clock=clock,
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
            answer = await connection.recv()
            if f'"message-{number}"' in str(answer[:40]):
                break
            # One of the endpoint's own requests, in the first round.
            await connection.send(patient_answer(orjson.loads(answer)))


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


def _district() -> Site:
    """A thousand chargers behind one transformer, and nothing else.

    It bears three times their power: while they connect, those who have not yet are reckoned with in full.
    """
    limit = Limit(kind=LimitKind.CONTRACT, value=11.0 * CHARGERS * 3)
    root = Node(id=NodeId("pole-1"), parent=None, kind=NodeKind.TRANSFORMER, limits=(limit,))
    points = tuple(
        replace(charge_point(f"cp-{i:04d}"), ean=ean_from_number("871687100", i)) for i in range(CHARGERS)
    )
    member = Member(id=points[0].member, name="The cooperative", kind="cooperative")
    return replace(
        site(),
        network=Network((root,)),
        members=(member,),
        charge_points=points,
        vehicles=(),
        pv=(),
        batteries=(),
        loads=(),
    )


async def _play(port: int, count: int) -> None:
    """A thousand chargers that start a transaction, draw 11 kW and take whatever they are told."""

    def event(kind: str, number: int) -> str:
        at = utc_text(SystemDomainClock().now())
        value = {"value": 11_000.0, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
        given = {"value": 0.0, "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "W"}}
        payload = {
            "eventType": kind,
            "timestamp": at,
            "triggerReason": "CablePluggedIn",
            "seqNo": number,
            "transactionInfo": {"transactionId": "T", "chargingState": "Charging"},
            "meterValue": [{"timestamp": at, "sampledValue": [value, given]}],
        }
        return orjson.dumps([2, f"e{number}", "TransactionEvent", payload]).decode()

    async def charger(number: int) -> None:
        # Comes back by itself where a busy machine made it wait for too long.
        async for link in connect(
            f"ws://{HOST}:{port}/ocpp/cp-{number:04d}",
            subprotocols=[Subprotocol("ocpp2.1")],
            compression=None,
            proxy=None,
            open_timeout=60.0,
            ping_interval=None,
        ):
            with contextlib.suppress(ConnectionClosed):
                await link.send(event("Started", 0))
                async for message in link:
                    frame = orjson.loads(message)
                    if frame[0] == 2:
                        await link.send(patient_answer(frame))

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(charger(number))
            if number % 20 == 0:
                await asyncio.sleep(0.05)


def _run_chargers(port: int, count: int) -> None:
    asyncio.run(_play(port, count))


async def _limit_s(folder: Path) -> float:
    """How long a limit takes to reach 99% of the chargers [s]."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(folder / "bench.sqlite3"))
        clock = SystemDomainClock()
        controller = make_controller(store, clock, settings=Settings(), of=_district())
        safety = await stack.enter_async_context(SafetyProcess(controller))
        endpoint = OcppEndpoint(
            host=HOST,
            port=0,
            charge_points=controller.site.charge_point_by_id,
            tokens=(),
            sink=controller.receive,
            clock=clock,
            floor=controller.guard.floor.hours,
        )
        await stack.enter_async_context(endpoint)
        controller.drivers = (endpoint,)
        confirmed: dict[AssetId, tuple[float, float]] = {}
        tasks = await stack.enter_async_context(asyncio.TaskGroup())

        async def send(setpoint: Setpoint) -> None:
            outcome = await controller.send(setpoint)
            if isinstance(outcome, Applied):
                confirmed[setpoint.asset] = setpoint.power_kw, time.perf_counter()

        def deliver(setpoints: Sequence[Setpoint]) -> None:
            for setpoint in setpoints:
                tasks.create_task(send(setpoint))

        async def all_at(power_kw: float) -> None:
            async with asyncio.timeout(420.0):
                while sum(kw == power_kw for kw, _ in confirmed.values()) < CHARGERS:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        running = asyncio.create_task(safety.run(deliver))
        process = get_context("spawn").Process(
            target=_run_chargers, args=(endpoint.port, CHARGERS), daemon=True
        )
        process.start()
        stack.callback(process.kill)
        root = controller.site.network.nodes[0].id
        await all_at(11.0)
        # The floor is laid and the states are asked for by then.
        await asyncio.sleep(15.0)
        begun = time.perf_counter()
        now = clock.now()
        limit = ImposedLimit(
            id="x", node=root, import_kw=0.0, export_kw=None, from_utc=now, to_utc=None, set_by="dso"
        )
        controller.people.limits = {limit.id: limit}
        await all_at(0.0)
        process.kill()
        running.cancel()
    return sorted(at - begun for _, at in confirmed.values())[int(0.99 * CHARGERS)]


def _limits_line() -> str:
    """One line; each limit has a controller and chargers of its own, as power comes back slowly after one."""
    took = []
    for _ in range(LIMITS):
        with TemporaryDirectory() as folder:
            took.append(asyncio.run(_limit_s(Path(folder))))
    return (
        f"a new limit, confirmed by 99% of {CHARGERS} chargers: {statistics.median(took):.2f} s "
        f"({min(took):.2f} to {max(took):.2f} over {LIMITS} limits)"
    )


def main() -> None:
    """Prints a line for each figure."""
    parts: Sequence[Callable[[], str]] = (
        lambda: asyncio.run(_ratio("ocpp1.6")),
        lambda: asyncio.run(_ratio("ocpp2.1")),
        _limits_line,
    )
    for part in parts:
        sys.stdout.write(f"{part()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
