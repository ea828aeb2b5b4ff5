"""Who may charge: the cars' own identifications, and the cards and app tokens that people registered.

A token book is one frozen answer to three questions: may this token charge, which car does it stand for, and
what belongs in a charger's own list for the hours without us. A card that is bound to a car counts as that
car's identification, so that its wishes and its plan hold whichever of the two starts the transaction. What
is blocked stays in the lists as blocked: a charger may still remember it as good from earlier.

Tokens are compared without regard to case (OCPP 1.6 `CiString20`, OCPP 2.x `identifierString`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from controller.domain.assets import Vehicle
from controller.domain.ids import AssetId, MemberId

TOKEN_LENGTH_MAX = 20
"""Characters; OCPP 1.6 knows no longer ones."""
TOKEN_LENGTH_MIN = 4
SHOWN = 4
"""So many characters of a token are shown, its last ones."""


class TokenKind(StrEnum):
    """What carries a token."""

    CARD = "card"
    """An RFID card or tag; the token is its number."""
    APP = "app"
    """A program on somebody's phone."""
    CAR = "car"
    """A car's own identification, from the site file."""


class Verdict(StrEnum):
    """Whether a token may charge."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    """It is ours, and was taken out of use."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingToken:
    """One token and what became of it."""

    token: str
    """In capitals; a car's own as the site file has it."""
    handle: str
    """Its name where it must not be shown."""
    member: MemberId
    kind: TokenKind
    label: str
    """The member's own name for it."""
    vehicle: AssetId | None
    """The car whose wishes hold when it is used; None: none in particular."""
    created_at: datetime
    blocked_at: datetime | None = None
    list_version: int = 0
    """The version of the chargers' lists with which it came or changed last."""

    @property
    def masked(self) -> str:
        """As much of it as may be shown."""
        return masked(self.token)


def masked(token: str) -> str:
    """The end of a token, by which its owner knows it again."""
    return f"…{token[-SHOWN:]}" if len(token) > SHOWN else "…"


def normal(token: str) -> str:
    """The form in which tokens are compared."""
    return token.strip().upper()


def handle_of(token: str) -> str:
    """A name for a token that does not tell it: the start of its SHA-256."""
    return hashlib.sha256(normal(token).encode()).hexdigest()[:16]


def token_problem(token: str) -> str:
    """What is wrong with the form of a token; empty where nothing is."""
    text = normal(token)
    if not TOKEN_LENGTH_MIN <= len(text) <= TOKEN_LENGTH_MAX:
        return f"must have {TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} characters"
    if not all(letter.isascii() and (letter.isalnum() or letter in "*-_=:+|@.") for letter in text):
        return "has characters other than letters, digits and * - _ = : + | @ ."
    return ""


def among(tokens: Collection[str]) -> Callable[[str], Verdict]:
    """What becomes of a token where exactly these may charge."""
    known = frozenset(tokens)
    return lambda token: Verdict.ACCEPTED if token in known else Verdict.UNKNOWN


def site_digest(vehicles: Iterable[Vehicle]) -> str:
    """A text that is another one when the cars' tokens or places are: then all lists are new."""
    rows = sorted(f"{car.token}\t{car.home_charge_point}" for car in vehicles)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """What a charger's own list says of one token."""

    kind: TokenKind
    accepted: bool
    """False: blocked."""


@dataclass(frozen=True, kw_only=True)
class TokenBook:
    """Every token of a site; replaced as a whole."""

    vehicles: Sequence[Vehicle]
    registered: Sequence[ChargingToken] = ()
    """Those that people registered, and cars' own that were blocked."""
    guests: Collection[str] = ()
    """Those of guests who have paid and charge now; they are in no list."""
    version: int = 0
    """Of the chargers' lists."""
    oldest: int = 0
    """What changed after this version is known; a list that is older has to be sent whole."""

    @cached_property
    def _by_token(self) -> Mapping[str, ChargingToken]:
        return {normal(one.token): one for one in self.registered}

    @cached_property
    def _cars(self) -> Mapping[str, Vehicle]:
        return {normal(car.token): car for car in self.vehicles}

    @cached_property
    def _car_by_id(self) -> Mapping[AssetId, Vehicle]:
        return {car.id: car for car in self.vehicles}

    @cached_property
    def _guests(self) -> frozenset[str]:
        return frozenset(map(normal, self.guests))

    def verdict(self, token: str) -> Verdict:
        """Whether a token may charge, and why not."""
        key = normal(token)
        known = self._by_token.get(key)
        if known is not None:
            return Verdict.ACCEPTED if known.blocked_at is None else Verdict.BLOCKED
        return Verdict.ACCEPTED if key in self._cars or key in self._guests else Verdict.UNKNOWN

    def accepts(self, token: str) -> bool:
        """Whether a token may charge."""
        return self.verdict(token) is Verdict.ACCEPTED

    def owns(self, token: str) -> bool:
        """Whether a token is a member's or a car's of the site, also a blocked one."""
        key = normal(token)
        return key in self._by_token or key in self._cars

    def stands_for(self, token: str) -> str:
        """The car's own identification where a token is bound to a car, else the token itself."""
        key = normal(token)
        known = self._by_token.get(key)
        bound = None if known is None or known.vehicle is None else self._car_by_id.get(known.vehicle)
        car = bound or self._cars.get(key)
        return token if car is None else car.token

    def known(self, handle: str) -> ChargingToken | None:
        """A registered token by its handle."""
        return next((one for one in self.registered if one.handle == handle), None)

    def whole_list(self, charge_point: AssetId) -> Mapping[str, ListEntry]:
        """What a charger's own list should hold, by token.

        Members' tokens, the cars that have their place here, and all that is blocked.
        """
        at_home = (car.token for car in self.vehicles if car.home_charge_point == charge_point)
        here = ListEntry(kind=TokenKind.CAR, accepted=True)
        own = {token: here for token in at_home if normal(token) not in self._by_token}
        return own | dict(self._said(self.registered))

    def changes_since(self, version: int) -> Mapping[str, ListEntry] | None:
        """What changed after a version of the list; None where the whole has to be sent."""
        if not self.oldest <= version <= self.version:
            return None
        return dict(self._said(one for one in self.registered if one.list_version > version))

    @staticmethod
    def _said(tokens: Iterable[ChargingToken]) -> Iterator[tuple[str, ListEntry]]:
        for one in tokens:
            yield one.token, ListEntry(kind=one.kind, accepted=one.blocked_at is None)
