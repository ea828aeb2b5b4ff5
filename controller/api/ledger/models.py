"""What is shown of the sealed ledger. `market.seals` says how each of these is hashed and signed."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from controller.api.models import Out

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""32 bytes, lower-case hexadecimal."""
Signature = Annotated[str, Field(pattern="^[0-9a-f]{128}$")]
"""An Ed25519 signature, 64 bytes, lower-case hexadecimal."""


class SealOut(Out):
    """What is signed of a day."""

    amount_nanoeur: int
    """The sum of the day's postings."""
    day: date
    """UTC."""
    postings: int
    """How many were booked."""
    previous: Hash
    """The hash of the seal of the day before; zeros for the first."""
    public_key: Hash
    """Of the key that signs it."""
    root: Hash
    """Of the Merkle tree over the postings."""
    type: str


class SealedDayOut(Out):
    """A sealed day."""

    seal: SealOut
    signature: Signature
    seal_hash: Hash
    """What the next day's seal names: worth writing down."""


class LedgerHeadOut(Out):
    """How far the ledger is sealed."""

    public_key: Hash
    """By which the seals are checked: `wijkstroom verify --key`."""
    newest: SealedDayOut | None
    """Null until the first day is sealed."""


class SealedPostingOut(Out):
    """A posting as it is hashed."""

    amount_nanoeur: int
    booked_at_utc: str
    credit_account: str
    debit_account: str
    interval_start_utc: str
    posting_id: str
    reason: str
    ref: str


class ProofOut(Out):
    """A proof file: that a posting is in a sealed day."""

    index: int
    """The posting's place in the day, from 0."""
    path: list[Hash]
    """The neighbours on the way up to the root, the lowest first."""
    posting: SealedPostingOut
    seal: SealOut
    signature: Signature
