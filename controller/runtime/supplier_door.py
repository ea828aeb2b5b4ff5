"""What the doors can see and do for a supplier, and what the auction brings: a part of `door.Door`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from controller.runtime.supply_ports import AskedClosing, Nomination, NominationKind, SuppliedQuarter
from market.benefit import Benefit
from market.imbalance import ImbalanceCost


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceView:
    """A quarter-hour's announcement, what became of it, and what that cost."""

    interval_start: datetime
    nominated_wh: int | None
    """The last announcement before it began, net, positive = taken; None: there was none."""
    supplied: SuppliedQuarter | None
    """None until its day is closed."""
    cost: ImbalanceCost | None
    """None until the supplier has told it."""


class SupplierDoor(Protocol):
    """The running controller as a supplier sees it: each its own customers; the site's own has no name."""

    async def nominations(self, *, day: date, kind: NominationKind, supplier: str) -> Sequence[Nomination]:
        """A local day's nominations; empty where there are none yet."""
        ...

    async def imbalance(self, *, day: date, supplier: str) -> Sequence[ImbalanceView]:
        """A local day's quarter-hours: what was announced, taken and told to have cost."""
        ...

    async def put_imbalance_costs(
        self, *, costs: Mapping[datetime, ImbalanceCost], supplier: str, who: str
    ) -> int:
        """Keeps what imbalance cost, to be booked as soon as each of its days is closed; gives how many days.

        `ConflictError` for the future.
        """
        ...

    async def closings(self, *, supplier: str) -> Sequence[AskedClosing]:
        """The days on which what it told is not booked yet, and why not where that was tried."""
        ...

    async def benefit(self, *, first: date, last: date) -> Sequence[Benefit]:
        """What the auction brought each member on the closed days from `first` to `last`, a year."""
        ...
