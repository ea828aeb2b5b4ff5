"""The one WebSocket endpoint that every charger connects to: `ws://HOST:PORT/ocpp/{charge_point_id}`.

A thin shell around the sessions: it admits connections, moves messages, keeps one request open per
charger, and turns silence into outcomes. A charger that boots gets its floor (the most it may do, its
hours of the night); one that comes back without booting is asked for its state as well, because nobody knows
what it did meanwhile (evcc 25069). A connection that breaks the protocol is answered, counted and goes on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from controller.domain.charger_tools import ChargerHealth, Direction
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate
from controller.domain.charging_tokens import Verdict, among
from controller.domain.errors import NotFoundError, StartUpError
from controller.domain.floor import NOTHING, Floor
from controller.domain.ids import AssetId
from controller.domain.ports import TelemetrySink
from controller.domain.setpoints import NotSent, Outcome, Setpoint, TimedOut
from controller.domain.telemetry import LinkReading
from controller.domain.time import DomainClock
from drivers.ocpp.authority import Authority
from drivers.ocpp.codec import Answer, Codec, Notice, NoticeCode, Received, Request, Session
from drivers.ocpp.errands import Errands
from drivers.ocpp.frames import MAX_FRAME_BYTES
from drivers.ocpp.gate import PATH, Gate, is_loopback
from drivers.ocpp.handshake import SOCKET_LOG, Handshake, Tls
from drivers.ocpp.health import HealthRecord
from drivers.ocpp.housekeeping import Housekeeping
from drivers.ocpp.link import Link, LinkLostError, NotSentError
from drivers.ocpp.message_log import MessageLog
from drivers.ocpp.v16 import Ocpp16
from drivers.ocpp.v21 import Ocpp21
from drivers.ocpp.v201 import Ocpp201

_KEPT = 1000
"""How many notices are kept."""
_AT_ONCE = 8
"""Setpoints that are said in one turn of the loop: some milliseconds."""
_log = structlog.get_logger("drivers.ocpp")


class OcppEndpoint:
    """All chargers of a site. `async with` serves; implements `controller.domain.ports.SetsPower`.

    Args:
        host: Where to listen.
        port: 0 takes a free one, see `port`.
        charge_points: The chargers that are admitted, by the id in their address.
        tokens: The identifications that may charge, or what decides it.
        sink: Takes the readings.
        clock: Domain time.
        call_timeout_s: How long a charger may take to answer, machine time [s].
        passwords: By charge point id, for HTTP Basic (security profile 1); None only on loopback.
        codecs: The versions that are spoken, the newest first.
        templates: The quirks of chargers that do not follow their specification.
        floor: What each charger does on its own; one that is not in it stands still.
        log: Keeps the messages; None: the newest, in memory.
        plain: Whether `port` is served: security profiles 0 and 1.
        tls: Where chargers connect encrypted: profiles 2 and 3.
        authority: Signs chargers' certificates; None: nobody does.
        remembered: What `remember` was given last, in an earlier run.
        remember: Keeps what has to outlive a restart; it is called again if it fails.
        boot_grace_s: How long a new connection may stay silent before it is asked, machine time [s].
        ping_interval_s: Between WebSocket pings, machine time [s]; two without an answer close it.

    Raises:
        StartUpError: Without passwords on an address that others can reach.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        charge_points: Mapping[AssetId, ChargePoint],
        tokens: Callable[[str], Verdict] | Collection[str],
        sink: TelemetrySink,
        clock: DomainClock,
        call_timeout_s: float = 10.0,
        passwords: Mapping[str, str] | None = None,
        codecs: Sequence[Codec] | None = None,
        templates: Mapping[AssetId, ChargerTemplate] | None = None,
        floor: Floor | None = None,
        log: MessageLog | None = None,
        plain: bool = True,
        tls: Tls | None = None,
        authority: Authority | None = None,
        remembered: str = "",
        remember: Callable[[str], Awaitable[None]] | None = None,
        boot_grace_s: float = 10.0,
        ping_interval_s: float = 30.0,
    ) -> None:
        if plain and passwords is None and not is_loopback(host):
            raise StartUpError(f"chargers may connect without passwords only on loopback, not on {host}")
        self._host, self._port, self._plain, self._ping_interval_s = host, port, plain, ping_interval_s
        self._verdict = tokens if callable(tokens) else among(tokens)
        self._sink, self._clock, self._call_timeout_s = sink, clock, call_timeout_s
        self._errands = Errands(clock=clock, boot_grace_s=boot_grace_s, note=self._note)
        self._codecs = {codec.subprotocol: codec for codec in (codecs or (Ocpp21(), Ocpp201(), Ocpp16()))}
        self.gate = Gate(
            tuple(charge_points.values()),
            passwords=passwords,
            versions=tuple(self._codecs),
            encrypted=tls is not None,
            remembered=remembered,
        )
        self._handshake = Handshake(
            self.gate,
            may_downgrade=lambda point: self._template(point).may_downgrade,
            note_downgrade=lambda point, why: self._note(point, NoticeCode.DOWNGRADE, why),
        )
        self.log = log or MessageLog()
        self._housekeeping = Housekeeping(self.log, self.gate, remember)
        self.tls, self.authority = tls, authority
        """How encrypted connections are taken, and who signs chargers' certificates; None: not."""
        self._health = {point: HealthRecord() for point in charge_points}
        self._templates, self._floor = templates or {}, floor or {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._links, self._steerable = dict[AssetId, Link](), frozenset[AssetId]()
        self._few, self._servers = asyncio.Semaphore(_AT_ONCE), list[Server]()
        self.messages = 0
        """Frames in and out since the start."""
        self.malformed = 0
        """Frames that broke the protocol."""
        self.last_word: Callable[[AssetId, Received], str | None] = lambda _, received: received.reply
        """What is answered to a message, once everybody has heard what it brought."""
        self.notices: deque[Notice] = deque(maxlen=_KEPT)
        """What chargers did that was not by the book, the newest last."""

    @property
    def port(self) -> int:
        """The port it listens on: the plain one where there is one.

        Raises:
            NotFoundError: If it is not serving.
        """
        return self._port_of(0)

    @property
    def tls_port(self) -> int:
        """The port for encrypted connections.

        Raises:
            NotFoundError: If it is not serving.
        """
        return self._port_of(-1)

    @property
    def url(self) -> str:
        """The address that chargers put their id behind."""
        scheme = "ws" if self._plain else "wss"
        return f"{scheme}://{self._host}:{self.port}{PATH}".removesuffix("/")

    def _port_of(self, server: int) -> int:
        if not self._servers:
            raise NotFoundError("the OCPP endpoint is not serving")
        port: int = next(iter(self._servers[server].sockets)).getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Starts serving.

        Raises:
            StartUpError: If a port is taken or the address is not ours.
        """
        for codec in self._codecs.values():
            codec.prepare()
        try:
            if self._plain:
                self._servers.append(await self._serve(self._port, None))
            if self.tls is not None:
                self._servers.append(await self._serve(self.tls.port, self.tls.context))
        except BaseException:
            await self._stop()
            raise
        self._housekeeping.start()
        return self

    async def _serve(self, port: int, context: ssl.SSLContext | None) -> Server:
        try:
            return await serve(
                self._serve_charger,
                self._host,
                port,
                ssl=context,
                subprotocols=[Subprotocol(name) for name in self._codecs],
                select_subprotocol=self._handshake.select_subprotocol,
                process_request=self._handshake.admit,
                # Compressing frames of some hundred bytes costs more CPU than it saves in bytes.
                compression=None,
                # A larger message ends its connection with 1009, so that nobody fills our memory.
                max_size=MAX_FRAME_BYTES,
                max_queue=16,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._ping_interval_s,
                close_timeout=2.0,
                server_header=None,
                logger=SOCKET_LOG,
            )
        except OSError as error:
            raise StartUpError(f"cannot listen for chargers on {self._host}:{port}: {error}") from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes all connections; chargers see 'going away' and come back later."""
        await self._stop()

    async def _stop(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for server in servers:
            await server.wait_closed()
        await self._housekeeping.stop()

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
        # A cycle may have a thousand at once: whoever waits for a reply gets a turn after every few of them.
        async with self._few:
            await asyncio.sleep(0)
        link = self._links.get(setpoint.asset)
        if link is None:
            return NotSent(setpoint=setpoint, why="the charger is not connected")
        request = link.session.power_request(setpoint, self._clock.now())
        if not isinstance(request, Request):
            return request
        try:
            answer = await link.ask(request)
        except NotSentError as error:
            return NotSent(setpoint=setpoint, why=str(error))
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

    def link_of(self, charge_point: AssetId) -> Link | None:
        """The connection of a charger; None: it is not connected."""
        return self._links.get(charge_point)

    def session_of(self, charge_point: AssetId) -> Session | None:
        """The session of a charger that is connected or was: of several versions the newest."""
        link = self._links.get(charge_point)
        if link is not None:
            return link.session
        kept = (self._sessions.get((name, str(charge_point))) for name in self._codecs)
        return next((session for session in kept if session is not None), None)

    def health_of(self, charge_point: AssetId) -> ChargerHealth:
        """How a charger is, by what it did since we started."""
        link = self._links.get(charge_point)
        version = "" if link is None else str(link.connection.subprotocol)
        return self._health[charge_point].health(charge_point, version, self._clock.now())

    async def admit(self, identity: str, charge_point: AssetId) -> str:
        """Lets a waiting identity in as a charge point in place of who was that before; see `Gate.admit`."""
        password = self.gate.admit(identity, charge_point)
        for key in [key for key in self._sessions if key[1] == charge_point]:
            del self._sessions[key]
        link = self._links.get(charge_point)
        if link is not None:
            await link.connection.close(1000, "another device has its place")
        return password

    async def refresh(self, charge_point: AssetId) -> None:
        """Asks a charger for its state: connector status and transaction, which come as readings.

        Raises:
            NotFoundError: If the charger is not connected.
        """
        link = self._links.get(charge_point)
        if link is None:
            raise NotFoundError(f"{charge_point} is not connected")
        await self._errands.ask_all(link, link.session.state_requests())

    async def _serve_charger(self, connection: ServerConnection) -> None:
        """One admitted connection, from its first message to its end."""
        request = connection.request
        point = None if request is None else self.gate.point_of(request.path)
        if connection.subprotocol is None or point is None:
            await connection.close(1002, "no common OCPP version that may be spoken")
            return
        session = self._session(connection.subprotocol, point)
        session.link_up()
        link = Link(
            connection, session, call_timeout_s=self._call_timeout_s, sent=partial(self._sent, point.id)
        )
        self._health[point.id].connected(self._clock.now())
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
                errands = tasks.create_task(self._errands.run(link))
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
                verdict=self._verdict,
                template=self._template(point),
                floor=self._floor.get(point.id, NOTHING),
                signs=self.authority is not None,
            )
        return self._sessions[key]

    def _template(self, point: ChargePoint) -> ChargerTemplate:
        return self._templates.get(point.id, PLAIN_TEMPLATE)

    async def _read(self, link: Link) -> None:
        """Takes messages until the connection ends."""
        session, connection = link.session, link.connection
        point = session.charge_point.id
        health = self._health[point]
        try:
            while not link.ended:
                message = await connection.recv()
                now = self._clock.now()
                self.messages += 1
                if isinstance(message, str):
                    self.log.add(point, now, Direction.FROM_CHARGER, message)
                received = session.receive(message, now)
                health.heard_at = now
                # Kept first, confirmed after: what a charger got an answer to, it never sends again.
                self._take(link, received)
                reply = self.last_word(point, received)
                if reply is not None:
                    self._sent(point, reply)
                    await link.reply(reply)
        except ConnectionClosed:
            return

    def _take(self, link: Link, received: Received) -> None:
        """Hands on what a message brought."""
        for reading in received.readings:
            self._sink(reading)
        for notice in received.notices:
            self._keep(notice)
        if received.malformed:
            self.malformed += 1
        if received.answer is not None:
            link.answered(received.answer)
        if received.booted:
            link.booted = True
            link.add_errand(self._errands.floor(link.session))
        if received.requests:
            link.add_errand(received.requests)
        if received.certificate_request is not None:
            identity = self.gate.identity_of(link.session.charge_point.id)
            link.add_errand(
                self._errands.certificate(link, received.certificate_request, identity, self.authority)
            )
        if not received.malformed and not link.spoke.is_set():
            link.spoke.set()

    def _note(self, point: ChargePoint, code: NoticeCode, text: str) -> None:
        self._keep(Notice(charge_point=point.id, at=self._clock.now(), code=code, text=text))

    def _keep(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._health[AssetId(notice.charge_point)].noted(notice)

    def _sent(self, point: AssetId, text: str) -> None:
        self.messages += 1
        self.log.add(point, self._clock.now(), Direction.TO_CHARGER, text)
