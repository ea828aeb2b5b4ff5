"""What is kept for suppliers: energy announced and supplied, imbalance costs; part of `ports.UnitOfWork`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from controller.domain.ids import MemberId
from market.imbalance import ImbalanceCost


class NominationKind(StrEnum):
    """Which announcement to the supplier it is."""

    DAY_AHEAD = "day_ahead"
    """Of the day before; it stays as it was."""
    INTRADAY = "intraday"
    """The newest before the quarter-hour began: what imbalance is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomination:
    """What the supplier was told of a quarter-hour."""

    interval_start: datetime
    kind: NominationKind
    made_at: datetime
    import_wh: int
    """What the points that take energy will take together."""
    export_wh: int
    """What those that feed in will feed in, a magnitude."""
    net_wh: Mapping[MemberId, int]
    """By member, positive = taken; not told to anybody outside."""
    supplier: str = ""
    """Whose customers they are; empty: the site's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedQuarter:
    """What all points took and fed in, as far as is known."""

    interval_start: datetime
    import_wh: int
    export_wh: int
    complete: bool
    """Whether it was all metered: nothing estimated, no point unknown."""
    import_microeur_per_kwh: int
    """What the supplier asked when the day was first closed; a day closed again keeps it."""
    export_microeur_per_kwh: int
    """What it paid."""
    supplier: str = ""
    """Whose customers' points; empty: the site's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedClosing:
    """A day that is to be closed again: a supplier told what imbalance cost on it."""

    day: date
    """Local."""
    supplier: str
    revision: int
    """How often it was asked for since it was last closed."""
    asked_at: datetime
    why: str = ""
    """Why it could not be closed, the last time; empty: not tried yet."""


class SupplyUnit(Protocol):
    """The part of a unit of work that is about suppliers."""

    async def put_nominations(self, nominations: Iterable[Nomination]) -> None:
        """Keeps nominations; of one kind the newer one replaces the older."""
        ...

    async def nominations(
        self, first: datetime, after: datetime, kind: NominationKind, *, supplier: str = ""
    ) -> Sequence[Nomination]:
        """A supplier's nominations of the quarter-hours from `first` to before `after`, in order."""
        ...

    async def put_supplied(self, quarters: Iterable[SuppliedQuarter]) -> None:
        """Keeps what was taken and fed in; known better, it replaces the old."""
        ...

    async def supplied(
        self, first: datetime, after: datetime, *, supplier: str = ""
    ) -> Sequence[SuppliedQuarter]:
        """A supplier's quarter-hours of closed days from `first` to before `after`, in order."""
        ...

    async def put_imbalance_costs(
        self, costs: Mapping[datetime, ImbalanceCost], *, supplier: str = ""
    ) -> None:
        """Keeps what imbalance cost a supplier, by quarter-hour; a correction replaces the old."""
        ...

    async def imbalance_costs(
        self, first: datetime, after: datetime, *, supplier: str = ""
    ) -> Mapping[datetime, ImbalanceCost]:
        """What imbalance cost a supplier in the quarter-hours from `first` to before `after`."""
        ...

    async def ask_closings(self, days: Iterable[date], *, supplier: str, at: datetime) -> None:
        """Keeps that days are to be closed again for a supplier."""
        ...

    async def asked_closings(
        self, *, day: date | None = None, supplier: str | None = None
    ) -> Sequence[AskedClosing]:
        """What is asked for and not done, by day: of one day, and of one supplier, where given."""
        ...

    async def closings_done(self, done: Sequence[AskedClosing]) -> None:
        """Takes out what was asked for, but where it was asked for again since."""
        ...

    async def closings_failed(self, day: date, why: str) -> None:
        """Keeps why a day could not be closed."""
        ...
