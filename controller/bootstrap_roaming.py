"""The part of the composition root that reckons what charging costs and lets other parties read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from controller.domain.ids import AssetId
from controller.domain.ports import TelemetrySink
from controller.runtime.charging import Charging
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.roaming import Roaming


def who_may_charge(tokens: ChargingTokens, roaming: Roaming | None) -> Callable[[str], bool]:
    """Whether a token may charge: a member's, a guest's, or that of a provider's customer."""
    if roaming is None:
        return tokens.accepts
    return lambda token: tokens.accepts(token) or roaming.accepts(token)


def lets_charge(controller: Controller, charge_point: AssetId) -> bool:
    """Whether a charger may charge now by the setpoint that it confirmed."""
    confirmed = controller.steering.confirmed.get(charge_point)
    if confirmed is None or confirmed.setpoint.valid_until < controller.clock.now():
        return False
    return confirmed.power_kw > 0.0


async def run_roaming(
    stack: AsyncExitStack, controller: Controller, ears: list[TelemetrySink]
) -> tuple[Charging, Roaming | None]:
    """Has sessions recorded, and read by providers where the site has a party id.

    Args:
        stack: What runs here ends with it.
        controller: The running controller.
        ears: Who hears what chargers tell; the book of sessions is added.
    """
    charging = Charging(
        settings=controller.settings.charging,
        store=controller.store,
        clock=controller.clock,
        lets_charge=partial(lets_charge, controller),
    )
    await stack.enter_async_context(charging)
    ears.append(charging.hear)
    if not controller.settings.charging.roams:
        return charging, None
    roaming = Roaming(controller, asyncio.get_running_loop())
    await roaming.load()
    return charging, roaming
