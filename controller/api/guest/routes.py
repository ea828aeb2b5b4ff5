"""The guests' routes: nobody signs in. A socket's page is for whoever scans its code, a session's for a link.

Whoever asks is held to a rate by network address: opening sessions costs the payment provider something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated, cast
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from controller.api import wire
from controller.api.guest import pages
from controller.api.guest.code import code_svg, site_address
from controller.api.guest.models import GuestOpenedOut, GuestOpenIn, GuestPointOut, GuestSessionOut
from controller.api.models import Done
from controller.api.problems import documented, words_of
from controller.api.rate import RateLimiter, address_of
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError
from controller.domain.ids import AssetId
from controller.domain.time import MachineClock
from controller.runtime.guests import Guests, GuestView
from controller.texts import Language, Translator
from controller.texts.guests import stage_sentence

FORM_BYTES_MAX = 1000
_SCRIPT = (files("controller.api.guest") / "live.js").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class GuestLimits:
    """How often one address may ask, and open a session."""

    looks: RateLimiter = field(default_factory=lambda: RateLimiter(burst=120, per_s=4.0))
    opens: RateLimiter = field(default_factory=lambda: RateLimiter(burst=6, per_s=1 / 60))


async def _held(request: Request, limiter: RateLimiter) -> None:
    clock = cast("MachineClock", request.app.state.machine_clock)
    wait_s = limiter.take(address_of(request), clock.monotonic_s())
    if wait_s:
        raise HTTPException(429, f"try again in {wait_s} s", {"Retry-After": str(wait_s)})


async def may_look(request: Request) -> None:
    """Holds whoever asks to the rate of looking.

    Raises:
        HTTPException: 429 with `Retry-After`, where there were too many requests.
    """
    await _held(request, request.app.state.guest_limits.looks)


async def may_open(request: Request) -> None:
    """Holds whoever asks to the rate of opening sessions.

    Raises:
        HTTPException: 429 with `Retry-After`, where there were too many.
    """
    await _held(request, request.app.state.guest_limits.opens)


def guests_of(request: Request) -> Guests:
    """The guests of the running controller.

    Raises:
        NotFoundError: If guests cannot charge here.
    """
    found = request.app.state.guests
    if found is None:
        raise NotFoundError("guests cannot charge here: no payment provider is set up")
    return cast("Guests", found)


TheGuests = Annotated[Guests, Depends(guests_of)]
"""The guests, where there are any."""
Limited = [Depends(may_look)]


def _documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The problems of a route that asks for no token."""
    described = documented(404, 429, *statuses)
    return {status: described[status] for status in (404, 429, *statuses)}


router = APIRouter(prefix="/api/guest", tags=["guest"], dependencies=Limited, responses=_documented())
page_router = APIRouter(prefix="/guest", include_in_schema=False, dependencies=Limited)


@router.get(
    "/charge-points/{charge_point:path}", summary="What is posted at a socket", response_model=GuestPointOut
)
async def get_point(request: Request, guests: TheGuests, charge_point: str) -> Response:
    """Price, what it can give, and whether it is free."""
    found = await guests.point(AssetId(charge_point))
    tariff = found.tariff
    return wire.reply(
        {
            "id": found.point.id,
            "energy_microeur_per_kwh": tariff.energy_microeur_per_kwh,
            "session_microeur": tariff.session_microeur,
            "idle_microeur_per_minute": tariff.idle_microeur_per_minute,
            "idle_grace_minutes": tariff.idle_grace_minutes,
            "vat_ppm": tariff.vat_ppm,
            "text": tariff.text_nl if words_of(request).language is Language.DUTCH else tariff.text_en,
            "limits_cents": list(guests.settings.limits_cents),
            "charge_kw_max": found.point.charge_kw_max,
            "expected_kw": found.expected_kw,
            "plugged": found.plugged,
            "taken": found.taken,
            "reachable": found.reachable,
        }
    )


@router.post(
    "/charge-points/{charge_point:path}/sessions",
    summary="Begin a session as a guest",
    status_code=201,
    response_model=GuestOpenedOut,
    dependencies=[Depends(may_open)],
    responses=_documented(409, 422),
)
async def post_session(request: Request, guests: TheGuests, charge_point: str, body: GuestOpenIn) -> Response:
    """Reserves the amount and starts the charger once that is done; the secret opens the session."""
    session, secret = await guests.open(
        AssetId(charge_point), body.limit_cents, page_url=_page_url(request, guests)
    )
    return wire.reply({"secret": secret, "page": session.return_url}, 201)


@router.get("/sessions/{secret}", summary="A guest's session", response_model=GuestSessionOut)
async def get_session(request: Request, guests: TheGuests, secret: str) -> Response:
    """How far it is, what was charged and what it costs."""
    return wire.reply(_session(await guests.view(secret), words_of(request)))


@router.post("/sessions/{secret}/stop", summary="Stop a guest's session", response_model=Done)
async def post_stop(guests: TheGuests, secret: str) -> Response:
    """Nothing more is charged; only what was is paid."""
    await guests.stop(secret)
    return wire.reply({"done": True})


@page_router.get("/live.js")
async def get_script() -> Response:
    """What keeps a session's page fresh."""
    return Response(_SCRIPT, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})


@page_router.get("/session/{secret}")
async def get_session_page(request: Request, secret: str) -> Response:
    """A session's own page."""
    words = words_of(request)
    try:
        guests = guests_of(request)
        view = await guests.view(secret)
    except NotFoundError:
        return _error(
            request, 404, words.say("This link opens no session, or its receipt is no longer kept.")
        )
    return _html(pages.session_page(view, secret, guests.controller.site.name, words))


@page_router.post("/session/{secret}/stop")
async def post_stop_page(request: Request, guests: TheGuests, secret: str) -> Response:
    """The stop button."""
    await guests.stop(secret)
    return RedirectResponse(f"/guest/session/{secret}?lang={words_of(request).language}", 303)


# An id of a socket may hold a slash: its pages come after those of more than one part.
@page_router.get("/{charge_point:path}/code.svg")
async def get_code(request: Request, guests: TheGuests, charge_point: str) -> Response:
    """The picture for the socket's sticker: the address of the page above as a QR code."""
    found = await guests.point(AssetId(charge_point))
    address = f"{_public_url(request, guests)}/guest/{quote(found.point.id, safe='')}"
    picture = code_svg(address, address)
    headers = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-cache"}
    return Response(picture, media_type="image/svg+xml", headers=headers)


@page_router.get("/{charge_point:path}")
async def get_point_page(request: Request, charge_point: str) -> Response:
    """The page behind a socket's code."""
    words = words_of(request)
    try:
        guests = guests_of(request)
        found = await guests.point(AssetId(charge_point))
    except NotFoundError:
        return _error(request, 404, words.say("Guests cannot charge at this socket."))
    site = guests.controller.site.name
    return _html(pages.point_page(found, guests.settings.limits_cents, site, words))


@page_router.post("/{charge_point:path}", dependencies=[Depends(may_open)])
async def post_point_page(request: Request, charge_point: str) -> Response:
    """Begins a session and leads to its page."""
    words = words_of(request)
    try:
        guests = guests_of(request)
        limit_cents = int((await _form(request)).get("limit_cents", "0"))
        page_url = _page_url(request, guests)
        _, secret = await guests.open(AssetId(charge_point), limit_cents, page_url=page_url)
    except (NotFoundError, ConflictError, InputProblemsError, ValueError):
        detail = words.say("This socket cannot be used now. Nothing was reserved and you pay nothing.")
        return _error(request, 409, detail)
    return RedirectResponse(f"/guest/session/{secret}?lang={words.language}", 303)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form, each once."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MAX:
            raise HTTPException(413, "the form is too large")
    return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}


def _page_url(request: Request, guests: Guests) -> str:
    """A session's page, at the site's public address or the one that was used, in the guest's language."""
    return f"{_public_url(request, guests)}/guest/session/{{secret}}?lang={words_of(request).language}"


def _public_url(request: Request, guests: Guests) -> str:
    """Where the site is reached from outside: its public address, or the one that was used."""
    return site_address(guests.controller.settings.charging.public_url, str(request.base_url))


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, pages.HEADERS)


def _error(request: Request, status: int, detail: str) -> Response:
    words = words_of(request)
    found = request.app.state.guests
    site = "Wijkstroom" if found is None else found.controller.site.name
    return _html(pages.error_page(words.say("Charge without an app"), detail, site, words), status)


def _session(view: GuestView, words: Translator) -> wire.Json:
    session = view.session
    return {
        "id": session.id,
        "charge_point": session.charge_point,
        "stage": session.stage,
        "sentence": stage_sentence(session, words),
        "checkout_url": session.checkout_url or None,
        "limit_cents": session.limit_cents,
        "energy_wh": view.energy_wh,
        "power_kw": view.power_kw,
        "cost_cents": view.cost_cents,
        "opened_at_utc": session.opened_at,
        "ended_at_utc": session.ended_at,
        "energy_text": pages.energy_text(view, words),
        "power_text": pages.power_text(view, words),
        "cost_text": pages.cost_text(view, words),
    }
