"""A database's address: a path or a URL, and what can be seen to be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.domain.errors import StartUpError
from controller.storage.address import read_address


def test_path_and_url_of_a_file_mean_the_same(tmp_path: Path) -> None:
    """A site may write either."""
    path = tmp_path / "wijk.sqlite3"
    by_path = read_address(path)
    by_url = read_address(f"sqlite:///{path}")
    assert by_path == by_url
    assert by_path.is_file
    assert by_path.shown == str(path)


def test_server_is_reached_by_asyncpg_and_shown_without_its_password() -> None:
    """A password must never come into a log."""
    address = read_address("postgresql://wijk:secret@db.example:5433/energy")
    assert address.url.drivername == "postgresql+asyncpg"
    assert "secret" in address.url.render_as_string(hide_password=False)
    assert "secret" not in address.shown
    assert address.shown == "postgresql://wijk:***@db.example:5433/energy"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://host/name", "'mysql' are not supported"),
        ("://", "is no address of a database"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_unusable_url_is_refused_in_one_line(address: str, said: str) -> None:
    """The line says what is wrong."""
    with pytest.raises(StartUpError, match=said) as caught:
        read_address(address)
    assert "\n" not in str(caught.value)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    """Folders are not made by surprise: a typing error would start a new ledger."""
    with pytest.raises(StartUpError, match="does not exist: make it first"):
        read_address(tmp_path / "nowhere" / "wijk.sqlite3")
    assert not (tmp_path / "nowhere").exists()


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """A folder is no database."""
    with pytest.raises(StartUpError, match="is a folder: name a file in it"):
        read_address(tmp_path)


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Nothing can be made inside a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartUpError, match="is a file, so the database wijk cannot be made in it"):
        read_address(tmp_path / "file" / "wijk")
