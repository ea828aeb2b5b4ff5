"""What chargers in the field do wrong, as faults that a scenario or a test can give to a simulated one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from enum import StrEnum

from controller.domain.time import AMSTERDAM, utc_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fault(StrEnum):
    """One way of not following the book; in brackets where it was seen."""

    IGNORES_PROFILES = "ignores_profiles"
    """Takes every profile and charges at its most (evcc 31597, steve 1192)."""
    REFUSES_ZERO = "refuses_zero"
    """Rejects a profile that says 0 (evcc 15493)."""
    DROPS_PROFILES_OFFLINE = "drops_profiles_offline"
    """Charges at its most while the link is away (go-eCharger-API-v2 217)."""
    CLOCK_1970 = "clock_1970"
    """Dates everything in 1970 (MicroOcpp 311); what it does it does at the right time."""
    CLOCK_LOCAL = "clock_local"
    """Writes the wall clock's time and a Z behind it (steve 136)."""
    TRANSACTION_MINUS_ONE = "transaction_minus_one"
    """1.6: of a transaction that began off line tells only the end, with the number -1 (libocpp 495)."""
    DUPLICATES = "duplicates"
    """Sends each message of a transaction twice, though it was answered (libocpp 907)."""
    METER_BACKWARDS = "meter_backwards"
    """Ends a transaction with less on its meter than it began with (OCPP.Core 33)."""
    NO_BOOT = "no_boot"
    """Connects without booting and says nothing of its state (evcc 25069)."""
    CAR_SLEEPS = "car_sleeps"
    """Its car takes nothing any more after a pause, until the pilot line goes off and on (evcc 14348)."""
    DISCHARGE_SIGN = "discharge_sign"
    """Its car writes what it can give as a negative number (EVerest PR 1473)."""
    MEGABYTE_FRAME = "megabyte_frame"
    """Begins its first connection with a frame of a megabyte."""
    WRONG_CERTIFICATE = "wrong_certificate"
    """Over TLS it trusts none of the site's authorities, as after a lost update, and never connects."""
    SILENT = "silent"
    """Some minutes after its first connection it hears and says nothing more, and closes nothing."""


type Faults = Collection[Fault]


def clock_text(faults: Faults) -> Callable[[datetime], str]:
    """How a charger with these faults writes a moment."""
    if Fault.CLOCK_1970 in faults:
        return lambda at: utc_text(_EPOCH + (at - datetime(at.year, 1, 1, tzinfo=UTC)))
    if Fault.CLOCK_LOCAL in faults:
        return lambda at: at.astimezone(AMSTERDAM).replace(tzinfo=None).isoformat() + "Z"
    return utc_text
