"""The composition root: the one file that knows every concrete class and builds what runs.

`run_site` runs a real or simulated neighbourhood over its protocols until it is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from controller.bootstrap_charging import kept_running, load_tokens, run_charging
from controller.bootstrap_roaming import run_displays, run_roaming, who_may_charge
from controller.config import Settings, read_site_file
from controller.domain.charging_tokens import Verdict
from controller.domain.errors import StartUpError
from controller.domain.ids import AssetId, MemberId
from controller.domain.ports import SetsPower, TelemetrySink
from controller.domain.site import Site
from controller.domain.telemetry import Reading
from controller.domain.time import DomainClock, SystemDomainClock, SystemMachineClock
from controller.forecast.prices import PriceBook
from controller.price_file import read_price_file
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.guests import Guests
from controller.runtime.loops import Loops
from controller.runtime.ports import Role, Store, TokenRecord, UnitOfWork
from controller.runtime.report import controller_report
from controller.runtime.roaming import Roaming
from controller.runtime.safety_process import SafetyProcess
from controller.runtime.service import Service
from controller.runtime.solver_process import SolverProcess
from controller.runtime.tokens import (
    give_out,
    holder_problem,
    living,
    meant,
    take_back,
    token_end,
    token_hash,
)
from controller.runtime.trading import Trading
from controller.storage import SqlStore, open_store
from controller.template_file import templates_of
from drivers.mqtt.clock import FollowedClock, announced_clock
from drivers.mqtt.meters import MqttMeters
from drivers.ocpp.authority import Authority
from drivers.ocpp.desk import OcppDesk
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.handshake import Tls
from drivers.ocpp.message_log import MessageLog
from drivers.ocpp.security import root_pem, server_context
from drivers.sunspec.device import SunSpecBattery, SunSpecInverter

CLOCK_TIMEOUT_S = 600.0
"""How long a controller waits for the simulator's clock, machine time."""
PRIORITY = -5
"""The controller's niceness; its safety process goes before it, its solver stays behind everything else."""
STORAGE_SECRET_KEY = "storage_secret"  # noqa: S105  # the name under which it is kept, not the secret
GATE_KEY = "ocpp_gate"
"""The name under which it is kept how each charger may connect."""
FEED_IN_LIMIT_KEY = "feed_in_limit:"
"""Under this and its id it is kept what somebody fixed in an inverter for good."""
DEFAULT_UNIT = 1

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Drivers:
    """The connected drivers of a site."""

    ocpp: OcppEndpoint
    modbus: Sequence[SunSpecInverter | SunSpecBattery]
    mqtt: MqttMeters | None

    def steer(self) -> tuple[SetsPower, ...]:
        """Those that can set power."""
        return (self.ocpp, *self.modbus)

    def messages(self) -> Mapping[str, int]:
        """Messages in and out by protocol."""
        return {
            "ocpp": self.ocpp.messages,
            "modbus": sum(device.messages for device in self.modbus),
            "mqtt": self.mqtt.messages if self.mqtt is not None else 0,
        }


@dataclass(frozen=True, kw_only=True)
class Chargers:
    """What chargers speak with, and who may use them."""

    ocpp: OcppEndpoint
    tokens: ChargingTokens
    guests: Guests | None
    """None: no payment provider."""
    roaming: Roaming | None
    """None: no party id."""


def price_book(settings: Settings, folder: Path) -> PriceBook:
    """The day-ahead prices that a site file names; `folder` is the site file's."""
    if not settings.prices.file:
        return PriceBook({}, fallback_eur_per_kwh=settings.prices.flat_eur_per_kwh)
    return PriceBook(read_price_file(folder / settings.prices.file), settings.prices.flat_eur_per_kwh)


def read_passwords(settings: Settings, folder: Path) -> Mapping[str, str] | None:
    """The chargers' passwords by charge point id; None where none are asked for.

    Raises:
        StartUpError: If the file cannot be read or is no table of texts.
    """
    if not settings.ocpp.passwords_file:
        return None
    path = folder / settings.ocpp.passwords_file
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartUpError(f"{path}: {error}") from error
    wrong = [name for name, value in table.items() if not isinstance(value, str) or not value]
    if wrong:
        raise StartUpError(f"{path}: {', '.join(wrong)}: a password is a text that is not empty")
    return table


def database_path(settings: Settings, folder: Path) -> str | Path:
    """The database as a URL, or as a file next to the site file."""
    return settings.database if "://" in settings.database else folder / settings.database


async def create_token(site_path: Path, *, role: Role, member: str | None, label: str, who: str) -> str:
    """Makes a token in a site's database, without its controller.

    Args:
        site_path: The site file.
        role: What it opens.
        member: Whose data; which supplier's; None: nobody's in particular.
        label: What people call it.
        who: Who gives it out, for the log.

    Raises:
        StartUpError: If a token of that role cannot be made for who is named.
    """
    site, settings = read_site_file(site_path)
    if (problem := holder_problem(site, settings, role, member)) is not None:
        raise StartUpError(f"--member: {problem}")
    token, now = secrets.token_urlsafe(32), SystemDomainClock().now()
    record = TokenRecord(
        token_hash=token_hash(token),
        role=role,
        member=MemberId(member) if member is not None else None,
        label=label,
        created_at=now,
        expires_at=token_end(role, now),
    )
    async with _site_unit(site_path, settings) as unit:
        await give_out(unit, record, at=now, who=who)
    return token


async def list_tokens(site_path: Path) -> Sequence[TokenRecord]:
    """The tokens of a site that open something, read beside its running controller."""
    _, settings = read_site_file(site_path)
    async with _site_unit(site_path, settings) as unit:
        return living(await unit.tokens(), SystemDomainClock().now())


async def revoke_token(site_path: Path, *, start: str, who: str) -> tuple[TokenRecord, bool]:
    """Takes a token back in a site's database; its controller, where one runs, honours it within seconds.

    Whoever has the database may take back the last operator's, too: they can make another.

    Args:
        site_path: The site file.
        start: How the token's hash begins, as the list shows it.
        who: Who takes it back, for the log.

    Returns:
        The token, and whether an operator's token is left.

    Raises:
        StartUpError: If no token's hash begins so, or several do.
    """
    _, settings = read_site_file(site_path)
    now = SystemDomainClock().now()
    async with _site_unit(site_path, settings) as unit:
        found = await unit.tokens()
        token = meant(found, start)
        if token is None:
            raise StartUpError(
                f"no token, or more than one, begins with {start!r}: see 'wijkstroom token list'"
            )
        await take_back(unit, token, at=now, who=who)
    left = [one for one in living(found, now) if one.role is Role.OPERATOR and one is not token]
    return token, bool(left)


@asynccontextmanager
async def _site_unit(site_path: Path, settings: Settings) -> AsyncIterator[UnitOfWork]:
    """One transaction on a site's database, without its controller, which may run beside it."""
    store = await open_store(database_path(settings, site_path.parent), add_up=False)
    try:
        async with store.unit() as unit:
            yield unit
    finally:
        await store.close()


async def run_site(site_path: Path, *, report: Path | None = None) -> None:
    """Runs a site's controller until SIGTERM or SIGINT.

    Args:
        site_path: The site file.
        report: Where the controller's part of the demo's summary goes at the end. Beside it, with the
            ending `.pid`, stands the process, so that whoever wants the report can ask it to end.
    """
    site, settings = read_site_file(site_path)
    prices = price_book(settings, site_path.parent)
    # Before anything is opened: what is wrong in these files is told first.
    read_passwords(settings, site_path.parent)
    templates_of(site.charge_points, settings.ocpp.templates_file, site_path.parent)
    store = await open_store(database_path(settings, site_path.parent), folder=site_path.parent)
    with contextlib.suppress(PermissionError):
        # Where the operating system lets us: what keeps the cables safe comes before what reports on it.
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        clock, speed = await _clock(settings)
        checked = site if settings.planning.power_flow else None
        solver = await stack.enter_async_context(SolverProcess(site=checked))
        controller = Controller(
            site=site, settings=settings, clock=clock, store=store, solver=solver, prices=prices
        )
        await controller.load()
        _warn_of_crowded_nodes(controller)
        followed = clock if isinstance(clock, FollowedClock) else None
        safety = await stack.enter_async_context(
            SafetyProcess(controller, clock=followed.announced if followed is not None else None)
        )
        chargers = await _chargers(stack, controller, site_path.parent)
        drivers = await stack.enter_async_context(_drivers(site, settings, controller, clock, chargers.ocpp))
        controller.drivers = drivers.steer()
        trading = Trading(controller, offload=asyncio.to_thread)
        await trading.load()
        # The first forecast imports pandas and computes the sun's days: not while cables are to be kept safe.
        await asyncio.to_thread(controller.horizon, clock.now())
        service = Service(
            controller,
            trading,
            loop=asyncio.get_running_loop(),
            speed=speed,
            messages=drivers.messages,
        )
        await stack.enter_async_context(kept_running(controller, "tokens", service.follow_the_store))
        stop_web = await _start_web(service, chargers, store)
        stack.push_async_callback(asyncio.to_thread, stop_web)
        if report is not None:
            pid_file = report.with_suffix(".pid")
            await asyncio.to_thread(pid_file.write_text, str(os.getpid()), encoding="utf-8")
        # What was built until here lives as long as the process: the collector need not go through it.
        gc.collect()
        gc.freeze()
        try:
            await _until_stopped(clock, Loops(controller, trading, SystemMachineClock(), safety))
        finally:
            if report is not None:
                figures = json.dumps(await controller_report(controller, drivers.messages()), indent=2)
                await asyncio.to_thread(report.write_text, figures, encoding="utf-8")


async def _chargers(stack: AsyncExitStack, controller: Controller, folder: Path) -> Chargers:
    """The chargers' endpoint and what hears it: tokens, sessions with their cost, guests, providers."""
    tokens, ears = await load_tokens(controller)
    charging, roaming = await run_roaming(stack, controller, tokens, ears)
    known = who_may_charge(tokens, roaming)
    ocpp = await _ocpp(controller, folder, tokens=tokens, known=known, ears=ears)
    await run_displays(stack, controller, ocpp, charging, ears)
    guests = await run_charging(stack, controller, ocpp, tokens, ears, folder)
    return Chargers(ocpp=ocpp, tokens=tokens, guests=guests, roaming=roaming)


def _warn_of_crowded_nodes(controller: Controller) -> None:
    for node, over_kw in controller.guard.floor.crowded.items():
        _LOG.warning("no profile keeps this node if many ignore theirs", node=node, over_kw=round(over_kw, 1))


async def _start_web(service: Service, chargers: Chargers, store: SqlStore) -> Callable[[], None]:
    """Starts the web server on its thread; gives what stops it."""
    from controller.api.app import create_app
    from controller.api.server import WebServer

    secret = await _storage_secret(store)
    controller = service.controller
    web = controller.settings.web
    desk = OcppDesk(chargers.ocpp, tuple(controller.site.charge_point_by_id))
    door = ChargersDoor(controller, desk, asyncio.get_running_loop())
    server = WebServer(
        lambda: create_app(
            service,
            chargers=door,
            charging_tokens=chargers.tokens,
            guests=chargers.guests,
            roaming=chargers.roaming,
            console=True,
            storage_secret=secret,
            public_url=controller.settings.charging.public_url,
        ),
        web.host,
        web.port,
        trusted_proxies=web.trusted_proxies,
    )
    await asyncio.to_thread(server.start)
    return server.stop


async def _storage_secret(store: SqlStore) -> str:
    """The secret that signs session cookies: made once and kept, so that a restart logs nobody out."""
    async with store.unit() as unit:
        kept = await unit.value(STORAGE_SECRET_KEY)
        if kept is not None:
            return kept
        made = secrets.token_urlsafe(32)
        await unit.put_value(STORAGE_SECRET_KEY, made)
        return made


async def _clock(settings: Settings) -> tuple[DomainClock, float]:
    """The domain clock and its speed [domain seconds per second]."""
    if settings.clock == "system":
        return SystemDomainClock(), 1.0
    announced = await announced_clock(settings.mqtt.host, settings.mqtt.port, timeout_s=CLOCK_TIMEOUT_S)
    return FollowedClock(announced), announced.clock.speed


async def _ocpp(
    controller: Controller,
    folder: Path,
    *,
    tokens: ChargingTokens,
    known: Callable[[str], Verdict],
    ears: Sequence[TelemetrySink],
) -> OcppEndpoint:
    """The chargers' endpoint; `folder` is the site file's, `ears` hear all that chargers tell."""

    def tell(reading: Reading) -> None:
        for ear in ears:
            ear(reading)

    site, settings = controller.site, controller.settings
    ocpp = settings.ocpp
    async with controller.store.unit() as unit:
        remembered = await unit.value(GATE_KEY)

    async def remember(text: str) -> None:
        async with controller.store.unit() as unit:
            await unit.put_value(GATE_KEY, text)

    tls = authority = None
    clients = folder / ocpp.client_authority_file if ocpp.client_authority_file else None
    if ocpp.tls_port:
        context = server_context(
            folder / ocpp.certificate_file, folder / ocpp.key_file, client_authority=clients
        )
        root = root_pem(folder / ocpp.certificate_file, *([clients] if clients is not None else []))
        tls = Tls(port=ocpp.tls_port, context=context, root_pem=root)
    if clients is not None and ocpp.client_authority_key_file:
        authority = Authority.read(clients, folder / ocpp.client_authority_key_file)
    return OcppEndpoint(
        host=ocpp.host,
        port=ocpp.port,
        charge_points=site.charge_point_by_id,
        tokens=known,
        sink=tokens.tap(tell),
        clock=controller.clock,
        call_timeout_s=ocpp.call_timeout_s,
        passwords=read_passwords(settings, folder),
        templates=templates_of(site.charge_points, ocpp.templates_file, folder),
        floor=controller.guard.floor.hours,
        log=MessageLog(
            folder / ocpp.message_log_folder if ocpp.message_log_folder else None,
            keep_days=ocpp.message_log_days,
        ),
        plain=ocpp.plain,
        tls=tls,
        authority=authority,
        remembered=remembered or "",
        remember=remember,
    )


@asynccontextmanager
async def _drivers(
    site: Site, settings: Settings, controller: Controller, clock: DomainClock, ocpp: OcppEndpoint
) -> AsyncIterator[Drivers]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ocpp)
        mqtt = None
        if settings.mqtt.host:
            meters = {str(load.id) for load in site.loads} | {str(node.id) for node in site.network.nodes}
            mqtt = MqttMeters(
                host=settings.mqtt.host,
                port=settings.mqtt.port,
                sink=controller.receive,
                clock=clock,
                meters=meters,
                on_comparison=controller.compare,
                on_clock=clock.follow if isinstance(clock, FollowedClock) else None,
            )
            await stack.enter_async_context(mqtt)
        devices = _modbus_devices(site, settings, controller, clock)
        for device in devices:
            if isinstance(device, SunSpecInverter):
                await _remember_limit(controller.store, device)
            await stack.enter_async_context(device)
        yield Drivers(ocpp=ocpp, modbus=devices, mqtt=mqtt)


def _modbus_devices(
    site: Site, settings: Settings, controller: Controller, clock: DomainClock
) -> list[SunSpecInverter | SunSpecBattery]:
    kinds: dict[AssetId, tuple[type[SunSpecInverter | SunSpecBattery], float]] = {
        **{roof.id: (SunSpecInverter, roof.rated_kw) for roof in site.pv},
        **{b.id: (SunSpecBattery, max(b.charge_kw_max, b.discharge_kw_max)) for b in site.batteries},
    }
    devices = []
    for asset, address in settings.modbus.devices.items():
        kind, rated_kw = kinds[AssetId(asset)]
        host, _, rest = address.rpartition(":")
        port, _, unit = rest.partition("/")
        devices.append(
            kind(
                AssetId(asset),
                host=host,
                port=int(port),
                unit=int(unit) if unit else DEFAULT_UNIT,
                sink=controller.receive,
                clock=clock,
                poll_interval=timedelta(seconds=settings.modbus.poll_s),
                timeout_s=settings.modbus.timeout_s,
                rated_kw=rated_kw,
            )
        )
    return devices


async def _remember_limit(store: Store, inverter: SunSpecInverter) -> None:
    """What somebody fixed in an inverter is known again after a restart, also below a command of ours."""
    key = FEED_IN_LIMIT_KEY + inverter.asset

    async def remember(text: str) -> None:
        async with store.unit() as unit:
            await unit.put_value(key, text)

    async with store.unit() as unit:
        inverter.keep_limit(await unit.value(key) or "", remember)


async def _until_stopped(clock: DomainClock, loops: Loops) -> None:
    """Runs the loops, once the clock runs, until a signal asks to stop."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(name, stop.set)

    async def run() -> None:
        if isinstance(clock, FollowedClock):
            await clock.running()
        await loops.run()

    task = asyncio.create_task(run())
    asked = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        asked.cancel()
        await task
        return
    _LOG.info("stopping")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
