"""Writes, every few seconds, what is to outlive us: the message log and the gate's credentials."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from controller.domain.errors import WijkstroomError
from drivers.ocpp.gate import Gate
from drivers.ocpp.message_log import MessageLog

_EVERY_S = 5.0
_log = structlog.get_logger("drivers.ocpp")


class Housekeeping:
    """Begins with `start`; `stop` writes what is left.

    Args:
        log: The messages.
        gate: Who may come in.
        remember: Keeps what the gate knows; it is called again if it fails. None: nobody does.
    """

    def __init__(
        self, log: MessageLog, gate: Gate, remember: Callable[[str], Awaitable[None]] | None
    ) -> None:
        self._log, self._gate, self._remember = log, gate, remember
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends and writes once more; nothing where it had not begun."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self._tidy()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._tidy()

    async def _tidy(self) -> None:
        """A disk or a database that does not take it is tried again the next time."""
        try:
            await self._log.flush()
        except OSError as error:
            _log.warning("message_log_not_written", why=str(error))
        kept = None if self._remember is None else self._gate.changes()
        if kept is not None and self._remember is not None:
            try:
                await self._remember(kept)
            except WijkstroomError as error:
                self._gate.keep_again()
                _log.warning("credentials_not_kept", why=str(error))
