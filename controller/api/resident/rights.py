"""Who may use which of a resident's routes: the member's own tokens all, a program's token what it is for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, HTTPException, Request

from controller.api.rate import RateLimiter
from controller.api.security import Caller, allow
from controller.domain.time import MachineClock
from controller.runtime.door import Principal
from controller.runtime.ports import Role, Scope

Reader = Annotated[Principal, Depends(allow(Role.RESIDENT, scope=Scope.READ))]
"""A resident, a tenant, a public building, or a program of theirs that may look."""
Trader = Annotated[Principal, Depends(allow(Role.RESIDENT, scope=Scope.ORDERS))]
"""The same, or a program that may trade."""
Driver = Annotated[Principal, Depends(allow(Role.RESIDENT, scope=Scope.DEVICES))]
"""The same, or a program that may press a car's buttons."""
Resident = Annotated[Principal, Depends(allow(Role.RESIDENT))]
"""The member alone, with a token that is for everything."""


async def limited(request: Request, who: Caller) -> None:
    """Holds a caller to the rate limit.

    Raises:
        HTTPException: 429 with `Retry-After`, where there were too many requests.
    """
    limiter = cast("RateLimiter", request.app.state.limiter)
    clock = cast("MachineClock", request.app.state.machine_clock)
    wait_s = limiter.take(f"{who.role}:{who.member}", clock.monotonic_s())
    if wait_s:
        raise HTTPException(429, f"try again in {wait_s} s", {"Retry-After": str(wait_s)})
