"""What readings make of guests' sessions, where a charger tells less than one would like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.charging_settings import ChargingSettings
from controller.domain.errors import NotFoundError
from controller.domain.guests import PAY_WITHIN, START_WITHIN, GuestSession, Stage, StopAsked, Why
from controller.domain.ids import AssetId, MemberId
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
    RegisterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.domain.time import VirtualDomainClock
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.guest_sessions import LAST_WORD, UNNAMED_MAX
from controller.runtime.guests import HELD_FOR, Guests
from controller.runtime.steering import Confirmed
from controller.storage.errors import StoreBusyError
from tests.support.charging import TARIFF
from tests.support.neighbourhood import START
from tests.support.running import AUCTION, make_controller
from tests.support.storage import opened

POINT = AssetId("cp-1")
MINUTE = timedelta(minutes=1)


class _Provider:
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


class _Chargers:
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


class _Tireless:
    """A machine clock on which every pause is over the next time that somebody looks."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        """An hour later each time."""
        self._now_s += 3600.0
        return self._now_s


class _Desk:
    """Guests that are brought forward by hand."""

    def __init__(
        self, guests: Guests, clock: VirtualDomainClock, chargers: _Chargers, provider: _Provider
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
async def _desk(folder: Path) -> AsyncIterator[_Desk]:
    clock = VirtualDomainClock(START)
    settings = replace(AUCTION, charging=ChargingSettings(tariffs=(TARIFF,)))
    async with opened(folder / "test.sqlite3") as store:
        controller = make_controller(store, clock, settings=settings)
        controller.receive(LinkReading(asset=POINT, at=START, up=True))
        controller.hear()
        loop, chargers, provider = asyncio.get_running_loop(), _Chargers(), _Provider()
        tokens = ChargingTokens(controller, loop)
        await tokens.load()
        guests = Guests(
            controller,
            loop,
            settings=settings.guests,
            tokens=tokens,
            chargers=chargers,
            provider=provider,
            machine_clock=_Tireless(),
        )
        desk = _Desk(guests, clock, chargers, provider)
        await guests.open(POINT, 2500, page_url="http://x/{secret}")
        await desk.forward()
        assert desk.session().stage is Stage.STARTING
        yield desk


async def test_a_charger_is_asked_to_start_once(tmp_path: Path) -> None:
    """Asked again it would refuse, because it charges already."""
    async with _desk(tmp_path) as desk:
        await desk.forward()
        assert desk.chargers.asked == [f"start {POINT}"]


async def test_a_transaction_without_a_name_is_the_guests_who_is_waited_for(tmp_path: Path) -> None:
    """After a restart OCPP 1.6 tells the number alone; another person's is not the guest's."""
    async with _desk(tmp_path) as desk:
        desk.connector("9", token="SOMEBODY-ELSE")  # noqa: S106  # no secret
        assert desk.session().stage is Stage.STARTING
        desk.connector("10")
        assert desk.session().stage is Stage.CHARGING
        assert desk.session().transaction == "10"


async def test_a_start_without_a_register_counts_from_the_newest_before_it(tmp_path: Path) -> None:
    """Nothing flows between two transactions."""
    async with _desk(tmp_path) as desk:
        desk.meter(5000)
        desk.clock.advance_to(START + MINUTE)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(9000)
        charge = desk.session().charge
        assert charge is not None
        assert charge.energy_wh == 4000


async def test_a_charger_that_does_not_name_the_transaction_has_ended_it_after_a_while(
    tmp_path: Path,
) -> None:
    """It restarted and forgot; what it had charged until then is paid."""
    async with _desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector(None)
        await desk.forward()
        assert desk.session().stage is Stage.CHARGING
        desk.clock.advance_to(desk.clock.now() + UNNAMED_MAX)
        key = desk.session().id
        await desk.forward()
        assert key not in desk.guests._open
        async with desk.guests.controller.store.unit() as unit:
            balances = await unit.balances()
        assert balances["payments"] == 303 * 10_000_000


async def test_an_end_that_is_told_late_carries_its_own_registers(tmp_path: Path) -> None:
    """The charger was off line when the car left: the meter of then counts, not of now."""
    async with _desk(tmp_path) as desk:
        desk.meter(0)
        token = desk.session().token
        desk.connector("10", token=token)
        desk.clock.advance_to(START + 60 * MINUTE)
        end = START + 30 * MINUTE
        desk.guests._provider.silent = True  # type: ignore[attr-defined]  # the fake one
        desk.guests.hear(
            TransactionReading(
                charge_point=POINT,
                at=end,
                transaction="10",
                phase=TransactionPhase.ENDED,
                token=token,
                registers=(RegisterReading(at=end, import_wh=3000),),
            )
        )
        await desk.forward()
        ended = desk.session()
        assert ended.stage is Stage.CAPTURING
        assert ended.charge is not None
        assert (ended.charge.energy_wh, ended.charge.ended_at) == (3000, end)


async def test_a_car_idles_from_when_it_asks_for_nothing_and_only_while_it_may_charge(
    tmp_path: Path,
) -> None:
    """Also where the charger tells no register with it; some say it of a car that we paused ourselves."""
    async with _desk(tmp_path) as desk:
        desk.connector("10", token=desk.session().token)
        desk.lets(0.0)
        desk.asks(asks=False)
        desk.clock.advance_to(START + 10 * MINUTE)
        assert desk.idle() == 0 * MINUTE
        desk.lets(11.0)
        desk.asks(asks=False)
        desk.clock.advance_to(START + 30 * MINUTE)
        assert desk.idle() == 20 * MINUTE
        desk.asks(asks=True)
        assert desk.idle() == 0 * MINUTE


async def test_a_bug_in_one_session_holds_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, told and tried again later."""
    async with _desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector("11")
        monkeypatch.setattr(desk.guests._provider, "capture", None)
        await desk.forward()
        assert desk.session().stage is Stage.CAPTURING
        assert desk.guests.controller.counters.failures["guests"] >= 1
        assert desk.guests._steps[desk.session().id].not_before_s > 0.0


async def test_a_car_that_leaves_ends_the_session(tmp_path: Path) -> None:
    """Unplugged, and the charger says no more; or somebody else's transaction: the guest is gone."""
    async with _desk(tmp_path) as desk:
        desk.connector("10", token=desk.session().token)
        desk.connector(None, plugged=False)
        key = desk.session().id
        desk.guests._look(key, desk.guests._steps[key])
        assert desk.session().stage is Stage.CHARGING
        desk.clock.advance_to(START + LAST_WORD)
        desk.guests._look(key, desk.guests._steps[key])
        # Without a meter nobody can say what was charged: nothing is paid.
        assert desk.session().stage is Stage.RELEASING


async def test_a_socket_that_is_told_free_before_the_end_keeps_its_last_register(tmp_path: Path) -> None:
    """The two messages come in either order; what was charged since the last sample is paid."""
    async with _desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        end = START + 31 * MINUTE
        desk.clock.advance_to(end)
        desk.connector(None, plugged=False)
        await desk.forward()
        desk.guests._provider.silent = True  # type: ignore[attr-defined]  # the fake one
        desk.guests.hear(
            TransactionReading(
                charge_point=POINT,
                at=end,
                transaction="10",
                phase=TransactionPhase.ENDED,
                registers=(RegisterReading(at=end, import_wh=5180),),
            )
        )
        charge = desk.session().charge
        assert charge is not None
        assert (desk.session().stage, charge.energy_wh, charge.ended_at) == (Stage.CAPTURING, 5180, end)


async def test_who_came_first_while_the_guest_paid_keeps_the_socket(tmp_path: Path) -> None:
    """Also where the charger does not name them, after a restart: the guest must not pay for their car."""
    async with _desk(tmp_path) as desk:
        desk.guests._apply(desk.session().id, StopAsked())
        await desk.forward()
        assert not desk.guests._open
        await desk.guests.open(POINT, 2500, page_url="http://x/{secret}")
        controller, key = desk.guests.controller, desk.session().id
        nameless = ConnectorReading(charge_point=POINT, at=desk.clock.now(), plugged=True, transaction="7")
        controller.receive(nameless)
        controller.hear()
        await desk.guests._advance(key)
        desk.guests.hear(nameless)
        assert (desk.session().stage, desk.session().why) == (Stage.RELEASING, Why.REFUSED)
        assert desk.chargers.asked == [f"start {POINT}"]


async def test_what_is_due_at_a_socket_that_the_site_file_has_lost_is_the_cooperatives(
    tmp_path: Path,
) -> None:
    """Nobody else's session waits for it."""
    async with _desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector("11")
        controller = desk.guests.controller
        left = tuple(point for point in controller.site.charge_points if point.id != POINT)
        controller.site = replace(controller.site, charge_points=left)
        await desk.forward()
        assert not desk.guests._open
        async with controller.store.unit() as unit:
            balances = await unit.balances()
        assert -balances["community"] - balances["tax"] == 3_030_000_000


async def test_a_households_own_socket_is_not_shown_to_strangers(tmp_path: Path) -> None:
    """Whether a car stands there tells who is at home, and nobody signs in for a guest's page."""
    async with _desk(tmp_path) as desk:
        controller, other = desk.guests.controller, AssetId("cp-2")
        assert (await desk.guests.point(other)).point.id == other
        points = tuple(
            replace(point, member=MemberId("m-home")) if point.id == other else point
            for point in controller.site.charge_points
        )
        controller.site = replace(controller.site, charge_points=points)
        with pytest.raises(NotFoundError):
            await desk.guests.point(other)
        with pytest.raises(NotFoundError):
            await desk.guests.open(other, 2500, page_url="http://x/{secret}")


async def test_a_start_of_which_nothing_comes_is_asked_for_once_more_each_minute(tmp_path: Path) -> None:
    """A charger forgets a start without a car; what it says to the second one ends nothing."""
    async with _desk(tmp_path) as desk:
        desk.chargers.answer = "Rejected"
        desk.clock.advance_to(START + MINUTE)
        await desk.forward()
        assert desk.chargers.asked == [f"start {POINT}"] * 2
        assert desk.session().stage is Stage.STARTING
        desk.guests.controller.receive(
            ConnectorReading(charge_point=POINT, at=START, plugged=True, transaction="7")
        )
        desk.guests.controller.hear()
        desk.clock.advance_to(START + 3 * MINUTE)
        await desk.forward()
        assert len(desk.chargers.asked) == 2, "somebody charges there: who it is will be told"
        desk.clock.advance_to(START + START_WITHIN)
        await desk.forward()
        assert not desk.guests._open
        assert len(desk.chargers.asked) == 2


async def test_who_stops_while_a_start_is_kept_has_no_charger_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may be busy for seconds: a charger that is asked then would charge what nobody pays."""
    async with _desk(tmp_path) as desk:
        key, save = desk.session().id, desk.guests._save

        async def slow(key: str) -> None:
            await save(key)
            desk.guests._apply(key, StopAsked())

        monkeypatch.setattr(desk.guests, "_save", slow)
        desk.clock.advance_to(START + MINUTE)
        await desk.guests._advance(key)
        assert desk.session().stage is Stage.RELEASING
        assert desk.chargers.asked == [f"start {POINT}"], "the first one alone"


async def test_a_provider_that_refuses_to_reserve_is_told_to_guest_and_operators(tmp_path: Path) -> None:
    """After a few times the guest reads that it does not work; the alarm stays until it works again."""
    async with _desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        desk.provider.refuses = True
        secret = await desk.another()
        await desk.forward()
        session = (await desk.guests.view(secret)).session
        assert (session.stage, session.why) == (Stage.DECLINED, Why.PROVIDER)
        assert [point for point, _ in waiting.values()] == ["cp-2"]
        desk.provider.refuses = False
        await desk.another()
        await desk.forward()
        assert not waiting


async def test_what_may_be_reserved_without_an_answer_is_looked_for_as_long_as_a_guest_may_pay(
    tmp_path: Path,
) -> None:
    """A lost answer and then refusals: the amount may be set aside, so it is asked for again."""
    async with _desk(tmp_path) as desk:
        secret = await desk.another(silent=True)
        desk.provider.silent, desk.provider.refuses = False, True
        await desk.forward()
        await desk.forward()
        assert (await desk.guests.view(secret)).session.stage is Stage.RESERVING
        desk.clock.advance_to(START + PAY_WITHIN)
        await desk.forward()
        assert (await desk.guests.view(secret)).session.why is Why.PROVIDER


async def test_a_capture_that_is_refused_is_an_alarm_and_after_a_week_a_loss(tmp_path: Path) -> None:
    """The guest has charged and the provider takes no call of ours: operators see it; it ends in a week."""
    async with _desk(tmp_path) as desk:
        counters = desk.guests.controller.counters
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.provider.refuses = True
        desk.connector("11")
        await desk.forward()
        key = desk.session().id
        assert desk.session().stage is Stage.CAPTURING
        assert counters.payments_waiting[key][0] == POINT
        desk.clock.advance_to(START + HELD_FOR)
        await desk.forward()
        assert desk.session().stage is Stage.CAPTURING
        desk.clock.advance_to(START + HELD_FOR + 30 * MINUTE)
        await desk.forward()
        assert not desk.guests._open
        assert (counters.payments_waiting, list(counters.payments_lost)) == ({}, [key])
        async with desk.guests.controller.store.unit() as unit:
            (event,) = await unit.events()
        assert "were not paid" in event.what


async def test_a_provider_that_answers_again_is_no_alarm_any_more(tmp_path: Path) -> None:
    """While a guest pays it is silent for a while; then it is asked as often as before."""
    async with _desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        desk.provider.asks_payer = True
        await desk.another()
        await desk.forward()
        desk.provider.silent = True
        await desk.forward()
        ((key, (point, _)),) = waiting.items()
        assert (point, desk.guests._open[key].stage) == ("cp-2", Stage.PAYING)
        desk.provider.silent = False
        await desk.forward()
        assert not waiting
        assert desk.guests._open[key].stage is Stage.PAYING
        assert desk.guests._steps[key].failures == 0


async def test_a_session_that_is_over_leaves_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is busy when the reservation has been let go: once that is kept, nothing waits any more."""
    async with _desk(tmp_path) as desk:
        waiting = desk.guests.controller.counters.payments_waiting
        key, save = desk.session().id, desk.guests._save

        async def busy(key: str) -> None:
            if desk.guests._open[key].stage is Stage.RELEASED:
                raise StoreBusyError("another process writes")
            await save(key)

        desk.guests._apply(key, StopAsked())
        monkeypatch.setattr(desk.guests, "_save", busy)
        await desk.forward()
        assert list(waiting) == [key]
        monkeypatch.setattr(desk.guests, "_save", save)
        await desk.forward()
        assert (desk.guests._open, waiting) == ({}, {})
