"""A controller of the test neighbourhood, stepped by hand: a real store, a clock, a fake driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from controller.config import MarketSettings, SafetySettings, Settings
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.floor import DAY_S, FloorHours
from controller.domain.ids import AssetId, NodeId
from controller.domain.setpoints import Applied, Outcome, Setpoint
from controller.domain.site import Site
from controller.domain.telemetry import CarReading, ConnectorReading, MeterReading, Reading
from controller.domain.time import DomainClock, VirtualDomainClock
from controller.forecast.prices import PriceBook
from controller.runtime.core import Controller
from controller.runtime.door import Principal
from controller.runtime.guard import Guard
from controller.runtime.offload import run_inline
from controller.runtime.people import People
from controller.runtime.plan import ActivePlan
from controller.runtime.ports import RegisterRecord, Role
from controller.runtime.steering import Cycle
from controller.runtime.trading import Trading
from controller.sharing_settings import MarketMode
from controller.state import NeighbourhoodState
from controller.storage import SqlStore
from tests.support.neighbourhood import START, site
from tests.support.storage import opened

QUARTER = timedelta(minutes=15)
AUCTION = Settings(market=MarketSettings(mode=MarketMode.AUCTION))
"""A site that trades every quarter-hour."""
OLGA = Principal(role=Role.OPERATOR, member=None, label="Olga")
"""Who gives out tokens."""


class RulesSolver:
    """Plans by rules, at once."""

    async def solve(self, inputs: DispatchInputs, deadline_s: float) -> DispatchResult:  # noqa: ARG002  # at once
        """The plan by rules."""
        return fallback(inputs, "a test")


class FakeDriver:
    """A driver of some devices that does as it is told, or as `answer` says."""

    def __init__(self, *assets: str, answer: Callable[[Setpoint], Outcome] | None = None) -> None:
        self.assets = frozenset(map(AssetId, assets))
        self.answer = answer
        self.sent: list[Setpoint] = []

    def steerable(self) -> frozenset[AssetId]:
        """All of them."""
        return self.assets

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Notes it and answers."""
        self.sent.append(setpoint)
        return Applied(setpoint=setpoint) if self.answer is None else self.answer(setpoint)


def make_controller(
    store: SqlStore,
    clock: DomainClock,
    *,
    settings: Settings | None = None,
    prices: PriceBook | None = None,
    of: Site | None = None,
) -> Controller:
    """A controller of the test street that plans by rules."""
    return Controller(
        site=site() if of is None else of,
        settings=AUCTION if settings is None else settings,
        clock=clock,
        store=store,
        solver=RulesSolver(),
        prices=PriceBook({}, 0.10) if prices is None else prices,
    )


@asynccontextmanager
async def running(
    folder: Path, at: datetime = START
) -> AsyncIterator[tuple[Controller, Trading, VirtualDomainClock]]:
    """A controller with its market, on a store in a folder."""
    clock = VirtualDomainClock(at)
    async with opened(folder / "test.sqlite3") as store:
        controller = make_controller(store, clock)
        await controller.load()
        trading = Trading(controller, offload=run_inline)
        await trading.load()
        yield controller, trading, clock


def registers(at: datetime, **wh: tuple[int, int]) -> list[RegisterRecord]:
    """Registers of every allocation point of the test street; named ones count (import, export) [Wh]."""
    points = ["home", "school", "roof", "battery", *(f"cp-{i}" for i in (1, 2, 3, 4))]
    found = {name.replace("_", "-"): value for name, value in wh.items()}
    return [
        RegisterRecord(
            meter=AssetId(name),
            at=at,
            import_wh=found.get(name, (0, 0))[0],
            export_wh=found.get(name, (0, 0))[1],
        )
        for name in points
    ]


class Cockpit:
    """A `Steering` with what it is given, to be decided cycle by cycle."""

    def __init__(
        self,
        *,
        of: Site | None = None,
        load_kw: Mapping[str, float] | None = None,
        mute: Collection[str] = (),
        **safety: Any,
    ) -> None:
        """At every charger that is not `mute` no car was seen yesterday."""
        self.site = site() if of is None else of
        self.settings = SafetySettings(**safety)
        expected = {"home": 1.0, "school": 4.0} if load_kw is None else load_kw

        self.people = People()
        self.guard = Guard(self.site, self.settings, self.people)
        self.steering = self.guard.steering
        # All day long, so that the hour of a test does not matter.
        self.steering.floor = {
            point.id: FloorHours(start_s=0, length_s=DAY_S, power_kw=point.fallback_kw)
            for point in self.site.charge_points
        }
        self.steering.load_forecast_kw = lambda load, _now: (0.0, expected[load.id])
        self.plan: ActivePlan | None = None
        self.steerable = frozenset(
            AssetId(name) for name in ("cp-1", "cp-2", "cp-3", "cp-4", "battery", "roof")
        )
        for point in self.site.charge_points:
            if point.id not in mute:
                self.hear(
                    ConnectorReading(charge_point=point.id, at=START - timedelta(days=1), plugged=False)
                )

    def plug(self, number: int, at: datetime = START, *, soc: float | None = 0.5, tx: str = "tx") -> None:
        """Plugs car `number` in at its own charger."""
        point = AssetId(f"cp-{number}")
        token = f"token-{number}"
        self.hear(
            ConnectorReading(charge_point=point, at=at, plugged=True, token=token, transaction=tx),
            CarReading(
                charge_point=point, at=at, soc_fraction=soc, charge_kw_max=11.0, discharge_kw_max=11.0
            ),
        )

    def meter(
        self,
        name: str,
        power_kw: float,
        at: datetime = START,
        phases: tuple[float, float, float] | None = None,
    ) -> None:
        """A meter's reading."""
        self.hear(MeterReading(meter=NodeId(name), at=at, power_kw=power_kw, phase_power_kw=phases))

    def hear(self, *readings: Reading) -> None:
        """What devices said."""
        self.guard.hear(readings, (), readings[-1].at)

    @property
    def state(self) -> NeighbourhoodState:
        """The newest state."""
        return self.guard.state

    def decide(self, now: datetime = START, *, confirm: bool = False) -> Cycle:
        """One cycle; `confirm` lets every device take what it is sent."""
        self.guard.guide = self.plan.guide if self.plan is not None else None
        self.guard.steerable = self.steerable
        cycle = self.guard.cycle(now)
        if confirm:
            for setpoint in cycle.setpoints:
                self.steering.note(Applied(setpoint=setpoint), now)
        return cycle

    def place(self, node: str) -> int:
        """A node's row in the arrays."""
        return [n.id for n in self.site.network.nodes].index(NodeId(node))

    def base_high_kw(self, cycle: Cycle, node: str) -> float:
        """What counts against import at a node."""
        return float(cycle.base.high_kw[self.place(node), 0])

    def base_low_kw(self, cycle: Cycle, node: str) -> float:
        """What counts against export at a node."""
        return float(cycle.base.low_kw[self.place(node), 0])


def plan_of(
    cockpit: Cockpit, target_kwh: float, power_kw: float, at: datetime = START, car: str = "car-1"
) -> ActivePlan:
    """A plan of one step of a quarter-hour for one car, and nothing for the rest."""
    from controller.config import Settings as AllSettings
    from controller.runtime.horizon import HorizonFacts, build_horizon

    bounds = (at, at + QUARTER)
    facts = HorizonFacts(
        cars=[],
        batteries=[],
        base_kw={},
        sun_kw={},
        import_price_eur_per_kwh=np.full(1, 0.2),
        export_price_eur_per_kwh=np.full(1, 0.1),
    )
    horizon = build_horizon(at, bounds, cockpit.site, AllSettings(), People(), facts)
    result = fallback(horizon.inputs, "a test")
    made = replace(
        result,
        status="optimal",
        energy_kwh={AssetId(car): np.array([30.0, target_kwh])},
        power_kw={AssetId(car): np.array([power_kw])},
    )
    return ActivePlan(horizon=horizon, result=made)
