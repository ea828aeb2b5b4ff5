"""Identifiers. The key for energy and money is the allocation point: an EAN18 with its check digit."""

from __future__ import annotations

from typing import NewType

NodeId = NewType("NodeId", str)
"""A node of the network tree."""
AssetId = NewType("AssetId", str)
"""A charge point, vehicle, PV roof, battery or load; unique over all assets."""
MemberId = NewType("MemberId", str)
"""A member of the cooperative, who trades and is billed."""
Ean = NewType("Ean", str)
"""An allocation point: 18 digits, the last a check digit."""

_EAN_DIGITS = 18


def ean_check_digit(first_digits: str) -> int:
    """The GS1 check digit that follows `first_digits`.

    Weights 3 and 1 alternate from the right. Source: GS1 General Specifications, section 7.9.

    Raises:
        ValueError: If there is anything but digits.
    """
    if not first_digits.isascii() or not first_digits.isdigit():
        raise ValueError(f"{first_digits!r} has characters other than digits")
    total = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(first_digits))
    )
    return -total % 10


def ean(text: str) -> Ean:
    """Reads an EAN18.

    Raises:
        ValueError: If it is not 18 digits or its check digit is wrong; the text says which digit fits.
    """
    if len(text) != _EAN_DIGITS or not text.isascii() or not text.isdigit():
        raise ValueError(f"an EAN18 has 18 digits, this has {text!r}")
    expected = ean_check_digit(text[:-1])
    if int(text[-1]) != expected:
        raise ValueError(f"the check digit of {text} should be {expected}")
    return Ean(text)


def ean_from_number(prefix: str, number: int) -> Ean:
    """An EAN18 made of a prefix (the grid operator's) and a running number, with its check digit."""
    body = f"{prefix}{number:0{_EAN_DIGITS - 1 - len(prefix)}d}"
    if len(body) != _EAN_DIGITS - 1:
        raise ValueError(f"prefix {prefix!r} leaves no room for {number}")
    return ean(f"{body}{ean_check_digit(body)}")
