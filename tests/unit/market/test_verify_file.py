"""`wijkstroom verify`: what holds is said, what does not is named by its place, all of it at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.domain.errors import InputProblemsError
from market.ledger import Posting
from market.seals import CHUNK_LEAVES, LedgerKey, chunk_of, ledger_day, seal_day
from market.verify_file import VerificationError, run_verify
from tests.support.sealed import KEY, MONDAY, OTHER_KEY, LedgerDay, a_chain, a_day_of_postings

KEY_TEXT = KEY.public_key.hex()


def written(folder: Path, *contents: bytes) -> list[Path]:
    """Files in a folder, in order."""
    paths = [folder / f"file-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def sealed_as(postings: list[Posting], key: LedgerKey = KEY) -> bytes:
    """What the cooperative itself might seal on Monday."""
    sealed = seal_day(ledger_day(MONDAY), [chunk_of(postings)], None, key)
    return LedgerDay(sealed=sealed, postings=postings).file()


def test_a_chain_in_one_file_or_many_holds(tmp_path: Path) -> None:
    """The same three days; the answer names the key and the hash to write down."""
    days = a_chain(5, 0, 3)
    apart = run_verify(written(tmp_path, *(day.file() for day in days)), [KEY_TEXT])
    whole = run_verify(written(tmp_path, b"".join(day.file() for day in days)), [KEY_TEXT])
    assert apart == whole
    assert apart[0] == "8 postings of 3 day(s), to 2024-01-17"
    assert apart[-1] == f"signed with the key {KEY_TEXT}"


def test_a_later_part_of_the_chain_says_what_came_before(tmp_path: Path) -> None:
    """Checked alone, the second day leans on a seal that is not there, whose hash is told."""
    first, second = a_chain(2, 2)
    (told,) = (line for line in run_verify(written(tmp_path, second.file())) if "is not in the files" in line)
    (known,) = (line for line in run_verify(written(tmp_path, first.file())) if "newest seal" in line)
    assert told.rsplit(" ", 1)[1] == known.rsplit(" ", 1)[1]


@pytest.mark.parametrize("index", [0, 1023, 1024, 1499])
def test_a_proof_holds_in_a_day_of_several_chunks(tmp_path: Path, index: int) -> None:
    """It says what it proves, in words and with the place."""
    (day,) = a_chain(CHUNK_LEAVES + 476)
    facts = run_verify(written(tmp_path, day.proof(index)), [KEY_TEXT])
    assert day.postings[index].posting_id in facts[0]
    assert f"is in the ledger of 2024-01-15, at place {index} of 1500 (counted from 0)" in facts


def test_without_a_key_the_answer_says_whose_to_compare(tmp_path: Path) -> None:
    """A signature by an unknown key proves nothing yet."""
    (day,) = a_chain(2)
    for content in (day.file(), day.proof(1)):
        assert run_verify(written(tmp_path, content))[-1].endswith(
            "compare it with the one that the cooperative gives out"
        )


def test_another_key_is_noticed(tmp_path: Path) -> None:
    """Against a given key, and from one day to the next where none was given."""
    days = a_chain(2, 2, keys=[KEY, OTHER_KEY])
    files = written(tmp_path, *(day.file() for day in days), days[1].proof(0))
    with pytest.raises(VerificationError, match="another one than the days before"):
        run_verify(files[:2])
    with pytest.raises(VerificationError, match=r"file-1:1: 2024-01-16 .* none of the given"):
        run_verify(files[:2], [KEY_TEXT])
    with pytest.raises(VerificationError, match=r"file-2: 2024-01-16 .* none of the given"):
        run_verify(files[2:], [KEY_TEXT])
    assert run_verify(files, [KEY_TEXT, OTHER_KEY.public_key.hex()])


def test_days_in_another_order_or_missing_are_noticed(tmp_path: Path) -> None:
    """Swapped, left out, and twice."""
    files = written(tmp_path, *(day.file() for day in a_chain(1, 1, 1)))
    for order in ([1, 0, 2], [0, 2], [0, 1, 1, 2]):
        with pytest.raises(VerificationError, match="days are missing or in another order"):
            run_verify([files[number] for number in order])


def test_a_day_sealed_anew_breaks_the_chain(tmp_path: Path) -> None:
    """The key's owner rewrites Monday: Tuesday still names the old one."""
    _, tuesday = a_chain(4, 2)
    forged = sealed_as(a_day_of_postings(2))
    with pytest.raises(VerificationError, match=r"2024-01-16 names another seal before it than that of"):
        run_verify(written(tmp_path, forged, tuesday.file()))


def test_a_posting_taken_out_put_in_or_moved_is_noticed(tmp_path: Path) -> None:
    """The seal's count and root do not fit any more."""
    (day,) = a_chain(6)
    head, *rows = day.file().splitlines(keepends=True)
    for changed in (rows[:-1], [*rows, rows[0]], rows[::-1]):
        with pytest.raises(VerificationError, match="the root differs"):
            run_verify(written(tmp_path, b"".join([head, *changed])))


@pytest.mark.parametrize(
    ("place", "changes", "rule"),
    [
        (1, {"amount_nanoeur": -5}, "moves a negative amount"),
        (1, {"amount_nanoeur": 1}, "the market keeps"),
        (2, {"credit_account": "member:home-002 \u00e9\u0007"}, "pays itself"),
        (0, {"ref": "another"}, "does not follow from what the posting is about"),
        (4, {"booked_at": MONDAY.replace(day=16)}, "not on 2024-01-15"),
    ],
)
def test_what_cannot_be_true_is_noticed_though_it_was_sealed(
    tmp_path: Path, place: int, changes: dict[str, object], rule: str
) -> None:
    """The cooperative itself seals nonsense: the signature holds, the content does not."""
    postings = a_day_of_postings(6)
    postings[place] = replace(postings[place], **changes)  # type: ignore[arg-type]  # by name
    with pytest.raises(VerificationError, match=rule):
        run_verify(written(tmp_path, sealed_as(postings)))


def test_the_same_posting_on_two_days_is_noticed(tmp_path: Path) -> None:
    """Paid twice: each day holds by itself, both together do not."""
    (monday,) = a_chain(2)
    again = [replace(one, booked_at=MONDAY.replace(day=16)) for one in monday.postings]
    sealed = seal_day(ledger_day(again[0].booked_at), [chunk_of(again)], monday.sealed.seal, KEY)
    with pytest.raises(VerificationError, match="is there twice"):
        run_verify(written(tmp_path, monday.file(), LedgerDay(sealed=sealed, postings=again).file()))


def test_wrong_files_are_told_all_at_once(tmp_path: Path) -> None:
    """A missing file, a text, a key that is none and a proof without its path: four problems."""
    (day,) = a_chain(2)
    files = written(tmp_path, b"hello\n", day.proof(0).replace(b'"index"', b'"indices"'))
    with pytest.raises(InputProblemsError) as caught:
        run_verify([*files, tmp_path / "nowhere"], ["xyz"])
    assert [problem.place.rsplit("/", 1)[-1] for problem in caught.value.problems] == [
        "--key",
        "file-0",
        "file-1",
        "nowhere",
    ]


@pytest.mark.parametrize(
    "value", [b"[" * 500 + b"]" * 500, b"1e999", b"18446744073709551616", b"null", b"{}"]
)
def test_nonsense_in_a_proof_is_told_and_nothing_breaks(tmp_path: Path, value: bytes) -> None:
    """Deep nesting, numbers beyond all bounds, nothing at all; in the place of each field."""
    good = json.loads(a_chain(2)[0].proof(1))
    for name in good:
        parts = [f'"{key}":'.encode() + json.dumps(good[key]).encode() for key in good if key != name]
        content = b"{" + b",".join([*parts, f'"{name}":'.encode() + value]) + b"}"
        with pytest.raises(InputProblemsError):
            run_verify(written(tmp_path, content))


def test_of_very_many_problems_fifty_are_shown(tmp_path: Path) -> None:
    """And that there may be more."""
    postings = [replace(one, ref="moved") for one in a_day_of_postings(80)]
    with pytest.raises(VerificationError) as caught:
        run_verify(written(tmp_path, sealed_as(postings)))
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (51, "verify: shows no more than 50")


def test_the_command_says_it_and_ends_with_1_or_2(tmp_path: Path) -> None:
    """0 and the facts; 1 where the content is false; 2 where it is no such file."""
    (day,) = a_chain(2)
    good, false, none = written(tmp_path, day.proof(1), day.proof(1).replace(b"000003", b"000004"), b"{}")
    answers = [
        CliRunner().invoke(app, ["verify", str(path), "--key", KEY_TEXT]) for path in (good, false, none)
    ]
    assert [answer.exit_code for answer in answers] == [0, 1, 2]
    assert f"signed with the key {KEY_TEXT}" in answers[0].output
    assert "this posting is not number 1 of the sealed day 2024-01-15" in answers[1].output
