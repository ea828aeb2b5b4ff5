"""Bearer tokens: who holds one, and those that members make for their own programs.

A token is 256 random bits; the store keeps its hash alone. What a member makes has declared rights, and
can be taken back at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence

from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.runtime.books import Books
from controller.runtime.core import Controller
from controller.runtime.door import Principal
from controller.runtime.ports import EventRecord, Role, Scope, TokenRecord, UnitOfWork

TOKEN_BYTES = 32


def token_hash(token: str) -> str:
    """What is kept of a token. Its 256 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens(Books):
    """The tokens of a running controller."""

    def __init__(self, controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(controller, loop)
        self._principals: dict[str, Principal] = {}
        """Known tokens by hash; one that is made elsewhere meanwhile is found in the store."""
        self._revoked: set[str] = set()
        """Taken back since the start: who looked one up just before must not remember it."""

    async def authenticate(self, token: str) -> Principal | None:
        """Who holds a bearer token; None where it is not known."""
        key = token_hash(token)
        known = self._principals.get(key)
        if known is not None:
            return known

        async def run() -> Principal | None:
            async with self.controller.store.unit() as unit:
                record = await unit.token(key)
            if record is None or key in self._revoked:
                return None
            found = Principal(
                role=record.role, member=record.member, label=record.label, scopes=record.scopes
            )
            self._principals[key] = found
            return found

        return await self._on_loop(run())

    async def create_token(
        self, *, role: Role, member: MemberId | None, label: str, scopes: frozenset[Scope] | None = None
    ) -> str:
        """Makes a token, keeps its hash, and gives it out this once."""
        if role is Role.RESIDENT and member not in {m.id for m in self.controller.site.members}:
            raise NotFoundError(f"there is no member {member!r}: a resident's token opens one member's data")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        record = TokenRecord(
            token_hash=token_hash(token),
            role=role,
            member=member,
            label=label,
            created_at=self.controller.clock.now(),
            scopes=scopes,
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
            own = [token.token_hash for token in await unit.tokens_of(member)]
            meant = [known for known in own if known.startswith(token_hash)]
            if len(meant) != 1:
                raise NotFoundError(f"you have no token {token_hash!r}")
            at = self.controller.clock.now()
            await unit.revoke_token(meant[0], at)
            who = f"{Role.RESIDENT}:{member}"
            await unit.add_event(EventRecord(at=at, who=who, what="took a token back", subject=token_hash))
            revoked.extend(meant)

        def apply() -> None:
            self._revoked.update(revoked)
            for key in revoked:
                self._principals.pop(key, None)

        await self._in_unit(run, apply)
