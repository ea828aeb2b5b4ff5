"""Work that any thread may ask for and the control loop does, so that no lock is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from controller.runtime.core import Controller
from controller.runtime.ports import UnitOfWork


class OnLoop:
    """What asks a running controller for something, from whichever thread."""

    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        self.controller = controller
        self._loop = loop

    async def _in_unit[T](
        self,
        work: Callable[[UnitOfWork], Coroutine[Any, Any, T]],
        apply: Callable[[], None] | None = None,
        *,
        at_once: bool = False,
    ) -> T:
        """Works inside one transaction; `apply` makes it count once that is stored, or at once."""

        async def run() -> T:
            if apply is not None and at_once:
                apply()
            async with self.controller.store.unit() as unit:
                done = await work(unit)
            if apply is not None and not at_once:
                apply()
            return done

        return await self._on_loop(run())

    async def _on_loop[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Runs on the control loop, whichever thread asks."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
