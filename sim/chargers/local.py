"""Whom a charger lets charge by itself: its local list, its cache, and what it does off line.

The local list, which the CSMS sends, counts before the cache of what the CSMS answered earlier. On line a
token that neither knows is asked of the CSMS, and gets power until it says no; off line a setting decides
(OCPP 2.x block C, use cases C12 to C15; OCPP 1.6 section 3.4).
"""

from __future__ import annotations

from collections.abc import Mapping

_ACCEPTED = "Accepted"


class LocalAuthorisation:
    """What one charger remembers of tokens."""

    def __init__(self) -> None:
        self.version = 0
        """Of the local list; 0: there is none."""
        self.unknown_offline = True
        """Whether a token that nothing is known of may charge while the link is away."""
        self._list: dict[str, str] = {}
        self._cache: dict[str, str] = {}

    def knows(self, token: str) -> bool:
        """Whether list or cache say anything of it."""
        return token in self._list or token in self._cache

    def may_charge(self, token: str, *, online: bool) -> bool:
        """Whether it gets power before the CSMS has answered."""
        status = self._list.get(token) or self._cache.get(token)
        if status == _ACCEPTED:
            return True
        if status is not None and (token in self._list or not online):
            return False
        return online or self.unknown_offline

    def learn(self, token: str, status: str) -> None:
        """Keeps what the CSMS answered."""
        self._cache[token] = status

    def clear_cache(self) -> None:
        """Forgets what the CSMS answered."""
        self._cache.clear()

    def take_list(self, version: int, entries: Mapping[str, str | None], *, full: bool) -> str:
        """Takes a new list or changes to the one that is here.

        Args:
            version: Of the list afterwards.
            entries: Status by token; None takes the token out.
            full: Whether it is the whole list.

        Returns:
            The status for the answer.
        """
        if not full and version <= self.version:
            return "VersionMismatch"
        known = {} if full else self._list
        merged = known | {token: status for token, status in entries.items() if status is not None}
        self._list = {token: status for token, status in merged.items() if entries.get(token, status)}
        self.version = version
        return _ACCEPTED
