"""OCPI 2.2.1 for e-mobility providers: what we send, read only, and the registration.

An application of its own below `/ocpi`, because everything it says has OCPI's envelope, errors too. What
reached OCPI is answered with HTTP 200 and a status code in the envelope; a wrong token is 401, an object that
is not there 404, a method that is not offered 405. We are pulled from and push nothing, so
the provider's own token and endpoints are neither asked for nor kept.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, cast
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from controller.api import wire
from controller.api.ocpi import objects
from controller.api.ocpi.models import CredentialsIn
from controller.api.rate import RateLimiter
from controller.charging_settings import ChargingSettings
from controller.domain.charge_session import Cdr, make_cdr
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.time import SystemMachineClock
from controller.runtime.roaming import Party, Roaming
from controller.runtime.session_ports import SessionQuery

PREFIX = "/ocpi"
MODULES = ("locations", "sessions", "cdrs", "tariffs")
LIMIT_MAX = 100
"""Objects on a page."""
_SUCCESS, _CLIENT_ERROR, _INVALID, _UNKNOWN_LOCATION, _SERVER_ERROR = 1000, 2000, 2001, 2003, 3000
_DIGITS_MAX = 10
_MACHINE_CLOCK = SystemMachineClock()
_VERSIONS = f"{PREFIX}/versions"
_BASE = f"{PREFIX}/{objects.VERSION}"


class OcpiError(HTTPException):
    """An error with OCPI's own status code."""

    def __init__(self, http_status: int, code: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(http_status, why, headers)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which piece of a list is asked for."""

    changed_from: datetime | None
    changed_before: datetime | None
    offset: int
    limit: int

    def holds(self, changed_at: str) -> bool:
        """Whether an object that changed then is asked for."""
        at = datetime.fromisoformat(changed_at)
        return (self.changed_from is None or at >= self.changed_from) and (
            self.changed_before is None or at < self.changed_before
        )


def roaming_of(request: Request) -> Roaming:
    """What the application was made for."""
    return cast("Roaming", request.app.state.roaming)


TheRoaming = Annotated[Roaming, Depends(roaming_of)]


def _settings(roaming: Roaming) -> ChargingSettings:
    return roaming.controller.settings.charging


def caller_of(request: Request, roaming: TheRoaming) -> Party:
    """Who is asking, by its credentials token.

    Raises:
        OcpiError: 401 for any token that is not ours; 429 for who asks too often.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        # The standard's own example has a line feed behind the token.
        token = base64.b64decode(encoded, validate=True).decode().strip()
    except ValueError:
        # No Base64, no UTF-8, or not even ASCII.
        token = ""
    party = roaming.party_of(token) if scheme.lower() == "token" and token else None
    if party is None:
        raise OcpiError(401, _CLIENT_ERROR, "the credentials token is missing or not known")
    wait_s = request.app.state.limiter.take(party.key, _MACHINE_CLOCK.monotonic_s())
    if wait_s:
        raise OcpiError(
            429, _CLIENT_ERROR, "too many requests: pull less often", {"Retry-After": str(wait_s)}
        )
    return party


Caller = Annotated[Party, Depends(caller_of)]
"""Whoever holds a token of ours, the first one too."""


def registered(party: Caller) -> Party:
    """Who has registered: the first token opens nothing else."""
    if not party.registered:
        raise OcpiError(401, _CLIENT_ERROR, "register first: this token is for the credentials module only")
    return party


Provider = Annotated[Party, Depends(registered)]


def paging_of(request: Request) -> Paging:
    """The parameters of a list.

    Raises:
        OcpiError: 2001 where one cannot be read.
    """
    query = request.query_params

    def moment(name: str) -> datetime | None:
        if name not in query:
            return None
        try:
            at = datetime.fromisoformat(query[name])
        except ValueError:
            raise OcpiError(200, _INVALID, f"{name} is no DateTime") from None
        # Without a zone it is UTC.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at

    def count(name: str, usual: int, least: int) -> int:
        text = query.get(name, str(usual))
        # 31 bits have ten digits; Python refuses to read thousands of them.
        readable = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
        if not (readable and least <= int(text) < 2**31):
            raise OcpiError(200, _INVALID, f"{name} must be a whole number of at least {least}")
        return int(text)

    return Paging(
        changed_from=moment("date_from"),
        changed_before=moment("date_to"),
        offset=count("offset", 0, 0),
        limit=min(count("limit", LIMIT_MAX, 1), LIMIT_MAX),
    )


ThePaging = Annotated[Paging, Depends(paging_of)]


def create_ocpi(roaming: Roaming) -> FastAPI:
    """The application that is mounted below `/ocpi`."""
    app = FastAPI(
        title="Wijkstroom OCPI", version=objects.VERSION, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.roaming = roaming
    app.state.limiter = RateLimiter()
    app.add_exception_handler(StarletteHTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_bug)
    for path, endpoint in _ROUTES.items():
        app.add_api_route(path, endpoint, methods=["GET"], response_class=Response)
    credentials = f"/{objects.VERSION}/credentials"
    app.add_api_route(credentials, get_credentials, methods=["GET"], response_class=Response)
    app.add_api_route(credentials, post_credentials, methods=["POST"], response_class=Response)
    app.add_api_route(credentials, put_credentials, methods=["PUT"], response_class=Response)
    app.add_api_route(credentials, delete_credentials, methods=["DELETE"], response_class=Response)
    return app


async def get_versions(request: Request, roaming: TheRoaming, _party: Caller) -> Response:
    """The one version that we speak."""
    return _reply(roaming, [{"version": objects.VERSION, "url": _address(request, roaming, _BASE)}])


async def get_details(request: Request, roaming: TheRoaming, _party: Caller) -> Response:
    """Its modules."""
    endpoints = [
        {"identifier": name, "role": "SENDER", "url": _address(request, roaming, f"{_BASE}/{name}")}
        for name in ("credentials", *MODULES)
    ]
    return _reply(roaming, {"version": objects.VERSION, "endpoints": endpoints})


async def get_locations(
    request: Request, roaming: TheRoaming, _party: Provider, paging: ThePaging
) -> Response:
    """The site, if it changed in the time that is asked for."""
    found = [each for each in [_location(roaming)] if paging.holds(str(each["last_updated"]))]
    return _listed(request, roaming, paging, found[paging.offset : paging.offset + paging.limit], len(found))


async def get_location(roaming: TheRoaming, _party: Provider, location_id: str) -> Response:
    """The site."""
    return _reply(roaming, _the_location(roaming, location_id))


async def get_evse(roaming: TheRoaming, _party: Provider, location_id: str, evse_uid: str) -> Response:
    """One EVSE."""
    return _reply(roaming, _the_evse(roaming, location_id, evse_uid))


async def get_connector(
    roaming: TheRoaming, _party: Provider, location_id: str, evse_uid: str, connector_id: str
) -> Response:
    """Its connector."""
    evse = _the_evse(roaming, location_id, evse_uid)
    connectors = cast("list[wire.Json]", evse["connectors"])
    return _reply(roaming, _one(connectors, "id", connector_id))


async def get_tariffs(request: Request, roaming: TheRoaming, _party: Provider, paging: ThePaging) -> Response:
    """Every tariff of the site, also those to come and those that were."""
    settings = _settings(roaming)
    ordered = sorted(settings.tariffs, key=lambda each: each.from_utc)
    found = [objects.tariff(settings, each, roaming.posted_at) for each in ordered]
    found = [each for each in found if paging.holds(str(each["last_updated"]))]
    return _listed(request, roaming, paging, found[paging.offset : paging.offset + paging.limit], len(found))


async def get_sessions(request: Request, roaming: TheRoaming, party: Provider, paging: ThePaging) -> Response:
    """The sessions of the provider's customers; `date_from` is required here."""
    if paging.changed_from is None:
        raise OcpiError(200, _INVALID, "date_from is missing")
    query = SessionQuery(changed_from=paging.changed_from, changed_before=paging.changed_before)
    page = await roaming.sessions(party, query, offset=paging.offset, limit=paging.limit)
    now = roaming.controller.clock.now()
    found = [objects.session(_settings(roaming), party, record, now) for record in page.records]
    return _listed(request, roaming, paging, found, page.total)


async def get_cdrs(request: Request, roaming: TheRoaming, party: Provider, paging: ThePaging) -> Response:
    """The CDRs of the provider's customers."""
    settings, site = _settings(roaming), roaming.controller.site
    query = SessionQuery(
        changed_from=paging.changed_from, changed_before=paging.changed_before, billable=True
    )
    page = await roaming.sessions(party, query, offset=paging.offset, limit=paging.limit)
    ids = objects.evse_ids(settings, site.charge_points)
    found = []
    for record in page.records:
        cdr = make_cdr(record.session)
        if isinstance(cdr, Cdr):
            made = objects.cdr(
                settings, party, site.location, site.charge_point_by_id, ids, cdr, record.changed_at
            )
            found.append(made)
    return _listed(request, roaming, paging, found, page.total)


async def get_credentials(request: Request, roaming: TheRoaming, _party: Caller) -> Response:
    """What the caller came with, and who we are."""
    _, _, encoded = request.headers["authorization"].partition(" ")
    return _credentials(request, roaming, base64.b64decode(encoded).decode().strip())


async def post_credentials(
    request: Request, roaming: TheRoaming, party: Caller, body: CredentialsIn
) -> Response:
    """Registers: the first token ends, the one in the answer counts."""
    if party.registered:
        raise OcpiError(405, _CLIENT_ERROR, "already registered: PUT renews the token")
    return _credentials(request, roaming, await _register(roaming, party, body))


async def put_credentials(
    request: Request, roaming: TheRoaming, party: Caller, body: CredentialsIn
) -> Response:
    """Renews the token."""
    if not party.registered:
        raise OcpiError(405, _CLIENT_ERROR, "not registered: POST registers")
    return _credentials(request, roaming, await _register(roaming, party, body))


async def delete_credentials(roaming: TheRoaming, party: Caller) -> Response:
    """Ends it: no token of the provider counts any more, nor its customers'."""
    if not party.registered:
        raise OcpiError(405, _CLIENT_ERROR, "not registered")
    await roaming.remove(party.key, f"ocpi:{party.key}")
    return _reply(roaming, None)


async def _register(roaming: Roaming, party: Party, body: CredentialsIn) -> str:
    role = next(
        (role for role in body.roles if f"{role.country_code}*{role.party_id}".upper() == party.key), None
    )
    if role is None:
        raise OcpiError(200, _INVALID, f"roles must have {party.key}, which was invited")
    try:
        return await roaming.register(party, name=role.business_details.name)
    except (ConflictError, NotFoundError) as error:
        # Another request was faster: removed it, or has used the same token.
        raise OcpiError(401, _CLIENT_ERROR, str(error)) from error


def _credentials(request: Request, roaming: Roaming, token: str) -> Response:
    settings = _settings(roaming)
    role = {
        "role": "CPO",
        "country_code": settings.country_code,
        "party_id": settings.party_id,
        "business_details": {"name": settings.operator_name},
    }
    url = _address(request, roaming, _VERSIONS)
    return _reply(roaming, {"token": token, "url": url, "roles": [role]})


def _location(roaming: Roaming) -> wire.Json:
    controller = roaming.controller
    return objects.location(
        _settings(roaming),
        controller.site.location,
        controller.site.name,
        roaming.sockets(),
        posted_at=roaming.posted_at,
        now=controller.clock.now(),
    )


def _the_location(roaming: Roaming, location_id: str) -> wire.Json:
    return _one([_location(roaming)], "id", location_id)


def _the_evse(roaming: Roaming, location_id: str, evse_uid: str) -> wire.Json:
    evses = cast("list[wire.Json]", _the_location(roaming, location_id)["evses"])
    return _one(evses, "uid", evse_uid)


def _one(found: Sequence[wire.Json], field: str, value: str) -> wire.Json:
    """The object of that name; names are compared without regard to case."""
    for each in found:
        if str(each[field]).casefold() == value.casefold():
            return each
    raise OcpiError(404, _UNKNOWN_LOCATION, f"there is no {value}")


def _address(request: Request, roaming: Roaming, path: str) -> str:
    own = _settings(roaming).public_url or f"{request.url.scheme}://{request.url.netloc}"
    return own.rstrip("/") + path


def _listed(
    request: Request, roaming: Roaming, paging: Paging, found: Sequence[wire.Json], count: int
) -> Response:
    """A page with its headers; the link has the filters of this one."""
    headers = {"X-Total-Count": str(count), "X-Limit": str(LIMIT_MAX)}
    after = paging.offset + paging.limit
    if after < count:
        query = dict(request.query_params) | {"offset": str(after), "limit": str(paging.limit)}
        path = PREFIX + request.url.path.removeprefix(PREFIX)
        headers["Link"] = f'<{_address(request, roaming, path)}?{urlencode(query)}>; rel="next"'
    return _reply(roaming, found, headers=headers)


def _reply(
    roaming: Roaming,
    data: object,
    *,
    http_status: int = 200,
    code: int = _SUCCESS,
    why: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """The envelope."""
    body: wire.Json = {"status_code": code, "timestamp": objects.instant(roaming.controller.clock.now())}
    if data is not None:
        body["data"] = data
    if why:
        body["status_message"] = why
    return wire.reply(body, http_status, headers)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Any error that was raised on purpose, in the envelope."""
    known = cast("StarletteHTTPException", error)
    code = known.code if isinstance(known, OcpiError) else _CLIENT_ERROR
    headers = dict(known.headers or {})
    if known.status_code == 401:
        headers["WWW-Authenticate"] = "Token"
    return _reply(
        roaming_of(request), None, http_status=known.status_code, code=code, why=known.detail, headers=headers
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    """A body that is no JSON is HTTP 400; one that is no such object is 2001."""
    found = cast("RequestValidationError", error).errors()
    unreadable = any(each["type"] == "json_invalid" for each in found)
    places = ", ".join(sorted({".".join(map(str, each["loc"][1:])) for each in found}))
    why = "the body is no JSON" if unreadable else f"missing or wrong: {places or 'body'}"
    return _reply(roaming_of(request), None, http_status=400 if unreadable else 200, code=_INVALID, why=why)


async def _on_bug(request: Request, _error: Exception) -> Response:
    """A mistake of ours; the server's log has it."""
    return _reply(roaming_of(request), None, http_status=500, code=_SERVER_ERROR, why="internal error")


_LOCATIONS = f"/{objects.VERSION}/locations"
_ROUTES: dict[str, Callable[..., Awaitable[Response]]] = {
    "/versions": get_versions,
    f"/{objects.VERSION}": get_details,
    _LOCATIONS: get_locations,
    f"{_LOCATIONS}/{{location_id}}": get_location,
    f"{_LOCATIONS}/{{location_id}}/{{evse_uid}}": get_evse,
    f"{_LOCATIONS}/{{location_id}}/{{evse_uid}}/{{connector_id}}": get_connector,
    f"/{objects.VERSION}/tariffs": get_tariffs,
    f"/{objects.VERSION}/sessions": get_sessions,
    f"/{objects.VERSION}/cdrs": get_cdrs,
}
