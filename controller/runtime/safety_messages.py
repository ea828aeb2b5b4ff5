"""What the controller tells its safety process, and what that answers: pickled values on one socket."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from controller.domain.assets import Booking, Wishes
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.telemetry import Reading
from controller.domain.time import DomainClock
from controller.runtime.guard import Guard, Noted
from controller.runtime.pace import Late
from controller.runtime.people import People
from controller.runtime.plan import PlanGuide
from controller.runtime.ports import Lockout
from controller.runtime.steering import Cycle
from controller.setpoints.safety import Decision

LENGTH = struct.Struct("!Q")
"""In front of every message: its length in bytes."""
ALIVE = "alive"
"""What the child says when it has nothing to say."""
RECEIVE_BYTES = 1 << 20
"""How much either side reads at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The first message: everything known so far."""

    guard: Guard
    clock: DomainClock
    period_s: float
    """Domain time."""
    due: datetime | None
    """When the next cycle was due, where one ran before."""
    memory: bytes
    """The `CycleMemory` of the child before it, pickled; empty where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleChange:
    """What people and operators have set since the last message; None: as before."""

    wishes: Mapping[AssetId, Wishes] | None
    limits: Mapping[str, ImposedLimit] | None
    lockouts: Mapping[NodeId, Lockout] | None
    discharge_stopped: bool
    bookings: Sequence[Booking]
    """New or changed ones."""
    dropped: frozenset[str]
    """Ids of bookings that are gone."""

    def is_urgent(self, before: People) -> bool:
        """Whether somebody set a limit, stopped or allowed something, or pressed a button."""
        books = (self.wishes, self.limits, self.lockouts)
        return any(book is not None for book in books) or self.discharge_stopped != before.discharge_stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What has happened since the last message; None: as before."""

    at: datetime
    readings: Sequence[Reading]
    outcomes: Sequence[Noted]
    steerable: frozenset[AssetId] | None = None
    guide: PlanGuide | None = None
    people: PeopleChange | None = None
    clock: DomainClock | None = None

    def is_empty(self) -> bool:
        """Whether nothing has happened."""
        changed = (self.steerable, self.guide, self.people, self.clock)
        return not (self.readings or self.outcomes or any(one is not None for one in changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One cycle's outcome."""

    cycle: Cycle | None
    """None where it failed: then nothing is sent."""
    failure: str
    """The traceback of what failed; empty where nothing did."""
    cycles: int
    """Cycles that this process has begun."""
    due: datetime
    """When the next one is due."""
    late: tuple[Late, ...]
    """Those since the last message."""
    delay_ms_max: float
    memory: bytes | None
    """The `CycleMemory` that the cycles so far leave, pickled: nobody opens it but the next child. None: not
    told each time where cycles follow one another closely."""


class PackedDecisions(Mapping[AssetId, Decision]):
    """Decisions that are unpacked when somebody looks at them: only pages do, and not at every cycle."""

    def __init__(self, decisions: Mapping[AssetId, Decision]) -> None:
        self._body = pickle.dumps(dict(decisions), protocol=pickle.HIGHEST_PROTOCOL)

    @cached_property
    def _unpacked(self) -> dict[AssetId, Decision]:
        found: dict[AssetId, Decision] = pickle.loads(self._body)  # noqa: S301  # packed here
        return found

    def __getitem__(self, asset: AssetId) -> Decision:
        """A device's decision."""
        return self._unpacked[asset]

    def __iter__(self) -> Iterator[AssetId]:
        """The devices."""
        return iter(self._unpacked)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._unpacked)


class PeopleLog:
    """Remembers what was told of `People`, and finds what has changed since.

    The books are replaced as a whole by whoever changes them, so most of the time a look at their
    identity is enough.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        self._told = replace(people)

    def change(self) -> PeopleChange | None:
        """What has changed since the last call; None where nothing has."""
        people, told = replace(self._people), self._told
        self._told = people
        put: tuple[Booking, ...] = ()
        dropped: frozenset[str] = frozenset()
        if people.bookings is not told.bookings:
            before = told.bookings
            put = tuple(one for key, one in people.bookings.items() if before.get(key) is not one)
            dropped = frozenset(before.keys() - people.bookings.keys())
        change = PeopleChange(
            wishes=_if_new(people.wishes, told.wishes),
            limits=_if_new(people.limits, told.limits),
            lockouts=_if_new(people.lockouts, told.lockouts),
            discharge_stopped=people.discharge_stopped,
            bookings=put,
            dropped=dropped,
        )
        books = (change.wishes, change.limits, change.lockouts)
        same = all(book is None for book in books) and not put and not dropped
        return None if same and change.discharge_stopped == told.discharge_stopped else change


def _if_new[K, V](book: dict[K, V], before: dict[K, V]) -> dict[K, V] | None:
    return None if book is before or book == before else book


def apply_change(people: People, change: PeopleChange) -> None:
    """Takes a change over."""
    if change.wishes is not None:
        people.wishes = dict(change.wishes)
    if change.limits is not None:
        people.limits = dict(change.limits)
    if change.lockouts is not None:
        people.lockouts = dict(change.lockouts)
    people.discharge_stopped = change.discharge_stopped
    if change.dropped:
        people.bookings = {key: one for key, one in people.bookings.items() if key not in change.dropped}
    if change.bookings:
        people.put_bookings(change.bookings)


def apply_news(guard: Guard, news: News) -> None:
    """Takes in what has happened."""
    if news.people is not None:
        apply_change(guard.people, news.people)
    if news.steerable is not None:
        guard.steerable = news.steerable
    if news.guide is not None:
        guard.guide = news.guide
    guard.hear(news.readings, news.outcomes, news.at)


def packed(message: object) -> bytes:
    """A message with its length in front."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body
