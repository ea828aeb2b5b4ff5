r"""Sealed days: what was booked cannot be changed afterwards without everybody seeing it.

When a day is over, its postings, in booking order, become the leaves of a Merkle tree (`market.merkle`).
The root stands in the day's seal, which is signed (Ed25519) and names the hash of the seal before it:
whoever keeps one seal can tell whether anything before it was changed. A resident's proof is one posting
and the few hashes that lead from it to the signed root; it shows nothing of anybody else.

A day here is a UTC day, and a posting belongs to the day in which it was booked, not to that of its
quarter-hour: a late correction is booked later, so a finished day never changes. UTC, because then every
day is as long as any other, whoever checks needs no table of time zones, and no change of the law on
summer time can move a posting from one day to another. Every day since the first posting has a seal,
those without postings too: a day that is missing is noticed.

The canonical form of a posting or a seal: one JSON object (RFC 8259) in UTF-8, its members in ascending
order of their names, no white space. Integers are decimal digits without leading zeros. In strings only
the quotation mark, the backslash and the characters below U+0020 are escaped: as `\"`, `\\`, `\b`, `\t`,
`\n`, `\f`, `\r`, else as `\u00` and two lower-case hexadecimal digits. Instants are `YYYY-MM-DDTHH:MM:SS`,
six digits of fraction after a point where they are not all 0, and `Z`. Hashes, keys and signatures are
lower-case hexadecimal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol

import orjson

from controller.domain.time import utc_text
from market.ledger import Posting
from market.merkle import HASH_BYTES, leaf_hash, path_of, root_by_path, root_of

CHUNK_LEAVES = 1024
"""Postings whose common hash is kept, so that a proof reads no more of a day than these; a power of two."""
SEAL_TYPE = "wijkstroom-ledger-day-1"
"""Stands in every seal: its signature can be used for nothing else."""
NO_SEAL_BEFORE = bytes(HASH_BYTES)
"""What the first day names as the seal before it."""
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


class LedgerKey(Protocol):
    """The cooperative's signing key."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is signed of a day."""

    day: date
    """UTC."""
    postings: int
    """How many were booked."""
    amount_nanoeur: int
    """The sum of their amounts."""
    root: bytes
    """Of the Merkle tree over the postings."""
    previous: bytes
    """The hash of the seal of the day before; zeros for the first."""
    public_key: bytes
    """Of the key that signs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDay:
    """A seal and its signature."""

    seal: Seal
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingProof:
    """That a posting is in a sealed day."""

    posting: Posting
    index: int
    """Its place in the day, from 0."""
    path: tuple[bytes, ...]
    """The neighbours on the way up to the root, the lowest first."""
    day: SealedDay


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Up to `CHUNK_LEAVES` postings of a day, hashed."""

    root: bytes
    postings: int
    amount_nanoeur: int


def ledger_day(booked_at: datetime) -> date:
    """The day to which a posting belongs that is booked then."""
    return booked_at.astimezone(UTC).date()


def day_end(day: date) -> datetime:
    """The first instant that is no longer in the day, UTC."""
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1)


def canonical(document: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a document; of its members only texts, integers, lists and objects."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def posting_document(posting: Posting) -> dict[str, Any]:
    """A posting as it is hashed and shown in files."""
    return {
        "amount_nanoeur": posting.amount_nanoeur,
        "booked_at_utc": utc_text(posting.booked_at),
        "credit_account": posting.credit_account,
        "debit_account": posting.debit_account,
        "interval_start_utc": utc_text(posting.interval_start),
        "posting_id": posting.posting_id,
        "reason": posting.reason.value,
        "ref": posting.ref,
    }


def posting_leaf(posting: Posting) -> bytes:
    """The hash of a posting as a leaf."""
    return leaf_hash(canonical(posting_document(posting)))


def chunk_of(postings: Sequence[Posting]) -> Chunk:
    """Hashes a piece of a day's postings, in booking order."""
    return Chunk(
        root=root_of([posting_leaf(posting) for posting in postings]),
        postings=len(postings),
        amount_nanoeur=sum(posting.amount_nanoeur for posting in postings),
    )


def seal_document(seal: Seal) -> dict[str, Any]:
    """A seal as it is signed and shown in files."""
    return {
        "amount_nanoeur": seal.amount_nanoeur,
        "day": seal.day.isoformat(),
        "postings": seal.postings,
        "previous": seal.previous.hex(),
        "public_key": seal.public_key.hex(),
        "root": seal.root.hex(),
        "type": SEAL_TYPE,
    }


def seal_hash(seal: Seal) -> bytes:
    """What the next day's seal names, and what is worth writing down."""
    return hashlib.sha256(canonical(seal_document(seal))).digest()


def seal_day(day: date, chunks: Sequence[Chunk], before: Seal | None, key: LedgerKey) -> SealedDay:
    """Seals a day.

    Args:
        day: The day.
        chunks: All its postings; each chunk but the last has exactly `CHUNK_LEAVES`.
        before: The seal of the day before; None for the first day.
        key: Signs.

    Raises:
        ValueError: If the chunks or the days do not follow each other.
    """
    if before is not None and day != before.day + timedelta(days=1):
        raise ValueError(f"{day} does not follow {before.day}")
    if any(chunk.postings != CHUNK_LEAVES for chunk in chunks[:-1]):
        raise ValueError("every chunk of a day but the last is full")
    seal = Seal(
        day=day,
        postings=sum(chunk.postings for chunk in chunks),
        amount_nanoeur=sum(chunk.amount_nanoeur for chunk in chunks),
        root=root_of([chunk.root for chunk in chunks]),
        previous=NO_SEAL_BEFORE if before is None else seal_hash(before),
        public_key=key.public_key,
    )
    return SealedDay(seal=seal, signature=key.sign(canonical(seal_document(seal))))


def is_signed(sealed: SealedDay) -> bool:
    """Whether the signature is that of the key which the seal names."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(sealed.seal.public_key)
        key.verify(sealed.signature, canonical(seal_document(sealed.seal)))
    except (InvalidSignature, ValueError):
        return False
    return True


def prove(index: int, chunk: Sequence[Posting], chunk_roots: Sequence[bytes], day: SealedDay) -> PostingProof:
    """The proof of one posting.

    Args:
        index: Its place in the day, from 0.
        chunk: The postings of its chunk, in booking order.
        chunk_roots: The roots of all chunks of the day.
        day: The sealed day.
    """
    number, place = divmod(index, CHUNK_LEAVES)
    inside = path_of(place, [posting_leaf(posting) for posting in chunk])
    return PostingProof(
        posting=chunk[place], index=index, path=(*inside, *path_of(number, chunk_roots)), day=day
    )


def is_proven(leaf: bytes, index: int, path: Sequence[bytes], seal: Seal) -> bool:
    """Whether a path leads from a leaf to a day's root."""
    return root_by_path(leaf, index, seal.postings, path) == seal.root


def sealed_document(sealed: SealedDay) -> dict[str, Any]:
    """A sealed day as it is shown in files."""
    return {"seal": seal_document(sealed.seal), "signature": sealed.signature.hex()}


def proof_file(proof: PostingProof) -> bytes:
    """The content of a proof file."""
    document = {
        "index": proof.index,
        "path": [neighbour.hex() for neighbour in proof.path],
        "posting": posting_document(proof.posting),
        **sealed_document(proof.day),
    }
    return canonical(document) + b"\n"


def seal_line(sealed: SealedDay) -> bytes:
    """The line of a ledger file with which a day begins."""
    return canonical(sealed_document(sealed)) + b"\n"


def posting_line(posting: Posting) -> bytes:
    """The line of a ledger file with one posting and its hash."""
    body = canonical(posting_document(posting))
    return b'{"leaf":"' + leaf_hash(body).hex().encode() + b'","posting":' + body + b"}\n"
