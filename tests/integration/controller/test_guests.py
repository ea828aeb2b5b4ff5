"""Guests over real sockets: a charger, the provider's HTTP, and whatever goes wrong between them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError
from controller.domain.guests import START_WITHIN, Stage, Why
from controller.domain.ids import AssetId
from controller.domain.units import NANOEUR_PER_CENT
from controller.runtime.guests import Guests
from sim.payments.provider import FEE_CENTS, PaymentFault, Status
from tests.support.guests import LIMIT_CENTS, PAGE, POINT, GuestStreet, guest_street
from tests.support.ocpp import until

VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


async def _balances(street: GuestStreet) -> dict[str, int]:
    async with street.controller.store.unit() as unit:
        return dict(await unit.balances())


async def _charged(street: GuestStreet, minutes: int = 30) -> str:
    """A guest who has charged for a while; gives the secret."""
    _, secret = await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)
    await street.stage(secret, Stage.CHARGING)
    await street.charge_for(minutes * 60)
    return secret


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_guest_charges_at_once_and_pays_what_it_cost(tmp_path: Path, version: str) -> None:
    """From the reserved amount to the receipt; full power within the limits, and never backwards."""
    async with guest_street(tmp_path, version=version) as street:
        secret = await _charged(street)
        view = await street.guests.view(secret)
        assert view.energy_wh is not None
        assert view.energy_wh > 4000
        assert min(street.socket.requests) >= 0.0
        assert max(street.socket.requests) == pytest.approx(11.0, abs=0.1)
        await street.guests.stop(secret)
        paid = await street.stage(secret, Stage.PAID)
        (payment,) = street.payments.payments.values()
        assert (payment.status, payment.captured_cents) == (Status.CAPTURED, paid.due_cents)
        assert paid.charge is not None
        cost = paid.charge.cost(street.controller.clock.now())
        assert cost is not None
        assert paid.due_cents == cost.total.cents > 200
        assert paid.charge.energy_wh == int(street.socket.import_wh()) - 100_000
        assert not street.tokens.accepts(paid.token)
        balances = await _balances(street)
        assert balances["payments"] == (paid.due_cents - FEE_CENTS) * NANOEUR_PER_CENT
        assert balances.get("guest", 0) == 0
        assert sum(balances.values()) == 0


async def test_the_guests_own_token_is_all_that_is_kept_of_them(tmp_path: Path) -> None:
    """The store has no name, no card, and of the link a hash."""
    async with guest_street(tmp_path) as street:
        secret = await _charged(street, 2)
        async with street.controller.store.unit() as unit:
            (record,) = await unit.open_guests()
        assert secret not in record.secret_hash + record.content
        with pytest.raises(NotFoundError):
            await street.guests.view(secret + "x")


async def test_a_declined_payment_starts_nothing(tmp_path: Path) -> None:
    """The bank says no; the socket stays free."""
    async with guest_street(tmp_path) as street:
        street.payments.faults["reserve"].append(PaymentFault.DECLINES)
        _, secret = await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)
        declined = await street.stage(secret, Stage.DECLINED)
        assert declined.why is Why.DECLINED
        assert street.charger is not None
        assert street.charger.core.transaction is None
        assert not (await street.guests.point(POINT)).taken


async def test_a_start_that_fails_lets_the_whole_amount_go(tmp_path: Path) -> None:
    """No car stands there, so the charger refuses."""
    async with guest_street(tmp_path, car=False) as street:
        _, secret = await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)
        released = await street.stage(secret, Stage.RELEASED)
        assert (released.why, released.due_cents) == (Why.REFUSED, 0)
        (payment,) = street.payments.payments.values()
        assert payment.status is Status.RELEASED
        assert not any((await _balances(street)).values())


async def test_a_provider_that_loses_answers_and_fails_takes_the_money_once(tmp_path: Path) -> None:
    """Each call is made again with its key; the provider's books show one payment, captured once."""
    async with guest_street(tmp_path) as street:
        street.payments.faults["reserve"] += [PaymentFault.LOSES_ANSWER]
        street.payments.faults["capture"] += [PaymentFault.FAILS, PaymentFault.LOSES_ANSWER]
        secret = await _charged(street, 10)
        await street.guests.stop(secret)
        paid = await street.stage(secret, Stage.PAID)
        (payment,) = street.payments.payments.values()
        assert payment.captured_cents == paid.due_cents
        assert street.payments.calls.count("capture: 200") == 1
        assert "capture: again" in street.payments.calls
        balances = await _balances(street)
        assert balances["payments"] == (paid.due_cents - FEE_CENTS) * NANOEUR_PER_CENT


async def test_a_reservation_that_ran_out_is_a_loss_that_somebody_hears_of(tmp_path: Path) -> None:
    """Nothing is booked that nobody paid."""
    async with guest_street(tmp_path) as street:
        street.payments.faults["capture"].append(PaymentFault.EXPIRED)
        secret = await _charged(street, 10)
        await street.guests.stop(secret)
        lost = await street.stage(secret, Stage.LOST)
        assert lost.why is Why.NOT_CAPTURED
        assert not any((await _balances(street)).values())
        async with street.controller.store.unit() as unit:
            events = await unit.events()
        assert [event.subject for event in events] == [f"{POINT} {lost.id}"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_restart_while_somebody_charges_loses_nothing(tmp_path: Path, version: str) -> None:
    """Also what was charged, and that it ended, while nobody was there."""
    async with guest_street(tmp_path, version=version) as street:
        secret = await _charged(street, 10)
        await street.crash()
        await street.charge_for(600)
        await street.start()
        assert (await street.guests.view(secret)).session.stage is Stage.CHARGING
        await street.charge_for(300)
        await street.guests.stop(secret)
        paid = await street.stage(secret, Stage.PAID)
        assert paid.charge is not None
        assert paid.charge.energy_wh == int(street.socket.import_wh()) - 100_000
        assert street.payments.calls.count("capture: 200") == 1


async def test_a_restart_between_the_capture_and_its_booking_books_it_once(tmp_path: Path) -> None:
    """The provider has the money and its answer never came: asked again, it says the same."""
    async with guest_street(tmp_path) as street:
        street.payments.faults["capture"].append(PaymentFault.LOSES_ANSWER)
        secret = await _charged(street, 10)
        await street.guests.stop(secret)
        await until(lambda: "capture: 200" in street.payments.calls)
        await street.crash()
        assert not any((await _balances(street)).values())
        await street.start()
        paid = await street.stage(secret, Stage.PAID)
        assert (await _balances(street))["payments"] == (paid.due_cents - FEE_CENTS) * NANOEUR_PER_CENT


async def test_a_reserved_amount_without_a_session_is_let_go_after_a_restart(tmp_path: Path) -> None:
    """The charger was asked, and then nothing was heard: the guest's money is free again in time."""
    async with guest_street(tmp_path) as street:
        street.payments.faults["reserve"] += [PaymentFault.LOSES_ANSWER]
        _, secret = await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)
        await until(lambda: street.payments.payments)
        await street.crash()
        assert street.charger is not None
        await street.charger.drop()
        street.socket.token = None
        street.place.clock.advance_to(street.place.clock.now() + START_WITHIN + timedelta(minutes=10))
        await street.start()
        released = await street.stage(secret, Stage.RELEASED)
        assert released.why is Why.NOT_PAID
        (payment,) = street.payments.payments.values()
        assert payment.status is Status.RELEASED


async def test_charging_ends_by_itself_at_the_guests_limit(tmp_path: Path) -> None:
    """At EUR 10 the stop is sent; what the last sample is over, the guest does not pay."""
    async with guest_street(tmp_path) as street:
        _, secret = await street.guests.open(POINT, 1000, page_url=PAGE)
        await street.stage(secret, Stage.CHARGING)
        await street.charge_for(6600)
        paid = await street.stage(secret, Stage.PAID)
        assert paid.due_cents == 1000
        (payment,) = street.payments.payments.values()
        assert payment.captured_cents == 1000


async def test_a_guest_agrees_on_the_providers_page(tmp_path: Path) -> None:
    """The page leads back to the guest's own; whoever refuses pays nothing."""
    async with guest_street(tmp_path, checkout=True) as street, httpx.AsyncClient() as browser:
        for answer, stage in (("refuse", Stage.DECLINED), ("agree", Stage.CHARGING)):
            _, secret = await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)
            paying = await street.stage(secret, Stage.PAYING)
            assert (await browser.get(paying.checkout_url)).status_code == 200
            back = await browser.post(paying.checkout_url, content=f"answer={answer}")
            assert back.headers["location"] == PAGE.replace("{secret}", secret)
            assert not (await street.stage(secret, stage)).return_url


async def test_one_guest_a_socket_and_who_has_not_paid_keeps_nobody_from_it(tmp_path: Path) -> None:
    """The one who pays first gets it; the other's reservation is let go."""
    async with guest_street(tmp_path, checkout=True) as street, httpx.AsyncClient() as browser:
        secrets = [(await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE))[1] for _ in range(2)]
        for secret in reversed(secrets):
            paying = await street.stage(secret, Stage.PAYING)
            await browser.post(paying.checkout_url, content="answer=agree")
            await street.stage(secret, Stage.CHARGING, Stage.RELEASED)
        assert (await street.stage(secrets[1], Stage.CHARGING)).why is None
        assert (await street.stage(secrets[0], Stage.RELEASED)).why is Why.REFUSED
        with pytest.raises(ConflictError):
            await street.guests.open(POINT, LIMIT_CENTS, page_url=PAGE)


async def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """No such socket, no such amount, one that is not there now."""
    async with guest_street(tmp_path) as street:
        guests: Guests = street.guests
        with pytest.raises(NotFoundError):
            await guests.open(AssetId("cp-99"), LIMIT_CENTS, page_url=PAGE)
        with pytest.raises(InputProblemsError):
            await guests.open(POINT, 1, page_url=PAGE)
        with pytest.raises(ConflictError, match="cannot be reached"):
            await guests.open(AssetId("cp-2"), LIMIT_CENTS, page_url=PAGE)
        assert not street.payments.calls
