"""The key that signs: made once, for its owner's eyes, and never replaced in silence."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from controller.storage import StoreError
from controller.storage.ledger_key import open_key
from tests.support.storage import opened


def test_a_key_is_made_once_and_signs(tmp_path: Path) -> None:
    """The second opening finds the first one's key; nobody else may read it; nothing else is left."""
    path = tmp_path / "wijk.key"
    first, second = open_key(path), open_key(path)
    assert first.public_key == second.public_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    Ed25519PublicKey.from_public_bytes(first.public_key).verify(second.sign(b"text"), b"text")


def test_two_that_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    """Whoever is first has made it."""
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: open_key(tmp_path / "wijk.key").public_key, range(8)))
    assert len(set(keys)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    path = tmp_path / "wijk.key"
    open_key(path)
    path.chmod(0o640)
    with pytest.raises(StoreError, match="is open to others: chmod 600 it"):
        open_key(path)


_OF_ANOTHER_KIND = X25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"text", "holds no key for the ledger", id="text"),
        pytest.param(_OF_ANOTHER_KIND, "of another kind than Ed25519", id="x25519"),
    ],
)
def test_what_is_no_such_key_is_refused_and_left_alone(tmp_path: Path, content: bytes, sentence: str) -> None:
    """It may be somebody's; a new key in its place would break the chain in silence."""
    path = tmp_path / "wijk.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError, match=sentence) as caught:
        open_key(path)
    assert content.splitlines()[-1].decode() not in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(StoreError, match="cannot be read or made: No such file"):
        open_key(tmp_path / "nowhere" / "wijk.key")


async def test_a_file_has_its_key_beside_itself(tmp_path: Path) -> None:
    """Whoever moves the database sees that they belong together."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        key = store.ledger_key()
        assert store.ledger_key() is key
    assert open_key(tmp_path / "wijk.sqlite3.key").public_key == key.public_key
