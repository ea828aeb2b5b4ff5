"""TOML as frozen dataclasses: names found at any depth, every wrong value told, and written back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from controller.domain.errors import InputProblemsError
from controller.toml_file import parse, plain, read_table, unknown_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaf:
    """The innermost table."""

    size: float
    note: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree:
    """A table that holds others in each of the ways that a format does."""

    first: Leaf
    maybe: Leaf | None = None
    more: tuple[Leaf, ...] = ()


TREE: TypeAdapter[Tree] = TypeAdapter(Tree)


def test_unknown_names_are_found_in_every_kind_of_table() -> None:
    """Directly, behind an optional one, in a list, and by themselves; what is no table is left alone."""
    table = {
        "first": {"size": 1, "sise": 2},
        "maybe": {"nope": 1},
        "more": [{"size": 1}, {"siz": 2}, 3],
        "colour": {"size": 1},
    }
    places = {problem.place for problem in unknown_names(table, Tree, "file.")}
    assert places == {"file.first.sise", "file.maybe.nope", "file.more[1].siz", "file.colour"}


def test_every_wrong_value_is_told_with_its_place() -> None:
    """A missing value and one of another kind, in one go; a long one is cut."""
    told = parse(TREE, {"first": {}, "more": [{"size": 1}, {"size": "x" * 99}]})
    assert isinstance(told, list)
    assert [problem.place for problem in told] == ["first.size", "more[1].size"]
    assert told[1].way_out.endswith("...")


def test_what_is_read_is_written_back() -> None:
    """Fields that are None are left out: TOML has no word for them."""
    table = {"first": {"size": 1.0, "note": "n"}, "more": [{"size": 2.0}]}
    tree = parse(TREE, table)
    assert isinstance(tree, Tree)
    assert plain(tree) == table


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, "cannot be read"),
        (b"a = [", "is no TOML"),
        (b"a = '\xff'", "is no TOML"),
        (b"a = " + b"[" * 100_000, "is no TOML"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: bytes | None, rule: str) -> None:
    """Missing, cut off, not UTF-8, nested without end."""
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputProblemsError, match=rule):
        read_table(path)
