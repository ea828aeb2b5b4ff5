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

from controller.domain.errors import ForbiddenError, WijkstroomError
from controller.domain.ids import MemberId
from controller.domain.time import utc_text
from controller.runtime.door import Door, ExpiredToken, Principal
from controller.runtime.ports import Role, Scope

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


async def principal_of(
    door: TheDoor, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    """Who holds the token that came along.

    Raises:
        HTTPException: 401 without a token, or with one that nobody gave out.
        TokenExpiredError: 401 with one that has ended.
    """
    if credentials is None:
        raise HTTPException(401, "send a bearer token in the Authorization header", _CHALLENGE)
    principal = await door.authenticate(credentials.credentials)
    if principal is None:
        raise HTTPException(401, "the token is not known", UNKNOWN_TOKEN)
    if isinstance(principal, ExpiredToken):
        raise TokenExpiredError(principal.at)
    return principal


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
