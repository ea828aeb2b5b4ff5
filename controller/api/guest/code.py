"""The code on a socket's sticker: its address as a QR code (ISO/IEC 18004), sharp at any size."""

from __future__ import annotations

import io
from ipaddress import ip_address
from urllib.parse import urlsplit

import segno

_QUIET_MODULES = 4
"""The white border that the standard asks for."""
_MODULE_PX = 8


def site_address(public_url: str, asked_at: str) -> str:
    """Where the site is reached from outside: its public address, else the one that was used; no slash."""
    return (public_url or asked_at).rstrip("/")


def is_only_here(address: str) -> bool:
    """Whether an address leads no further than to the computer on which it is opened."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def code_svg(address: str, title: str) -> bytes:
    """Draws an address; still read where a seventh of the sticker is scratched (error correction M).

    Args:
        address: What the phone opens.
        title: What the picture is called, as plain text.

    Returns:
        An SVG document, black on white.
    """
    drawn = io.BytesIO()
    code = segno.make_qr(address, error="m")
    code.save(drawn, kind="svg", scale=_MODULE_PX, border=_QUIET_MODULES, light="#fff", title=title)
    return drawn.getvalue()
