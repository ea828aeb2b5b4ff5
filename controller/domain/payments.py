"""What a payment provider offers: to reserve an amount, to take what is due of it, and to let the rest go.

Any provider will do that knows the three; its driver says them in its words. Every call carries a key that is
kept by the caller: the same call with the same key, made again after a crash or a lost answer, is the same
call and has the same answer. Amounts are whole euro cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from controller.domain.errors import WijkstroomError


class ProviderSilentError(WijkstroomError):
    """No answer, or none that says whether it was done: ask again with the same key."""


class ProviderRefusedError(WijkstroomError):
    """It refuses the call itself, for a wrong key of ours or a mistake; asked again it says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The amount is set aside; nothing has been paid yet."""

    payment: str
    """The provider's name for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MustPay:
    """The payer has to agree on the provider's own page first."""

    payment: str
    checkout_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The payer's bank says no, or the payer does."""

    why: str
    by_provider: bool = False
    """It was not they who said no: the provider takes no payments of ours."""


type Reservation = Reserved | MustPay | Declined


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The amount is taken and the rest of the reservation let go."""

    fee_cents: int = 0
    """What the provider keeps of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCaptured:
    """It will never be: the reservation ran out, or was let go."""

    why: str


class PaymentProvider(Protocol):
    """Reserves, captures and releases; each may raise `ProviderSilentError` or `ProviderRefusedError`."""

    async def reserve(self, *, key: str, amount_cents: int, text: str, return_url: str) -> Reservation:
        """Sets an amount aside.

        Args:
            key: Of this call.
            amount_cents: The most that will be captured.
            text: What the payer reads on the account.
            return_url: Where the provider's own page leads the payer back to.
        """
        ...

    async def look_up(self, payment: str) -> Reservation:
        """How a payment that the payer had to agree to stands now."""
        ...

    async def capture(self, payment: str, *, key: str, amount_cents: int) -> Captured | NotCaptured:
        """Takes an amount above 0 of a reservation, once, and lets the rest go."""
        ...

    async def release(self, payment: str, *, key: str) -> None:
        """Lets a reservation go; one that has run out, or was let go, is let go."""
        ...
