"""Who sits at the browser: a ready link signs in, a signed cookie remembers.

`/?token=...` puts the token into the session cookie (signed, not readable by scripts, sent to this site
only) and leads to the role's page without the token in the address. The cookie opens pages only: the API
takes bearer tokens alone, so no other site can act through a browser that is signed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from controller.api.security import Strangers
from controller.runtime.door import Door, Principal
from controller.runtime.ports import Role
from controller.texts import Translator, negotiate, translator
from controller.texts.language import known_language

PAGES: Mapping[Role, str] = MappingProxyType(
    {Role.OPERATOR: "/operator", Role.GRID: "/grid", Role.RESIDENT: "/resident", Role.FLEET: "/resident"}
)
"""The page of each role; a fleet sees its own cars as a resident sees theirs."""


def words_of(request: Request) -> Translator:
    """The translator for a browser: what was chosen now or before, else what it asks for, else Dutch.

    A choice in the address is kept in the session.
    """
    chosen = known_language(request.query_params.get("lang"))
    if chosen is not None:
        request.session["lang"] = chosen.value
    return translator(
        negotiate(chosen=request.session.get("lang"), accept_language=request.headers.get("accept-language"))
    )


async def principal_of(request: Request, strangers: Strangers) -> Principal | None:
    """Who is signed in; None where nobody is, or the token is not known any more."""
    token = request.session.get("token")
    return None if token is None else await _person_of(request, token, strangers)


def standing(request: Request, door: Door, who: Principal) -> Callable[[], Awaitable[bool]]:
    """Whether the token with which a page was opened still opens it."""
    token = request.session["token"]

    async def stands() -> bool:
        return await door.authenticate(token) == who

    return stands


async def _person_of(request: Request, token: str, strangers: Strangers) -> Principal | None:
    """Who holds a token that opens a page: one that was made for a program, or a supplier's, does not."""
    principal = await strangers.authenticate(request, token)
    if not isinstance(principal, Principal) or principal.scopes is not None or principal.role not in PAGES:
        return None
    return principal


def install(app: FastAPI, strangers: Strangers) -> None:
    """Puts the ready link and the way out on the app."""

    async def ready_link(request: Request) -> Response:
        words_of(request)
        token = request.query_params.get("token")
        if token is not None:
            request.session.pop("token", None)
            if await _person_of(request, token, strangers) is None:
                return RedirectResponse("/welcome?unknown=1", 303)
            request.session["token"] = token
        principal = await principal_of(request, strangers)
        return RedirectResponse("/welcome" if principal is None else PAGES[principal.role], 303)

    async def sign_out(request: Request) -> Response:
        request.session.pop("token", None)
        return RedirectResponse("/welcome", 303)

    async def sign_in(request: Request) -> Response:
        # A form of the welcome page: the token travels in the body, not in the address.
        form = await request.form(max_files=0, max_fields=4)
        token = str(form.get("token", "")).strip()
        if await _person_of(request, token, strangers) is None:
            return RedirectResponse("/welcome?unknown=1", 303)
        request.session["token"] = token
        return RedirectResponse("/", 303)

    app.add_api_route("/", ready_link, methods=["GET"], include_in_schema=False)
    app.add_api_route("/sign-out", sign_out, methods=["POST"], include_in_schema=False)
    app.add_api_route("/sign-in", sign_in, methods=["POST"], include_in_schema=False)
