r"""`wijkstroom verify`: checks a resident's proof or the ledger of whole days, with nothing but the files.

A **proof file** is one JSON object in the canonical form of `market.seals`, ended by a line feed:

    {"index":16,"path":["..."],"posting":{...},"seal":{...},"signature":"..."}

`posting` and `seal` have the fields that stand there; `index` is the posting's place in the day, `path`
the neighbours' hashes up to the root.

A **ledger file** has such a line per day and per posting:

    {"seal":{...},"signature":"..."}
    {"leaf":"...","posting":{...}}

After a day's line come its postings in booking order, as many as its seal says. `leaf` is the posting's
hash: it lets an error name the line. Days follow each other without a gap, also from one file to the next.

Checked are, of every posting: its form, its hash, that its id follows from what it is about and comes
once, that two accounts and no negative amount are in it, that it was booked on that day; of every day:
the number and the sum of its postings, that the market's clearing account is back at 0 over every
quarter-hour, the Merkle root, the signature, the key, and that it names the seal before it.

A signature proves nothing to who does not know whose key it is. Without `--key` the key of the first
seal is taken, and the answer says which that is.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from controller.domain.errors import InputProblemsError, Problem, WijkstroomError
from controller.domain.time import parse_utc, utc_text
from market.ledger import MARKET_ACCOUNT, posting_id_of
from market.merkle import HASH_BYTES, leaf_hash, root_of
from market.seals import (
    NO_SEAL_BEFORE,
    PUBLIC_KEY_BYTES,
    SEAL_TYPE,
    SIGNATURE_BYTES,
    Seal,
    SealedDay,
    canonical,
    is_proven,
    is_signed,
    seal_hash,
    sealed_document,
)

SHOWN_MAX = 50
"""How many problems are shown."""
LINE_BYTES_MAX = 1 << 20
"""A line longer than this is none of ours."""
REVISIONS_MAX = 1000
"""How often the same matter may have been booked and taken back; ids are tried up to here."""
_TEXTS = (
    "booked_at_utc",
    "credit_account",
    "debit_account",
    "interval_start_utc",
    "posting_id",
    "reason",
    "ref",
)
_POSTING_FIELDS = {"amount_nanoeur", *_TEXTS}
_SEAL_FIELDS = {"amount_nanoeur", "day", "postings", "previous", "public_key", "root", "type"}
_PROOF_FIELDS = {"index", "path", "posting", "seal", "signature"}
_LEAF_LINE = re.compile(rb'\{"leaf":"([0-9a-f]{64})","posting":(\{.*\})\}\n', re.DOTALL)
_LEDGER_STARTS = (b'{"seal":', b'{"leaf":')


class VerificationError(WijkstroomError):
    """A file is in order as a file, and what it says is not true."""


@dataclass(slots=True)
class _Found:
    """What is wrong, with its places."""

    form: list[Problem] = field(default_factory=list)
    """It is no such file."""
    content: list[Problem] = field(default_factory=list)
    """What it says does not hold."""

    @property
    def is_full(self) -> bool:
        """Whether no more are looked for."""
        return len(self.form) + len(self.content) >= SHOWN_MAX

    def note(self, kind: list[Problem], place: str, rule: str) -> None:
        """Keeps a problem, unless there are enough of them."""
        if not self.is_full:
            kind.append(Problem(place=place, rule=rule))

    def raise_any(self) -> None:
        """Raises what was found.

        Raises:
            InputProblemsError: If anything is no such file.
            VerificationError: If what it says does not hold.
        """
        rest = [Problem(place="verify", rule=f"shows no more than {SHOWN_MAX}")] if self.is_full else []
        if self.form:
            raise InputProblemsError("verify", [*self.form, *self.content, *rest])
        if self.content:
            raise VerificationError("\n".join(map(str, [*self.content, *rest])))


def run_verify(paths: Sequence[Path], keys: Sequence[str] = ()) -> list[str]:
    """Checks files; ledger files are one chain in the given order.

    Args:
        paths: Proof and ledger files.
        keys: Public keys that are trusted, hexadecimal; none: whichever signed first.

    Returns:
        What was found to be true, a line each.

    Raises:
        InputProblemsError: If a file cannot be read or is neither kind; all problems.
        VerificationError: If anything in them does not hold; all of it.
    """
    found = _Found()
    trusted = [_hex(key, PUBLIC_KEY_BYTES) for key in keys]
    for key, value in zip(keys, trusted, strict=True):
        if value is None:
            found.note(found.form, "--key", f"{key!r} is not 64 hexadecimal digits in lower case")
    checked = [key for key in trusted if key is not None]
    chain = _Chain(found, checked)
    facts: list[str] = []
    ledgers = 0
    for path in paths:
        try:
            with path.open("rb") as file:
                head = file.read(LINE_BYTES_MAX)
                file.seek(0)
                if (proof := _object(head)) is not None and "path" in proof:
                    facts += _proof(str(path), proof, head, checked, found)
                elif any(line.startswith(_LEDGER_STARTS) for line in head.split(b"\n", 2)[:2]):
                    ledgers += 1
                    chain.read(str(path), file)
                else:
                    found.note(found.form, str(path), "is neither a proof nor a ledger file of Wijkstroom")
        except OSError as error:
            found.note(found.form, str(path), error.strerror or str(error))
    found.raise_any()
    return facts + (chain.facts() if ledgers else [])


class _Chain:
    """Ledger files, line by line: days, their postings, and how the days hang together."""

    def __init__(self, found: _Found, trusted: Sequence[bytes]) -> None:
        self._found = found
        self._trusted = list(trusted)
        self._told = bool(trusted)
        self._first: Seal | None = None
        self._newest: Seal | None = None
        self._ids: set[bytes] = set()
        self._postings = 0
        self._day: _Day | None = None

    def read(self, source: str, file: BinaryIO) -> None:
        """Reads one file to its end."""
        for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), start=1):
            place = f"{source}:{number}"
            if line.startswith(b'{"seal":'):
                self._close()
                self._open(place, line)
            elif (parts := _LEAF_LINE.fullmatch(line)) is not None:
                self._posting(place, parts[1], parts[2])
            else:
                self._found.note(self._found.form, place, "is neither a sealed day nor a posting")
                if self._day is not None:
                    self._day.damaged = True
        self._close()

    def facts(self) -> list[str]:
        """What holds, once everything was read without a finding."""
        first, newest = self._first, self._newest
        if first is None or newest is None:
            return []
        lines = [
            f"{self._postings} postings of {(newest.day - first.day).days + 1} day(s), to {newest.day}",
            "ids, sums, roots, signatures and chain hold",
            f"hash of the newest seal: {seal_hash(newest).hex()}",
        ]
        if first.previous != NO_SEAL_BEFORE:
            lines.append(
                f"the seal before {first.day} is not in the files; its hash is {first.previous.hex()}"
            )
        return [*lines, _key_fact(newest.public_key, told=self._told)]

    def _open(self, place: str, line: bytes) -> None:
        self._day = day = _Day(place=place)
        document = _object(line)
        # What follows on a seal that cannot be read is not held against it.
        newest, self._newest = self._newest, None
        if document is None or document.keys() != {"seal", "signature"}:
            self._found.note(self._found.form, place, "is no sealed day")
            return
        sealed = _read_sealed(document, place, self._found)
        if sealed is None:
            return
        if canonical(sealed_document(sealed)) + b"\n" != line:
            self._found.note(self._found.form, place, "is not in the canonical form")
            return
        day.seal = seal = sealed.seal
        if not is_signed(sealed):
            self._note(place, f"the signature of {seal.day} does not fit its seal")
        if not self._trusted:
            self._trusted.append(seal.public_key)
        if seal.public_key not in self._trusted:
            which = "none of the given" if self._told else "another one than the days before"
            self._note(place, f"{seal.day} is signed with the key {seal.public_key.hex()}: {which}")
        self._first = self._first or seal
        if newest is not None and seal.day != newest.day + timedelta(days=1):
            self._note(place, f"{seal.day} comes after {newest.day}: days are missing or in another order")
        elif newest is not None and seal.previous != seal_hash(newest):
            self._note(place, f"{seal.day} names another seal before it than that of {newest.day}")

    def _posting(self, place: str, leaf_text: bytes, body: bytes) -> None:
        day = self._day
        if day is None:
            self._found.note(self._found.form, place, "is a posting before the first sealed day")
            self._day = day = _Day(place=place)
        self._postings += 1
        leaf = leaf_hash(body)
        day.leaves.append(leaf)
        claimed = bytes.fromhex(leaf_text.decode())
        day.claimed.append(claimed)
        if leaf != claimed:
            day.changed = True
            self._note(place, "the posting is not the one with this hash: one of them was changed")
        posting = _object(body)
        wrong = "is not in the canonical form" if posting is None else _form_of_posting(posting)
        if posting is None or wrong or canonical(posting) != body:
            self._found.note(self._found.form, place, wrong or "is not in the canonical form")
            day.damaged = True
            return
        for rule in () if self._found.is_full else _wrong_in_posting(posting):
            self._note(place, rule)
        if day.seal is not None and posting["booked_at_utc"][:10] != day.seal.day.isoformat():
            self._note(place, f"was booked at {posting['booked_at_utc']}, not on {day.seal.day}")
        key = hashlib.sha256(posting["posting_id"].encode()).digest()
        if key in self._ids:
            self._note(place, f"posting {posting['posting_id']} is there twice")
        self._ids.add(key)
        day.add(posting)

    def _close(self) -> None:
        """Ends a day: its count, sums and root."""
        day, self._day = self._day, None
        if day is None or day.seal is None:
            return
        self._newest = seal = day.seal
        if day.damaged:
            return
        if len(day.leaves) != seal.postings:
            self._note(day.place, f"{seal.day} has {seal.postings} postings; here are {len(day.leaves)}")
        if day.amount_nanoeur != seal.amount_nanoeur:
            self._note(
                day.place,
                f"the postings of {seal.day} move {day.amount_nanoeur} nano-euro, not {seal.amount_nanoeur}",
            )
        for start, amount in sorted(day.market.items()):
            if amount:
                self._note(day.place, f"the market keeps {-amount} nano-euro over the quarter-hour {start}")
        # Where lines have told already that they were changed, the rest may still be as it was sealed.
        leaves = day.claimed if day.changed else day.leaves
        if root_of(leaves) != seal.root:
            self._note(
                day.place, f"the postings of {seal.day} are not those that were sealed: the root differs"
            )

    def _note(self, place: str, rule: str) -> None:
        self._found.note(self._found.content, place, rule)


@dataclass(slots=True)
class _Day:
    """A day while its postings are read."""

    place: str
    seal: Seal | None = None
    leaves: list[bytes] = field(default_factory=list)
    """Of what stands there."""
    claimed: list[bytes] = field(default_factory=list)
    """As the lines say."""
    changed: bool = False
    """Whether those two differ."""
    damaged: bool = False
    """Whether something could not be read, so that sums say nothing."""
    amount_nanoeur: int = 0
    market: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """What each quarter-hour leaves in the market's clearing account."""

    def add(self, posting: Mapping[str, Any]) -> None:
        """Counts a posting's money."""
        amount = posting["amount_nanoeur"]
        self.amount_nanoeur += amount
        if posting["debit_account"] == MARKET_ACCOUNT:
            self.market[posting["interval_start_utc"]] += amount
        if posting["credit_account"] == MARKET_ACCOUNT:
            self.market[posting["interval_start_utc"]] -= amount


def _proof(
    source: str, document: Mapping[str, Any], content: bytes, trusted: Sequence[bytes], found: _Found
) -> list[str]:
    """Checks a proof; what it proves."""
    if document.keys() != _PROOF_FIELDS:
        rule = f"must have exactly the fields {', '.join(sorted(_PROOF_FIELDS))}"
        found.note(found.form, source, rule)
        return []
    posting = document["posting"]
    wrong = _form_of_posting(posting)
    if wrong:
        found.note(found.form, f"{source}: posting", wrong)
    sealed = _read_sealed(document, source, found)
    index, path = document["index"], _path(document["path"])
    if type(index) is not int or index < 0:
        found.note(found.form, f"{source}: index", "must be a whole number of at least 0")
    if path is None:
        found.note(found.form, f"{source}: path", "must be a list of hashes")
    if wrong or sealed is None or path is None or type(index) is not int:
        return []
    if canonical(document) + b"\n" != content:
        found.note(found.form, source, "is not in the canonical form")
    seal, problems = sealed.seal, list(_wrong_in_posting(posting))
    if not is_signed(sealed):
        problems.append(f"the signature of {seal.day} does not fit its seal")
    if trusted and seal.public_key not in trusted:
        problems.append(f"{seal.day} is signed with the key {seal.public_key.hex()}: none of the given")
    if posting["booked_at_utc"][:10] != seal.day.isoformat():
        problems.append(f"the posting was booked at {posting['booked_at_utc']}, not on {seal.day}")
    if not is_proven(leaf_hash(canonical(posting)), index, path, seal):
        problems.append(f"this posting is not number {index} of the sealed day {seal.day}")
    for rule in problems:
        found.note(found.content, source, rule)
    moved = (
        f"{posting['debit_account']} pays {posting['credit_account']} {posting['amount_nanoeur']} nano-euro"
    )
    return [
        f"{source}: posting {posting['posting_id']}",
        f"{moved}: {posting['reason']}, quarter-hour {posting['interval_start_utc']}",
        f"is in the ledger of {seal.day}, at place {index} of {seal.postings} (counted from 0)",
        f"hash of the seal: {seal_hash(seal).hex()}",
        _key_fact(seal.public_key, told=bool(trusted)),
    ]


def _key_fact(key: bytes, *, told: bool) -> str:
    return (
        f"signed with the key {key.hex()}"
        if told
        else f"signed with the key {key.hex()}: compare it with the one that the cooperative gives out"
    )


def _read_sealed(document: Mapping[str, Any], place: str, found: _Found) -> SealedDay | None:
    """The seal and signature of a document; None where they are malformed, which is told."""
    fields, problems = document["seal"], []
    signature = _hex(document["signature"], SIGNATURE_BYTES)
    if signature is None:
        problems.append(("signature", f"must be {2 * SIGNATURE_BYTES} hexadecimal digits in lower case"))
    if type(fields) is not dict or fields.keys() != _SEAL_FIELDS:
        problems.append(("seal", f"must have exactly the fields {', '.join(sorted(_SEAL_FIELDS))}"))
        fields = dict.fromkeys(_SEAL_FIELDS)
    else:
        problems += [(f"seal.{name}", rule) for name, rule in _wrong_in_seal(fields)]
    for name, rule in problems:
        found.note(found.form, f"{place}: {name}", rule)
    if problems or signature is None:
        return None
    seal = Seal(
        day=date.fromisoformat(fields["day"]),
        postings=fields["postings"],
        amount_nanoeur=fields["amount_nanoeur"],
        root=bytes.fromhex(fields["root"]),
        previous=bytes.fromhex(fields["previous"]),
        public_key=bytes.fromhex(fields["public_key"]),
    )
    return SealedDay(seal=seal, signature=signature)


def _wrong_in_seal(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("amount_nanoeur", "postings"):
        if type(fields[name]) is not int or fields[name] < 0:
            yield name, "must be a whole number of at least 0"
    for name, size in (("root", HASH_BYTES), ("previous", HASH_BYTES), ("public_key", PUBLIC_KEY_BYTES)):
        if _hex(fields[name], size) is None:
            yield name, f"must be {2 * size} hexadecimal digits in lower case"
    if fields["type"] != SEAL_TYPE:
        yield "type", f"must be {SEAL_TYPE}"
    try:
        day = date.fromisoformat(fields["day"]).isoformat()
    except (TypeError, ValueError):
        day = ""
    if not day or day != fields["day"]:
        yield "day", "must be a date like 2026-01-31"


def _form_of_posting(posting: Any) -> str:
    """What is wrong with a posting's form; empty where nothing is."""
    if type(posting) is not dict or posting.keys() != _POSTING_FIELDS:
        return f"must have exactly the fields {', '.join(sorted(_POSTING_FIELDS))}"
    if type(posting["amount_nanoeur"]) is not int:
        return "amount_nanoeur must be a whole number"
    wrong = [name for name in _TEXTS if type(posting[name]) is not str]
    return f"{', '.join(wrong)} must be text" if wrong else ""


def _wrong_in_posting(posting: Mapping[str, Any]) -> Iterator[str]:
    """What cannot be true of a posting, wherever it stands."""
    if posting["amount_nanoeur"] < 0:
        yield "moves a negative amount"
    if posting["debit_account"] == posting["credit_account"]:
        yield f"account {posting['debit_account']!r} pays itself"
    for name in ("booked_at_utc", "interval_start_utc"):
        if not _is_instant(posting[name]):
            yield f"{name} {posting[name]!r} is no instant in UTC"
    if not _id_follows(posting):
        yield f"the id {posting['posting_id']!r} does not follow from what the posting is about"


def _id_follows(posting: Mapping[str, Any]) -> bool:
    """Whether the id is that of this matter, in either direction and any revision."""
    wanted = posting["posting_id"]
    start, reason, ref = posting["interval_start_utc"], posting["reason"], posting["ref"]
    pair = posting["debit_account"], posting["credit_account"]
    return any(
        posting_id_of(start, reason, payer, receiver, ref, revision) == wanted
        for revision in range(REVISIONS_MAX)
        for payer, receiver in (pair, pair[::-1])
    )


@lru_cache(maxsize=4096)
def _is_instant(text: str) -> bool:
    """Whether it is an instant as `utc_text` writes it; a ledger names few of them very often."""
    try:
        return utc_text(parse_utc(text)) == text
    except (ValueError, OverflowError):
        return False


def _path(value: Any) -> list[bytes] | None:
    if type(value) is not list:
        return None
    hashes = [_hex(one, HASH_BYTES) for one in value]
    return None if None in hashes else [one for one in hashes if one is not None]


def _hex(value: Any, size: int) -> bytes | None:
    """Bytes from lower-case hexadecimal digits; None where it is anything else."""
    if type(value) is not str or len(value) != 2 * size or not re.fullmatch(r"[0-9a-f]*", value):
        return None
    return bytes.fromhex(value)


def _object(data: bytes) -> dict[str, Any] | None:
    """A JSON object; None where the bytes are anything else."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict else None
