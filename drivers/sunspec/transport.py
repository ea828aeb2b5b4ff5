"""One Modbus TCP connection to one device: moves registers, checks that answers belong to the question.

`pymodbus` frames the requests and skips answers that carry another transaction id; an answer without
an id, of another function or of another length is refused here too (solaredge-modbus-multi 905: values
of one request taken for another's). There are no retries on one connection: after a lost answer the
connection is closed, so a late one can never be taken for the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from controller.domain.errors import WijkstroomError
from drivers.sunspec.codec import Span
from drivers.sunspec.control import Write

_FRAMES_PER_EXCHANGE = 2
# Every failure becomes an exception here and a link reading above; on stderr it would only be there twice.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class LinkError(WijkstroomError):
    """The connection is of no use any more; a new one may help."""


class RefusedError(WijkstroomError):
    """The device answered with a Modbus exception; nothing has changed in it."""

    def __init__(self, code: int, what: str) -> None:
        self.code = code
        """The Modbus exception code."""
        super().__init__(f"the device refused {what} with Modbus exception {code}")


class ModbusLink:
    """A connection; the caller sends one request at a time."""

    def __init__(
        self, host: str, port: int, unit: int, *, timeout_s: float, on_lost: Callable[[], None]
    ) -> None:
        """Prepares a connection.

        Args:
            host: Where the device is.
            port: Its TCP port.
            unit: The Modbus unit id.
            timeout_s: The longest wait for a connection or an answer [s], machine time.
            on_lost: Called when the connection has gone.
        """
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            name=f"{host}:{port}",
            reconnect_delay=0,  # the device's own loop reconnects, and discovers anew
            timeout=timeout_s,
            retries=0,
            trace_connect=lambda up: None if up else on_lost(),
        )
        self._unit = unit
        self.messages = 0
        """Frames sent and received."""
        self.writes = 0
        """Writes that the device has taken."""

    async def connect(self) -> None:
        """Opens the connection.

        Raises:
            LinkError: If nobody answers there.
        """
        if not await self._client.connect():
            raise LinkError("no connection")

    def close(self) -> None:
        """Closes it."""
        self._client.close()

    async def read(self, span: Span) -> list[int]:
        """Reads holding registers.

        Raises:
            LinkError: If no right answer came.
            RefusedError: If the device refuses.
        """
        try:
            answer = await self._client.read_holding_registers(
                span.address, count=span.count, device_id=self._unit
            )
        except (ModbusException, asyncio.IncompleteReadError, OSError) as error:
            raise LinkError(str(error)) from error
        self._check(answer, 3, f"reading {span.count} registers at {span.address}")
        if len(answer.registers) != span.count:
            raise LinkError(
                f"asked for {span.count} registers at {span.address}, got {len(answer.registers)}"
            )
        return list(answer.registers)

    async def write(self, write: Write) -> None:
        """Writes holding registers in one request.

        Raises:
            LinkError: If no right answer came: they may or may not have been written.
            RefusedError: If the device refuses.
        """
        try:
            answer = await self._client.write_registers(
                write.address, list(write.registers), device_id=self._unit
            )
        except (ModbusException, asyncio.IncompleteReadError, OSError) as error:
            raise LinkError(str(error)) from error
        self._check(answer, 16, f"writing {len(write.registers)} registers at {write.address}")
        if (answer.address, answer.count) != (write.address, len(write.registers)):
            raise LinkError(f"the device confirmed another write, at {answer.address}")
        self.writes += 1

    def _check(self, answer: ModbusPDU, function: int, what: str) -> None:
        self.messages += _FRAMES_PER_EXCHANGE
        if answer.transaction_id != self._client.ctx.request_transaction_id:
            raise LinkError(f"the answer to {what} carries transaction id {answer.transaction_id}")
        if answer.isError():
            raise RefusedError(answer.exception_code, what)
        if answer.function_code != function:
            raise LinkError(f"the answer to {what} is of function {answer.function_code}")
