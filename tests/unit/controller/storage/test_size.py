"""A district's quarter-hour must not cost a statement a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from tests.support.storage import START, lombok_quarter, opened

STATEMENTS_AT_MOST = 60
"""Some per kind, some per thousand ids that are looked up; 18,000 rows would show."""


@contextmanager
def _counted() -> Iterator[list[str]]:
    """Every statement that any engine executes meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_quarter_hour_of_a_district_takes_few_statements(tmp_path: Path) -> None:
    """Counted, not timed: a shared machine's clock proves nothing. The bench has the times."""
    quarter = lombok_quarter(0)
    async with opened(tmp_path / "wijk.sqlite3") as store:
        with _counted() as statements:
            async with store.unit() as unit:
                await unit.add_orders(quarter.orders)
                await unit.add_result(quarter.result, START)
                await unit.add_postings(quarter.postings)
                await unit.add_registers(quarter.registers)
        async with store.unit() as unit:
            assert (await unit.counts())["postings"] == len(quarter.postings)
            assert await unit.result(START) == quarter.result
    assert len(statements) <= STATEMENTS_AT_MOST
