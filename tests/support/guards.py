"""Guards with a fault, for the safety process: it finds them here when it unpacks them."""

from __future__ import annotations

import time
from datetime import datetime

from controller.runtime.core import Controller
from controller.runtime.guard import Guard
from controller.runtime.steering import Cycle


class TroubledGuard(Guard):
    """Counts its cycles; the ones below say what goes wrong in which."""

    count = 0

    def cycle(self, now: datetime) -> Cycle:
        """Decides after the trouble."""
        self.count += 1
        self.trouble()
        return super().cycle(now)

    def trouble(self) -> None:
        """Nothing."""


class FailingGuard(TroubledGuard):
    """Has a bug in its first three cycles."""

    def trouble(self) -> None:
        """Raises."""
        if self.count <= 3:
            raise ZeroDivisionError("a bug")


class SlowGuard(TroubledGuard):
    """Takes 0.2 s for its fourth cycle."""

    def trouble(self) -> None:
        """Sleeps."""
        if self.count == 4:
            time.sleep(0.2)


class HangingGuard(TroubledGuard):
    """Never ends its fourth cycle."""

    def trouble(self) -> None:
        """Sleeps for ever."""
        if self.count == 4:
            time.sleep(3600.0)


def give_guard(controller: Controller, kind: type[Guard]) -> None:
    """Puts another kind of guard into a controller that has not heard anything yet."""
    controller.guard = kind(controller.site, controller.settings.safety, controller.people)
