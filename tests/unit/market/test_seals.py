"""Sealed days, checked by hand: with nothing of ours but the bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from market.merkle import EMPTY_ROOT
from market.seals import (
    CHUNK_LEAVES,
    NO_SEAL_BEFORE,
    chunk_of,
    day_end,
    is_signed,
    ledger_day,
    posting_line,
    seal_day,
    seal_line,
)
from tests.support.sealed import KEY, MONDAY, OTHER_KEY, a_chain, a_day_of_postings
from tests.unit.market.test_merkle import by_definition


def canonical(document: Any) -> bytes:
    """The canonical form by another library."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_stranger_can_check_a_ledger_file_by_its_description() -> None:
    """Another JSON library, the definition of the tree and the bare signature come to the same."""
    first, second = a_chain(7, 5)
    before = bytes(32)
    for day in (first, second):
        head, *rows = map(json.loads, day.file().splitlines())
        leaves = [hashlib.sha256(b"\x00" + canonical(row["posting"])).digest() for row in rows]
        assert [leaf.hex() for leaf in leaves] == [row["leaf"] for row in rows]
        seal = head["seal"]
        assert seal["root"] == by_definition(leaves).hex()
        assert seal["previous"] == before.hex()
        assert seal["postings"] == len(rows)
        assert seal["amount_nanoeur"] == sum(row["posting"]["amount_nanoeur"] for row in rows)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal["public_key"]))
        key.verify(bytes.fromhex(head["signature"]), canonical(seal))
        before = hashlib.sha256(canonical(seal)).digest()


def test_a_posting_and_a_seal_have_these_bytes() -> None:
    """Written down once: files of today must be readable for as long as anybody keeps them."""
    (day,) = a_chain(1)
    assert posting_line(day.postings[0]) == (
        b'{"leaf":"5f27684ef9cb87663bf09684d6b39fe271363500a81af3a2a0d9ac059ac70227","posting":'
        b'{"amount_nanoeur":1000003,"booked_at_utc":"2024-01-15T02:00:00Z","credit_account":"community",'
        b'"debit_account":"member:home-000 \xc3\xa9\\u0007","interval_start_utc":"2024-01-15T00:00:00Z",'
        b'"posting_id":"fb440c3aeb1d3222e0fba87c2acbc32b80170f102964e935d47cc07241fb25e4","reason":"trade","ref":"order-0"}}\n'
    )
    assert seal_line(day.sealed) == (
        b'{"seal":{"amount_nanoeur":1000003,"day":"2024-01-15","postings":1,'
        b'"previous":"0000000000000000000000000000000000000000000000000000000000000000",'
        b'"public_key":"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",'
        b'"root":"5f27684ef9cb87663bf09684d6b39fe271363500a81af3a2a0d9ac059ac70227",'
        b'"type":"wijkstroom-ledger-day-1"},'
        b'"signature":"31334b166a58dc3d047a255929c9a68b56a612106bcabb5d93e4d190a9fe5eb8'
        b'62188f48b774db14c07fbba797abbb45e17aeeec3e902038466dd37658342d05"}\n'
    )


def test_a_day_ends_at_midnight_utc() -> None:
    """Whatever the time zone of who booked, and of the law."""
    late = datetime.fromisoformat("2024-03-31T01:30:00+02:00")
    assert ledger_day(late).isoformat() == "2024-03-30"
    assert day_end(ledger_day(late)) == datetime(2024, 3, 31, tzinfo=UTC)


def test_a_day_without_postings_is_sealed_too() -> None:
    """A day that is missing would be noticed; this one is there and empty."""
    _, empty, _ = a_chain(3, 0, 2)
    assert (empty.sealed.seal.postings, empty.sealed.seal.root) == (0, EMPTY_ROOT)
    assert is_signed(empty.sealed)


def test_the_first_day_names_no_seal_before_it() -> None:
    """Zeros, so that nobody can put a day before it later."""
    assert a_chain(1)[0].sealed.seal.previous == NO_SEAL_BEFORE


def test_another_keys_signature_does_not_fit() -> None:
    """Nor does one over another seal."""
    mine, theirs = a_chain(2)[0].sealed, a_chain(2, keys=[OTHER_KEY])[0].sealed
    assert is_signed(mine)
    assert is_signed(theirs)
    assert not is_signed(replace(mine, signature=theirs.signature))
    assert not is_signed(replace(mine, seal=replace(mine.seal, postings=3)))


def test_days_and_chunks_out_of_order_are_not_sealed() -> None:
    """A gap in the days, or a chunk in the middle that is not full, is a bug of the caller."""
    (day,) = a_chain(1)
    tomorrow = ledger_day(MONDAY) + timedelta(days=1)
    with pytest.raises(ValueError, match="does not follow"):
        seal_day(tomorrow + timedelta(days=1), [], day.sealed.seal, KEY)
    short = chunk_of(a_day_of_postings(CHUNK_LEAVES - 1))
    with pytest.raises(ValueError, match="is full"):
        seal_day(tomorrow, [short, short], day.sealed.seal, KEY)
