"""Limits, lock-outs and meter registers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import NodeId
from controller.domain.network import ImposedLimit
from controller.runtime.ports import Lockout, RegisterRecord
from controller.storage import SqlStore
from tests.support.storage import QUARTER, START, opened

NODE = NodeId("feeder-1")
LIMIT = ImposedLimit(
    id="l1",
    node=NODE,
    import_kw=100.25,
    export_kw=None,
    from_utc=START,
    to_utc=START + 8 * QUARTER,
    set_by="grid",
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


async def test_limit_reads_back_as_it_was_set(store: SqlStore) -> None:
    """One without an end too."""
    open_end = replace(LIMIT, id="l2", to_utc=None, import_kw=None, export_kw=0.0)
    async with store.unit() as unit:
        await unit.put_limit(LIMIT)
        await unit.put_limit(open_end)
        assert await unit.limits(ending_after=START) == [LIMIT, open_end]
        assert await unit.limits(ending_after=START + 8 * QUARTER) == [open_end]


async def test_withdrawn_limit_ends_then_and_stays_withdrawn(store: SqlStore) -> None:
    """The same message again, late or repeated, neither revives it nor moves its end."""
    async with store.unit() as unit:
        await unit.put_limit(LIMIT)
        await unit.end_limit("l1", START + QUARTER)
        await unit.put_limit(LIMIT)
        await unit.end_limit("l1", START + 4 * QUARTER)
        assert await unit.limits(ending_after=START) == [replace(LIMIT, to_utc=START + QUARTER)]
        assert await unit.limits(ending_after=START + QUARTER) == []


async def test_limit_withdrawn_after_its_end_keeps_its_end(store: SqlStore) -> None:
    """A withdrawal never makes a limit longer."""
    async with store.unit() as unit:
        await unit.put_limit(LIMIT)
        await unit.end_limit("l1", START + 20 * QUARTER)
        assert await unit.limits(ending_after=START) == [LIMIT]


async def test_limit_with_a_known_id_and_other_content_is_a_conflict(store: SqlStore) -> None:
    """Which of the two holds must not depend on who was last."""
    async with store.unit() as unit:
        await unit.put_limit(LIMIT)
        with pytest.raises(ConflictError, match="limits: l1 known with other content"):
            await unit.put_limit(replace(LIMIT, import_kw=200.0))


async def test_unknown_limit_cannot_be_withdrawn(store: SqlStore) -> None:
    """The grid operator hears that there is none."""
    async with store.unit() as unit:
        with pytest.raises(NotFoundError, match="no limit l9"):
            await unit.end_limit("l9", START)


async def test_lockout_stays_as_it_was_first_set_until_released(store: SqlStore) -> None:
    """Locking out never fails because somebody else was quicker; only a person releases it."""
    first = Lockout(node=NODE, set_by="grid", since=START)
    async with store.unit() as unit:
        await unit.put_lockout(first)
        await unit.put_lockout(Lockout(node=NODE, set_by="other", since=START + QUARTER))
        assert await unit.lockouts() == [first]
        await unit.release_lockout(NODE)
        assert await unit.lockouts() == []
        with pytest.raises(NotFoundError, match="not locked out at feeder-1"):
            await unit.release_lockout(NODE)


def _register(import_wh: int, *, estimated: bool = False, quarter: int = 0) -> RegisterRecord:
    return RegisterRecord(
        meter=NODE, at=START + quarter * QUARTER, import_wh=import_wh, export_wh=0, estimated=estimated
    )


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        (_register(5, estimated=True), _register(7), _register(7)),
        (_register(7), _register(5, estimated=True), _register(7)),
        (_register(5, estimated=True), _register(6, estimated=True), _register(6, estimated=True)),
        (_register(7), _register(7), _register(7)),
        (_register(7, estimated=True), _register(7), _register(7)),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_measured_register_wins_over_an_estimate(
    store: SqlStore, first: RegisterRecord, then: RegisterRecord, kept: RegisterRecord, *, together: bool
) -> None:
    """Whichever came first, in one batch or in two."""
    async with store.unit() as unit:
        for batch in [[first, then]] if together else [[first], [then]]:
            await unit.add_registers(batch)
        assert await unit.registers_at(START) == {NODE: kept}


@pytest.mark.parametrize("together", [True, False])
async def test_register_measured_twice_with_other_values_is_a_conflict(
    store: SqlStore, *, together: bool
) -> None:
    """A register stood at one value at one instant."""
    if not together:
        async with store.unit() as unit:
            await unit.add_registers([_register(7)])
    with pytest.raises(ConflictError, match="measured before with another value: feeder-1"):
        async with store.unit() as unit:
            await unit.add_registers([_register(7), _register(8)])
    async with store.unit() as unit:
        assert await unit.registers_at(START) == ({} if together else {NODE: _register(7)})


async def test_registers_are_read_one_quarter_hour_at_a_time(store: SqlStore) -> None:
    """Registers beyond 32 bits too; a quarter-hour without any is empty."""
    async with store.unit() as unit:
        await unit.add_registers(_register(2**40 + quarter, quarter=quarter) for quarter in range(3))
        assert await unit.registers_at(START + QUARTER) == {NODE: _register(2**40 + 1, quarter=1)}
        assert await unit.registers_at(START + 9 * QUARTER) == {}
