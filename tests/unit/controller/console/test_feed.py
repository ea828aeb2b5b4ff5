"""However many browsers watch, the controller is asked once; the ledger is read only where it grew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from controller.console.feed import Feed
from controller.domain.ids import AssetId
from controller.runtime.charger_overview import ChargerOverview
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.door import LedgerView, StateView
from tests.support.fake_door import FakeDoor
from tests.support.fake_overview import overview
from tests.support.guests import POINT, guest_street


class _Clock:
    """A machine clock that a test moves."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic_s(self) -> float:
        """Where it was put."""
        return self.at_s


class _CountingDoor(FakeDoor):
    """Counts the looks."""

    def __init__(self) -> None:
        super().__init__(chargers=2)
        self.looks = 0
        self.after: list[int] = []

    async def state(self) -> StateView:
        """The street, counted."""
        self.looks += 1
        return await super().state()

    async def ledger(self, *, account: str | None, after_row: int, limit: int) -> LedgerView:
        """The ledger, with what was asked for kept."""
        self.after.append(after_row)
        return await super().ledger(account=account, after_row=after_row, limit=limit)


async def test_looks_inside_half_a_second_share_one_state() -> None:
    """A later look, and one after something was changed, is a new one."""
    door, clock = _CountingDoor(), _Clock()
    feed = Feed(door, clock)
    for at_s, looks in ((0.0, 1), (0.4, 1), (0.6, 2), (0.7, 2)):
        clock.at_s = at_s
        await feed.state()
        assert door.looks == looks
    feed.forget()
    await feed.state()
    assert door.looks == 3


async def test_the_newest_postings_are_kept_and_only_new_ones_read() -> None:
    """The second read starts after the last row of the first."""
    door = _CountingDoor()
    feed = Feed(door)
    first = await feed.ledger_tail()
    second = await feed.ledger_tail()
    assert [row for row, _ in first.postings] == [row for row, _ in second.postings] == [1, 2]
    assert door.after == [0, 2]


class _CountingTools(ChargersDoor):
    """Counts the looks at the chargers."""

    def __init__(self) -> None:
        self.looks = 0

    async def overview(self) -> Sequence[ChargerOverview]:
        """One charger, counted."""
        self.looks += 1
        return [overview("charger-01")]


async def test_chargers_are_looked_at_every_other_second() -> None:
    """However many pages are open; without tools there are none."""
    clock, tools = _Clock(), _CountingTools()
    feed = Feed(_CountingDoor(), clock, chargers=tools)
    for at_s, looks in ((0.0, 1), (1.0, 1), (2.0, 2), (2.5, 2)):
        clock.at_s = at_s
        assert list(await feed.overview()) == ["charger-01"]
        assert tools.looks == looks
    feed.forget()
    await feed.overview()
    assert tools.looks == 3
    assert await Feed(_CountingDoor()).overview() == {}


async def test_guests_charge_where_the_street_takes_them(tmp_path: Path) -> None:
    """At a socket with a posted price; nowhere where no payment provider is set up."""
    async with guest_street(tmp_path) as street:
        feed = Feed(FakeDoor(), guests=street.guests)
        assert await feed.guests_at(POINT)
        assert not await feed.guests_at(AssetId("cp-99"))
    assert not await Feed(FakeDoor()).guests_at(POINT)
