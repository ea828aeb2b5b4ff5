"""Bearer tokens: who holds one, and those that members make for their own programs.

A token is 256 random bits; the store keeps its hash alone. What a member makes has declared rights, and
can be taken back at once.

A resident's token ends a year after it was made, or sooner where it was made for less, and can be renewed
before that. Its end is told by the computer's own time: a simulated year passes in an afternoon.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.config import Settings
from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.domain.site import Site
from controller.domain.time import DomainClock, SystemDomainClock
from controller.runtime.books import Books
from controller.runtime.core import Controller
from controller.runtime.door import ExpiredToken, Principal
from controller.runtime.ports import TOKEN_LIFE, EventRecord, Role, Scope, TokenRecord, UnitOfWork

TOKEN_BYTES = 32


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
        member: A resident's member, or a supplier's id; None: nobody in particular.
    """
    if role is Role.RESIDENT and member not in {known.id for known in site.members}:
        return f"there is no member {member!r}: a resident's token opens one member's data"
    names = {supplier.id for supplier in settings.sharing.suppliers}
    if role is Role.SUPPLIER and member is not None and member not in names:
        return f"there is no supplier {member!r} in the site file"
    return None


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
        """Taken back since the start: who looked one up just before must not remember it."""

    async def authenticate(self, token: str) -> Principal | ExpiredToken | None:
        """Who holds a bearer token; None where it is not known."""
        key = token_hash(token)
        found = self._principals.get(key) or await self._looked_up(key)
        end = self._ends.get(key)
        if found is not None and end is not None and end <= self.wall_clock.now():
            return ExpiredToken(at=end)
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
                await unit.add_token(record)
            return token

        return await self._on_loop(run())

    async def own_tokens(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's tokens that are not taken back."""
        return await self._in_unit(lambda unit: unit.tokens_of(member))

    async def revoke_own_token(self, *, token_hash: str, member: MemberId) -> None:
        """Takes a token of a member back, from now on."""
        revoked: list[str] = []

        async def run(unit: UnitOfWork) -> None:
            meant = await _meant(unit, token_hash, member)
            at = self.controller.clock.now()
            await unit.revoke_token(meant, at)
            who = f"{Role.RESIDENT}:{member}"
            await unit.add_event(EventRecord(at=at, who=who, what="took a token back", subject=token_hash))
            revoked.append(meant)

        def apply() -> None:
            self._revoked.update(revoked)
            for key in revoked:
                self._principals.pop(key, None)

        await self._in_unit(run, apply)

    async def renew_own_token(self, *, token_hash: str, member: MemberId) -> datetime:
        """Lets a member's token live its whole life again; its new end."""
        until = self.wall_clock.now() + TOKEN_LIFE
        renewed: list[str] = []

        async def run(unit: UnitOfWork) -> None:
            meant = await _meant(unit, token_hash, member)
            await unit.renew_token(meant, until)
            at, who = self.controller.clock.now(), f"{Role.RESIDENT}:{member}"
            await unit.add_event(EventRecord(at=at, who=who, what="renewed a token", subject=token_hash))
            renewed.append(meant)

        def apply() -> None:
            self._ends.update(dict.fromkeys(renewed, until))

        await self._in_unit(run, apply)
        return until


async def _meant(unit: UnitOfWork, start: str, member: MemberId) -> str:
    """The hash of a member's token, by its start.

    Raises:
        NotFoundError: Where none of the member's begins so, or several do.
    """
    own = [token.token_hash for token in await unit.tokens_of(member)]
    meant = [known for known in own if known.startswith(start)]
    if len(meant) != 1:
        raise NotFoundError(f"you have no token {start!r}")
    return meant[0]
