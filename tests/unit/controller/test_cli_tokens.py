"""The command line's tokens: made, listed and taken back in the database, with or without a controller."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from controller.cli import EXIT_START, app
from controller.runtime.ports import EventRecord, TokenRecord
from controller.runtime.tokens import HASH_SHOWN, token_hash
from tests.support.storage import opened

_EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example's site, with its database beside it."""
    for name in ("site.toml", "templates.toml"):
        shutil.copy(_EXAMPLES / name, tmp_path)
    return tmp_path / "site.toml"


def run(*arguments: str | Path) -> Result:
    """What a command says."""
    return CliRunner().invoke(app, ["token", *map(str, arguments)])


def made(site: Path, *options: str) -> str:
    """A new token."""
    result = run("create", site, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def kept(site: Path) -> tuple[Sequence[TokenRecord], Sequence[EventRecord]]:
    """What the database holds."""

    async def read() -> tuple[Sequence[TokenRecord], Sequence[EventRecord]]:
        async with opened(site.parent / "wijkstroom.sqlite3") as store, store.unit() as unit:
            return await unit.tokens(), await unit.events(limit=5)

    return asyncio.run(read())


def test_tokens_are_listed_by_their_hash_and_never_themselves(site: Path) -> None:
    """One line each; a label cannot steer the terminal that shows it."""
    operator = made(site, "--role", "operator", "--label", "Olga")
    member = made(site, "--role", "resident", "--member", "household-1", "--label", "a\x1b[2Jb")
    result = run("list", site)
    assert result.exit_code == 0
    head, first, second = result.stdout.splitlines()
    assert head.split() == ["token", "role", "for", "made", "last", "used", "ends", "label"]
    assert first.split()[:3] == [token_hash(operator)[:HASH_SHOWN], "operator", "-"]
    assert first.endswith("Olga")
    assert second.split()[:3] == [token_hash(member)[:HASH_SHOWN], "resident", "household-1"]
    assert second.endswith("a?[2Jb")
    assert operator not in result.output
    assert member not in result.output


def test_a_token_is_taken_back_and_who_did_it_is_kept(site: Path) -> None:
    """The last operator's as well, with a word on how to make another; what is not there is refused."""
    operator, grid = made(site, "--role", "operator"), made(site, "--role", "grid")
    wrong = run("revoke", site, "f" * 64)
    assert wrong.exit_code == EXIT_START
    assert "no token, or more than one, begins with" in wrong.stderr
    # Both begin with nothing: which one is meant nobody can tell.
    assert run("revoke", site, "").exit_code == EXIT_START
    result = run("revoke", site, token_hash(grid)[:HASH_SHOWN])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("taken back: grid: made on the command line (")
    last = run("revoke", site, token_hash(operator)[:HASH_SHOWN])
    assert last.exit_code == 0
    assert "token create --role operator" in last.stderr
    tokens, events = kept(site)
    assert tokens == []
    assert [event.what for event in events] == ["took a token back"] * 2 + ["gave out a token"] * 2
    assert all(event.who.startswith("command line:") for event in events)
    assert run("revoke", site, token_hash(grid)[:HASH_SHOWN]).exit_code == EXIT_START


def test_a_token_is_taken_back_also_where_the_ledger_does_not_add_up(site: Path) -> None:
    """Who has access has nothing to do with it, and adding up a large one would hold the controller up."""
    operator, grid = made(site, "--role", "operator"), made(site, "--role", "grid")
    with closing(sqlite3.connect(site.parent / "wijkstroom.sqlite3")) as direct, direct:
        direct.execute("INSERT INTO accounts VALUES ('member:anna', 1, 0)")
    assert run("list", site).exit_code == 0
    result = run("revoke", site, token_hash(grid)[:HASH_SHOWN])
    assert result.exit_code == 0
    assert token_hash(operator)[:HASH_SHOWN] in run("list", site).stdout
