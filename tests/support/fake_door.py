"""A street that answers the doors: hand-written, small, with every state that a page has to show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from controller.domain.assets import Booking, Departure, Wishes, WishKind
from controller.domain.errors import InputProblemsError, NotFoundError, Problem
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.time import QUARTER, quarter_start
from controller.runtime.door import (
    AssetView,
    ChargerView,
    ExpiredToken,
    FlexibilityPoint,
    NodePoint,
    NodeView,
    PlanSpanView,
    PlanView,
    Principal,
    StateView,
    StrainView,
    Taken,
)
from controller.runtime.ports import EventRecord, Lockout, Role
from tests.support.fake_market import FakeMarket
from tests.support.fake_statements import FakeStatements
from tests.support.fake_supply import FakeSupply
from tests.support.fake_views import (
    FEEDER,
    RESIDENT,
    START,
    alarms,
    clearing,
    sources,
)

NEIGHBOUR = MemberId("home-8")
FLEET = MemberId("fleet-1")
TOKENS: Mapping[str, Principal] = {
    "operator-token": Principal(role=Role.OPERATOR, member=None, label="Operator Olga"),
    "grid-token": Principal(role=Role.GRID, member=None, label="Grid operator"),
    "resident-token": Principal(role=Role.RESIDENT, member=RESIDENT, label="Home 7"),
    "neighbour-token": Principal(role=Role.RESIDENT, member=NEIGHBOUR, label="Home 8"),
    "fleet-token": Principal(role=Role.FLEET, member=FLEET, label="Shared cars"),
    "supplier-token": Principal(role=Role.SUPPLIER, member=None, label="Supplier"),
    "stray-token": Principal(role=Role.RESIDENT, member=None, label="A token for nobody"),
}
CAR = AssetId("car-1")
CHARGER = AssetId("charger-01")
_REASONS = (
    Reason(code=ReasonCode.PLAN),
    Reason(code=ReasonCode.NETWORK_LIMIT, subject="feeder-1", value=120.0, unit="kW", until="18:00"),
    Reason(code=ReasonCode.DEPARTURE, until="07:30"),
    Reason(code=ReasonCode.CHARGE_NOW),
    Reason(code=ReasonCode.NO_DATA, subject="charger-05"),
    Reason(code=ReasonCode.NOT_CONNECTED),
)


class FakeDoor(FakeMarket, FakeStatements, FakeSupply):
    """A street in the evening.

    Args:
        chargers: How many charge points.
        live: Whether each look at the state moves the time by 10 s, as a running controller would.
    """

    def __init__(self, *, chargers: int = 24, live: bool = False) -> None:
        super().__init__()
        self.live = live
        self.charger_count = chargers
        self.discharge_stopped = False
        self.tokens |= TOKENS
        self.imposed: list[ImposedLimit] = []
        self.locked: list[Lockout] = []
        self.kept_bookings: dict[str, Booking] = {}
        self.kept_wishes: dict[AssetId, Wishes] = {}

    async def authenticate(self, token: str) -> Principal | ExpiredToken | None:
        """One of `TOKENS`, or one that was made."""
        end = self.ends.get(token)
        return self.tokens.get(token) if end is None or self.now < end else ExpiredToken(at=end)

    async def state(self) -> StateView:
        """The street now."""
        if self.live:
            self.now += timedelta(seconds=10)
        wave = 0.5 + 0.5 * math.sin(self.now.timestamp() / 300.0)
        chargers = [self._charger(number, wave) for number in range(1, self.charger_count + 1)]
        powers = [charger.power_kw or 0.0 for charger in chargers]
        return StateView(
            site="Proefstraat",
            now=self.now,
            speed=60.0,
            nodes=self._nodes(wave),
            chargers=chargers,
            sources=sources(wave),
            alarms=alarms(self.now),
            discharge_stopped=self.discharge_stopped,
            safety_cycles=round((self.now - START).total_seconds() / 10),
            late_safety_cycles=0,
            messages={"ocpp": 12345, "modbus": 678, "mqtt": 91011},
            load_kw=96.4 + 20.0 * wave,
            pv_kw=-12.5 * wave,
            charging_kw=sum(power for power in powers if power > 0),
            discharging_kw=-sum(power for power in powers if power < 0),
            latest_clearing=clearing(self.now),
        )

    def _nodes(self, wave: float) -> list[NodeView]:
        locked = {item.node for item in self.locked}
        held = {limit.node for limit in self.imposed if limit.holds_at(self.now)}
        rows = [
            ("transformer-1", None, "transformer", 210.0 + 60.0 * wave, 380.0),
            ("feeder-1", "transformer-1", "feeder", 98.0 + 18.0 * wave, 138.0),
            ("pole-1", "feeder-1", "pole", 11.0, 22.0),
            ("pole-2", "feeder-1", "pole", None, 22.0),
            ("feeder-2", "transformer-1", "feeder", 141.5, 138.0),
            ("outside", None, "mv_ring", -20.0, math.inf),
        ]
        return [
            NodeView(
                id=NodeId(name),
                parent=None if parent is None else NodeId(parent),
                kind=kind,
                power_kw=power,
                estimated=kind == "pole",
                import_limit_kw=80.0 if name in held else limit,
                export_limit_kw=limit,
                limited_by_grid_operator=name in held,
                discharge_locked_out=name in locked,
                observed_fraction=0.6 if kind == "pole" else 0.97,
                voltage_v=(228.1, 229.4, 226.9) if kind == "feeder" else None,
                price_eur_per_kwh=0.231 if name == "feeder-1" else 0.187,
                comparison_kw={"plug_and_charge": 150.0, "price_following": 201.0, "fixed_cap": 133.0},
            )
            for name, parent, kind, power, limit in rows
        ]

    def _charger(self, number: int, wave: float) -> ChargerView:
        plugged = number % 4 != 0
        power = (-7.4 if number % 5 == 2 else 11.0 * wave) if plugged else 0.0
        if number % 5 == 2 and self.discharge_stopped:
            power = 0.0
        return ChargerView(
            id=AssetId(f"charger-{number:02d}"),
            node=NodeId(f"pole-{1 + number % 2}"),
            connected=number != 5,
            plugged=plugged,
            vehicle=AssetId(f"car-{number}") if plugged else None,
            soc_fraction=None if not plugged or number == 5 else min(0.2 + 0.03 * number % 0.8, 1.0),
            energy_kwh=30.0 if plugged else None,
            capacity_kwh=60.0 if plugged else None,
            power_kw=power if number != 5 else None,
            setpoint_kw=power,
            reason=_REASONS[number % len(_REASONS)] if plugged else Reason(code=ReasonCode.NOT_CONNECTED),
            departure_utc=datetime(2024, 1, 16, 6, 30, tzinfo=UTC) if plugged else None,
            departure_kwh=48.0 if plugged else None,
            at_risk_kwh=3.2 if number == 1 else 0.0,
        )

    async def plan(self) -> PlanView:
        """A short plan."""
        starts = [quarter_start(self.now) + step * QUARTER for step in range(4)]
        return PlanView(
            made_at=self.now,
            status="optimal",
            cost_eur=101.2,
            lower_bound_eur=101.15,
            gap_fraction=0.0005,
            seconds=0.6,
            starts=starts,
            node_power_kw={FEEDER: [80.0, 81.0, 82.0, 83.0]},
            asset_power_kw={CAR: [11.0, 0.0, -7.0, 0.0]},
            price_eur_per_kwh={FEEDER: [0.11, 0.12, 0.13, 0.14]},
            import_price_eur_per_kwh=[0.11, 0.12, 0.13, 0.14],
            strains=(
                StrainView(
                    start=starts[1],
                    kind="cable",
                    node=FEEDER,
                    place="busbar-end",
                    value=203.0,
                    bound=200.0,
                    unit="A",
                ),
            ),
        )

    async def node_history(self, node: NodeId) -> Sequence[NodePoint]:
        """A day with an evening peak."""
        limit = (await self._node(node)).import_limit_kw
        first = quarter_start(self.now) - 95 * QUARTER
        return [
            NodePoint(
                start=first + step * QUARTER,
                power_kw=None if step == 10 else _daily(step, 1.0),
                import_limit_kw=limit,
                export_limit_kw=limit,
                comparison_kw={
                    "plug_and_charge": _daily(step, 1.25),
                    "price_following": _daily(step, 1.1) + (70.0 if 10 < step < 24 else 0.0),
                    "fixed_cap": _daily(step, 1.05),
                },
            )
            for step in range(96)
        ]

    async def _node(self, node: NodeId) -> NodeView:
        for view in self._nodes(0.5):
            if view.id == node:
                return view
        raise NotFoundError(f"there is no node {node!r}")

    async def events(self, *, limit: int) -> Sequence[EventRecord]:
        """What was done."""
        first = EventRecord(at=START, who="Grid operator", what="set a limit", subject="feeder-1")
        return [first][:limit]

    async def stop_discharge(self, *, stopped: bool, who: Principal) -> None:
        """Stops, or allows again."""
        self.calls.append(("stop_discharge", (stopped, who.label)))
        self.discharge_stopped = stopped

    async def put_limit(
        self,
        *,
        node: NodeId,
        import_kw: float | None,
        export_kw: float | None,
        from_utc: datetime | None,
        to_utc: datetime | None,
        who: Principal,
    ) -> ImposedLimit:
        """Keeps it."""
        await self._node(node)
        limit = ImposedLimit(
            id=f"limit-{len(self.imposed) + 1}",
            node=node,
            import_kw=import_kw,
            export_kw=export_kw,
            from_utc=from_utc or self.now,
            to_utc=to_utc,
            set_by=who.label,
        )
        self.imposed.append(limit)
        return limit

    async def limits(self, node: NodeId) -> Sequence[ImposedLimit]:
        """Those of one node."""
        await self._node(node)
        return [limit for limit in self.imposed if limit.node == node]

    async def withdraw_limit(self, *, node: NodeId, limit_id: str, who: Principal) -> None:
        """Removes it."""
        self.calls.append(("withdraw_limit", (limit_id, who.label)))
        left = [limit for limit in self.imposed if (limit.node, limit.id) != (node, limit_id)]
        if len(left) == len(self.imposed):
            raise NotFoundError(f"there is no limit {limit_id!r} on node {node!r}")
        self.imposed = left

    async def flexibility(self, node: NodeId) -> Sequence[FlexibilityPoint]:
        """A day ahead."""
        await self._node(node)
        first = quarter_start(self.now)
        return [
            FlexibilityPoint(
                start=first + step * QUARTER, forecast_kw=_daily(step, 1.0), up_kw=20.0, down_kw=35.5
            )
            for step in range(96)
        ]

    async def put_lockout(self, *, node: NodeId, who: Principal) -> Lockout:
        """Locks out."""
        await self._node(node)
        lockout = Lockout(node=node, set_by=who.label, since=self.now)
        self.locked.append(lockout)
        return lockout

    async def release_lockout(self, *, node: NodeId, who: Principal) -> None:
        """Releases."""
        self.calls.append(("release_lockout", (node, who.label)))
        if node not in {item.node for item in self.locked}:
            raise NotFoundError(f"discharge is not locked out below {node!r}")
        self.locked = [item for item in self.locked if item.node != node]

    async def lockouts(self) -> Sequence[Lockout]:
        """The live ones."""
        return list(self.locked)

    async def plan_reasons(self, asset: AssetId) -> Sequence[PlanSpanView]:
        """A car that waits and then charges."""
        if asset != CAR:
            raise NotFoundError(f"there is no car or battery {asset!r}")
        start, later = quarter_start(self.now), quarter_start(self.now) + 8 * QUARTER
        waits = PlanReason(
            code=PlanReasonCode.WAITS_CHEAPER,
            price_eur_per_kwh=0.31,
            compare_eur_per_kwh=0.12,
            compare_step=8,
        )
        full = PlanReason(code=PlanReasonCode.NODE_LIMIT, node=FEEDER, limit_kw=138.0)
        return [
            PlanSpanView(start=start, end=later, power_kw=0.0, reason=waits, compare_at=later),
            PlanSpanView(start=later, end=later + QUARTER, power_kw=6.4, reason=full, compare_at=None),
        ]

    async def assets(self, member: MemberId) -> Sequence[AssetView]:
        """A home and a car for the resident; a home for the neighbour; cars for the fleet."""
        if member == FLEET:
            return [self._car(AssetId(f"car-{number}"), number) for number in (2, 3, 4)]
        home = AssetView(
            id=AssetId(str(member)),
            kind="home",
            node=FEEDER,
            power_kw=0.42,
            soc_fraction=None,
            charger=None,
            wishes=Wishes(asset=AssetId(str(member))),
            reason=None,
        )
        if member == NEIGHBOUR:
            return [home]
        roof = replace(home, id=AssetId("roof-7"), kind="pv", power_kw=-1.8)
        return [replace(self._car(CAR, 1), coming=await self.plan_reasons(CAR)), home, roof]

    def _car(self, car: AssetId, number: int) -> AssetView:
        charger = self._charger(number, 0.5)
        plugged = charger if charger.plugged else None
        return AssetView(
            id=car,
            kind="vehicle",
            node=None if plugged is None else plugged.node,
            power_kw=None if plugged is None else plugged.power_kw,
            soc_fraction=0.55,
            charger=plugged,
            wishes=self.kept_wishes.get(car, Wishes(asset=car)),
            reason=charger.reason,
        )

    async def _own(self, asset: AssetId, who: Principal) -> Wishes:
        own = await self.assets(who.member or MemberId(""))
        if asset not in {view.id for view in own}:
            raise NotFoundError(f"you have no {asset!r}")
        return self.kept_wishes.get(asset, Wishes(asset=asset))

    async def set_departure(
        self,
        *,
        asset: AssetId,
        at_utc: datetime,
        energy_kwh: float | None,
        soc_fraction: float | None,
        who: Principal,
    ) -> Wishes:
        """Keeps it; more than the battery holds is refused."""
        wishes = await self._own(asset, who)
        energy = energy_kwh if energy_kwh is not None else 60.0 * (soc_fraction or 0.0)
        if energy > 60.0:
            problem = Problem(place="energy_kwh", rule="is more than the battery holds (60 kWh)")
            raise InputProblemsError("departure", [problem])
        departure = Departure(vehicle=asset, at_utc=at_utc, energy_kwh=energy)
        self.kept_wishes[asset] = replace(wishes, departure=departure)
        return self.kept_wishes[asset]

    async def set_mode(self, *, asset: AssetId, mode: WishKind, who: Principal) -> Wishes:
        """Keeps it."""
        self.kept_wishes[asset] = replace(await self._own(asset, who), mode=mode)
        return self.kept_wishes[asset]

    async def set_never_discharge(self, *, asset: AssetId, never: bool, who: Principal) -> Wishes:
        """Keeps it."""
        self.kept_wishes[asset] = replace(await self._own(asset, who), never_discharge=never)
        return self.kept_wishes[asset]

    async def put_booking(self, booking: Booking, who: Principal) -> Booking:
        """Keeps it; the car has to be one."""
        self.calls.append(("put_booking", (booking.id, who.label)))
        if not booking.vehicle.startswith("car-"):
            raise NotFoundError(f"there is no shared car {booking.vehicle!r}")
        self.kept_bookings[booking.id] = booking
        return booking

    async def put_bookings(self, bookings: Sequence[Booking], who: Principal) -> Sequence[Booking]:
        """Keeps them."""
        return [await self.put_booking(booking, who) for booking in bookings]

    async def delete_booking(self, *, booking_id: str, who: Principal) -> None:
        """Removes it."""
        self.calls.append(("delete_booking", (booking_id, who.label)))
        if booking_id not in self.kept_bookings:
            raise NotFoundError(f"there is no booking {booking_id!r}")
        del self.kept_bookings[booking_id]

    async def bookings(self, who: Principal) -> Sequence[Booking]:
        """All of them."""
        self.calls.append(("bookings", (who.label,)))
        return list(self.kept_bookings.values())

    async def taken(self, who: Principal) -> Sequence[Taken]:
        """Nobody else has any."""
        self.calls.append(("taken", (who.label,)))
        return []

    async def metrics_text(self) -> str:
        """One figure."""
        return "# TYPE wijkstroom_safety_cycles_total counter\nwijkstroom_safety_cycles_total 42\n"


def _daily(step: int, factor: float) -> float:
    """A day's load [kW] with a peak in the evening."""
    return factor * (60.0 + 45.0 * math.exp(-(((step - 80) / 9.0) ** 2)) + 15.0 * math.sin(step / 15.0))
