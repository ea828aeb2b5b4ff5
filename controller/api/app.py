"""The web application: four doors, the sealed ledger, a health check, figures, and the console on top.

The routers are put flat into the application's list of routes, so that one walk over
`app.routes` sees every one of them; the tests hold each against the rules of rights.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response
from starlette.routing import Match

from controller.api import wire
from controller.api.chargers.routes import router as chargers_router
from controller.api.charging.routes import operator_router as all_tokens_router
from controller.api.charging.routes import resident_router as own_tokens_router
from controller.api.edge import BoundedBodies, SafeHeaders, Sessions
from controller.api.fleet.routes import router as fleet_router
from controller.api.grid.routes import router as grid_router
from controller.api.guest.routes import GuestLimits
from controller.api.guest.routes import page_router as guest_page_router
from controller.api.guest.routes import router as guest_router
from controller.api.ledger.routes import router as ledger_router
from controller.api.models import Out, ProblemDocument
from controller.api.ocpi.app import PREFIX as OCPI
from controller.api.ocpi.app import create_ocpi
from controller.api.ocpi.operator import router as roaming_router
from controller.api.operator.benefit import router as benefit_router
from controller.api.operator.routes import metrics_router
from controller.api.operator.routes import router as operator_router
from controller.api.problems import install
from controller.api.rate import RateLimiter
from controller.api.resident.market import router as market_router
from controller.api.resident.routes import router as resident_router
from controller.api.resident.standing import router as standing_router
from controller.api.resident.statements import router as statements_router
from controller.api.security import Caller, Strangers
from controller.api.supplier.routes import router as supplier_router
from controller.domain.time import MachineClock, SystemMachineClock
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.door import Door
from controller.runtime.guests import Guests
from controller.runtime.roaming import Roaming

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

_MACHINE_CLOCK = SystemMachineClock()


class Health(Out):
    """The web server answers."""

    status: str


_ROUTERS = (
    # An id may hold a slash: one charger, whose route takes any path, comes after what lies below a charger.
    chargers_router,
    operator_router,
    metrics_router,
    all_tokens_router,
    own_tokens_router,
    grid_router,
    resident_router,
    statements_router,
    benefit_router,
    supplier_router,
    market_router,
    standing_router,
    fleet_router,
    ledger_router,
    guest_router,
    guest_page_router,
    roaming_router,
)


def create_app(
    door: Door,
    *,
    chargers: ChargersDoor | None = None,
    charging_tokens: ChargingTokens | None = None,
    guests: Guests | None = None,
    roaming: Roaming | None = None,
    console: bool = True,
    storage_secret: str,
    public_url: str = "",
    machine_clock: MachineClock = _MACHINE_CLOCK,
) -> FastAPI:
    """Builds the web application.

    Args:
        door: The running controller.
        chargers: The operator's tools for chargers; None: there are none.
        charging_tokens: Who may charge; None: the cars of the site alone.
        guests: Those who charge without a contract; None: nobody does.
        roaming: E-mobility providers; None: there are none.
        console: Whether the console's pages are on it; without, the API alone.
        storage_secret: Signs the session cookies.
        public_url: Where the site is reached from outside; empty: that is not known.
        machine_clock: What rate limits go by.

    Returns:
        An ASGI application; the console keeps global state of its library, so one with a console a process.
    """
    app = FastAPI(
        title="Wijkstroom",
        version=version("wijkstroom"),
        summary="The electricity of one neighbourhood: four doors to its controller",
        # The bundled documentation pages load scripts from elsewhere; the schema itself is here.
        docs_url=None,
        redoc_url=None,
        strict_content_type=False,
    )
    app.state.door = door
    app.state.chargers = chargers
    app.state.charging_tokens = charging_tokens
    app.state.guests = guests
    app.state.roaming = roaming
    app.state.guest_limits = GuestLimits()
    app.state.machine_clock = machine_clock
    app.state.limiter = RateLimiter()
    app.state.strangers = Strangers(door, machine_clock)
    app.state.open_streams = Counter()
    install(app)
    app.add_middleware(BoundedBodies)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Sessions, secret_key=storage_secret, public_url=public_url)
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)

    @app.get("/api/health", summary="Whether the server answers", tags=["health"], response_model=Health)
    async def health() -> Response:
        """Needs no token and tells nothing else."""
        return wire.reply({"status": "ok"})

    if roaming is not None:
        app.mount(OCPI, create_ocpi(roaming))
    app.add_api_route("/api/{path:path}", _nothing_here, methods=_METHODS, include_in_schema=False)
    if console:
        from controller.console.mount import mount_console

        mount_console(app, door, chargers, charging_tokens, guests)
    _complete_schema(app)
    return app


async def _nothing_here(request: Request, who: Caller) -> Response:  # noqa: ARG001  # rights come first
    """What no other API route takes: 405 where the path exists with another method, else 404."""
    allowed: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is Match.PARTIAL:
            allowed |= route.methods
    if allowed:
        names = ", ".join(sorted(allowed))
        raise HTTPException(405, f"only {names} here", {"Allow": names})
    raise HTTPException(404, f"there is no {request.url.path}")


def _complete_schema(app: FastAPI) -> None:
    """Puts the problem document, which the routes refer to, into the OpenAPI schema."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components.update(problem.pop("$defs", {}))
            components["ProblemDocument"] = problem
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
