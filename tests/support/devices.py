"""Fakes for the devices' tests: a clock to move, a sink that remembers, physics to set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from controller.domain.ids import AssetId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Setpoint
from controller.domain.telemetry import Reading

START = datetime(2024, 1, 15, 16, 0, tzinfo=UTC)


class HandClock:
    """A domain clock that stands until a test moves it; waiting takes machine time at `speed`."""

    def __init__(self, start: datetime = START, speed: float = 1000.0) -> None:
        self.at = start
        self.speed = speed

    def now(self) -> datetime:
        """Now, UTC."""
        return self.at

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span lasts."""
        return span.total_seconds() / self.speed


class Readings:
    """A telemetry sink that keeps everything."""

    def __init__(self) -> None:
        self.all: list[Reading] = []

    def __call__(self, reading: Reading) -> None:
        """Keeps one reading."""
        self.all.append(reading)

    def of[T](self, kind: type[T]) -> list[T]:
        """The readings of one kind, the oldest first."""
        return [reading for reading in self.all if isinstance(reading, kind)]


class HandPhysics:
    """An inverter's or a battery's physics, set by the test."""

    def __init__(self) -> None:
        self.power = 0.0
        self.imported = 0.0
        self.exported = 0.0
        self.soc = 0.5
        self.limits: list[float | None] = []
        self.requests: list[float] = []

    def power_kw(self) -> float:
        """AC power [kW]."""
        return self.power

    def import_wh(self) -> float:
        """Energy taken [Wh]."""
        return self.imported

    def export_wh(self) -> float:
        """Energy delivered [Wh]."""
        return self.exported

    def voltage_v(self) -> tuple[float, float, float]:
        """Phase to neutral [V]."""
        return 230.0, 231.5, 229.0

    def soc_fraction(self) -> float:
        """How full."""
        return self.soc

    def limit_kw(self, limit_kw: float | None) -> None:
        """Remembers a bound."""
        self.limits.append(limit_kw)

    def request_kw(self, power_kw: float) -> None:
        """Remembers a request."""
        self.requests.append(power_kw)


def setpoint(
    asset: str, power_kw: float, *, now: datetime = START, holds_s: float = 120.0, safe_kw: float = 0.0
) -> Setpoint:
    """A setpoint of the plan."""
    return Setpoint(
        asset=AssetId(asset),
        power_kw=power_kw,
        valid_until=now + timedelta(seconds=holds_s),
        safe_kw=safe_kw,
        reason=Reason(code=ReasonCode.PLAN),
    )


async def until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """Waits until something holds, and fails with a TimeoutError where it never does."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # the condition is any expression of a test
            await asyncio.sleep(0.005)
