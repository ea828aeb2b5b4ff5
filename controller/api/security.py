"""Who is asking, and whether they may: bearer tokens with a role, checked on every route.

A token is looked up through the door, which keeps only hashes. `allow(role, ...)` makes the dependency
that a route needs; without a known token it answers 401 with the challenge of RFC 6750, with another
role 403.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from controller.api.rate import FAILURES, FAILURES_PER_S, RateLimiter, address_of
from controller.domain.errors import ForbiddenError, WijkstroomError
from controller.domain.ids import MemberId
from controller.domain.time import MachineClock, utc_text
from controller.runtime.door import Door, ExpiredToken, Principal
from controller.runtime.ports import Role, Scope
from controller.runtime.tokens import token_hash

_BEARER = HTTPBearer(auto_error=False, description="A token from `wijkstroom token create` or the operator.")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="wijkstroom"'}
UNKNOWN_TOKEN = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
"""The challenge to who sends a token that opens nothing."""


class TokenExpiredError(WijkstroomError):
    """The token has ended."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"the token ended at {utc_text(at)}: take another one; renew it in time")


def door_of(request: Request) -> Door:
    """The controller that the app was made for."""
    return cast("Door", request.app.state.door)


TheDoor = Annotated[Door, Depends(door_of)]
"""The running controller."""


class Strangers:
    """Holds who comes with tokens that open nothing; a token that has opened something is let through.

    Args:
        door: Who knows the tokens.
        clock: What the rate goes by.
    """

    def __init__(self, door: Door, clock: MachineClock) -> None:
        self._door = door
        self._clock = clock
        self._failures = RateLimiter(burst=FAILURES, per_s=FAILURES_PER_S)
        self._opened: set[str] = set()
        """Hashes of the tokens that opened something when they were last used."""

    async def authenticate(self, request: HTTPConnection, token: str) -> Principal | ExpiredToken | None:
        """Who holds a token; None where nobody does.

        Raises:
            HTTPException: 429 with `Retry-After`, where too many unknown tokens came from there.
        """
        key, caller = token_hash(token), address_of(request)
        wait_s = self._failures.wait_s(caller, self._clock.monotonic_s())
        if wait_s and key not in self._opened:
            raise HTTPException(429, f"try again in {wait_s} s", {"Retry-After": str(wait_s)})
        found = await self._door.authenticate(token)
        if isinstance(found, Principal):
            self._opened.add(key)
        else:
            self._opened.discard(key)
            self._failures.take(caller, self._clock.monotonic_s())
        return found


async def principal_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    """Who holds the token that came along.

    Raises:
        HTTPException: 401 without a token, or with one that nobody gave out.
            429 where too many such came from one network address.
        TokenExpiredError: 401 with one that has ended.
    """
    if credentials is None:
        raise HTTPException(401, "send a bearer token in the Authorization header", _CHALLENGE)
    strangers = cast("Strangers", request.app.state.strangers)
    principal = await strangers.authenticate(request, credentials.credentials)
    if principal is None:
        raise HTTPException(401, "the token is not known", UNKNOWN_TOKEN)
    if isinstance(principal, ExpiredToken):
        raise TokenExpiredError(principal.at)
    return principal


def own_token(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> str:
    """The hash of the token that came along; empty without one."""
    return "" if credentials is None else token_hash(credentials.credentials)


OwnToken = Annotated[str, Depends(own_token)]
"""The hash of the caller's token."""


def standing(
    door: TheDoor,
    who: Annotated[Principal, Depends(principal_of)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Callable[[], Awaitable[bool]]:
    """Whether a token still opens what it did: for what goes on after the first answer."""
    token = "" if credentials is None else credentials.credentials

    async def stands() -> bool:
        return await door.authenticate(token) == who

    return stands


Standing = Annotated[Callable[[], Awaitable[bool]], Depends(standing)]
"""Asks again, later, whether the caller's token counts."""
Caller = Annotated[Principal, Depends(principal_of)]
"""Who is asking; any role."""


def allow(*roles: Role, scope: Scope | None = None) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that lets the given roles in.

    Args:
        roles: Who may use the route.
        scope: What a token that was made for a program has to be for; None: no such token may.

    Returns:
        A dependency that gives the principal, or raises `ForbiddenError`.
    """
    names = ", ".join(roles)

    async def check(principal: Caller) -> Principal:
        if principal.role not in roles:
            raise ForbiddenError(f"this needs a token of role {names}; yours is of role {principal.role}")
        if principal.scopes is not None and scope not in principal.scopes:
            wanted = "one that is for everything" if scope is None else f"one for {scope}"
            raise ForbiddenError(f"this needs a token for more than {_named(principal.scopes)}: {wanted}")
        return principal

    return check


def _named(scopes: Collection[Scope]) -> str:
    return ", ".join(sorted(scopes)) or "nothing"


def own_member(principal: Principal) -> MemberId:
    """The member whose data a token opens.

    Raises:
        ForbiddenError: If the token was given out for nobody in particular.
    """
    if principal.member is None:
        raise ForbiddenError("this token belongs to no member")
    return principal.member
