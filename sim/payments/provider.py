"""What the simulated payment provider does with money, without its server.

It keeps the answer to every call that carries an idempotency key: the same call again has the same answer and
does nothing; another call with a known key is refused. A reservation is captured or released once.
"""

from __future__ import annotations

import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FEE_CENTS = 10
"""What it keeps of every capture, at most the amount."""


class PaymentFault(StrEnum):
    """What goes wrong with one call."""

    DECLINES = "declines"
    """The bank says no (to a reservation)."""
    FAILS = "fails"
    """Nothing is done, and the answer is a 500."""
    LOSES_ANSWER = "loses_answer"
    """It is done, and the answer never comes."""
    EXPIRED = "expired"
    """The reservation has run out before it was captured."""


class Status(StrEnum):
    """How a payment stands."""

    CHECKOUT = "checkout"
    RESERVED = "reserved"
    DECLINED = "declined"
    CAPTURED = "captured"
    RELEASED = "released"


@dataclass
class Payment:
    """One payment."""

    id: str
    amount_cents: int
    text: str
    return_url: str
    status: Status
    captured_cents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer."""

    code: int
    body: Mapping[str, Any]


class SimulatedPayments:
    """The provider's books."""

    def __init__(self, *, checkout: bool = False) -> None:
        """Empty books.

        Args:
            checkout: Whether payers have to agree on a page; else every reservation is made at once.
        """
        self.checkout = checkout
        self.payments: dict[str, Payment] = {}
        self.calls: list[str] = []
        """What was asked, with what came of it, the newest last."""
        self.faults: defaultdict[str, deque[PaymentFault]] = defaultdict(deque)
        """What goes wrong with the next calls of `reserve`, `capture` and `release`."""
        self._answers: dict[str, tuple[str, Reply]] = {}

    def reserve(self, key: str, body: Mapping[str, Any]) -> Reply:
        """Sets an amount aside, or opens a page on which the payer agrees."""

        def run(fault: PaymentFault | None) -> Reply:
            amount = body.get("amount_cents")
            if not isinstance(amount, int) or amount <= 0:
                return Reply(code=422, body={"why": "amount_cents must be a whole number above 0"})
            status = Status.CHECKOUT if self.checkout else Status.RESERVED
            payment = Payment(
                id=f"pay_{secrets.token_hex(8)}",
                amount_cents=amount,
                text=str(body.get("text", "")),
                return_url=str(body.get("return_url", "")),
                status=Status.DECLINED if fault is PaymentFault.DECLINES else status,
            )
            self.payments[payment.id] = payment
            return self._told(payment, code=201)

        return self._once("reserve", key, f"reserve {dict(body)}", run)

    def look_up(self, payment_id: str) -> Reply:
        """How a payment stands."""
        payment = self.payments.get(payment_id)
        return Reply(code=404, body={"why": "no such payment"}) if payment is None else self._told(payment)

    def capture(self, payment_id: str, key: str, body: Mapping[str, Any]) -> Reply:
        """Takes an amount, once; the rest is let go."""

        def run(fault: PaymentFault | None) -> Reply:
            payment, amount = self.payments.get(payment_id), body.get("amount_cents")
            if payment is not None and fault is PaymentFault.EXPIRED:
                payment.status = Status.RELEASED
            if payment is None or payment.status is not Status.RESERVED:
                state = "no such payment" if payment is None else f"it is {payment.status}"
                return Reply(code=409, body={"why": state})
            if not isinstance(amount, int) or not 0 < amount <= payment.amount_cents:
                return Reply(code=409, body={"why": "more than was reserved, or nothing"})
            payment.status, payment.captured_cents = Status.CAPTURED, amount
            return Reply(code=200, body={"status": payment.status, "fee_cents": min(FEE_CENTS, amount)})

        return self._once("capture", key, f"capture {payment_id} {dict(body)}", run)

    def release(self, payment_id: str, key: str) -> Reply:
        """Lets a reservation go."""

        def run(_fault: PaymentFault | None) -> Reply:
            payment = self.payments.get(payment_id)
            if payment is None:
                return Reply(code=404, body={"why": "no such payment"})
            if payment.status is Status.CAPTURED:
                return Reply(code=409, body={"why": "it is captured"})
            payment.status = Status.RELEASED
            return Reply(code=200, body={"status": payment.status})

        return self._once("release", key, f"release {payment_id}", run)

    def agree(self, payment_id: str, *, agreed: bool) -> Payment | None:
        """What the payer pressed on the page; gives the payment."""
        payment = self.payments.get(payment_id)
        if payment is not None and payment.status is Status.CHECKOUT:
            payment.status = Status.RESERVED if agreed else Status.DECLINED
        return payment

    def _once(
        self, operation: str, key: str, said: str, run: Callable[[PaymentFault | None], Reply]
    ) -> Reply:
        """Does a call once for its key."""
        faults = self.faults[operation]
        fault = faults.popleft() if faults else None
        if not key:
            return Reply(code=400, body={"why": "send an Idempotency-Key"})
        if fault is PaymentFault.FAILS:
            self.calls.append(f"{operation}: failed")
            return Reply(code=500, body={"why": "something went wrong"})
        if key in self._answers:
            before, answer = self._answers[key]
            if before != said:
                self.calls.append(f"{operation}: another call with a known key")
                return Reply(code=422, body={"why": "this key was used for another call"})
            self.calls.append(f"{operation}: again")
        else:
            answer = run(fault)
            self._answers[key] = (said, answer)
            self.calls.append(f"{operation}: {answer.code}")
        if fault is PaymentFault.LOSES_ANSWER:
            return Reply(code=504, body={"why": "too late"})
        return answer

    @staticmethod
    def _told(payment: Payment, code: int = 200) -> Reply:
        body: dict[str, Any] = {"payment": payment.id, "status": payment.status}
        if payment.status is Status.CHECKOUT:
            body["checkout_path"] = f"/pay/{payment.id}"
        if payment.status is Status.DECLINED:
            body["why"] = "the payer's bank says no"
        return Reply(code=code, body=body)
