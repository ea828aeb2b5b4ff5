"""Whatever happens to the bytes of a proof or of a ledger file: it is noticed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.errors import InputProblemsError
from market.verify_file import VerificationError, run_verify
from tests.support.sealed import KEY, a_chain

KINDS = ["ledger", "proof"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each example is written."""
    return tmp_path_factory.mktemp("verify") / "file"


@cache
def content_of(kind: str) -> bytes:
    """A ledger of three days, or the proof of a posting in a day of 21."""
    if kind == "ledger":
        return b"".join(day.file() for day in a_chain(5, 0, 4))
    return a_chain(21)[0].proof(20)


def holds(file: Path, content: bytes, *, pinned: bool) -> bool:
    """Whether the command is content with a file."""
    file.write_bytes(content)
    try:
        run_verify([file], [KEY.public_key.hex()] if pinned else [])
    except (VerificationError, InputProblemsError):
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_themselves_hold(file: Path, kind: str) -> None:
    """So what is noticed below is the change."""
    assert holds(file, content_of(kind), pinned=False)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(file: Path, kind: str, data: st.DataObject) -> None:
    """One byte, any other value, with and without a trusted key."""
    content = bytearray(content_of(kind))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert not holds(file, bytes(content), pinned=data.draw(st.booleans()))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_byte_more_or_less_is_noticed(file: Path, kind: str, data: st.DataObject) -> None:
    """Put in or taken out, anywhere."""
    content = bytearray(content_of(kind))
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content.insert(place, data.draw(st.integers(0, 255)))
    else:
        del content[place]
    if bytes(content) != content_of(kind):
        assert not holds(file, bytes(content), pinned=data.draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_lines_swapped_doubled_or_taken_out_are_noticed(file: Path, data: st.DataObject) -> None:
    """Any line, a day's or a posting's."""
    lines = content_of("ledger").splitlines(keepends=True)
    first, second = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    changed = list(lines)
    match data.draw(st.sampled_from(["swap", "double", "out"])):
        case "swap":
            changed[first], changed[second] = changed[second], changed[first]
        case "double":
            changed.insert(second, changed[first])
        case _:
            del changed[first]
    if changed != lines:
        assert not holds(file, b"".join(changed), pinned=True)
