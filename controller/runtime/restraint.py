"""What the safety loop holds back: the rush after an outage, and messages that are not worth their wear.

After an outage a thousand devices are back within seconds. Each of them keeps what it draws for a while of
its own, spread evenly over some minutes, so that a node's power comes back along a ramp; less than that it
may always do. Our own restart is such an outage too: whether a charger stands still because it was told 0 or
because its street was dark is not remembered, so it waits its place in the ramp, at most five minutes, before
it draws more. And a charger that stores every profile in its flash, over a data bundle that somebody pays,
gets so many setpoints a day: when they are used up faster than the day goes, only what keeps a limit, a
person's stop or a setpoint alive is sent. What a device refuses it is not asked again in each cycle.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from controller.domain.ids import AssetId
from controller.domain.reasons import Reason, ReasonCode
from controller.setpoints.candidate import Candidate

RAMP = timedelta(minutes=5)
"""Over what span devices come back to full power."""
ASK_AGAIN = timedelta(seconds=5)
"""How long a device that refused a setpoint is not asked the same again: it may just have been busy, and the
next cycle asks. Each further refusal doubles it."""
ASK_AGAIN_MOST = timedelta(minutes=5)
"""The longest wait before it is asked again."""
MUST_AGAIN_MOST = timedelta(seconds=30)
"""The longest wait before it is asked again what keeps a limit or is a person's stop."""
BURST = 40
"""Setpoints that a device may be ahead of the day: a few lively quarter-hours."""


@dataclass
class Comeback:
    """Since when each device is connected again."""

    _since: dict[AssetId, datetime] = field(default_factory=dict)
    _up: set[AssetId] = field(default_factory=set)

    def link(self, asset: AssetId, at: datetime, *, up: bool) -> None:
        """A device's connection came or went; one that another took over was never gone."""
        if not up:
            self._up.discard(asset)
        elif asset not in self._up:
            self._up.add(asset)
            self._since[asset] = at

    def held(self, candidate: Candidate, now: datetime) -> Candidate:
        """The candidate, kept between standing still and what it draws while its wait lasts."""
        since = self._since.get(candidate.asset)
        if since is None:
            return candidate
        place = int.from_bytes(sha256(candidate.asset.encode()).digest()[:4]) / 2**32
        # Well before `since`: our clock was set back, and nobody waits for it to catch up.
        if not since - RAMP <= now < since + RAMP * place:
            del self._since[candidate.asset]
            return candidate
        low = max(candidate.low_kw, min(candidate.drawn_kw, 0.0))
        high = max(min(candidate.high_kw, max(candidate.drawn_kw, 0.0)), low)
        wanted = min(max(candidate.want_kw, low), high)
        reason = candidate.reason
        if wanted != candidate.want_kw:
            reason = Reason(code=ReasonCode.RAMP, subject=candidate.asset)
        return replace(
            candidate,
            low_kw=low,
            high_kw=high,
            must_kw=min(candidate.must_kw, high),
            want_kw=wanted,
            reason=reason,
        )


@dataclass
class Refusals:
    """Whom not to ask the same again yet: what a device refuses now it refuses a moment later, too."""

    _last: dict[AssetId, tuple[float, datetime, timedelta, bool]] = field(default_factory=dict)
    """What was refused last [kW], when, how long that is not asked again, and whether it was a must."""
    _unasked: set[AssetId] = field(default_factory=set)

    def note(self, asset: AssetId, power_kw: float, now: datetime, *, must: bool) -> None:
        """It refused; `must`: what keeps a limit or is a person's stop, and no plan's wish."""
        wait = ASK_AGAIN
        if (last := self._last.get(asset)) is not None:
            wait = min(2 * last[2], MUST_AGAIN_MOST if must else ASK_AGAIN_MOST)
        self._last[asset] = (power_kw, now, wait, must)

    def not_asked(self, asset: AssetId) -> None:
        """What it should have been told never left us: no reason to wait, but it knows nothing of it."""
        self._unasked.add(asset)

    @property
    def open(self) -> Collection[AssetId]:
        """Who refused or was not asked, and has taken nothing since."""
        return self._last.keys() | self._unasked

    def forget(self, asset: AssetId) -> None:
        """It took a setpoint, or may be another one now: a new connection, another car."""
        self._last.pop(asset, None)
        self._unasked.discard(asset)

    def waits(self, asset: AssetId, power_kw: float, now: datetime, alike_kw: float, *, must: bool) -> bool:
        """Whether it is too soon to ask for a power that differs from the refused one by less than this.

        What has become a must is asked at once, although the same was refused as a wish.
        """
        last = self._last.get(asset)
        if last is None:
            return False
        refused_kw, at, wait, was_must = last
        return abs(power_kw - refused_kw) < alike_kw and at <= now < at + wait and not (must and not was_must)


@dataclass
class MessageBudget:
    """How many setpoints each device got today, by UTC."""

    per_day: int
    _day: datetime | None = None
    _sent: dict[AssetId, int] = field(default_factory=dict)

    def spend(self, asset: AssetId, now: datetime) -> None:
        """One is sent."""
        self._begin_day(now)
        self._sent[asset] = self._sent.get(asset, 0) + 1

    def is_short(self, asset: AssetId, now: datetime) -> bool:
        """Whether a device has had more than its share of the day so far."""
        midnight = self._begin_day(now)
        share = (now - midnight) / timedelta(days=1)
        return self._sent.get(asset, 0) >= BURST + self.per_day * share

    def _begin_day(self, now: datetime) -> datetime:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight != self._day:
            self._day, self._sent = midnight, {}
        return midnight
