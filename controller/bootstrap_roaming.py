"""The part of the composition root that reckons what charging costs and lets other parties read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from controller.bootstrap_charging import kept_running
from controller.domain.charge_tariff import ChargeTariff
from controller.domain.charging_tokens import Verdict
from controller.domain.ports import TelemetrySink
from controller.runtime.charging import Charging, lets_charge
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.roaming import Roaming
from controller.texts import Language, translator
from controller.texts.tariffs import posted_text
from drivers.ocpp.costs import Displays
from drivers.ocpp.endpoint import OcppEndpoint


async def run_displays(
    stack: AsyncExitStack,
    controller: Controller,
    ocpp: OcppEndpoint,
    charging: Charging,
    ears: list[TelemetrySink],
) -> None:
    """Has chargers show what is posted and what a session costs; where nothing is posted there is nothing."""
    if not controller.settings.charging.tariffs:
        return
    displays = Displays(ocpp, clock=controller.clock, tariff=charging.tariff_now, describe=_in_words)
    charging.listeners.append(displays.show)
    ears.append(displays.hear)
    await stack.enter_async_context(kept_running(controller, "displays", displays.run))


def _in_words(tariff: ChargeTariff) -> Mapping[str, str]:
    return {language.value: posted_text(tariff, translator(language)) for language in Language}


def who_may_charge(tokens: ChargingTokens, roaming: Roaming | None) -> Callable[[str], Verdict]:
    """Whether a token may charge, and why not: a member's, a guest's, or that of a provider's customer.

    Of the site's own tokens the book has the last word: one that is blocked is blocked.
    """
    if roaming is None:
        return tokens.verdict

    def verdict(token: str) -> Verdict:
        found = tokens.verdict(token)
        return Verdict.ACCEPTED if found is Verdict.UNKNOWN and roaming.accepts(token) else found

    return verdict


async def run_roaming(
    stack: AsyncExitStack, controller: Controller, tokens: ChargingTokens, ears: list[TelemetrySink]
) -> tuple[Charging, Roaming | None]:
    """Has sessions recorded, and read by providers where the site has a party id.

    Args:
        stack: What runs here ends with it.
        controller: The running controller.
        tokens: Those of the site's own, which are no provider's.
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
    roaming = Roaming(controller, asyncio.get_running_loop(), is_own=tokens.owns)
    await roaming.load()
    tokens.is_strangers = roaming.accepts
    return charging, roaming
