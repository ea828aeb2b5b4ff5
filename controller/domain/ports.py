"""What the loops need of the outside, by capability: small Protocols, each with its units."""

from __future__ import annotations

from typing import Protocol

from controller.domain.ids import AssetId
from controller.domain.setpoints import Outcome, Setpoint
from controller.domain.telemetry import Reading


class TelemetrySink(Protocol):
    """Takes readings as they come, on the control loop's thread; never blocks and never raises."""

    def __call__(self, reading: Reading) -> None:
        """Keeps one reading for the next cycle."""
        ...


class SetsPower(Protocol):
    """A driver that can steer devices (all chargers of the OCPP endpoint, one inverter, one battery)."""

    def steerable(self) -> frozenset[AssetId]:
        """The assets that can be steered now: those that are connected."""
        ...

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Sends one setpoint and waits for the confirmation, within the driver's own timeout.

        Expected failures are values of `Outcome`; an exception is a bug.
        """
        ...


class StartsCharging(Protocol):
    """The chargers' driver, as far as it starts and stops transactions from afar."""

    async def start(self, charge_point: AssetId, token: str) -> str | None:
        """Asks a charger to begin a transaction for a token.

        Returns:
            Why it did not take it; empty: it did; None: no answer came. What it does is told by its readings.
        """
        ...

    async def stop(self, charge_point: AssetId, transaction: str) -> str | None:
        """Asks a charger to end a transaction; the answer is as that of `start`."""
        ...


class Device(Protocol):
    """A driver with a life: `async with` connects and serves, leaving it closes everything."""

    async def __aenter__(self) -> object:
        """Starts."""
        ...

    async def __aexit__(self, *exc_info: object) -> None:
        """Ends all tasks and closes all sockets."""
        ...
