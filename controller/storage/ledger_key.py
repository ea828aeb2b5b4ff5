"""The key that signs the ledger's days: a file beside the database, for its owner's eyes only.

It is made at its first use. It stands in no table, so a copy of the database signs nothing; whoever moves
or restores a database brings the file along. Where it is missing a new key is made, the chain goes on,
and everybody who checks it sees from which day on the key is another.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from controller.storage.errors import StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OTHERS = 0o077
"""The rights of anybody but the owner."""


class FileKey:
    """An Ed25519 key that was read from its file."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        """32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(data)


def open_key(path: Path) -> FileKey:
    """Reads the key, making it where there is none.

    Raises:
        StoreError: If the file can be read by others, is no such key, or cannot be read or made.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & _OTHERS:
            raise StoreError(f"the ledger's key {path} is open to others: chmod 600 it")
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise StoreError(f"the ledger's key {path} cannot be read or made: {error.strerror}") from error
    except ValueError:
        # Nothing of the content: it may be a key of another kind.
        raise StoreError(f"{path} holds no key for the ledger: restore a backup") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise StoreError(f"{path} holds a key of another kind than Ed25519: restore a backup")
    return FileKey(private)


def _make(path: Path) -> None:
    """Writes a new key whole under its name, also where two do so at once: then the first one stands."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
