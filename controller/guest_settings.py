"""Whether guests may charge, and who takes their money.

Guests are let in where a provider is named and a tariff is posted (`settings.charging.tariffs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.domain.errors import Problem

LIMIT_CENTS_MAX = 1_000_000
"""Ten thousand euro: no charge costs as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSettings:
    """How guests pay."""

    provider_url: str = ""
    """Where the payment provider answers; empty: there are no guests."""
    provider_key_file: str = ""
    """Beside the site file: what the provider knows us by, on one line."""
    provider_timeout_s: float = 10.0
    """Machine time to wait for its answer."""
    limits_cents: tuple[int, ...] = (1000, 2500, 5000)
    """The amounts that a guest may choose between, the most that a session may cost; ascending."""
    receipt_days: int = 90
    """How long a guest's link shows the receipt; then the session is forgotten."""


def guest_problems(guests: GuestSettings) -> Iterator[Problem]:
    """What is wrong between settings that are well-formed."""
    place = "settings.guests"
    if guests.provider_url and not guests.provider_url.startswith(("http://", "https://")):
        yield Problem(place=f"{place}.provider_url", rule="must begin with http:// or https://")
    if not 0 < guests.provider_timeout_s < float("inf"):
        rule = f"must be a finite number of more than 0, is {guests.provider_timeout_s}"
        yield Problem(place=f"{place}.provider_timeout_s", rule=rule)
    limits = guests.limits_cents
    if (
        not limits
        or list(limits) != sorted(set(limits))
        or not 0 < limits[0] <= limits[-1] <= LIMIT_CENTS_MAX
    ):
        rule = f"must be ascending amounts from 1 to {LIMIT_CENTS_MAX} cents"
        yield Problem(place=f"{place}.limits_cents", rule=rule)
    if not 1 <= guests.receipt_days <= 3650:
        yield Problem(place=f"{place}.receipt_days", rule=f"must lie in [1, 3650], is {guests.receipt_days}")
