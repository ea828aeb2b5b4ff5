"""The supplier is told the day before, and again during the day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.domain.time import QUARTER, VirtualDomainClock
from controller.runtime.core import Controller
from controller.runtime.nominating import INTRADAY_QUARTERS, Nominating
from controller.runtime.offload import run_inline
from controller.runtime.supply_ports import Nomination, NominationKind
from controller.storage import SqlStore
from tests.support.running import make_controller
from tests.support.storage import opened

MORNING = datetime(2024, 1, 15, 9, tzinfo=UTC)
TOMORROW = datetime(2024, 1, 15, 23, tzinfo=UTC)
NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
"""13:00 in Amsterdam."""


async def started(store: SqlStore, at: datetime) -> tuple[Controller, VirtualDomainClock]:
    """A controller without a plan."""
    clock = VirtualDomainClock(at)
    controller = make_controller(store, clock)
    await controller.load()
    return controller, clock


async def told(controller: Controller, kind: NominationKind, first: datetime) -> list[Nomination]:
    """What was nominated of a day."""
    async with controller.store.unit() as unit:
        return list(await unit.nominations(first, first + timedelta(days=1), kind))


async def test_without_a_plan_nothing_is_said(tmp_path: Path) -> None:
    """Unknown is not 0."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller, _ = await started(store, NOON)
        await Nominating(controller, offload=run_inline).nominate_due()
        assert await told(controller, NominationKind.INTRADAY, MORNING) == []


async def test_the_coming_hours_are_told_again_each_quarter_hour(tmp_path: Path) -> None:
    """By the newest plan; one that has begun stays as it was."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller, clock = await started(store, MORNING)
        await controller.make_plan(controller.horizon(clock.now()))
        nominating = Nominating(controller, offload=run_inline)
        await nominating.nominate_due()
        first = await told(controller, NominationKind.INTRADAY, MORNING)
        assert [each.interval_start for each in first] == [
            MORNING + i * QUARTER for i in range(1, INTRADAY_QUARTERS + 1)
        ]
        assert all(each.import_wh > 0 for each in first)
        assert all(sum(each.net_wh.values()) == each.import_wh - each.export_wh for each in first)
        clock.advance_to(MORNING + QUARTER / 2)
        await nominating.nominate_due()
        assert await told(controller, NominationKind.INTRADAY, MORNING) == first
        clock.advance_to(MORNING + QUARTER)
        await nominating.nominate_due()
        again = await told(controller, NominationKind.INTRADAY, MORNING)
        assert again[0] == first[0]
        assert {each.made_at for each in again[1:]} == {MORNING + QUARTER}


async def test_the_next_day_is_told_once_after_the_day_ahead_auction(tmp_path: Path) -> None:
    """Not in the morning, not by a plan that ends before, and never changed afterwards."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller, clock = await started(store, MORNING)
        nominating = Nominating(controller, offload=run_inline)
        await controller.make_plan(controller.horizon(clock.now()))
        await nominating.nominate_due()
        clock.advance_to(NOON)
        await nominating.nominate_due()
        # The plan of 10:00 ends at 22:00 of the next day.
        assert await told(controller, NominationKind.DAY_AHEAD, TOMORROW) == []
        await controller.make_plan(controller.horizon(clock.now()))
        await nominating.nominate_due()
        made = await told(controller, NominationKind.DAY_AHEAD, TOMORROW)
        assert len(made) == 96
        clock.advance_to(NOON + timedelta(hours=2))
        await controller.make_plan(controller.horizon(clock.now()))
        await Nominating(controller, offload=run_inline).nominate_due()
        assert await told(controller, NominationKind.DAY_AHEAD, TOMORROW) == made
