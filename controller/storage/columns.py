"""Column types that mean the same in SQLite and in PostgreSQL.

Times are whole microseconds since 1970 UTC: exact, sortable, and free of either database's idea of time
zones. Money and energy are 64-bit integers. A row number counts up and is never given out twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import override

from sqlalchemy import BigInteger, Dialect, Integer
from sqlalchemy.types import TypeDecorator

INTEGER_MAX = 2**63 - 1
"""The largest integer that both databases keep."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970 UTC.

    Raises:
        ValueError: If the time names no zone: a local time must not slip in.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} names no time zone")
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant, UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcMicros(TypeDecorator[datetime]):
    """An instant, kept as microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up by itself only in a column declared INTEGER."""
