"""The limit that somebody fixed in an inverter for good: the law may stand behind it. No I/O.

It is on and has no revert time. A command of ours covers it, and some inverters have lost it when that runs
out: then it is put back. One that is gone without a command of ours was taken off by somebody. While a
command runs that we know nothing of (we were started anew, or another controller sent it), nobody can see
what lies below: until it has run out, no command goes above it.
"""

from __future__ import annotations

from drivers.sunspec import control
from drivers.sunspec.codec import Chain, Snapshot
from drivers.sunspec.control import Write

_NONE = "none"
"""The text for: there is no limit."""
_FULL_PERCENT = 100.0


class FeedInLimit:
    """What is known of one inverter's limit."""

    def __init__(self, remembered: str = "") -> None:
        """Begins with what `text` was in an earlier run; empty: nothing is known."""
        self._known = bool(remembered)
        self._percent = float(remembered) if remembered not in {"", _NONE} else None
        # What was remembered may have been lost over a command of the earlier run.
        self._commanded = True

    @property
    def text(self) -> str:
        """What has to outlive us; empty while nothing is known."""
        if not self._known:
            return ""
        return _NONE if self._percent is None else repr(self._percent)

    def commanded(self) -> None:
        """A command of ours was sent."""
        self._commanded = True

    def ceiling_percent(self, chain: Chain, snapshot: Snapshot) -> float:
        """What no command may go above [%]; 100 without a limit."""
        if self._percent is not None:
            return self._percent
        running = None if self._known else control.limit_percent(chain, snapshot)
        return _FULL_PERCENT if running is None else running

    def look(self, chain: Chain, snapshot: Snapshot) -> Write | None:
        """Learns from what was read; what puts a lost limit back, where it has to be.

        Raises:
            SunSpecError: If the device does not tell its scale factor.
        """
        standing = control.standing_limit_percent(chain, snapshot)
        if standing is not None:
            self._known, self._percent, self._commanded = True, standing, False
            return None
        if not control.is_free(chain, snapshot):
            return None
        self._known = True
        if not self._commanded:
            self._percent = None
        if self._percent is None:
            return None
        return control.restoration(chain, snapshot, percent=self._percent)
