"""The settings of guests: well-formed ones pass, each wrong one is named."""

from __future__ import annotations

import pytest

from controller.guest_settings import GuestSettings, guest_problems


def test_what_stands_there_by_itself_is_right() -> None:
    """A site without guests needs to say nothing."""
    assert not list(guest_problems(GuestSettings()))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (GuestSettings(provider_url="pay.example"), "provider_url"),
        (GuestSettings(provider_timeout_s=0.0), "provider_timeout_s"),
        (GuestSettings(limits_cents=()), "limits_cents"),
        (GuestSettings(limits_cents=(2000, 1000)), "limits_cents"),
        (GuestSettings(limits_cents=(0, 1000)), "limits_cents"),
        (GuestSettings(limits_cents=(2_000_000,)), "limits_cents"),
        (GuestSettings(receipt_days=0), "receipt_days"),
    ],
)
def test_what_is_wrong_is_named(wrong: GuestSettings, place: str) -> None:
    """By its path in the site file."""
    assert [problem.place for problem in guest_problems(wrong)] == [f"settings.guests.{place}"]
