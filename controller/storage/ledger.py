"""The double-entry ledger: rows that only grow, and each account's running totals.

A posting debits one account (it pays) and credits another. It is written once, by its id; the totals
of its two accounts move in the same transaction. That debits equal credits is asserted after every
write, at every reading of the balances, and, against the postings themselves, when a database is opened.
The day on which is booked never goes back: a day's postings are neighbours, and a sealed day stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Row, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from controller.domain.errors import ConflictError
from controller.domain.units import NANOEUR_PER_EUR
from controller.storage import rows, tables
from controller.storage.columns import INTEGER_MAX, from_micros, to_micros
from controller.storage.errors import LedgerBrokenError, StoreError
from market.ledger import Posting, PostingReason
from market.seals import ledger_day

type Totals = Mapping[str, tuple[int, int]]
"""Debits and credits [nano-euro] by account."""
_INSERTION = (
    rows.insertion(tables.postings)
    .values({column.name: bindparam(column.name) for column in tables.postings.c if column.name != "number"})
    .inline()
)
_NEWEST = select(
    select(tables.postings.c.booked_at).order_by(tables.postings.c.number.desc()).limit(1).scalar_subquery(),
    select(func.max(tables.sealed_days.c.day)).scalar_subquery(),
)
_SIDES = (tables.accounts.c.debit_nanoeur, tables.accounts.c.credit_nanoeur)
_WHOLE = select(
    *(func.max(side) for side in _SIDES),
    # Euros and the rest apart, as in `sums`.
    *(func.sum(part) for side in _SIDES for part in (side // NANOEUR_PER_EUR, side % NANOEUR_PER_EUR)),
)
"""The largest totals, and all of them added up."""


def add_postings(connection: Connection, postings: Sequence[Posting]) -> None:
    """Books postings; one that is booked already, whenever that was, is left alone.

    Raises:
        ConflictError: If a posting's id is known with other content, or it is booked on an earlier day than
            the ledger has come to.
        LedgerBrokenError: If debits and credits differ afterwards.
    """
    newest = _newest_day(connection)
    new = _insert_once(connection, postings)
    _check_days(newest, new)
    moved: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for posting in new:
        moved[posting.debit_account][0] += posting.amount_nanoeur
        moved[posting.credit_account][1] += posting.amount_nanoeur
    totals = [(account, debit, credit) for account, (debit, credit) in moved.items()]
    rows.run_many(connection, _moving(connection.dialect.name), totals)
    if new:
        _assert_whole(connection)


def _insert_once(connection: Connection, postings: Sequence[Posting]) -> Sequence[Posting]:
    """Writes the postings that are not there yet, and gives them.

    Nearly always all of them are new, so they are written without asking. Where one is not, all are taken
    back, and looked up by their ids.
    """
    try:
        with rows.savepoint(connection):
            micros = cache(to_micros)
            rows.run_many(connection, _INSERTION, [_values(posting, micros) for posting in postings])
    except IntegrityError:
        new = rows.insert_once(
            connection, tables.postings, map(_row, postings), key="posting_id", beside={"booked_at"}
        )
        ids = {row["posting_id"]: None for row in new}
        by_id = {posting.posting_id: posting for posting in reversed(postings)}
        return [by_id[posting_id] for posting_id in ids]
    return postings


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
        for account, total in sums(connection, side):
            booked[account][place] += total
    totals = {account: list(both) for account, both in _totals(connection).items()}
    for account in sorted(booked.keys() | totals.keys()):
        if booked.get(account, [0, 0]) != totals.get(account, [0, 0]):
            raise LedgerBrokenError(
                f"the ledger of {database} does not add up at account {account}: restore a backup"
            )


def _newest_day(connection: Connection) -> date | None:
    """The day that the ledger has come to: the newest posting's, or the one after the newest sealed day."""
    booked_at, sealed = rows.read_one(connection, _NEWEST)
    known = [] if booked_at is None else [ledger_day(from_micros(booked_at))]
    if sealed is not None:
        known.append(date.fromisoformat(sealed) + timedelta(days=1))
    return max(known, default=None)


def _check_days(newest: date | None, new: Sequence[Posting]) -> None:
    """No posting is booked on an earlier day than the one before it.

    Raises:
        ConflictError: If one is.
    """
    for booked_at, _ in groupby(new, key=attrgetter("booked_at")):
        day = ledger_day(booked_at)
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


def sums(
    connection: Connection, side: ColumnElement[str], *where: ColumnElement[bool]
) -> list[tuple[str, int]]:
    """The amounts [nano-euro] on one side of the postings of which all conditions hold, by account.

    Euros and the rest are added up apart, so that no sum inside the database leaves 64 bits.
    """
    amount = tables.postings.c.amount_nanoeur
    found = connection.execute(
        select(side, func.sum(amount // NANOEUR_PER_EUR), func.sum(amount % NANOEUR_PER_EUR))
        .where(*where)
        .group_by(side)
    )
    # PostgreSQL adds 64-bit integers up to a decimal number.
    return [(account, int(euros) * NANOEUR_PER_EUR + int(rest)) for account, euros, rest in found]


def _totals(connection: Connection) -> Totals:
    """The running totals of all accounts."""
    found = connection.execute(select(tables.accounts))
    return {row.account: (row.debit_nanoeur, row.credit_nanoeur) for row in found}


def _assert_whole(connection: Connection) -> None:
    """The totals are still numbers that the database can count, and debits equal credits.

    Raises:
        StoreError: If a total has left 64 bits.
        LedgerBrokenError: If debits and credits differ.
    """
    *most, debit_eur, debit_rest, credit_eur, credit_rest = rows.read_one(connection, _WHOLE)
    # SQLite goes on with a float where an integer is too small.
    if max(most) > INTEGER_MAX:
        raise StoreError("an account has grown beyond what the database can count: nothing is booked")
    debits = int(debit_eur) * NANOEUR_PER_EUR + int(debit_rest)
    credits_ = int(credit_eur) * NANOEUR_PER_EUR + int(credit_rest)
    _raise_uneven(debits, credits_)


def _assert_even(totals: Totals) -> None:
    """Debits equal credits, over all accounts."""
    _raise_uneven(sum(debit for debit, _ in totals.values()), sum(credit for _, credit in totals.values()))


def _raise_uneven(debits: int, credits_: int) -> None:
    if debits != credits_:
        raise LedgerBrokenError(f"debits are {debits} nano-euro and credits {credits_}: nothing is booked")


@cache
def _moving(dialect: str) -> Insert:
    """Adds to an account's totals, making it where there is none; the parameters in the table's order."""
    # The two dialects spell it alike, but each has a construct of its own.
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(tables.accounts)
    added = {
        name: tables.accounts.c[name] + statement.excluded[name]
        for name in ("debit_nanoeur", "credit_nanoeur")
    }
    return statement.on_conflict_do_update(index_elements=["account"], set_=added)


def _values(posting: Posting, micros: Callable[[datetime], int]) -> tuple[str | int, ...]:
    """A posting in the form that the database keeps, in the order of `_INSERTION`."""
    return (
        posting.posting_id,
        posting.debit_account,
        posting.credit_account,
        posting.amount_nanoeur,
        posting.reason.value,
        micros(posting.interval_start),
        posting.ref,
        micros(posting.booked_at),
    )


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
