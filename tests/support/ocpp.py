"""Helpers of the OCPP tests: a charger's socket without a world, chargers by hand, an endpoint for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from controller.domain.charging_tokens import among
from controller.domain.ids import AssetId, Ean, MemberId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Setpoint
from controller.domain.telemetry import CarReading, Reading
from controller.domain.time import VirtualDomainClock
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.v21 import Session21
from sim.chargers.client import SimulatedCharger

START = datetime(2024, 1, 15, 16, 0, tzinfo=UTC)
"""When every test begins; a quarter-hour's start."""
TOKENS = frozenset({"NL-WST-C00000001", "NL-WST-C00000002"})


def charge_point(
    name: str = "cp-001", *, discharge_kw_max: float = 11.0, fallback_kw: float = 0.0
) -> ChargePoint:
    """A two-way charger of 11 kW."""
    return ChargePoint(
        id=AssetId(name),
        node=NodeId("pole-1"),
        ean=Ean("871685900000000015"),
        member=MemberId("coop"),
        charge_kw_max=11.0,
        discharge_kw_max=discharge_kw_max,
        fallback_kw=fallback_kw,
    )


def setpoint(
    power_kw: float,
    *,
    asset: str = "cp-001",
    life_s: float = 900.0,
    safe_kw: float = 0.0,
    at: datetime = START,
) -> Setpoint:
    """A setpoint that holds for `life_s` from `at` on."""
    return Setpoint(
        asset=AssetId(asset),
        power_kw=power_kw,
        valid_until=at + timedelta(seconds=life_s),
        safe_kw=safe_kw,
        reason=Reason(code=ReasonCode.PLAN),
    )


def session(point: ChargePoint | None = None) -> Session21:
    """A fresh session that knows `TOKENS`."""
    return Session21(point or charge_point(), verdict=among(TOKENS))


@dataclass
class FakeSocket:
    """The physics of one socket, moved by hand; power follows the request at once."""

    token: str | None = None
    soc: float = 0.5
    capacity: float = 60.0
    power: float = 0.0
    imported_wh: float = 100_000.0
    exported_wh: float = 20_000.0
    charge_kw_max: float = 11.0
    discharge_kw_max: float = 11.0
    obeys: bool = True
    requests: list[float] = field(default_factory=list)

    def plugged_token(self) -> str | None:
        """The car's token."""
        return self.token

    def soc_fraction(self) -> float:
        """State of charge."""
        return self.soc

    def capacity_kwh(self) -> float:
        """Battery."""
        return self.capacity

    def car_charge_kw_max(self) -> float:
        """The car's most."""
        return self.charge_kw_max

    def car_discharge_kw_max(self) -> float:
        """The car's most the other way."""
        return self.discharge_kw_max

    def power_kw(self) -> float:
        """Power now."""
        return self.power

    def import_wh(self) -> float:
        """Register."""
        return self.imported_wh

    def export_wh(self) -> float:
        """Register."""
        return self.exported_wh

    def request_kw(self, power_kw: float) -> None:
        """The electronics' input."""
        self.requests.append(power_kw)
        if self.obeys:
            self.power = power_kw if self.token is not None else 0.0

    def run(self, span_s: float) -> None:
        """Lets the power flow for a while."""
        energy_wh = self.power * 1000.0 * span_s / 3600.0
        self.imported_wh += max(energy_wh, 0.0)
        self.exported_wh += max(-energy_wh, 0.0)
        self.soc += energy_wh / 1000.0 / self.capacity


class Street:
    """An endpoint on a virtual clock, the readings it gave, and the chargers that connect to it."""

    def __init__(self, endpoint: OcppEndpoint, clock: VirtualDomainClock, readings: list[Reading]) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.readings = readings
        self.tasks: list[asyncio.Task[None]] = []

    def charger(self, socket: FakeSocket, name: str = "cp-001", **options: Any) -> SimulatedCharger:
        """Switches a simulated charger on."""
        point = options.pop("point", charge_point(name))
        usual: dict[str, Any] = {"url": self.endpoint.url, "backoff_s": (0.02, 0.05), "answer_timeout_s": 1.0}
        charger = SimulatedCharger(point=point, physics=socket, **usual | options)
        charger.tick(self.clock.now())
        self.tasks.append(asyncio.create_task(charger.run()))
        return charger

    def advance(self, span_s: float, *chargers: SimulatedCharger, step_s: float = 10.0) -> None:
        """Moves the clock in steps and ticks the chargers after each."""
        end = self.clock.now() + timedelta(seconds=span_s)
        while self.clock.now() < end:
            at = min(self.clock.now() + timedelta(seconds=step_s), end)
            for charger in chargers:
                socket = charger.core._physics  # the test moves the physics by hand
                if isinstance(socket, FakeSocket):
                    socket.run((at - self.clock.now()).total_seconds())
            self.clock.advance_to(at)
            for charger in chargers:
                charger.tick(at)

    async def ready(self, charger: SimulatedCharger) -> None:
        """Waits until a charger has its floor, and has told of the car that it may have."""
        await until(lambda: len(charger.core.profiles) == 2)
        if charger.core.transaction is not None:
            await until(lambda: any(car.charge_kw_max for car in self.of(CarReading)))

    def of(self, kind: type[Any]) -> list[Any]:
        """The readings of one kind, in the order in which they came."""
        return [reading for reading in self.readings if isinstance(reading, kind)]


async def until(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Waits for something that happens on other tasks."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)


@asynccontextmanager
async def street(
    *names: str,
    passwords: Mapping[str, str] | None = None,
    points: Iterable[ChargePoint] | None = None,
    **options: Any,
) -> AsyncIterator[Street]:
    """An endpoint for some chargers on a free port: two-way ones by name, or `points`."""
    clock = VirtualDomainClock(START)
    readings: list[Reading] = []

    def keep(reading: Reading) -> None:
        readings.append(reading)

    admitted = points or [charge_point(name) for name in names or ("cp-001",)]
    settings: dict[str, Any] = {"tokens": TOKENS, "call_timeout_s": 10.0, "boot_grace_s": 0.1, **options}
    endpoint = OcppEndpoint(
        host="127.0.0.1",
        port=0,
        charge_points={point.id: point for point in admitted},
        sink=keep,
        clock=clock,
        passwords=passwords,
        **settings,
    )
    async with endpoint:
        place = Street(endpoint, clock, readings)
        try:
            yield place
        finally:
            for task in place.tasks:
                task.cancel()
            await asyncio.gather(*place.tasks, return_exceptions=True)


@asynccontextmanager
async def raw_charger(
    place: Street,
    name: str = "cp-001",
    *,
    subprotocol: str = "ocpp2.1",
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[ClientConnection]:
    """A charger whose frames the test writes itself."""
    async with connect(
        f"{place.endpoint.url}/{name}",
        subprotocols=[Subprotocol(subprotocol)],
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as connection:
        yield connection


def patient_answer(call: list[Any]) -> str:
    """What a charger answers that takes all that is asked of it, and knows no variable."""
    _, message_id, action, payload = call
    answer: dict[str, Any] = {"status": "Accepted"}
    if action == "GetConfiguration":
        answer = {"unknownKey": payload["key"]}
    elif action == "GetVariables":
        asked = payload["getVariableData"]
        answer = {"getVariableResult": [{**one, "attributeStatus": "UnknownComponent"} for one in asked]}
    return orjson.dumps([3, message_id, answer]).decode()


async def exchange(connection: ClientConnection, frame: Any) -> Any:
    """Sends a frame (text as it is, anything else as JSON) and gives the answer to it.

    Calls of the endpoint that come in between are answered with `Accepted`, as a patient charger does.
    """
    text = frame if isinstance(frame, str | bytes) else orjson.dumps(frame).decode()
    await connection.send(text)
    async with asyncio.timeout(30.0):
        while True:
            answer = orjson.loads(await connection.recv())
            if answer[0] != 2:
                return answer
            await connection.send(patient_answer(answer))
