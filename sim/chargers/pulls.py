"""When a charger asks for new values of a Dynamic profile (`dynUpdateInterval`, OCPP 2.1).

The interval counts from the receipt of the last update; the profile itself is the first one. Without an
answer, or with a refusal, the profile stays as it is, and the charger asks again after the next interval.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sim.chargers.profiles import Profiles


class Pulls:
    """One charger's."""

    def __init__(self) -> None:
        self._since: dict[int, datetime] = {}

    def updated(self, profile_id: int, at: datetime) -> None:
        """A profile, or new values for it, came at `at`."""
        self._since[profile_id] = at

    def due(self, profiles: Profiles, now: datetime) -> list[int]:
        """The profiles whose values are to be asked for now; each is told once an interval."""
        found = []
        for profile in profiles:
            since = self._since.get(profile.id, profile.received)
            if profile.pull_s and now >= since + timedelta(seconds=profile.pull_s):
                self._since[profile.id] = now
                found.append(profile.id)
        return found
