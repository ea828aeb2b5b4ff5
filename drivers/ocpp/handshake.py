"""The WebSocket handshake of a charger: the gate's decisions as HTTP."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from drivers.ocpp.gate import Gate, Refused

SOCKET_LOG = logging.getLogger("drivers.ocpp.websockets")
"""What the library says of connections."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record of the library is worth a line: a port scanner's half handshake is not."""
    return record.getMessage() != "opening handshake failed"


SOCKET_LOG.addFilter(_is_ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Where and how encrypted connections are taken."""

    port: int
    """0 takes a free one."""
    context: ssl.SSLContext
    root_pem: str = ""
    """The certificate on which the one that we show stands: what a charger has to believe; empty: unknown."""


class Handshake:
    """What `websockets` asks while a connection is opened."""

    def __init__(
        self,
        gate: Gate,
        *,
        may_downgrade: Callable[[ChargePoint], bool],
        note_downgrade: Callable[[ChargePoint, str], None],
    ) -> None:
        """Needs the gate, who is free to speak an older version, and where attempts to come weaker go."""
        self._gate, self._may_downgrade, self._note_downgrade = gate, may_downgrade, note_downgrade

    def select_subprotocol(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """The newest version among those offered, never one older than the charger has spoken.

        Part 4, section 3.1.2: without a common one the handshake is completed without a subprotocol, and
        the connection is closed at once.
        """
        request = connection.request
        point = None if request is None else self._gate.point_of(request.path)
        if point is None:
            return None
        chosen = self._gate.version_for(point, offered, may_downgrade=self._may_downgrade(point))
        if isinstance(chosen, Refused):
            if chosen.downgrade:
                self._note_downgrade(point, chosen.why)
            return None
        return Subprotocol(chosen)

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuses the handshake of who names no version (400), is unknown (404) or proves nothing (401)."""
        if "Sec-WebSocket-Protocol" not in request.headers:
            return connection.respond(HTTPStatus.BAD_REQUEST, "offer a version of OCPP as subprotocol\n")
        point = self._gate.point_of(request.path)
        if point is None:
            self._gate.knock(request.path)
            return connection.respond(HTTPStatus.NOT_FOUND, "no such charge point\n")
        tls, name = _certificate_name(connection)
        authorization = request.headers.get("Authorization", "")
        entered = self._gate.enter(point, authorization, tls=tls, certificate_name=name)
        if isinstance(entered, Refused):
            if entered.downgrade:
                self._note_downgrade(point, entered.why)
            response = connection.respond(HTTPStatus.UNAUTHORIZED, f"{entered.why}\n")
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
            return response
        return None


def _certificate_name(connection: ServerConnection) -> tuple[bool, str]:
    """Whether a connection is encrypted, and the common name in a client certificate that was verified."""
    secured = connection.transport.get_extra_info("ssl_object")
    if secured is None:
        return False, ""
    subject = (secured.getpeercert() or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return True, names[0] if len(names) == 1 else ""
