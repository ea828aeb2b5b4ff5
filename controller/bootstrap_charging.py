"""The part of the composition root that lets people charge: tokens, the chargers' lists, guests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from controller.domain.errors import StartUpError
from controller.domain.ports import TelemetrySink
from controller.domain.time import SystemMachineClock
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.guests import Guests
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.local_lists import LocalLists
from drivers.ocpp.remote import RemoteControl
from drivers.payments.http_provider import HttpPayments

RESTART_S = 5.0
"""After so long a task beside the loops that failed is started anew [s]."""
_LOG = structlog.get_logger(__name__)


async def load_tokens(controller: Controller) -> tuple[ChargingTokens, list[TelemetrySink]]:
    """Who may charge, and who hears what chargers tell: the controller first."""
    tokens = ChargingTokens(controller, asyncio.get_running_loop())
    await tokens.load()
    return tokens, [controller.receive]


async def run_charging(
    stack: AsyncExitStack,
    controller: Controller,
    ocpp: OcppEndpoint,
    tokens: ChargingTokens,
    ears: list[TelemetrySink],
    folder: Path,
) -> Guests | None:
    """Has the chargers' own lists kept, and guests' sessions where there is a payment provider.

    Args:
        stack: What runs here ends with it.
        controller: The running controller.
        ocpp: The chargers' endpoint.
        tokens: Who may charge.
        ears: Who hears what chargers tell; the lists and the guests are added.
        folder: The site file's.

    Raises:
        StartUpError: If the provider's key cannot be read.
    """
    lists = LocalLists(ocpp, lambda: tokens.book)
    tokens.changed = lists.changed
    remote = RemoteControl(ocpp)
    tokens.stop = remote.stop
    ears.append(lists.hear)
    await stack.enter_async_context(kept_running(controller, "local lists", lists.run))
    settings = controller.settings.guests
    if not settings.provider_url:
        return None
    api_key = _first_line(folder / settings.provider_key_file) if settings.provider_key_file else ""
    provider = await stack.enter_async_context(
        HttpPayments(settings.provider_url, api_key=api_key, timeout_s=settings.provider_timeout_s)
    )
    guests = Guests(
        controller,
        asyncio.get_running_loop(),
        settings=settings,
        tokens=tokens,
        chargers=remote,
        provider=provider,
        machine_clock=SystemMachineClock(),
    )
    await guests.load()
    ears.append(guests.hear)
    await stack.enter_async_context(kept_running(controller, "guests", guests.run))
    return guests


def _first_line(path: Path) -> str:
    """The secret that a file holds.

    Raises:
        StartUpError: If it cannot be read or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise StartUpError(f"{path}: {error}") from error
    if not lines:
        raise StartUpError(f"{path} is empty: put the payment provider's key there")
    return lines[0]


@asynccontextmanager
async def kept_running(
    controller: Controller, name: str, work: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Runs endless work while the block lasts; a bug in it is told and does not end the controller."""

    async def run() -> None:
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001  # the loops that keep the cables safe go on
                _LOG.exception("a task failed and starts anew", task=name)
                controller.counters.count_failure(name, controller.clock.now())
            await asyncio.sleep(RESTART_S)

    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
