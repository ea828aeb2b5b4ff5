"""Guests whose sessions are brought forward by hand; chargers and a provider that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from controller.charging_settings import ChargingSettings
from controller.domain.guests import GuestSession, Stage
from controller.domain.ids import AssetId
from controller.domain.payments import (
    Captured,
    MustPay,
    ProviderRefusedError,
    ProviderSilentError,
    Reservation,
    Reserved,
)
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Setpoint
from controller.domain.telemetry import (
    ConnectorReading,
    LinkReading,
    MeterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.domain.time import VirtualDomainClock
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.guests import Guests
from controller.runtime.steering import Confirmed
from tests.support.charging import TARIFF
from tests.support.neighbourhood import START
from tests.support.running import AUCTION, make_controller
from tests.support.storage import opened

POINT = AssetId("cp-1")
MINUTE = timedelta(minutes=1)


class Provider:
    """Reserves and captures at once, unless it is silent or refuses every call."""

    silent = False
    refuses = False
    asks_payer = False

    async def reserve(self, *, key: str, amount_cents: int, text: str, return_url: str) -> Reservation:
        """At once, or once the payer agrees."""
        del key, amount_cents, text, return_url
        self._may()
        return MustPay(payment="pay-1", checkout_url="") if self.asks_payer else Reserved(payment="pay-1")

    async def look_up(self, payment: str) -> Reservation:
        """The payer has not agreed yet."""
        self._may()
        return MustPay(payment=payment, checkout_url="")

    async def capture(self, payment: str, *, key: str, amount_cents: int) -> Captured:
        """At once."""
        del payment, key, amount_cents
        self._may()
        return Captured()

    async def release(self, payment: str, *, key: str) -> None:
        """At once."""
        del payment, key
        self._may()

    def _may(self) -> None:
        if self.silent:
            raise ProviderSilentError("no answer")
        if self.refuses:
            raise ProviderRefusedError("401")


class Chargers:
    """Chargers that take everything and note it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = ""

    async def start(self, charge_point: AssetId, token: str) -> str:
        """Notes it."""
        del token
        self.asked.append(f"start {charge_point}")
        return self.answer

    async def stop(self, charge_point: AssetId, transaction: str) -> str:
        """Notes it."""
        self.asked.append(f"stop {charge_point} {transaction}")
        return ""


class Tireless:
    """A machine clock on which every pause is over the next time that somebody looks."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        """An hour later each time."""
        self._now_s += 3600.0
        return self._now_s


class GuestDesk:
    """Guests that are brought forward by hand."""

    def __init__(
        self, guests: Guests, clock: VirtualDomainClock, chargers: Chargers, provider: Provider
    ) -> None:
        self.guests, self.clock, self.chargers, self.provider = guests, clock, chargers, provider

    async def forward(self) -> None:
        """Each session as far as it goes without waiting."""
        for _ in range(6):
            for key in list(self.guests._open):
                await self.guests._advance(key)

    async def another(self, *, silent: bool = False) -> str:
        """A guest at the second socket; the secret. The first call may get no answer."""
        self.guests.controller.receive(LinkReading(asset=AssetId("cp-2"), at=self.clock.now(), up=True))
        self.guests.controller.hear()
        session, secret = await self.guests.open(AssetId("cp-2"), 2500, page_url="http://x/{secret}")
        self.provider.silent = silent
        if silent:
            await self.guests._advance(session.id)
        return secret

    def session(self) -> GuestSession:
        """The only open one."""
        (session,) = self.guests._open.values()
        return session

    def connector(self, transaction: str | None, token: str | None = None, *, plugged: bool = True) -> None:
        """The charger tells of its connector."""
        self.guests.hear(
            ConnectorReading(
                charge_point=POINT, at=self.clock.now(), plugged=plugged, token=token, transaction=transaction
            )
        )

    def asks(self, *, asks: bool) -> None:
        """The charger tells whether the car asks for power, as a status of OCPP 1.6 does."""
        self.guests.hear(
            TransactionReading(
                charge_point=POINT,
                at=self.clock.now(),
                transaction="10",
                phase=TransactionPhase.UPDATED,
                asks_power=asks,
            )
        )

    def lets(self, power_kw: float) -> None:
        """The charger has confirmed a power."""
        now = self.clock.now()
        setpoint = Setpoint(
            asset=POINT,
            power_kw=power_kw,
            valid_until=now + 60 * MINUTE,
            safe_kw=0.0,
            reason=Reason(code=ReasonCode.PLAN),
        )
        confirmed = self.guests.controller.steering.confirmed
        confirmed[POINT] = Confirmed(setpoint=setpoint, power_kw=power_kw, at=now)

    def idle(self) -> timedelta:
        """How long the car has idled."""
        charge = self.session().charge
        assert charge is not None
        return charge.idle(self.clock.now())

    def meter(self, import_wh: int) -> None:
        """The charger tells its register."""
        self.guests.hear(MeterReading(meter=POINT, at=self.clock.now(), import_wh=import_wh))


@asynccontextmanager
async def guest_desk(folder: Path) -> AsyncIterator[GuestDesk]:
    """A guest at the first socket, whose charger was asked to start."""
    clock = VirtualDomainClock(START)
    settings = replace(AUCTION, charging=ChargingSettings(tariffs=(TARIFF,)))
    async with opened(folder / "test.sqlite3") as store:
        controller = make_controller(store, clock, settings=settings)
        controller.receive(LinkReading(asset=POINT, at=START, up=True))
        controller.hear()
        loop, chargers, provider = asyncio.get_running_loop(), Chargers(), Provider()
        tokens = ChargingTokens(controller, loop)
        await tokens.load()
        guests = Guests(
            controller,
            loop,
            settings=settings.guests,
            tokens=tokens,
            chargers=chargers,
            provider=provider,
            machine_clock=Tireless(),
        )
        desk = GuestDesk(guests, clock, chargers, provider)
        await guests.open(POINT, 2500, page_url="http://x/{secret}")
        await desk.forward()
        assert desk.session().stage is Stage.STARTING
        yield desk
