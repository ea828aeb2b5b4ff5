"""A SunSpec Modbus TCP server for one simulated device, on a port of its own.

`pymodbus` speaks the protocol; each request is handed to the device's registers, which know the domain
time. A request for registers that are not there, or a value that makes no sense, is answered with the
exception that Modbus has for it, and the device goes on.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controller.domain.errors import StartUpError
from controller.domain.time import DomainClock
from sim.endpoints.registers import BASE_ADDRESS, RefusedWriteError, SunSpecRegisters

_FRAMES_PER_EXCHANGE = 2


class SunSpecServer:
    """Serves the registers of one device."""

    def __init__(
        self, registers: SunSpecRegisters, clock: DomainClock, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Describes a server; `async with` binds it.

        Args:
            registers: The device.
            clock: The domain clock, on which revert times run.
            host: The address to bind.
            port: The port to bind; 0 takes a free one.
        """
        self._registers, self._clock, self._host, self._wanted_port = registers, clock, host, port
        self._server: ModbusTcpServer | None = None
        self.port = port
        """The port that it is bound to."""
        self.messages = 0
        """Requests received and answers sent."""

    async def __aenter__(self) -> Self:
        """Binds and listens.

        Raises:
            StartUpError: If the port cannot be bound.
        """
        memory = SimData(
            BASE_ADDRESS, values=list(self._registers.map.registers), datatype=DataType.REGISTERS
        )
        self._server = ModbusTcpServer(
            SimDevice(0, simdata=[memory], action=self._requested), address=(self._host, self._wanted_port)
        )
        if not await self._server.listen():
            raise StartUpError(f"Modbus server: port {self._wanted_port} on {self._host} cannot be bound")
        # pymodbus keeps the asyncio server where clients keep their transport.
        listening = cast("asyncio.Server", self._server.transport)
        self.port = listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes the port and every connection."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped

    def tick(self, now: datetime) -> None:
        """Lets revert times run out, also while nobody asks."""
        self._registers.tick(now)

    async def _requested(
        self,
        _function: int,
        start: int,
        address: int,
        count: int,
        memory: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """The hook before each answer: fills its memory, or takes what is written."""
        self.messages += _FRAMES_PER_EXCHANGE
        now = self._clock.now()
        try:
            if values is None:
                offset = address - start
                memory[offset : offset + count] = self._registers.read(now, address, count)
            else:
                self._registers.write(now, address, [int(value) for value in values])
        except RefusedWriteError as refusal:
            return ExcCodes.ILLEGAL_ADDRESS if refusal.wrong_address else ExcCodes.ILLEGAL_VALUE
        return None
