"""A payment provider over HTTP, in the words of the simulated one (`sim.payments`).

    POST /v1/payments            {amount_cents, text, return_url}  -> {payment, status, checkout_url, why}
    GET  /v1/payments/ID                                           -> the same
    POST /v1/payments/ID/capture {amount_cents}                    -> {status, fee_cents}
    POST /v1/payments/ID/release                                   -> {status}

Each request carries `Authorization: Bearer KEY`, and those that change something `Idempotency-Key`
(draft-ietf-httpapi-idempotency-key-header). 2xx is an answer; 409 on a capture says that it will never be,
404 and 410 on a release that nothing is set aside any more. Every other 4xx, but 408, 425 and 429, refuses
the call itself. All else, and no answer, says nothing: it is asked again. A provider of the field is a file
like this one beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

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

_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Of 4xx, those that a later request may not get."""
_NOTHING_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class HttpPayments:
    """Implements `controller.domain.payments.PaymentProvider`; `async with` keeps its connections."""

    def __init__(self, url: str, *, api_key: str, timeout_s: float = 10.0) -> None:
        """Opens nothing yet.

        Args:
            url: The provider's address.
            api_key: What it knows us by.
            timeout_s: How long it may take to answer, machine time [s].
        """
        self._client = httpx.AsyncClient(
            base_url=url, timeout=timeout_s, headers={"Authorization": f"Bearer {api_key}"}
        )

    async def __aenter__(self) -> Self:
        """Ready to ask."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def reserve(self, *, key: str, amount_cents: int, text: str, return_url: str) -> Reservation:
        """Sets an amount aside; see `PaymentProvider.reserve`."""
        body = {"amount_cents": amount_cents, "text": text, "return_url": return_url}
        return _reservation(_told(await self._ask("POST", "/v1/payments", key=key, body=body)))

    async def look_up(self, payment: str) -> Reservation:
        """How a payment stands; see `PaymentProvider.look_up`."""
        return _reservation(_told(await self._ask("GET", f"/v1/payments/{payment}")))

    async def capture(self, payment: str, *, key: str, amount_cents: int) -> Captured | NotCaptured:
        """Takes what is due; see `PaymentProvider.capture`."""
        body = {"amount_cents": amount_cents}
        answer = await self._ask("POST", f"/v1/payments/{payment}/capture", key=key, body=body)
        if answer.status_code == HTTPStatus.CONFLICT:
            return NotCaptured(why=answer.text[:200])
        told = _told(answer)
        try:
            return Captured(fee_cents=int(told["fee_cents"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProviderSilentError("the provider's answer to a capture cannot be read") from error

    async def release(self, payment: str, *, key: str) -> None:
        """Lets a reservation go; see `PaymentProvider.release`."""
        answer = await self._ask("POST", f"/v1/payments/{payment}/release", key=key)
        if answer.status_code not in _NOTHING_THERE:
            _told(answer)

    async def _ask(
        self, method: str, path: str, *, key: str = "", body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            return await self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise ProviderSilentError(f"the payment provider does not answer: {error!r}") from error


def _told(answer: httpx.Response) -> Mapping[str, Any]:
    """What an answer says.

    Raises:
        ProviderRefusedError: If it refuses the call.
        ProviderSilentError: If it says nothing.
    """
    if answer.is_client_error and answer.status_code not in _LATER:
        raise ProviderRefusedError(f"the payment provider answers {answer.status_code}: {answer.text[:200]}")
    if not answer.is_success:
        raise ProviderSilentError(f"the payment provider answers {answer.status_code}")
    try:
        told = answer.json()
    except ValueError as error:
        raise ProviderSilentError("the payment provider's answer is no JSON") from error
    if not isinstance(told, dict):
        raise ProviderSilentError("the payment provider's answer is no object")
    return told


def _reservation(told: Mapping[str, Any]) -> Reservation:
    payment, status = str(told.get("payment", "")), told.get("status")
    match status:
        case "reserved" if payment:
            return Reserved(payment=payment)
        case "checkout" if payment:
            return MustPay(payment=payment, checkout_url=str(told.get("checkout_url", "")))
        case "declined":
            return Declined(why=str(told.get("why", "")))
        case _:
            raise ProviderSilentError(f"the payment provider says {status!r} of a reservation")
