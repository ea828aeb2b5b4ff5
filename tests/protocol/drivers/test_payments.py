"""The payment driver over HTTP: what says something is believed, everything else is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller.domain.payments import (
    Captured,
    Declined,
    MustPay,
    NotCaptured,
    ProviderRefusedError,
    ProviderSilentError,
    Reservation,
    Reserved,
)
from drivers.payments.http_provider import HttpPayments
from sim.payments.provider import FEE_CENTS, PaymentFault, SimulatedPayments
from sim.payments.server import serve_payments

KEY = "key of the tests"


@asynccontextmanager
async def _provider(payments: SimulatedPayments, key: str = KEY) -> AsyncIterator[HttpPayments]:
    async with (
        serve_payments(payments, api_key=KEY) as url,
        HttpPayments(url, api_key=key, timeout_s=2.0) as provider,
    ):
        yield provider


async def _reserve(provider: HttpPayments) -> Reservation:
    return await provider.reserve(key="k1", amount_cents=2500, text="street", return_url="http://x")


async def test_an_amount_is_reserved_captured_and_never_twice() -> None:
    """The same key again is the same answer; another one says that it is too late."""
    async with _provider(SimulatedPayments()) as provider:
        reserved = await _reserve(provider)
        assert isinstance(reserved, Reserved)
        for _ in range(2):
            captured = await provider.capture(reserved.payment, key="k2", amount_cents=545)
            assert captured == Captured(fee_cents=FEE_CENTS)
        again = await provider.capture(reserved.payment, key="k3", amount_cents=545)
        assert isinstance(again, NotCaptured)


async def test_a_payer_is_led_to_the_providers_page() -> None:
    """Until they have agreed, it says so; released, it is gone."""
    payments = SimulatedPayments(checkout=True)
    async with _provider(payments) as provider:
        asked = await _reserve(provider)
        assert isinstance(asked, MustPay)
        assert asked.checkout_url.endswith(f"/pay/{asked.payment}")
        assert await provider.look_up(asked.payment) == asked
        payments.agree(asked.payment, agreed=True)
        assert await provider.look_up(asked.payment) == Reserved(payment=asked.payment)
        await provider.release(asked.payment, key="k2")
        await provider.release(asked.payment, key="k2")


async def test_a_payment_that_the_provider_has_forgotten_is_let_go() -> None:
    """Nothing is set aside any more: asked again for ever, the session would never be over."""
    payments = SimulatedPayments()
    async with _provider(payments) as provider:
        await provider.release("pay_gone", key="k1")
    assert payments.calls == ["release: 404"]
    assert payments.payments == {}


async def test_a_declined_payment_is_an_answer() -> None:
    """It is not asked again."""
    payments = SimulatedPayments()
    payments.faults["reserve"].append(PaymentFault.DECLINES)
    async with _provider(payments) as provider:
        assert isinstance(await _reserve(provider), Declined)


@pytest.mark.parametrize("fault", [PaymentFault.FAILS, PaymentFault.LOSES_ANSWER])
async def test_an_error_of_the_provider_says_nothing(fault: PaymentFault) -> None:
    """Nobody knows whether it was done."""
    payments = SimulatedPayments()
    payments.faults["reserve"].append(fault)
    async with _provider(payments) as provider:
        with pytest.raises(ProviderSilentError):
            await _reserve(provider)
        assert isinstance(await _reserve(provider), Reserved)


async def test_a_wrong_key_refuses_the_call_itself() -> None:
    """Asked again it says the same; the operator has to put it right."""
    async with _provider(SimulatedPayments(), key="another") as provider:
        with pytest.raises(ProviderRefusedError, match="401"):
            await _reserve(provider)
        with pytest.raises(ProviderRefusedError, match="401"):
            await provider.capture("pay_1", key="k2", amount_cents=1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhm",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"",
        *(f"HTTP/1.1 {status} Later\r\nContent-Length: 0\r\n\r\n".encode() for status in (408, 425, 429)),
    ],
)
async def test_an_answer_that_cannot_be_read_says_nothing(answer: bytes) -> None:
    """No JSON, no object, a connection that ends, too late, too early, too often."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, HttpPayments(f"http://127.0.0.1:{port}", api_key=KEY, timeout_s=2.0) as provider:
        with pytest.raises(ProviderSilentError):
            await _reserve(provider)
