"""A controller that only trades, in processes of their own, to be killed.

`python -m tests.support.trading_process FOLDER ANCHOR_UNIX_S SPEED`: the test street's controller on a real
database in the folder, its market loops as they run in the field, and its API on a socket. Meters report at
the end of every quarter-hour while it lives.

Each line of input starts a life, forked off when everything is imported, which never ends by itself. Its
process id comes as a JSON line, once it answers another one with its port and tokens, and one at its end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import cast

import structlog

from controller.api.app import create_app
from controller.api.server import WebServer
from controller.domain.ids import MemberId
from controller.domain.time import QUARTER, ScaledDomainClock, SystemMachineClock, quarter_start, sleep_until
from controller.runtime.core import Controller
from controller.runtime.loops import Loops
from controller.runtime.ports import Role
from controller.runtime.safety_process import SafetyProcess
from controller.runtime.service import Service
from controller.runtime.trading import Trading
from tests.support.neighbourhood import START
from tests.support.running import OLGA, make_controller, registers
from tests.support.storage import opened

DATABASE = "test.sqlite3"
"""Where `running` has it too."""
MEMBERS = {"m-home": "f1", "m-school": "f2", "coop": "t"}
"""Who trades, and where."""


async def report_meters(controller: Controller) -> None:
    """Every meter's registers at every quarter-hour's end: the home's and the school's count up."""
    at = quarter_start(controller.clock.now())
    while True:
        await sleep_until(controller.clock, at)
        number = (at - START) // QUARTER
        async with controller.store.unit() as unit:
            await unit.add_registers(
                registers(at, home=(700 * number, 0), school=(1100 * number, 90 * number))
            )
        at += QUARTER


async def main(folder: Path, clock: ScaledDomainClock) -> None:
    """Trades until it is killed."""
    async with opened(folder / DATABASE) as store:
        controller = make_controller(store, clock)
        await controller.load()
        trading = Trading(controller, offload=asyncio.to_thread)
        await trading.load()
        loop = asyncio.get_running_loop()
        service = Service(controller, trading, loop=loop, speed=clock.speed, messages=dict)
        app = create_app(service, console=False, storage_secret="of the tests")  # noqa: S106  # no secret
        server = WebServer(app, "127.0.0.1", 0)
        await asyncio.to_thread(server.start)
        tokens = {
            member: await service.create_token(
                role=Role.RESIDENT, member=MemberId(member), label="test", who=OLGA
            )
            for member in MEMBERS
        }
        tokens["operator"] = await service.create_token(
            role=Role.OPERATOR, member=None, label="test", who=OLGA
        )
        tell(port=server.port, tokens=tokens)
        # Nothing is kept safe here and nothing planned: those loops are left out.
        loops = Loops(controller, trading, SystemMachineClock(), cast("SafetyProcess", None))
        async with asyncio.TaskGroup() as group:
            for work in (loops._market(), loops._settlement(), loops._sealing(), report_meters(controller)):
                group.create_task(work)


def tell(**fields: object) -> None:
    """One line of JSON to who started us."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def live(folder: Path, clock: ScaledDomainClock) -> None:
    """Forks a life off and waits for its end."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(main(folder, clock))
    tell(pid=pid)
    os.waitpid(pid, 0)
    tell(ended=pid)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for _ in sys.stdin:
        live(
            Path(sys.argv[1]),
            ScaledDomainClock(
                anchor_domain=START, anchor_unix_s=float(sys.argv[2]), speed=float(sys.argv[3])
            ),
        )
