"""Bearer tokens: who holds one, and those that members make for their own programs.

A token is 256 random bits; the store keeps its hash alone. What a member makes has declared rights.

Members take their own tokens back, operators anybody's, and whoever has the store can do it on the command
line. Here that counts at once. What another process took back is seen by counting, each second, the tokens
that ever were: a token is never given back, so the count says whether there are new ones. What looks again
and again whether its token stands (an open page, a stream) ends with it.

A resident's token ends a year after it was made, or sooner where it was made for less, and can be renewed
before that. Its end is told by the computer's own time: a simulated year passes in an afternoon.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from controller.config import Settings
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId
from controller.domain.site import Site
from controller.domain.time import DomainClock, SystemDomainClock
from controller.runtime.books import Books
from controller.runtime.core import Controller
from controller.runtime.door import ExpiredToken, Principal
from controller.runtime.ports import TOKEN_LIFE, EventRecord, Role, Scope, TokenRecord, UnitOfWork

TOKEN_BYTES = 32
HASH_SHOWN = 16
"""How much of a token's hash names it: enough that no two begin alike."""
LOOK_S = 1.0
"""How often is looked whether another process took tokens back [s, machine]."""
USES_EVERY_LOOKS = 300
"""When tokens were last used is written down every so many looks: a crash forgets five minutes of it."""

_LOG = structlog.get_logger(__name__)


def token_hash(token: str) -> str:
    """What is kept of a token. Its 256 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_end(role: Role, now: datetime, life: timedelta = TOKEN_LIFE) -> datetime | None:
    """When a token that is made now ends: a resident's after its life, another's never.

    Args:
        role: What it is for.
        now: The computer's own time.
        life: How long a resident's token lives.
    """
    return now + life if role is Role.RESIDENT else None


def holder_problem(site: Site, settings: Settings, role: Role, member: str | None) -> str | None:
    """Why a token of a role cannot be made for somebody; None where it can.

    Args:
        site: Whose members there are.
        settings: Whose suppliers.
        role: What the token is for.
        member: A resident's member, a fleet's, or a supplier's id; None: nobody in particular.
    """
    if role is Role.RESIDENT and member not in {known.id for known in site.members}:
        return f"there is no member {member!r}: a resident's token opens one member's data"
    names = {supplier.id for supplier in settings.sharing.suppliers}
    if role is Role.SUPPLIER and member is not None and member not in names:
        return f"there is no supplier {member!r} in the site file"
    # What a fleet's token opens are cars and where they stand: a household's own are nobody else's to see.
    if role is Role.FLEET and member is not None and member not in site.fleets:
        return f"there is no member {member!r} that is a fleet"
    if role in {Role.OPERATOR, Role.GRID} and member is not None:
        return f"a token of role {role} is nobody's in particular: leave the member out"
    return None


def token_words(token: TokenRecord) -> str:
    """Which token is meant, for logs: what it is for, its label and how its hash begins."""
    whose = "" if token.member is None else f" {token.member}"
    return f"{token.role}{whose}: {_shown(token.label)} ({token.token_hash[:HASH_SHOWN]})"


def _shown(label: str) -> str:
    """A label without what could steer a terminal: members choose theirs."""
    return "".join(sign if sign.isprintable() else "?" for sign in label)


def token_table(tokens: Sequence[TokenRecord]) -> str:
    """Tokens as lines under a head, for a terminal; times in UTC, to the minute."""

    def minute(at: datetime | None) -> str:
        return "-" if at is None else f"{at:%Y-%m-%dT%H:%MZ}"

    rows = [("token", "role", "for", "made", "last used", "ends", "label")]
    rows += [
        (
            token.token_hash[:HASH_SHOWN],
            token.role,
            token.member or "-",
            minute(token.created_at),
            minute(token.used_at),
            minute(token.expires_at),
            _shown(token.label),
        )
        for token in tokens
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def living(tokens: Sequence[TokenRecord], now: datetime) -> list[TokenRecord]:
    """Those of the tokens that have not ended.

    Args:
        tokens: Tokens that are not taken back.
        now: The computer's own time.
    """
    return [token for token in tokens if token.expires_at is None or token.expires_at > now]


async def give_out(unit: UnitOfWork, token: TokenRecord, *, at: datetime, who: str) -> None:
    """Keeps a new token in the store, and logs who gave it out.

    Args:
        unit: The transaction.
        token: The token.
        at: Now.
        who: Who gives it out.
    """
    await unit.add_token(token)
    event = EventRecord(at=at, who=who, what="gave out a token", subject=token_words(token))
    await unit.add_event(event)


async def take_back(unit: UnitOfWork, token: TokenRecord, *, at: datetime, who: str) -> None:
    """Takes a token back in the store, and logs who did.

    Args:
        unit: The transaction.
        token: Which.
        at: Now.
        who: Who takes it back.
    """
    await unit.revoke_token(token.token_hash, at)
    event = EventRecord(at=at, who=who, what="took a token back", subject=token_words(token))
    await unit.add_event(event)


def meant(tokens: Sequence[TokenRecord], start: str) -> TokenRecord | None:
    """The one of the tokens whose hash begins so; None where none does, or several do."""
    found = [token for token in tokens if token.token_hash.startswith(start)]
    return found[0] if len(found) == 1 else None


class Tokens(Books):
    """The tokens of a running controller."""

    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(controller, loop)
        self._principals: dict[str, Principal] = {}
        """Known tokens by hash; one that is made elsewhere meanwhile is found in the store."""
        self.wall_clock: DomainClock = SystemDomainClock()
        """The computer's own time, by which tokens end."""
        self._ends: dict[str, datetime] = {}
        """When known tokens end, by hash; those without an end are not there."""
        self._revoked: set[str] = set()
        """Taken back: who looked one up just before must not remember it."""
        self._revoked_count = 0
        """How many were ever taken back, when that was last looked at."""
        self._used: dict[str, datetime] = {}
        """When known tokens last opened something, by hash and the computer's own time."""
        self._noted: dict[str, datetime] = {}
        """What of that is written down."""

    async def authenticate(self, token: str) -> Principal | ExpiredToken | None:
        """Who holds a bearer token; None where it is not known."""
        key = token_hash(token)
        found = self._principals.get(key) or await self._looked_up(key)
        end, now = self._ends.get(key), self.wall_clock.now()
        if found is None:
            return None
        if end is not None and end <= now:
            return ExpiredToken(at=end)
        self._used[key] = now
        return found

    async def _looked_up(self, key: str) -> Principal | None:
        """Who holds the token with that hash, ended or not; remembered from then on."""

        async def run() -> Principal | None:
            async with self.controller.store.unit() as unit:
                record = await unit.token(key)
            if record is None or key in self._revoked:
                return None
            found = Principal(
                role=record.role, member=record.member, label=record.label, scopes=record.scopes
            )
            if record.expires_at is not None:
                self._ends[key] = record.expires_at
            self._principals[key] = found
            return found

        return await self._on_loop(run())

    async def create_token(
        self,
        *,
        role: Role,
        member: MemberId | None,
        label: str,
        who: Principal,
        scopes: frozenset[Scope] | None = None,
        life: timedelta = TOKEN_LIFE,
    ) -> str:
        """Makes a token, keeps its hash, and gives it out this once."""
        problem = holder_problem(self.controller.site, self.controller.settings, role, member)
        if problem is not None:
            raise NotFoundError(problem)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        record = TokenRecord(
            token_hash=token_hash(token),
            role=role,
            member=member,
            label=label,
            created_at=self.controller.clock.now(),
            scopes=scopes,
            expires_at=token_end(role, self.wall_clock.now(), life),
        )

        async def run() -> str:
            async with self.controller.store.unit() as unit:
                await give_out(unit, record, at=record.created_at, who=_named(who))
            return token

        return await self._on_loop(run())

    async def own_tokens(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's tokens that are not taken back."""
        return await self._in_unit(lambda unit: unit.tokens_of(member))

    async def revoke_own_token(self, *, token_hash: str, member: MemberId) -> None:
        """Takes a token of a member back, from now on."""

        async def choose(unit: UnitOfWork) -> TokenRecord:
            return _own(await unit.tokens_of(member), token_hash)

        await self._take_back(choose, _of_member(member))

    async def living_tokens(self) -> Sequence[TokenRecord]:
        """All tokens that open something, with their last use as far as it is known."""
        found = await self._in_unit(lambda unit: unit.tokens())
        return [
            replace(token, used_at=self._used.get(token.token_hash, token.used_at))
            for token in living(found, self.wall_clock.now())
        ]

    async def take_token_back(self, *, token_hash: str, who: Principal) -> None:
        """Takes anybody's token back, from now on; the last one of an operator stays."""

        async def choose(unit: UnitOfWork) -> TokenRecord:
            # In the transaction that takes it back: two operators may take back each other's.
            found = await unit.tokens()
            token = meant(found, token_hash)
            if token is None:
                raise NotFoundError(f"there is no token {token_hash!r}")
            operators = [one for one in living(found, self.wall_clock.now()) if one.role is Role.OPERATOR]
            if operators == [token]:
                raise ConflictError(
                    "this is the last token of an operator: give out another one first and take this one "
                    "back with that, or use 'wijkstroom token revoke' on the controller's machine"
                )
            return token

        await self._take_back(choose, _named(who))

    async def _take_back(
        self, choose: Callable[[UnitOfWork], Coroutine[Any, Any, TokenRecord]], who: str
    ) -> None:
        """Takes back what is chosen inside the transaction; it counts once it is stored."""
        taken: list[TokenRecord] = []

        async def run(unit: UnitOfWork) -> None:
            token = await choose(unit)
            await take_back(unit, token, at=self.controller.clock.now(), who=who)
            taken.append(token)

        def apply() -> None:
            self._forget([token.token_hash for token in taken])
            for token in taken:
                _LOG.info("a token was taken back", token=token_words(token), who=who)

        await self._in_unit(run, apply)

    def _forget(self, hashes: Collection[str]) -> int:
        """From now on these open nothing; how many of them were remembered."""
        self._revoked.update(hashes)
        for known in (self._ends, self._used, self._noted):
            for key in hashes:
                known.pop(key, None)
        return sum(self._principals.pop(key, None) is not None for key in hashes)

    async def follow_the_store(self) -> None:
        """Runs without end: honours what other processes take back, and writes down when tokens are used."""
        looks = 0
        while True:
            await self.look_for_revoked()
            looks += 1
            if looks % USES_EVERY_LOOKS == 0:
                await self.note_uses()
            await asyncio.sleep(LOOK_S)

    async def look_for_revoked(self) -> None:
        """Forgets the tokens that were taken back meanwhile, by whichever process."""
        async with self.controller.store.unit() as unit:
            count = await unit.count_revoked_tokens()
            if count == self._revoked_count:
                return
            hashes = await unit.revoked_tokens()
        self._revoked_count = count
        if forgotten := self._forget(hashes):
            _LOG.info("tokens were taken back by another process", tokens=forgotten)

    async def note_uses(self) -> None:
        """Writes down when tokens were last used, as far as that is new."""
        uses = {key: at for key, at in dict(self._used).items() if self._noted.get(key) != at}
        if uses:
            async with self.controller.store.unit() as unit:
                await unit.note_token_uses(uses)
            self._noted.update(uses)

    async def renew_own_token(self, *, token_hash: str, member: MemberId) -> datetime:
        """Lets a member's token live its whole life again; its new end."""
        until = self.wall_clock.now() + TOKEN_LIFE
        renewed: list[str] = []

        async def run(unit: UnitOfWork) -> None:
            key = _own(await unit.tokens_of(member), token_hash).token_hash
            await unit.renew_token(key, until)
            at, who = self.controller.clock.now(), _of_member(member)
            await unit.add_event(EventRecord(at=at, who=who, what="renewed a token", subject=token_hash))
            renewed.append(key)

        def apply() -> None:
            self._ends.update(dict.fromkeys(renewed, until))

        await self._in_unit(run, apply)
        return until


def _named(who: Principal) -> str:
    """Who it was, for the log: a resident by the member, whichever of their tokens it was."""
    if who.role is Role.RESIDENT and who.member is not None:
        return _of_member(who.member)
    return f"{who.role}:{who.label}"


def _of_member(member: MemberId) -> str:
    return f"{Role.RESIDENT}:{member}"


def _own(tokens: Sequence[TokenRecord], start: str) -> TokenRecord:
    """The one of a member's tokens whose hash begins so.

    Raises:
        NotFoundError: Where none of them does, or several do.
    """
    token = meant(tokens, start)
    if token is None:
        raise NotFoundError(f"you have no token {start!r}")
    return token
