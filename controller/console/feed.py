"""One look at the controller for all browsers that watch: however many are open, the state is made once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId
from controller.domain.time import MachineClock, SystemMachineClock
from controller.runtime.charger_overview import ChargerOverview
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.door import Door, LedgerView, StateView
from controller.runtime.guests import Guests
from market.ledger import Posting

_FRESH_S = 0.5
"""Half of the pages' period [s]: nobody sees a state older than that, two browsers share one."""
_OVERVIEW_FRESH_S = 1.5
"""What chargers tell of themselves changes by the minute, and making it takes the control loop's time [s]."""
_TAIL_ROWS = 12
"""How many of the newest postings a page shows."""
_PAGE_ROWS = 2000
"""How many postings are read at once on the way to the newest."""


class Feed:
    """The door's state, kept for half a second.

    Args:
        door: The running controller.
        clock: The machine clock; injected by tests.
        chargers: The operator's tools for chargers.
        charging_tokens: Who may charge.
        guests: Those who charge without a contract.
    """

    def __init__(
        self,
        door: Door,
        clock: MachineClock | None = None,
        *,
        chargers: ChargersDoor | None = None,
        charging_tokens: ChargingTokens | None = None,
        guests: Guests | None = None,
    ) -> None:
        self.door = door
        """The running controller, for everything else."""
        self.chargers = chargers
        """The operator's tools for chargers; None: there are none."""
        self.charging_tokens = charging_tokens
        """Who may charge; None: the cars of the site alone."""
        self._guests = guests
        self._clock = clock or SystemMachineClock()
        self._lock: asyncio.Lock = asyncio.Lock()
        self._state: StateView | None = None
        self._taken_s = 0.0
        self._overview: Mapping[AssetId, ChargerOverview] = {}
        self._overview_s: float | None = None
        self._tail: deque[tuple[int, Posting]] = deque(maxlen=_TAIL_ROWS)
        self._last_row = 0

    @property
    def public_url(self) -> str:
        """Where guests reach the site; empty: it is not known, or there are none."""
        return "" if self._guests is None else self._guests.controller.settings.charging.public_url

    async def guests_at(self, charger: AssetId) -> bool:
        """Whether guests can charge at a charger."""
        if self._guests is None:
            return False
        try:
            await self._guests.point(charger)
        except NotFoundError:
            return False
        return True

    async def state(self) -> StateView:
        """The neighbourhood now, or at most half a second ago."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._state is None or now_s - self._taken_s > _FRESH_S:
                self._state = await self.door.state()
                self._taken_s = now_s
            return self._state

    async def overview(self) -> Mapping[AssetId, ChargerOverview]:
        """Every charger by its id, now or some seconds ago; none where there are no tools for them."""
        if self.chargers is None:
            return {}
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._overview_s is None or now_s - self._overview_s > _OVERVIEW_FRESH_S:
                found = await self.chargers.overview()
                self._overview = {each.facts.charge_point: each for each in found}
                self._overview_s = now_s
            return self._overview

    def forget(self) -> None:
        """After somebody changed something: the next look is a new one."""
        self._state = None
        self._overview_s = None

    async def ledger_tail(self) -> LedgerView:
        """Balances and the newest postings: the ledger only grows, so only what is new is read."""
        async with self._lock:
            while True:
                view = await self.door.ledger(account=None, after_row=self._last_row, limit=_PAGE_ROWS)
                self._tail.extend(view.postings)
                self._last_row = max([self._last_row, *(row for row, _ in view.postings)])
                if len(view.postings) < _PAGE_ROWS:
                    return LedgerView(balances_nanoeur=view.balances_nanoeur, postings=tuple(self._tail))
