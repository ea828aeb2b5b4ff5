"""A corner of a street in the field: simulated chargers on real sockets, the safety loop's own decision.

The chargers' endpoint is the real one, and so is the guard that decides; meters tell what really flows.
Everything stands on one virtual clock, in steps of the safety loop's period.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.setpoints import Outcome
from controller.domain.telemetry import MeterReading
from controller.runtime.guard import Noted
from controller.runtime.steering import Cycle
from sim.chargers.client import SimulatedCharger
from tests.support.ocpp import FakeSocket, Street, street, until
from tests.support.running import Cockpit

PERIOD_S = 10.0
WARM_UP_S = 900.0
"""Longer than a setpoint of before our start could live, and than the ramp after it."""
AWAY = {"backoff_s": (60.0, 60.0)}
"""For a charger that loses its link and does not find it again within a test."""


class Field:
    """Chargers cp-1 and cp-2 under feeder f1, with a home that nobody steers, and two more elsewhere."""

    def __init__(self, place: Street, cockpit: Cockpit) -> None:
        self.place, self.cockpit = place, cockpit
        self.base_kw = 1.0
        """What the home draws."""
        self.metered = True
        """Whether the feeder's meter is heard."""
        self.sockets: dict[int, FakeSocket] = {}
        self.chargers: dict[int, SimulatedCharger] = {}
        self.outcomes: list[Outcome] = []
        self._heard = 0

    @property
    def limit_kw(self) -> float:
        """Of the feeder."""
        return self.cockpit.site.network.by_id[NodeId("f1")].import_limit_kw()

    @property
    def flow_kw(self) -> float:
        """What really flows through the feeder."""
        return self.base_kw + sum(self.sockets[number].power for number in (1, 2))

    async def connect(self, number: int, **options: Any) -> None:
        """Switches charger `number` on, without a car."""
        socket = self.sockets[number] = FakeSocket()
        point = self.cockpit.site.charge_points[number - 1]
        charger = self.place.charger(socket, **{"point": point, **options})
        self.chargers[number] = charger
        await until(lambda: len(charger.core.profiles) == 2)

    async def settle(self) -> None:
        """Lets the time after a start pass, in which power comes back along a ramp."""
        for _ in range(3):
            self.place.advance(WARM_UP_S / 3, *self.chargers.values(), step_s=WARM_UP_S / 3)
            await self._quiet()
            await self.cycle()

    def plug(self, number: int, *, charge_now: bool = True) -> FakeSocket:
        """Plugs a car in, whose driver wants it full at once."""
        car = AssetId(f"car-{number}")
        if charge_now:
            self.cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
        self.sockets[number].token = f"token-{number}"
        return self.sockets[number]

    async def _quiet(self) -> None:
        """Waits until everything that was to be said is said and answered."""
        for charger in self.chargers.values():
            outbox = charger.core.outbox
            await until(lambda box=outbox: not box.has_open_call() and not box.wants_to_speak())  # type: ignore[misc]

    async def run(self, span_s: float) -> Cycle:
        """Runs the safety loop for a while; the last cycle."""
        cycle = await self.cycle()
        for _ in range(round(span_s / PERIOD_S)):
            self.place.advance(PERIOD_S, *self.chargers.values())
            await self._quiet()
            cycle = await self.cycle()
        return cycle

    async def cycle(self) -> Cycle:
        """Hears what came, decides, sends, and notes what became of it."""
        now, guard = self.place.clock.now(), self.cockpit.guard
        if self.metered:
            self.place.readings.append(MeterReading(meter=NodeId("f1"), at=now, power_kw=self.flow_kw))
        guard.hear(self.place.readings[self._heard :], (), now)
        self._heard = len(self.place.readings)
        self.cockpit.steerable = self.place.endpoint.steerable()
        cycle = self.cockpit.decide(now)
        for setpoint in cycle.setpoints:
            outcome = await self.place.endpoint.set_power(setpoint)
            self.outcomes.append(outcome)
            guard.hear((), (Noted(outcome=outcome, at=now),), now)
        return cycle

    async def lose(self, *numbers: int) -> None:
        """Cuts the link of some chargers."""
        for number in numbers:
            await self.chargers[number].drop()
        left = len(self.chargers) - len(numbers)
        await until(lambda: self.place.endpoint.connected() == left)
        self.place.advance(PERIOD_S, *self.chargers.values())


@asynccontextmanager
async def field(cockpit: Cockpit, **options: Mapping[str, Any]) -> AsyncIterator[Field]:
    """The endpoint for a cockpit's chargers, with the floor that its guard has reckoned; all are connected.

    Args:
        cockpit: Its site has the chargers cp-1 to cp-4.
        options: Of `SimulatedCharger`, by charger: `cp_1={"faults": ...}`.
    """
    points, floor = cockpit.site.charge_points, cockpit.steering.floor
    tokens = {vehicle.token for vehicle in cockpit.site.vehicles}
    # A busy machine is no silent charger.
    async with street(points=points, tokens=tokens, floor=floor, call_timeout_s=20.0) as place:
        found = Field(place, cockpit)
        for number in range(1, len(points) + 1):
            await found.connect(number, **options.get(f"cp_{number}", {}))
        await found.settle()
        yield found
