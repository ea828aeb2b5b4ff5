"""The double-entry ledger: rows that only grow, and each account's running totals.

A posting debits one account (it pays) and credits another. It is written once, by its id; the totals
of its two accounts move in the same transaction. That debits equal credits is asserted after every
write, at every reading of the balances, and, against the postings themselves, when a database is opened.
The day on which is booked never goes back: a day's postings are neighbours, and a sealed day stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from controller.domain.errors import ConflictError
from controller.domain.units import NANOEUR_PER_EUR
from controller.storage import rows, tables
from controller.storage.columns import INTEGER_MAX
from controller.storage.errors import LedgerBrokenError, StoreError
from market.ledger import Posting, PostingReason
from market.seals import ledger_day

type Totals = Mapping[str, tuple[int, int]]
"""Debits and credits [nano-euro] by account."""


def add_postings(connection: Connection, postings: Sequence[Posting]) -> None:
    """Books postings; one that is booked already, whenever that was, is left alone.

    Raises:
        ConflictError: If a posting's id is known with other content, or it is booked on an earlier day than
            the ledger has come to.
        LedgerBrokenError: If debits and credits differ afterwards.
    """
    newest = _newest_day(connection)
    new = rows.insert_once(
        connection, tables.postings, map(_row, postings), key="posting_id", beside={"booked_at"}
    )
    _check_days(newest, new)
    moved: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in new:
        moved[row["debit_account"]][0] += row["amount_nanoeur"]
        moved[row["credit_account"]][1] += row["amount_nanoeur"]
    before = _totals(connection, sorted(moved))
    after = []
    for account, (debit, credit) in moved.items():
        old_debit, old_credit = before.get(account, (0, 0))
        total = {"debit_nanoeur": old_debit + debit, "credit_nanoeur": old_credit + credit}
        if max(total.values()) > INTEGER_MAX:
            raise StoreError(f"account {account} has grown beyond what the database can count")
        after.append({"account": account, **total})
    rows.upsert(connection, tables.accounts, after)
    if new:
        _assert_even(_totals(connection))


def postings(
    connection: Connection, account: str | None, after_row: int, limit: int
) -> Sequence[tuple[int, Posting]]:
    """Postings in booking order with their row number, those of one account where given."""
    table = tables.postings
    page = select(table).where(table.c.number > after_row).order_by(table.c.number).limit(limit)
    if account is None:
        found = list(connection.execute(page))
    else:
        # Two walks along an index each; one query with OR would sort the account's whole history.
        sides = (table.c.debit_account, table.c.credit_account)
        found = [row for side in sides for row in connection.execute(page.where(side == account))]
        found = sorted(found, key=lambda row: row.number)[:limit]
    return [numbered(row) for row in found]


def posting(connection: Connection, posting_id: str) -> tuple[int, Posting] | None:
    """One posting with its row number."""
    table = tables.postings
    found = connection.execute(select(table).where(table.c.posting_id == posting_id)).first()
    return None if found is None else numbered(found)


def balances(connection: Connection) -> Mapping[str, int]:
    """Each account's balance [nano-euro], debits positive, by account; they sum to exactly 0.

    Raises:
        LedgerBrokenError: If they do not.
    """
    totals = _totals(connection)
    _assert_even(totals)
    return {account: debit - credit for account, (debit, credit) in sorted(totals.items())}


def verify(connection: Connection, database: str) -> None:
    """Adds up all postings and compares the sums with the running totals.

    Raises:
        LedgerBrokenError: If an account differs; it names the first.
    """
    booked: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    table = tables.postings
    for place, side in enumerate((table.c.debit_account, table.c.credit_account)):
        for account, total in _sums(connection, side):
            booked[account][place] += total
    totals = {account: list(both) for account, both in _totals(connection).items()}
    for account in sorted(booked.keys() | totals.keys()):
        if booked.get(account, [0, 0]) != totals.get(account, [0, 0]):
            raise LedgerBrokenError(
                f"the ledger of {database} does not add up at account {account}: restore a backup"
            )


def _newest_day(connection: Connection) -> date | None:
    """The day that the ledger has come to: the newest posting's, or the one after the newest sealed day."""
    table, sealed = tables.postings, tables.sealed_days
    booked_at = connection.execute(
        select(table.c.booked_at).order_by(table.c.number.desc()).limit(1)
    ).scalar()
    day = connection.execute(select(func.max(sealed.c.day))).scalar()
    known = [] if booked_at is None else [ledger_day(booked_at)]
    if day is not None:
        known.append(date.fromisoformat(day) + timedelta(days=1))
    return max(known, default=None)


def _check_days(newest: date | None, new: Sequence[rows.Row]) -> None:
    """No posting is booked on an earlier day than the one before it.

    Raises:
        ConflictError: If one is.
    """
    for row in new:
        day = ledger_day(row["booked_at"])
        if newest is not None and day < newest:
            raise ConflictError(
                f"nothing can be booked on {day} any more: the ledger has come to {newest}; look at the clock"
            )
        newest = day


def numbered(row: Row[Any]) -> tuple[int, Posting]:
    """A row of the ledger as its number and its posting."""
    return row.number, Posting(
        posting_id=row.posting_id,
        debit_account=row.debit_account,
        credit_account=row.credit_account,
        amount_nanoeur=row.amount_nanoeur,
        reason=PostingReason(row.reason),
        interval_start=row.interval_start,
        ref=row.ref,
        booked_at=row.booked_at,
    )


def _sums(connection: Connection, side: ColumnElement[str]) -> list[tuple[str, int]]:
    """The amounts [nano-euro] on one side of all postings, by account.

    Euros and the rest are added up apart, so that no sum inside the database leaves 64 bits.
    """
    amount = tables.postings.c.amount_nanoeur
    found = connection.execute(
        select(side, func.sum(amount // NANOEUR_PER_EUR), func.sum(amount % NANOEUR_PER_EUR)).group_by(side)
    )
    # PostgreSQL adds 64-bit integers up to a decimal number.
    return [(account, int(euros) * NANOEUR_PER_EUR + int(rest)) for account, euros, rest in found]


def _totals(connection: Connection, accounts: Sequence[str] | None = None) -> Totals:
    """The running totals of some accounts, or of all."""
    table = tables.accounts
    found = (
        connection.execute(select(table)).mappings()
        if accounts is None
        else rows.rows_by_key(connection, table, "account", accounts)
    )
    return {row["account"]: (row["debit_nanoeur"], row["credit_nanoeur"]) for row in found}


def _assert_even(totals: Totals) -> None:
    """Debits equal credits, over all accounts."""
    debits = sum(debit for debit, _ in totals.values())
    credits_ = sum(credit for _, credit in totals.values())
    if debits != credits_:
        raise LedgerBrokenError(f"debits are {debits} nano-euro and credits {credits_}: nothing is booked")


def _row(posting: Posting) -> rows.Row:
    return {
        "posting_id": posting.posting_id,
        "debit_account": posting.debit_account,
        "credit_account": posting.credit_account,
        "amount_nanoeur": posting.amount_nanoeur,
        "reason": posting.reason.value,
        "interval_start": posting.interval_start,
        "ref": posting.ref,
        "booked_at": posting.booked_at,
    }
