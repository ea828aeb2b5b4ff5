"""The baselines, computed beside the controlled run in a process of their own with the lowest priority.

They need seconds to minutes of pure computing that the simulator's event loop does not have. Each
quarter-hour is handed over as soon as it is there, for the console to show; the books come at the end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from controller.domain.time import QUARTER
from controller.domain.units import FloatArray
from sim.baselines import BASELINES, BaselineRun
from sim.physics.days import DaySources
from sim.recorder import Recorder
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import PriceSeries, Weather

LAST_IN_TURN = 19
"""The niceness of a process that only gets what everything else leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineJob:
    """What to compute."""

    scenario: Scenario
    weather: Weather
    prices: PriceSeries
    quarters: int


class BaselineError(Exception):
    """The process ended without its result: a bug, or somebody killed it."""


class BaselineProcess:
    """Runs a job; `async with` starts the process and makes sure that it ends."""

    def __init__(self, job: BaselineJob, *, niceness: int = LAST_IN_TURN) -> None:
        """Takes the job.

        Args:
            job: What to compute.
            niceness: Of the process. Beside a controller in real time it must take nothing from anybody;
                0 where somebody waits for the result, which on a busy machine would come late.
        """
        self._job, self._niceness = job, niceness
        self._process: BaseProcess | None = None
        self._reader: asyncio.Task[dict[str, Recorder]] | None = None
        self.node_kw: list[Mapping[str, FloatArray]] = []
        """Per finished quarter-hour: each baseline's mean power at every node [kW]."""

    async def __aenter__(self) -> Self:
        """Starts computing."""
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_compute, args=(self._job, theirs, self._niceness), daemon=True
        )
        # Pickling the job and starting an interpreter takes a moment.
        await asyncio.to_thread(self._process.start)
        theirs.close()
        self._reader = asyncio.create_task(self._read(mine), name="baselines")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Ends the process, finished or not."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.join)
        if self._reader is not None:
            # The pipe's end has closed with the process, so the reading thread comes back.
            await asyncio.gather(self._reader, return_exceptions=True)

    async def books(self) -> dict[str, Recorder]:
        """Waits for the books of all baselines, by name.

        Raises:
            BaselineError: If the process ended without them.
        """
        if self._reader is None:
            raise BaselineError("the baselines were not started")
        return await self._reader

    async def _read(self, pipe: Connection) -> dict[str, Recorder]:
        while True:
            try:
                received = await asyncio.to_thread(pipe.recv)
            except EOFError as error:
                raise BaselineError("the baselines' process ended early") from error
            match received:
                case ("quarter", node_kw):
                    self.node_kw.append(node_kw)
                case ("books", books):
                    return dict(books)


def _compute(job: BaselineJob, pipe: Connection, niceness: int) -> None:
    """The process: advances all baselines quarter-hour by quarter-hour."""
    # Ctrl-C at the terminal reaches the whole group; the simulator ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    sources = DaySources(job.scenario, job.weather)
    runs = [
        BaselineRun(name, job.scenario, weather=job.weather, prices=job.prices, sources=sources)
        for name in BASELINES
    ]
    for quarter in range(1, job.quarters + 1):
        for run in runs:
            run.advance(job.scenario.start_utc + quarter * QUARTER)
        pipe.send(("quarter", {run.name: run.world.recorder.node_kw[-1] for run in runs}))
    pipe.send(("books", {run.name: run.world.recorder for run in runs}))
