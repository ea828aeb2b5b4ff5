"""What is wrong with a charger, from what it said and did since we started."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from controller.domain.charger_tools import Ailment, ChargerHealth
from controller.domain.ids import AssetId
from drivers.ocpp.codec import Notice, NoticeCode

SILENT_AFTER = timedelta(minutes=20)
"""Chargers send a heartbeat every quarter of an hour."""
FLAPPING_COUNT, FLAPPING_SPAN = 4, timedelta(minutes=30)
"""So many connections within so long are no coincidence."""
NOTICE_LIFE = timedelta(days=1)
"""How long a notice speaks of the charger's state."""
_MEANING = {
    NoticeCode.CLOCK_UNSET: Ailment.CLOCK_OFF,
    NoticeCode.CLOCK_AHEAD: Ailment.CLOCK_OFF,
    NoticeCode.CLOCK_LOCAL: Ailment.CLOCK_OFF,
    NoticeCode.CLOCK_BEHIND: Ailment.CLOCK_OFF,
    NoticeCode.CLOCK_UNREADABLE: Ailment.CLOCK_OFF,
    NoticeCode.IGNORES_PROFILE: Ailment.IGNORES_PROFILE,
    NoticeCode.PROFILE_REFUSED: Ailment.REFUSES_DEFAULTS,
}


class HealthRecord:
    """One charger's history."""

    def __init__(self) -> None:
        self.heard_at: datetime | None = None
        """Its last message."""
        self._connects = 0
        self._connected_at: deque[datetime] = deque(maxlen=FLAPPING_COUNT)
        self._notices: dict[Ailment, Notice] = {}
        self._first: dict[Ailment, datetime] = {}
        """When the run of notices began to which the newest belongs."""

    def connected(self, at: datetime) -> None:
        """A connection began."""
        self._connects += 1
        self._connected_at.append(at)

    def noted(self, notice: Notice) -> None:
        """Something went not by the book."""
        meaning = _MEANING.get(notice.code)
        if meaning is None:
            return
        before = self._notices.get(meaning)
        if before is None or notice.at - before.at > NOTICE_LIFE:
            self._first[meaning] = notice.at
        self._notices[meaning] = notice

    def health(self, charge_point: AssetId, version: str, now: datetime) -> ChargerHealth:
        """How the charger is.

        Args:
            charge_point: For the answer.
            version: Of its connection; empty: not connected.
            now: Domain time.
        """
        found: dict[Ailment, tuple[str, datetime | None]] = {}
        if not version:
            last = f"last heard {self.heard_at.isoformat()}" if self.heard_at is not None else "never heard"
            found[Ailment.SILENT] = (f"not connected, {last}", self.heard_at)
        elif (last_sign := self._last_sign()) is not None and now - last_sign > SILENT_AFTER:
            minutes = SILENT_AFTER.total_seconds() / 60.0
            found[Ailment.SILENT] = (f"connected, and no word for {minutes:.0f} minutes", last_sign)
        first = self._connected_at[0] if len(self._connected_at) == FLAPPING_COUNT else None
        if first is not None and now - first <= FLAPPING_SPAN:
            minutes = (now - first).total_seconds() / 60.0
            found[Ailment.FLAPPING] = (f"{FLAPPING_COUNT} connections within {minutes:.0f} minutes", first)
        for ailment, notice in self._notices.items():
            if now - notice.at <= NOTICE_LIFE:
                found[ailment] = (f"{notice.at.isoformat()}: {notice.text}", self._first[ailment])
        return ChargerHealth(
            charge_point=charge_point,
            version=version,
            heard_at=self.heard_at,
            connects=self._connects,
            ailments=tuple(found),
            why=tuple(why for why, _ in found.values()),
            since=tuple(since for _, since in found.values()),
        )

    def _last_sign(self) -> datetime | None:
        """When a charger last connected or said something."""
        return max([*self._connected_at, *([] if self.heard_at is None else [self.heard_at])], default=None)
