"""What the fake street tells a supplier, and what the auction brings there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from controller.domain.errors import ConflictError
from controller.domain.ids import MemberId
from controller.domain.time import QUARTER, quarter_start
from controller.runtime.supplier_door import ImbalanceView
from controller.runtime.supply_ports import AskedClosing, Nomination, NominationKind, SuppliedQuarter
from market.benefit import Benefit
from market.imbalance import ImbalanceCost
from tests.support.fake_views import RESIDENT, START

QUARTER_HOUR = quarter_start(START)
"""The one of which something is known."""


class FakeSupply:
    """The part of a door that a supplier uses."""

    def __init__(self) -> None:
        super().__init__()
        self.imbalance_costs: dict[datetime, ImbalanceCost] = {}

    async def nominations(self, *, day: date, kind: NominationKind, supplier: str) -> Sequence[Nomination]:
        """One quarter-hour of the fake day, of the supplier without a name."""
        if day != QUARTER_HOUR.date() or supplier:
            return []
        return [
            Nomination(
                interval_start=QUARTER_HOUR,
                kind=kind,
                made_at=QUARTER_HOUR - QUARTER,
                import_wh=9000,
                export_wh=1000,
                net_wh={MemberId("a resident's own"): 8000},
            )
        ]

    async def imbalance(self, *, day: date, supplier: str) -> Sequence[ImbalanceView]:
        """One that is closed, and one of which nothing is known."""
        del day
        if supplier:
            return []
        supplied = SuppliedQuarter(
            interval_start=QUARTER_HOUR,
            import_wh=9500,
            export_wh=1000,
            complete=True,
            import_microeur_per_kwh=300_000,
            export_microeur_per_kwh=60_000,
        )
        return [
            ImbalanceView(
                interval_start=QUARTER_HOUR,
                nominated_wh=8000,
                supplied=supplied,
                cost=self.imbalance_costs.get(QUARTER_HOUR),
            ),
            ImbalanceView(interval_start=QUARTER_HOUR + QUARTER, nominated_wh=None, supplied=None, cost=None),
        ]

    async def put_imbalance_costs(
        self, *, costs: Mapping[datetime, ImbalanceCost], supplier: str, who: str
    ) -> int:
        """Keeps those that are over, a day."""
        del supplier, who
        if any(start > QUARTER_HOUR for start in costs):
            raise ConflictError("the quarter-hour is not over")
        self.imbalance_costs |= costs
        return 1

    async def closings(self, *, supplier: str) -> Sequence[AskedClosing]:
        """A day that could not be closed, and one that is still to be."""
        asked = AskedClosing(day=START.date(), supplier=supplier, revision=1, asked_at=START)
        return [replace(asked, why="a rate is missing"), replace(asked, day=START.date() + QUARTER * 96)]

    async def benefit(self, *, first: date, last: date) -> Sequence[Benefit]:
        """One member's, who gains a cent a day and pays a euro a year."""
        return [
            Benefit(
                member=RESIDENT,
                days=(last - first).days + 1,
                paid_nanoeur=0,
                sharing_nanoeur=10_000_000 * ((last - first).days + 1),
                without_nanoeur=20_000_000 * ((last - first).days + 1),
                fee_nanoeur_per_year=10**9,
            )
        ]
