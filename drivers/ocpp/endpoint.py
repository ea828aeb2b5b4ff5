"""The one WebSocket endpoint that every charger connects to: `ws://HOST:PORT/ocpp/{charge_point_id}`.

A thin shell around the sessions: it admits connections, moves messages, keeps one request open per
charger, and turns silence into outcomes. A charger that boots gets its floor (the most it may do, its
hours of the night); one that comes back without booting is asked for its state as well, because nobody knows
what it did meanwhile (evcc 25069). A connection that breaks the protocol is answered, counted and goes on.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHeader
from websockets.headers import parse_authorization_basic
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate
from controller.domain.errors import NotFoundError, StartUpError
from controller.domain.floor import NOTHING, Floor
from controller.domain.ids import AssetId
from controller.domain.ports import TelemetrySink
from controller.domain.setpoints import Outcome, Rejected, Setpoint, TimedOut
from controller.domain.telemetry import LinkReading
from controller.domain.time import DomainClock
from drivers.ocpp.codec import Answer, Codec, Notice, NoticeCode, Received, Request, Session
from drivers.ocpp.frames import MAX_FRAME_BYTES
from drivers.ocpp.link import Link, LinkLostError, NotSentError
from drivers.ocpp.v16 import Ocpp16
from drivers.ocpp.v21 import Ocpp21
from drivers.ocpp.v201 import Ocpp201

_PATH = "/ocpp/"
_KEPT = 1000
"""How many notices and unknown ids are kept."""
_log = structlog.get_logger("drivers.ocpp")
_socket_log = logging.getLogger("drivers.ocpp.websockets")


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record of the library is worth a line: a port scanner's half handshake is not."""
    return record.getMessage() != "opening handshake failed"


_socket_log.addFilter(_is_ours)


class OcppEndpoint:
    """All chargers of a site. `async with` serves; implements `controller.domain.ports.SetsPower`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        charge_points: Mapping[AssetId, ChargePoint],
        tokens: Callable[[str], bool] | Collection[str],
        sink: TelemetrySink,
        clock: DomainClock,
        call_timeout_s: float = 10.0,
        passwords: Mapping[str, str] | None = None,
        codecs: Sequence[Codec] | None = None,
        templates: Mapping[AssetId, ChargerTemplate] | None = None,
        floor: Floor | None = None,
        boot_grace_s: float = 10.0,
        ping_interval_s: float = 30.0,
    ) -> None:
        """Builds it; nothing is opened before `async with`.

        Args:
            host: Where to listen.
            port: 0 takes a free one, see `port`.
            charge_points: The chargers that are admitted, by the id in their address.
            tokens: The identifications that may charge.
            sink: Takes the readings.
            clock: Domain time.
            call_timeout_s: How long a charger may take to answer, machine time [s].
            passwords: By charge point id, for HTTP Basic (security profile 1); None only on loopback.
            codecs: The versions that are spoken, the newest first.
            templates: The quirks of chargers that do not follow their specification.
            floor: What each charger does on its own; one that is not in it stands still.
            boot_grace_s: How long a new connection may stay silent before it is asked, machine time [s].
            ping_interval_s: Between WebSocket pings, machine time [s]; two without an answer close it.

        Raises:
            StartUpError: Without passwords on an address that others can reach.
        """
        if passwords is None and not _is_loopback(host):
            raise StartUpError(f"chargers may connect without passwords only on loopback, not on {host}")
        self._host, self._port = host, port
        self._points = {str(key): point for key, point in charge_points.items()}
        self._knows_token = tokens if callable(tokens) else frozenset(tokens).__contains__
        self._sink, self._clock = sink, clock
        self._call_timeout_s, self._boot_grace_s = call_timeout_s, boot_grace_s
        self._ping_interval_s = ping_interval_s
        self._passwords = passwords
        self._codecs = {codec.subprotocol: codec for codec in (codecs or (Ocpp21(), Ocpp201(), Ocpp16()))}
        self._templates = templates or {}
        self._floor = floor or {}
        self._newest_spoken: dict[str, str] = {}
        """By charge point id the newest version that it has spoken since we started."""
        self._sessions: dict[tuple[str, str], Session] = {}
        self._links: dict[AssetId, Link] = {}
        self._steerable: frozenset[AssetId] = frozenset()
        self._server: Server | None = None
        self.messages = 0
        """Frames in and out since the start."""
        self.malformed = 0
        """Frames that broke the protocol."""
        self.notices: deque[Notice] = deque(maxlen=_KEPT)
        """What chargers did that was not by the book, the newest last."""
        self.unknown_charge_points: dict[str, int] = {}
        """Ids that knocked and are not admitted, with how often."""

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            NotFoundError: If it is not serving.
        """
        if self._server is None:
            raise NotFoundError("the OCPP endpoint is not serving")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address that chargers put their id behind."""
        return f"ws://{self._host}:{self.port}{_PATH}".removesuffix("/")

    async def __aenter__(self) -> Self:
        """Starts serving.

        Raises:
            StartUpError: If the port is taken or the address is not ours.
        """
        for codec in self._codecs.values():
            codec.prepare()
        try:
            self._server = await serve(
                self._serve_charger,
                self._host,
                self._port,
                subprotocols=[Subprotocol(name) for name in self._codecs],
                select_subprotocol=self._select_subprotocol,
                process_request=self._admit,
                # Compressing frames of some hundred bytes costs more CPU than it saves in bytes.
                compression=None,
                # A larger message ends its connection with 1009, so that nobody fills our memory.
                max_size=MAX_FRAME_BYTES,
                max_queue=16,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._ping_interval_s,
                close_timeout=2.0,
                server_header=None,
                logger=_socket_log,
            )
        except OSError as error:
            raise StartUpError(f"cannot listen for chargers on {self._host}:{self._port}: {error}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes all connections; chargers see 'going away' and come back later."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    def connected(self) -> int:
        """How many chargers are connected."""
        return len(self._links)

    def steerable(self) -> frozenset[AssetId]:
        """The chargers that are connected."""
        return self._steerable

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Sends a setpoint as a charging profile and waits for the charger's word.

        A confirmation says that the charger took it; what it does is read from its meter.
        """
        link = self._links.get(setpoint.asset)
        if link is None:
            return Rejected(setpoint=setpoint, code="NotConnected", why="the charger is not connected")
        request = link.session.power_request(setpoint, self._clock.now())
        if not isinstance(request, Request):
            return request
        try:
            answer = await link.ask(request)
        except NotSentError as error:
            return Rejected(setpoint=setpoint, code=error.code, why=str(error))
        except TimeoutError:
            return TimedOut(setpoint=setpoint, why=f"no answer within {self._call_timeout_s:g} s")
        except LinkLostError as error:
            return TimedOut(setpoint=setpoint, why=str(error))
        return link.session.power_outcome(setpoint, answer, self._clock.now())

    async def ask(self, charge_point: AssetId, request: Request) -> Answer:
        """Sends any request of the protocol and waits for the answer.

        Raises:
            NotFoundError: If the charger is not connected.
            PayloadError: If the request breaks its schema.
            NotSentError: If too many are waiting already.
            TimeoutError: If no answer came in time.
            LinkLostError: If the connection went meanwhile.
        """
        link = self._links.get(charge_point)
        if link is None:
            raise NotFoundError(f"{charge_point} is not connected")
        return await link.ask(request)

    async def refresh(self, charge_point: AssetId) -> None:
        """Asks a charger for its state: connector status and transaction, which come as readings.

        Raises:
            NotFoundError: If the charger is not connected.
        """
        link = self._links.get(charge_point)
        if link is None:
            raise NotFoundError(f"{charge_point} is not connected")
        await self._ask_all(link, link.session.state_requests())

    def _select_subprotocol(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """The newest version among those offered, never one older than the charger has spoken.

        Part 4, section 3.1.2: without a common one the handshake is completed without a subprotocol, and
        the connection is closed at once.
        """
        request = connection.request
        point = None if request is None else self._points.get(_charge_point_id(request.path))
        chosen = next((name for name in self._codecs if name in offered), None)
        if chosen is None or point is None:
            return None
        names = list(self._codecs)
        spoken = self._newest_spoken.get(point.id, chosen)
        if names.index(chosen) > names.index(spoken) and not self._template(point).may_downgrade:
            text = f"offered {chosen} at most, and has spoken {spoken} before"
            self._note(point, NoticeCode.DOWNGRADE, text)
            return None
        return Subprotocol(chosen)

    def _admit(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """Refuses the handshake of who names no version (400), is unknown (404) or proves nothing (401)."""
        name = _charge_point_id(request.path)
        if "Sec-WebSocket-Protocol" not in request.headers:
            return connection.respond(HTTPStatus.BAD_REQUEST, "offer a version of OCPP as subprotocol\n")
        if name not in self._points:
            if name and (name in self.unknown_charge_points or len(self.unknown_charge_points) < _KEPT):
                self.unknown_charge_points[name] = self.unknown_charge_points.get(name, 0) + 1
            return connection.respond(HTTPStatus.NOT_FOUND, "no such charge point\n")
        if self._passwords is not None and not _authenticated(request, name, self._passwords):
            response = connection.respond(HTTPStatus.UNAUTHORIZED, "name and password, please\n")
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
            return response
        return None

    async def _serve_charger(self, connection: ServerConnection) -> None:
        """One admitted connection, from its first message to its end."""
        if connection.subprotocol is None or connection.request is None:
            await connection.close(1002, "no common OCPP version that may be spoken")
            return
        point = self._points[_charge_point_id(connection.request.path)]
        names = list(self._codecs)
        spoken = self._newest_spoken.get(point.id, connection.subprotocol)
        self._newest_spoken[point.id] = min(spoken, connection.subprotocol, key=names.index)
        session = self._session(connection.subprotocol, point)
        session.link_up()
        link = Link(connection, session, call_timeout_s=self._call_timeout_s, count=self._count)
        before = self._links.get(point.id)
        self._links[point.id] = link
        self._steerable = frozenset(self._links)
        why = "connected" if before is None else "a newer connection took over"
        self._sink(LinkReading(asset=point.id, at=self._clock.now(), up=True, why=why))
        try:
            async with asyncio.TaskGroup() as tasks:
                if before is not None:
                    before.end()
                    tasks.create_task(before.connection.close(1000, "a newer connection took over"))
                errands = tasks.create_task(self._run_errands(link))
                await self._read(link)
                errands.cancel()
        finally:
            link.end()
            if self._links.get(point.id) is link:
                del self._links[point.id]
                self._steerable = frozenset(self._links)
                down = f"closed ({connection.close_code}) {connection.close_reason or ''}".rstrip()
                self._sink(LinkReading(asset=point.id, at=self._clock.now(), up=False, why=down))

    def _session(self, subprotocol: str, point: ChargePoint) -> Session:
        """The charger's session, which outlives its connections: a transaction does too."""
        key = (subprotocol, str(point.id))
        if key not in self._sessions:
            codec = self._codecs[subprotocol]
            self._sessions[key] = codec.session(
                point,
                knows_token=self._knows_token,
                template=self._template(point),
                floor=self._floor.get(point.id, NOTHING),
            )
        return self._sessions[key]

    def _template(self, point: ChargePoint) -> ChargerTemplate:
        return self._templates.get(point.id, PLAIN_TEMPLATE)

    async def _read(self, link: Link) -> None:
        """Takes messages until the connection ends."""
        session, connection = link.session, link.connection
        try:
            while not link.ended:
                message = await connection.recv()
                self.messages += 1
                received = session.receive(message, self._clock.now())
                # Kept first, confirmed after: what a charger got an answer to, it never sends again.
                self._take(link, received)
                if received.reply is not None:
                    self.messages += 1
                    await connection.send(received.reply)
        except ConnectionClosed:
            return

    def _take(self, link: Link, received: Received) -> None:
        """Hands on what a message brought."""
        for reading in received.readings:
            self._sink(reading)
        if received.notices:
            self.notices.extend(received.notices)
        if received.malformed:
            self.malformed += 1
        if received.answer is not None:
            link.answered(received.answer)
        if received.booted:
            link.booted = True
            link.add_errand(link.session.floor_requests(self._clock.now()))
        if received.requests:
            link.add_errand(received.requests)
        if not received.malformed and not link.spoke.is_set():
            link.spoke.set()

    async def _run_errands(self, link: Link) -> None:
        """After each boot lays the profiles below all setpoints; without a boot asks for the state too.

        A sleeping car's wake-up sequence goes the same way.
        """
        name = link.session.charge_point.id
        try:
            async with asyncio.timeout(self._boot_grace_s):
                await link.spoke.wait()
        except TimeoutError:
            _log.debug("charger_silent_after_connect", charge_point=name)
        if not link.booted:
            floor = link.session.floor_requests(self._clock.now())
            await self._ask_all(link, (*floor, *link.session.state_requests()))
        while True:
            await self._ask_all(link, await link.next_errand())

    async def _ask_all(self, link: Link, requests: Sequence[Request]) -> None:
        """Asks one after the other; a refusal is noted, a silent charger is left to its pings."""
        for request in requests:
            try:
                answer = await link.ask(request)
            except (NotSentError, TimeoutError, LinkLostError) as error:
                _log.info("charger_did_not_answer", action=request.action, why=str(error) or "timeout")
                continue
            if request.action == "SetChargingProfile" and answer.payload.get("status") != "Accepted":
                profile = request.payload.get("chargingProfile") or request.payload["csChargingProfiles"]
                purpose = profile["chargingProfilePurpose"]
                text = f"{purpose} was refused: {answer.error or answer.payload}"
                self._note(link.session.charge_point, NoticeCode.PROFILE_REFUSED, text)

    def _note(self, point: ChargePoint, code: NoticeCode, text: str) -> None:
        self.notices.append(Notice(charge_point=point.id, at=self._clock.now(), code=code, text=text))

    def _count(self) -> None:
        self.messages += 1


def _charge_point_id(path: str) -> str:
    """The charge point id in a request's path; empty where it is another path."""
    if not path.startswith(_PATH):
        return ""
    return unquote(path.removeprefix(_PATH).partition("?")[0])


def _authenticated(request: HttpRequest, name: str, passwords: Mapping[str, str]) -> bool:
    """Whether the request proves by HTTP Basic that it comes from the charge point `name`."""
    try:
        user, password = parse_authorization_basic(request.headers.get("Authorization", ""))
    except InvalidHeader:
        return False
    expected = passwords.get(name)
    if expected is None or user != name:
        return False
    return hmac.compare_digest(expected.encode(), password.encode())


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
