"""What the doors ask of a running controller: rights, wishes, limits, bookings; and what they are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from controller.domain.assets import Booking, WishKind
from controller.domain.errors import (
    ConflictError,
    ForbiddenError,
    InputProblemsError,
    NotFoundError,
    WijkstroomError,
)
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.telemetry import ConnectorReading, MeterReading
from controller.runtime.core import Controller
from controller.runtime.door import Principal, Taken
from controller.runtime.ports import Role
from controller.runtime.service import Service
from tests.support.neighbourhood import START
from tests.support.running import running

HOUR = timedelta(hours=1)
CAR = AssetId("car-1")
OPERATOR = Principal(role=Role.OPERATOR, member=None, label="op")
GRID = Principal(role=Role.GRID, member=None, label="dso")
FLEET = Principal(role=Role.FLEET, member=None, label="fleet")
OWNER = Principal(role=Role.RESIDENT, member=MemberId("fleet"), label="owner")
NEIGHBOUR = Principal(role=Role.RESIDENT, member=MemberId("m-home"), label="neighbour")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Service, Controller]]:
    """A service on the test's own event loop."""
    async with running(folder) as (controller, trading, _):
        loop = asyncio.get_running_loop()
        yield Service(controller, trading, loop=loop, speed=1.0, messages=dict), controller


def trip(key: str, from_h: float, to_h: float, car: str = "car-1") -> Booking:
    """A booking."""
    return Booking(
        id=key,
        vehicle=AssetId(car),
        from_utc=START + from_h * HOUR,
        to_utc=START + to_h * HOUR,
        energy_kwh=5.0,
    )


def break_store(controller: Controller) -> None:
    """From now on the database fails."""

    def no_unit() -> NoReturn:
        raise WijkstroomError("the disk is full")

    controller.store.unit = no_unit  # type: ignore[method-assign]  # a store in trouble


async def test_a_car_is_its_owners(tmp_path: Path) -> None:
    """A neighbour and another fleet find none, who drives none may not, the owner and the operator may."""
    async with serving(tmp_path) as (service, controller):
        for rival in (MemberId("coop"), None):
            fleet = Principal(role=Role.FLEET, member=rival, label="another")
            with pytest.raises(NotFoundError):
                await service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=fleet)
        supplier = Principal(role=Role.SUPPLIER, member=None, label="supplier")
        with pytest.raises(ForbiddenError):
            await service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=supplier)
        with pytest.raises(NotFoundError):
            await service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=NEIGHBOUR)
        with pytest.raises(ForbiddenError):
            await service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=GRID)
        await service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=OWNER)
        await service.set_never_discharge(asset=CAR, never=True, who=OPERATOR)
        wishes = controller.people.wishes[CAR]
        assert (wishes.mode, wishes.never_discharge) == (WishKind.PAUSE, True)
        async with controller.store.unit() as unit:
            assert list(await unit.wishes()) == [wishes]


async def test_a_departure_is_checked_whole(tmp_path: Path) -> None:
    """Too much energy and a time that is past, both told; either energy or a fraction."""
    async with serving(tmp_path) as (service, controller):
        with pytest.raises(InputProblemsError) as caught:
            await service.set_departure(
                asset=CAR, at_utc=START, energy_kwh=61.0, soc_fraction=None, who=OWNER
            )
        assert [p.place for p in caught.value.problems] == ["energy_kwh", "at_utc"]
        with pytest.raises(InputProblemsError, match="either"):
            await service.set_departure(
                asset=CAR, at_utc=START + HOUR, energy_kwh=1.0, soc_fraction=0.5, who=OWNER
            )
        wishes = await service.set_departure(
            asset=CAR, at_utc=START + HOUR, energy_kwh=None, soc_fraction=0.5, who=OWNER
        )
        assert wishes.departure is not None
        assert wishes.departure.energy_kwh == 30.0
        assert controller.replan_because


async def test_discharge_needs_the_owners_opt_in(tmp_path: Path) -> None:
    """A button does not replace it."""
    async with serving(tmp_path) as (service, controller):
        car = replace(controller.site.vehicles[0], discharge_opt_in=False)
        controller.site = replace(controller.site, vehicles=(car, *controller.site.vehicles[1:]))
        with pytest.raises(ConflictError, match="not agreed"):
            await service.set_never_discharge(asset=CAR, never=False, who=OWNER)


async def test_a_stop_works_although_the_database_does_not(tmp_path: Path) -> None:
    """Pause, never discharge, stop and lock-out count at once; what allows more does not."""
    async with serving(tmp_path) as (service, controller):
        await service.set_mode(asset=AssetId("car-2"), mode=WishKind.PAUSE, who=OWNER)
        break_store(controller)
        people = controller.people
        for attempt in (
            service.set_mode(asset=CAR, mode=WishKind.PAUSE, who=OWNER),
            service.set_never_discharge(asset=CAR, never=True, who=OWNER),
            service.stop_discharge(stopped=True, who=OPERATOR),
            service.put_lockout(node=NodeId("f1"), who=GRID),
            service.set_mode(asset=AssetId("car-2"), mode=WishKind.CHARGE_NOW, who=OWNER),
            service.put_booking(trip("b", 1, 2), FLEET),
        ):
            with pytest.raises(WijkstroomError, match="disk is full"):
                await attempt
        assert people.wishes[CAR].mode is WishKind.PAUSE
        assert people.wishes[CAR].never_discharge
        assert people.discharge_stopped
        assert NodeId("f1") in people.lockouts
        assert people.wishes[AssetId("car-2")].mode is WishKind.PAUSE
        assert people.bookings == {}
        with pytest.raises(WijkstroomError, match="disk is full"):
            await service.stop_discharge(stopped=False, who=OPERATOR)
        assert people.discharge_stopped


async def test_limits_are_set_checked_and_withdrawn(tmp_path: Path) -> None:
    """Neither direction, a negative one, an end in the past, an unknown node; then one that holds."""
    async with serving(tmp_path) as (service, controller):
        node = NodeId("f1")
        with pytest.raises(InputProblemsError):
            await service.put_limit(
                node=node, import_kw=None, export_kw=None, from_utc=None, to_utc=None, who=GRID
            )
        with pytest.raises(InputProblemsError) as caught:
            await service.put_limit(
                node=node, import_kw=-1.0, export_kw=float("nan"), from_utc=None, to_utc=START, who=GRID
            )
        assert [p.place for p in caught.value.problems] == ["import_kw", "export_kw", "to_utc"]
        with pytest.raises(NotFoundError):
            await service.limits(NodeId("moon"))
        limit = await service.put_limit(
            node=node, import_kw=5.0, export_kw=None, from_utc=None, to_utc=None, who=GRID
        )
        assert controller.people.limit_at(controller.site.network, node, START).import_kw == 5.0
        with pytest.raises(NotFoundError):
            await service.withdraw_limit(node=NodeId("f2"), limit_id=limit.id, who=GRID)
        await service.withdraw_limit(node=node, limit_id=limit.id, who=GRID)
        assert list(await service.limits(node)) == []
        with pytest.raises(NotFoundError):
            await service.release_lockout(node=node, who=GRID)


async def test_bookings_of_one_car_do_not_overlap(tmp_path: Path) -> None:
    """Also where two are sent at the same time; the same id replaces, the next may begin at the end."""
    async with serving(tmp_path) as (service, controller):
        sent = await asyncio.gather(
            service.put_booking(trip("a", 1, 3), FLEET),
            service.put_booking(trip("b", 2, 4), FLEET),
            return_exceptions=True,
        )
        assert sum(isinstance(one, ConflictError) for one in sent) == 1
        await service.put_booking(trip("a", 1, 3.5), FLEET)
        await service.put_booking(trip("c", 3.5, 5), FLEET)
        await service.put_booking(trip("d", 2, 4, "car-2"), FLEET)
        assert [b.id for b in await service.bookings(FLEET)] == ["a", "d", "c"]
        with pytest.raises(InputProblemsError):
            await service.put_booking(trip("e", 9, 8), FLEET)
        with pytest.raises(NotFoundError):
            await service.put_booking(trip("f", 8, 9, "car-9"), FLEET)
        await service.delete_booking(booking_id="a", who=FLEET)
        assert set(controller.people.bookings) == {"c", "d"}


async def test_a_fleet_books_its_own_cars_and_shared_ones_and_hears_of_no_others(tmp_path: Path) -> None:
    """A private car, and another fleet's: neither booked, nor seen, nor taken over by an id, past or not."""
    async with serving(tmp_path) as (service, controller):
        site = controller.site
        home, fleet = MemberId("m-home"), Principal(role=Role.FLEET, member=MemberId("fleet"), label="fleet")
        private = replace(site.vehicles[1], member=home, shared=False)
        shared = replace(site.vehicles[2], member=home, shared=True)
        controller.site = replace(site, vehicles=(site.vehicles[0], private, shared, site.vehicles[3]))
        rival = Principal(role=Role.FLEET, member=MemberId("coop"), label="another")
        for who in (fleet, FLEET, rival):
            with pytest.raises(NotFoundError):
                await service.put_booking(trip("p", 1, 2, "car-2"), who)
            with pytest.raises(InputProblemsError):
                await service.put_bookings([trip("p", 1, 2, "car-2")], who)
        await service.put_bookings([trip("a", 1, 2), trip("s", 1, 2, "car-3")], fleet)
        assert [b.id for b in await service.bookings(FLEET)] == ["a", "s"]
        assert await service.bookings(rival) == []
        for past in (False, True):
            if past:
                controller.people.drop_past(START + 9 * HOUR)
            for attempt in (
                service.put_booking(trip("a", 3, 4, "car-3"), rival),
                service.put_bookings([trip("r", 3, 4, "car-3"), trip("a", 5, 6, "car-3")], rival),
                service.put_booking(trip("s", 3, 4, "car-3"), rival),
            ):
                with pytest.raises(ConflictError, match=r"booking id '[as]' is taken"):
                    await attempt
            with pytest.raises(NotFoundError):
                await service.delete_booking(booking_id="a", who=rival)
            async with controller.store.unit() as unit:
                assert {b.id: b.vehicle for b in await unit.bookings(ending_after=START)}["a"] == CAR
        assert controller.people.bookings == {}
        await service.put_booking(trip("a", 3, 4), fleet)


async def test_of_another_fleets_booking_of_a_shared_car_a_fleet_hears_the_time_alone(tmp_path: Path) -> None:
    """When the car is taken, in the list and in a refusal; no id, no energy; who books for all sees all."""
    async with serving(tmp_path) as (service, controller):
        site = controller.site
        cars = (site.vehicles[0], replace(site.vehicles[1], shared=True), *site.vehicles[2:])
        controller.site = replace(site, vehicles=cars)
        ours = Principal(role=Role.FLEET, member=MemberId("fleet"), label="fleet")
        rival = Principal(role=Role.FLEET, member=MemberId("coop"), label="another")
        await service.put_bookings([trip("ann-1", 1, 2), trip("ann-2", 3, 4, "car-2")], ours)
        await service.put_booking(trip("bob-1", 5, 6, "car-2"), rival)
        assert [b.id for b in await service.bookings(ours)] == ["ann-1", "ann-2"]
        assert [b.id for b in await service.bookings(rival)] == ["bob-1"]
        assert [b.id for b in await service.bookings(FLEET)] == ["ann-1", "ann-2", "bob-1"]

        def span(from_h: int, to_h: int) -> Taken:
            return Taken(vehicle=AssetId("car-2"), from_utc=START + from_h * HOUR, to_utc=START + to_h * HOUR)

        assert await service.taken(ours) == [span(5, 6)]
        assert await service.taken(rival) == [span(3, 4)]
        assert await service.taken(FLEET) == []
        with pytest.raises(ConflictError, match=r"already in that time: [^a-z]+$"):
            await service.put_booking(trip("bob-2", 3, 4, "car-2"), rival)
        with pytest.raises(NotFoundError):
            await service.delete_booking(booking_id="ann-2", who=rival)
        # Changed by who books for all fleets it stays the fleet's, also after a start.
        await service.put_booking(trip("ann-2", 3, 4.5, "car-2"), FLEET)
        async with controller.store.unit() as unit:
            controller.people.bookings = {b.id: b for b in await unit.bookings(ending_after=START)}
        assert [b.id for b in await service.bookings(ours)] == ["ann-1", "ann-2"]
        await service.delete_booking(booking_id="ann-2", who=ours)


async def test_an_older_booking_whose_fleet_is_not_known_is_the_car_owners(tmp_path: Path) -> None:
    """It was kept before fleets were told apart; the owner of the car replaces it and has it from then on."""
    async with serving(tmp_path) as (service, controller):
        await service.put_booking(trip("old", 1, 2), FLEET)
        site = controller.site
        controller.site = replace(site, vehicles=(replace(site.vehicles[0], shared=True), *site.vehicles[1:]))
        ours = Principal(role=Role.FLEET, member=MemberId("fleet"), label="fleet")
        rival = Principal(role=Role.FLEET, member=MemberId("coop"), label="another")
        assert (await service.bookings(rival), len(await service.taken(rival))) == ([], 1)
        with pytest.raises(ConflictError, match="'old' is taken"):
            await service.put_booking(trip("old", 1, 2), rival)
        await service.put_booking(trip("old", 1, 3), ours)
        assert [b.fleet for b in await service.bookings(ours)] == ["fleet"]


async def test_the_reservation_of_a_car_that_is_gone_goes_on_with_another(tmp_path: Path) -> None:
    """The site file has lost the car: its reservation is replaced under its own id, or removed."""
    async with serving(tmp_path) as (service, controller):
        await service.put_bookings([trip("a", 1, 2), trip("b", 3, 4)], FLEET)
        site = controller.site
        controller.site = replace(site, vehicles=site.vehicles[1:])
        await service.put_booking(trip("a", 1, 2, "car-2"), FLEET)
        await service.delete_booking(booking_id="b", who=FLEET)
        assert [(b.id, b.vehicle) for b in await service.bookings(FLEET)] == [("a", "car-2")]
        assert set(controller.people.bookings) == {"a"}


async def test_a_list_of_bookings_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    """All problems at once, each with its number; then all overlaps, with kept ones and in the list."""
    async with serving(tmp_path) as (service, controller):
        wrong = [trip("a", 1, 3), trip("b", 9, 8), trip("c", 1, 2, "car-9"), trip("a", 5, 6)]
        with pytest.raises(InputProblemsError) as caught:
            await service.put_bookings(wrong, FLEET)
        places = [problem.place for problem in caught.value.problems]
        assert places == ["bookings.1.to_utc", "bookings.2.vehicle_id", "bookings.3.id"]
        await service.put_booking(trip("a", 1, 3), FLEET)
        with pytest.raises(ConflictError, match=r"b: car-1 .*: a, c; c: car-1 .*: b$"):
            await service.put_bookings([trip("b", 2, 5), trip("c", 4, 6), trip("d", 1, 2, "car-2")], FLEET)
        assert set(controller.people.bookings) == {"a"}
        # What is replaced stands in nobody's way.
        await service.put_bookings([trip("b", 1, 2), trip("a", 2, 3), trip("d", 1, 2, "car-2")], FLEET)
        assert [b.id for b in controller.people.bookings_of(CAR)] == ["b", "a"]
        async with controller.store.unit() as unit:
            assert len(await unit.bookings(ending_after=START)) == 3


async def test_a_token_opens_one_role_and_is_known_without_the_database(tmp_path: Path) -> None:
    """Kept as a hash; a resident's needs a member that exists."""
    async with serving(tmp_path) as (service, controller):
        token = await service.create_token(
            role=Role.RESIDENT, member=MemberId("m-home"), label="x", who=OPERATOR
        )
        assert await service.authenticate("no such token") is None
        holder = await service.authenticate(token)
        assert holder == Principal(role=Role.RESIDENT, member=MemberId("m-home"), label="x")
        with pytest.raises(NotFoundError):
            await service.create_token(role=Role.RESIDENT, member=None, label="x", who=OPERATOR)
        break_store(controller)
        assert await service.authenticate(token) == holder


async def test_alarms_come_most_urgent_first_and_unknown_powers_are_no_zeros(tmp_path: Path) -> None:
    """A feeder over its limit before silent chargers; a charger without a meter has no power."""
    async with serving(tmp_path) as (service, controller):
        controller.receive(MeterReading(meter=NodeId("f1"), at=START, power_kw=40.0))
        controller.receive(ConnectorReading(charge_point=AssetId("cp-1"), at=START, plugged=True))
        controller.safety_cycle(START)
        state = await service.state()
        ranks = ["now", "today", "note"]
        order = [ranks.index(alarm.urgency.value) for alarm in state.alarms]
        assert order == sorted(order)
        first = state.alarms[0]
        assert (first.code, first.subject) == ("node_over_limit", "f1")
        assert first.value == pytest.approx(40.0 - 34.5)
        assert {alarm.code for alarm in state.alarms} >= {"device_silent", "meter_stale", "plan_late"}
        charger = next(one for one in state.chargers if one.id == "cp-1")
        assert charger.power_kw is None
        assert charger.energy_kwh is None
        assert not charger.connected
        assert "wijkstroom_safety_cycles_total 1.0" in await service.metrics_text()
        assert "wijkstroom_market_quarters_waiting 0.0" in await service.metrics_text()


async def test_an_operator_is_told_of_steps_that_failed_for_a_while(tmp_path: Path) -> None:
    """A quarter of an hour from the last failure on, with the loop's name."""
    async with serving(tmp_path) as (service, controller):
        controller.counters.count_failure("market", START)
        controller.safety_cycle(START + timedelta(minutes=14))
        told = [alarm for alarm in (await service.state()).alarms if alarm.code == "step_failed"]
        assert [(alarm.subject, alarm.since) for alarm in told] == [("market", START)]
        controller.safety_cycle(START + timedelta(minutes=15))
        assert "step_failed" not in {alarm.code for alarm in (await service.state()).alarms}


async def test_a_guests_payment_that_waits_or_is_lost_is_an_alarm(tmp_path: Path) -> None:
    """The one as long as it lasts, the other for a day."""
    async with serving(tmp_path) as (service, controller):
        counters, where = controller.counters, (AssetId("cp-1"), START)
        counters.payments_waiting["s-1"] = counters.payments_lost["s-2"] = where
        controller.safety_cycle(START)
        told = {alarm.code: alarm for alarm in (await service.state()).alarms}
        assert (told["payment_waits"].subject, told["payment_lost"].since) == ("cp-1", START)
        controller.safety_cycle(START + timedelta(days=1))
        codes = {alarm.code for alarm in (await service.state()).alarms}
        assert ("payment_waits" in codes, "payment_lost" in codes) == (True, False)


async def test_a_member_sees_only_their_own_things(tmp_path: Path) -> None:
    """The home's member has a home and a roof and no car."""
    async with serving(tmp_path) as (service, controller):
        controller.safety_cycle(START)
        assert {a.id for a in await service.assets(MemberId("m-home"))} == {"home", "roof"}
        assert {a.kind for a in await service.assets(MemberId("fleet"))} == {"vehicle"}
        assert await service.balance_nanoeur(MemberId("m-home")) == 0
        assert (await service.plan()).status == "none"
        assert list(await service.flexibility(NodeId("f1"))) == []
