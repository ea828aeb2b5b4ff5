"""The TLS side of security profiles 2 and 3."""

from __future__ import annotations

import ssl
from pathlib import Path

from controller.domain.errors import StartUpError


def server_context(certificate: Path, key: Path, *, client_authority: Path | None) -> ssl.SSLContext:
    """What the server shows, and whose client certificates it believes.

    A client certificate is asked for and not required: a charger of profile 2 has a password instead. One
    that is shown and was not signed by the authority ends the handshake.

    Args:
        certificate: The server's, with its chain (PEM).
        key: The server's.
        client_authority: Signs chargers' certificates; None: profile 3 is not offered.

    Raises:
        StartUpError: If a file cannot be read or is none.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # OCPP 2.0.1 Part 2, A00.FR.306: TLS 1.2 or newer.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_authority is not None:
            context.load_verify_locations(client_authority)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise StartUpError(f"TLS for chargers: {error}") from error
    return context
