"""The TLS side of security profiles 2 and 3."""

from __future__ import annotations

import ssl
from asyncio import sslproto
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from controller.domain.errors import StartUpError

READ_BUFFER_BYTES = 32_768
"""What each encrypted connection keeps for reading: two TLS records. The standard library's 256 KiB were most
of the memory of a thousand chargers: 317 KiB a connection in all, 100 with this."""


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
    # For every connection of this process; a larger message is read in more than one go.
    sslproto.SSLProtocol.max_size = READ_BUFFER_BYTES
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


def root_pem(certificate: Path, *more: Path) -> str:
    """The authority's certificate at the end of the chain that we show, PEM; empty: not among the files.

    Args:
        certificate: What we show, with its chain (PEM).
        more: Other files in which the authority may be.

    Raises:
        StartUpError: If a file cannot be read or is none.
    """
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        known = [
            *chain,
            *(one for path in more for one in x509.load_pem_x509_certificates(path.read_bytes())),
        ]
    except (OSError, ValueError) as error:
        raise StartUpError(f"TLS for chargers: {error}") from error
    issued = chain[-1]
    for candidate in known:
        try:
            issued.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return candidate.public_bytes(serialization.Encoding.PEM).decode()
    return ""
