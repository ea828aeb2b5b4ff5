"""The running controller's answer to the doors (`door.Door`).

What is looked at comes from the last cycle's snapshot, on the caller's thread. What changes something,
or needs the store, runs on the control loop: so no lock is needed, and no request holds up a cycle for
longer than its own few lines. What a person allows again is stored first and counts from then on. What a
person stops counts at once, whatever becomes of the database: a stop must work on the day the disk is
full, and an answer that it could not be stored says that it will not outlive a restart.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.domain.assets import Booking, Departure, Vehicle, Wishes, WishKind
from controller.domain.errors import ConflictError, ForbiddenError, InputProblemsError, NotFoundError, Problem
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.network import ImposedLimit
from controller.runtime.checks import (
    booking_list_problems,
    booking_problems,
    energy_problems,
    limit_problems,
    overlaps,
)
from controller.runtime.core import Controller
from controller.runtime.door import (
    AssetView,
    FlexibilityPoint,
    NodePoint,
    PlanSpanView,
    PlanView,
    Principal,
    StateView,
    Taken,
)
from controller.runtime.market_door import MarketDoor
from controller.runtime.metrics import metrics_text
from controller.runtime.ports import EventRecord, Lockout, Role, UnitOfWork
from controller.runtime.statements import Statements
from controller.runtime.supply import Supply
from controller.runtime.trading import Trading
from controller.runtime.views import Views

HORIZON_MAX = timedelta(days=14)
"""How far ahead a departure or a booking may lie."""


class Service(MarketDoor, Statements, Supply):
    """The door of a running controller."""

    def __init__(
        self,
        controller: Controller,
        trading: Trading,
        *,
        loop: asyncio.AbstractEventLoop,
        speed: float,
        messages: Callable[[], Mapping[str, int]],
    ) -> None:
        super().__init__(controller, trading, loop)
        self.views = Views(
            controller.site, controller.settings, controller.people, controller.steering, controller.counters
        )
        self._speed = speed
        self._messages = messages

    async def state(self) -> StateView:
        """The neighbourhood now."""
        snapshot = self.controller.snapshot
        nodes = self.views.nodes(snapshot)
        chargers = self.views.chargers(snapshot)
        sources = self.views.sources(snapshot)
        powers = [charger.power_kw or 0.0 for charger in chargers]
        powers += [s.power_kw or 0.0 for s in sources if s.kind == "battery"]
        roofs = [s.power_kw for s in sources if s.kind == "pv" and s.power_kw is not None]
        base = snapshot.cycle.base if snapshot.cycle is not None else None
        roots = [i for i, node in enumerate(self.controller.site.network.nodes) if node.parent is None]
        counters = self.controller.counters
        return StateView(
            site=self.controller.site.name,
            now=self.controller.clock.now(),
            speed=self._speed,
            nodes=nodes,
            chargers=chargers,
            sources=sources,
            alarms=self.views.alarms(snapshot, nodes, chargers),
            discharge_stopped=self.controller.people.discharge_stopped,
            safety_cycles=counters.safety_cycles,
            late_safety_cycles=counters.late_cycles,
            messages=dict(self._messages()),
            load_kw=None if base is None else float(sum(base.high_kw[i, 0] for i in roots)),
            pv_kw=sum(roofs) if roofs else None,
            charging_kw=sum(power for power in powers if power > 0.0),
            discharging_kw=-sum(power for power in powers if power < 0.0),
            latest_clearing=self.trading.latest,
        )

    async def plan(self) -> PlanView:
        """The plan in force."""
        return self.views.plan(self.controller.snapshot)

    async def plan_reasons(self, asset: AssetId) -> Sequence[PlanSpanView]:
        """What the plan wants of one car or battery, and why."""
        return self.views.plan_reasons(self.controller.snapshot, asset)

    async def node_history(self, node: NodeId) -> Sequence[NodePoint]:
        """The last 96 quarter-hours of a node, the oldest first."""
        self._node(node)
        return self.views.node_history(self.controller.snapshot, node)

    async def events(self, *, limit: int) -> Sequence[EventRecord]:
        """Who did what, the newest first."""
        return await self._in_unit(lambda unit: unit.events(limit=limit))

    async def stop_discharge(self, *, stopped: bool, who: Principal) -> None:
        """Stops all discharge, or allows it again."""

        async def run(unit: UnitOfWork) -> None:
            await unit.put_value("discharge_stopped", "true" if stopped else "false")
            await self._log(unit, who, "stopped all discharge" if stopped else "allowed discharge again", "")

        def apply() -> None:
            self.controller.people.discharge_stopped = stopped
            self.controller.want_plan("discharge was stopped or allowed")

        await self._in_unit(run, apply, at_once=stopped)

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
        """Sets a grid operator's limit; it is planned around at once."""
        self._node(node)
        now = self.controller.clock.now()
        limit = ImposedLimit(
            id=str(uuid.uuid4()),
            node=node,
            import_kw=import_kw,
            export_kw=export_kw,
            from_utc=from_utc or now,
            to_utc=to_utc,
            set_by=who.label,
        )
        problems = limit_problems(limit, now)
        if problems:
            raise InputProblemsError("limit", problems)

        async def run(unit: UnitOfWork) -> ImposedLimit:
            await unit.put_limit(limit)
            await self._log(unit, who, "set a limit", node)
            return limit

        def apply() -> None:
            self.controller.people.limits = {**self.controller.people.limits, limit.id: limit}
            self.controller.want_plan("a limit was set")

        # Not at once: without an answer the grid operator has no id to withdraw it by.
        return await self._in_unit(run, apply)

    async def limits(self, node: NodeId) -> Sequence[ImposedLimit]:
        """The limits of a node that hold or will."""
        self._node(node)
        return [limit for limit in self.controller.people.limits.values() if limit.node == node]

    async def withdraw_limit(self, *, node: NodeId, limit_id: str, who: Principal) -> None:
        """Ends a limit now."""
        self._node(node)
        standing = self.controller.people.limits.get(limit_id)
        if standing is None or standing.node != node:
            raise NotFoundError(f"there is no limit {limit_id!r} on {node!r}")

        async def run(unit: UnitOfWork) -> None:
            await unit.end_limit(limit_id, self.controller.clock.now())
            await self._log(unit, who, "withdrew a limit", node)

        def apply() -> None:
            limits = self.controller.people.limits
            self.controller.people.limits = {key: x for key, x in limits.items() if key != limit_id}
            self.controller.want_plan("a limit was withdrawn")

        await self._in_unit(run, apply)

    async def flexibility(self, node: NodeId) -> Sequence[FlexibilityPoint]:
        """Forecast and flexibility of a node per step of the plan."""
        self._node(node)
        return self.views.flexibility(self.controller.snapshot, node)

    async def put_lockout(self, *, node: NodeId, who: Principal) -> Lockout:
        """Locks discharge out below a node."""
        self._node(node)
        lockout = Lockout(node=node, set_by=who.label, since=self.controller.clock.now())

        async def run(unit: UnitOfWork) -> Lockout:
            await unit.put_lockout(lockout)
            await self._log(unit, who, "locked discharge out", node)
            return lockout

        def apply() -> None:
            self.controller.people.lockouts = {**self.controller.people.lockouts, node: lockout}
            self.controller.want_plan("a lock-out was set")

        return await self._in_unit(run, apply, at_once=True)

    async def release_lockout(self, *, node: NodeId, who: Principal) -> None:
        """Releases a lock-out."""
        if node not in self.controller.people.lockouts:
            raise NotFoundError(f"there is no lock-out on {node!r}")

        async def run(unit: UnitOfWork) -> None:
            await unit.release_lockout(node)
            await self._log(unit, who, "released a lock-out", node)

        def apply() -> None:
            lockouts = self.controller.people.lockouts
            self.controller.people.lockouts = {key: x for key, x in lockouts.items() if key != node}
            self.controller.want_plan("a lock-out was released")

        await self._in_unit(run, apply)

    async def lockouts(self) -> Sequence[Lockout]:
        """The live ones."""
        return list(self.controller.people.lockouts.values())

    async def assets(self, member: MemberId) -> Sequence[AssetView]:
        """A member's own things."""
        return self.views.assets(self.controller.snapshot, member)

    async def set_departure(
        self,
        *,
        asset: AssetId,
        at_utc: datetime,
        energy_kwh: float | None,
        soc_fraction: float | None,
        who: Principal,
    ) -> Wishes:
        """When the car should leave and with what: energy [kWh] or fraction of the battery."""
        vehicle = self._vehicle(asset, who)
        now = self.controller.clock.now()
        if (energy_kwh is None) == (soc_fraction is None):
            rule = "give either energy_kwh or soc_fraction"
            raise InputProblemsError("departure", [Problem(place="energy_kwh", rule=rule)])
        wanted = energy_kwh if energy_kwh is not None else (soc_fraction or 0.0) * vehicle.capacity_kwh
        place = "energy_kwh" if energy_kwh is not None else "soc_fraction"
        problems = energy_problems(place, wanted, vehicle)
        if not now < at_utc <= now + HORIZON_MAX:
            problems.append(Problem(place="at_utc", rule="must lie ahead, at most 14 days"))
        if problems:
            raise InputProblemsError("departure", problems)
        departure = Departure(vehicle=vehicle.id, at_utc=at_utc, energy_kwh=wanted)
        return await self._change_wishes(vehicle.id, who, "set a departure", departure=departure)

    async def set_mode(self, *, asset: AssetId, mode: WishKind, who: Principal) -> Wishes:
        """Charge now, pause, or neither."""
        vehicle = self._vehicle(asset, who)
        return await self._change_wishes(vehicle.id, who, f"set the mode to {mode}", mode=mode)

    async def set_never_discharge(self, *, asset: AssetId, never: bool, who: Principal) -> Wishes:
        """Never discharge this car, or allow it again (which needs the owner's opt-in)."""
        vehicle = self._vehicle(asset, who)
        if not never and not vehicle.discharge_opt_in:
            raise ConflictError(
                "the owner has not agreed to discharge: the site file's discharge_opt_in is false"
            )
        return await self._change_wishes(vehicle.id, who, "changed never_discharge", never_discharge=never)

    async def put_booking(self, booking: Booking, who: Principal) -> Booking:
        """Keeps a booking of a shared car; the same id again replaces it."""
        vehicle = self._bookable(booking.vehicle, who)
        if vehicle is None:
            raise NotFoundError(f"there is no vehicle {booking.vehicle!r}")
        problems = booking_problems(booking, vehicle)
        if problems:
            raise InputProblemsError("booking", problems)
        (kept,) = await self._keep_bookings([booking], who)
        return kept

    async def put_bookings(self, bookings: Sequence[Booking], who: Principal) -> Sequence[Booking]:
        """Keeps several bookings, all or none; each replaces one with its id."""
        problems = booking_list_problems(bookings, lambda asset: self._bookable(asset, who))
        if problems:
            raise InputProblemsError("bookings", problems)
        return await self._keep_bookings(bookings, who)

    async def _keep_bookings(self, bookings: Sequence[Booking], who: Principal) -> Sequence[Booking]:
        people, site = self.controller.people, self.controller.site
        kept: list[Booking] = []

        async def run(unit: UnitOfWork) -> None:
            # Looked at when our turn has come: two that overlap may have been sent at the same time.
            ids = [booking.id for booking in bookings]
            if others := await self._others_bookings(unit, ids, who):
                raise ConflictError(f"booking id {others[0]!r} is taken: choose another, a UUID for one")
            found = overlaps(bookings, people.bookings_of, lambda one: site.is_of(who.member, one))
            if found:
                raise ConflictError("; ".join(found))
            # Who books for all fleets changes what one of them booked, and it stays that fleet's.
            before = {one.id: one.fleet for one in await unit.bookings_by_id(ids)}
            kept.extend(replace(one, fleet=who.member or before.get(one.id)) for one in bookings)
            await unit.put_bookings(kept)

        def apply() -> None:
            people.put_bookings(kept)
            self.controller.want_plan("a booking came")

        # No event is written: bookings are the fleet's own log, and many.
        await self._in_unit(run, apply)
        return kept

    async def delete_booking(self, *, booking_id: str, who: Principal) -> None:
        """Removes a booking."""

        async def run(unit: UnitOfWork) -> None:
            if await self._others_bookings(unit, [booking_id], who):
                raise NotFoundError(f"there is no booking {booking_id!r}")
            await unit.delete_booking(booking_id)
            await self._log(unit, who, "deleted a booking", booking_id)

        def apply() -> None:
            bookings = self.controller.people.bookings
            self.controller.people.bookings = {key: b for key, b in bookings.items() if key != booking_id}
            self.controller.want_plan("a booking was deleted")

        await self._in_unit(run, apply)

    async def bookings(self, who: Principal) -> Sequence[Booking]:
        """A fleet's own bookings that are not over, by start."""
        site = self.controller.site
        return [
            one
            for one in self._current_bookings()
            if one.vehicle in site.vehicle_by_id and site.is_of(who.member, one)
        ]

    async def taken(self, who: Principal) -> Sequence[Taken]:
        """When others have the cars that a fleet may book; not under which id, nor for what."""
        return [
            Taken(vehicle=one.vehicle, from_utc=one.from_utc, to_utc=one.to_utc)
            for one in self._current_bookings()
            if self._bookable(one.vehicle, who) and not self.controller.site.is_of(who.member, one)
        ]

    def _current_bookings(self) -> list[Booking]:
        """All that are not over, by start."""
        now = self.controller.clock.now()
        current = [one for one in self.controller.people.bookings.values() if one.to_utc > now]
        return sorted(current, key=lambda one: (one.from_utc, one.id))

    async def metrics_text(self) -> str:
        """The figures for Prometheus, in its text format."""
        return metrics_text(self.controller, self._messages(), len(self.trading.due()))

    async def _change_wishes(self, asset: AssetId, who: Principal, what: str, **changes: Any) -> Wishes:
        people = self.controller.people

        def changed() -> Wishes:
            return replace(people.wishes.get(asset, Wishes(asset=asset)), **changes)

        async def run(unit: UnitOfWork) -> Wishes:
            wishes = changed()
            await unit.put_wishes(wishes)
            await self._log(unit, who, what, asset)
            return wishes

        def apply() -> None:
            people.wishes = {**people.wishes, asset: changed()}
            self.controller.want_plan("a person pressed a button")

        stops = changes.get("mode") is WishKind.PAUSE or changes.get("never_discharge") is True
        return await self._in_unit(run, apply, at_once=stops)

    def _node(self, node: NodeId) -> None:
        if node not in self.controller.site.network.by_id:
            raise NotFoundError(f"there is no node {node!r}")

    def _bookable(self, asset: AssetId, who: Principal) -> Vehicle | None:
        """The car of that id, where there is one that a fleet may book."""
        site = self.controller.site
        vehicle = site.vehicle_by_id.get(asset)
        return vehicle if vehicle is not None and site.may_book(who.member, vehicle) else None

    async def _others_bookings(self, unit: UnitOfWork, ids: Sequence[str], who: Principal) -> Sequence[str]:
        """Those ids that stand for what others have booked; the store knows past ones, too."""
        kept = await unit.bookings_by_id(ids)
        return [one.id for one in kept if not self.controller.site.is_of(who.member, one)]

    def _vehicle(self, asset: AssetId, who: Principal) -> Vehicle:
        """The car that is meant: by its id, or by the charge point on which it stands."""
        site = self.controller.site
        vehicle = site.vehicle_by_id.get(asset)
        if vehicle is None and asset in site.charge_point_by_id:
            vehicle = self.controller.steering.vehicle_on(self.controller.snapshot.state, asset)
        own = {Role.RESIDENT, Role.FLEET}
        if vehicle is None or (who.role in own and vehicle.member != who.member):
            raise NotFoundError(f"you have no vehicle {asset!r}")
        if who.role not in {*own, Role.OPERATOR}:
            raise ForbiddenError(f"a token of role {who.role} does not set what a driver wants")
        return vehicle

    async def _log(self, unit: UnitOfWork, who: Principal, what: str, subject: str) -> None:
        at = self.controller.clock.now()
        await unit.add_event(EventRecord(at=at, who=f"{who.role}:{who.label}", what=what, subject=subject))
