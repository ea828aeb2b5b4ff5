"""Where the database is: a file, or the URL of a PostgreSQL server.

A site names its database by a path (`wijkstroom.sqlite3`) or by a URL (`postgresql://user:word@host/name`).
What can be seen to be wrong before anything is opened (a folder that is missing, a scheme nobody knows) is
said here, in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from controller.domain.errors import StartUpError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database that can be opened."""

    url: URL
    """With the driver that is used."""
    shown: str
    """How it is named to people: the file, or the URL without its password."""

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    def key_file(self, folder: Path) -> Path:
        """Where the ledger's key lies: beside a file, in `folder` for a server."""
        if self.is_file:
            return Path(f"{self.url.database}.key")
        return folder / "ledger.key"


def read_address(url_or_path: str | Path) -> Address:
    """Reads a path or a URL.

    Raises:
        StartUpError: If the scheme is unknown, or a file's folder does not exist or is none.
    """
    text = str(url_or_path)
    if "://" not in text:
        return _file_address(Path(text))
    try:
        url = make_url(text)
    except ArgumentError:
        raise StartUpError(f"{text!r} is no address of a database") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StartUpError("a database in memory would forget the ledger: name a file")
        return _file_address(Path(url.database))
    if backend in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+asyncpg")
        shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
        return Address(url=url, shown=shown)
    raise StartUpError(f"databases of the kind {backend!r} are not supported: use a file or postgresql://")


def _file_address(path: Path) -> Address:
    if path.is_dir():
        raise StartUpError(f"the database {path} is a folder: name a file in it")
    if not path.parent.exists():
        raise StartUpError(
            f"the folder {path.parent} of the database {path.name} does not exist: make it first"
        )
    if not path.parent.is_dir():
        raise StartUpError(f"{path.parent} is a file, so the database {path.name} cannot be made in it")
    return Address(url=URL.create("sqlite+pysqlite", database=str(path)), shown=str(path))
