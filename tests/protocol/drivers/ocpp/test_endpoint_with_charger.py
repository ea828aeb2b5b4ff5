"""The endpoint and the simulated charger over a real socket: a day in the life of a charge point."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.ids import AssetId
from controller.domain.ports import SetsPower
from controller.domain.setpoints import SAFE_TAIL, Applied, NotSent, PartlyApplied, Rejected, TimedOut
from controller.domain.telemetry import CarReading, ConnectorReading, LinkReading, MeterReading
from drivers.ocpp.codec import NoticeCode
from drivers.ocpp.v21 import requests
from tests.support.ocpp import START, FakeSocket, charge_point, setpoint, street, until

CP = AssetId("cp-001")
CAR = "NL-WST-C00000001"


async def test_endpoint_is_a_device_that_sets_power() -> None:
    """The endpoint offers the capability that the runtime knows."""
    async with street() as place:
        steering: SetsPower = place.endpoint
        assert steering.steerable() == frozenset()


async def test_boot_lays_the_floor_below_all_setpoints() -> None:
    """After its boot a charger holds the maximum profile and the low default."""
    async with street() as place:
        charger = place.charger(FakeSocket())
        await place.ready(charger)
        purposes = {profile.purpose for profile in charger.core.profiles}
        assert purposes == {"ChargingStationMaxProfile", "TxDefaultProfile"}
        assert place.endpoint.steerable() == {CP}
        assert place.endpoint.connected() == 1
        assert [reading.up for reading in place.of(LinkReading)] == [True]


async def test_plug_in_tells_who_and_what_the_car_can() -> None:
    """A car that comes is known by its token, its state of charge and its limits."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket)
        await place.ready(charger)
        socket.token = CAR
        place.advance(10, charger)
        await until(lambda: any(car.charge_kw_max for car in place.of(CarReading)))
        connector = place.of(ConnectorReading)[-1]
        assert connector.plugged
        assert connector.token == CAR
        assert connector.transaction == charger.core.transaction
        car = place.of(CarReading)[-1]
        assert (car.soc_fraction, car.capacity_kwh) == (0.5, 60.0)
        assert (car.charge_kw_max, car.discharge_kw_max) == (11.0, 11.0)


@pytest.mark.parametrize("power_kw", [7.5, -6.25, 0.0])
async def test_setpoint_is_followed_in_both_directions(power_kw: float) -> None:
    """A confirmed setpoint is what the charger's electronics are asked for, and its meter shows it."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        outcome = await place.endpoint.set_power(setpoint(power_kw))
        assert isinstance(outcome, Applied)
        assert socket.requests[-1] == power_kw
        place.advance(120, charger)
        await until(lambda: len(place.of(MeterReading)) > 1)
        assert place.of(MeterReading)[-1].power_kw == pytest.approx(power_kw)


async def test_setpoint_runs_out_into_the_safe_value_and_then_the_default() -> None:
    """Without another word the charger takes the safe value at the end, and later its low default."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        await place.endpoint.set_power(setpoint(-11.0, life_s=300, safe_kw=5.0))
        assert charger.power_request(START + timedelta(seconds=299)) == -11.0
        assert charger.power_request(START + timedelta(seconds=300)) == 5.0
        after = START + timedelta(seconds=300) + SAFE_TAIL
        assert charger.power_request(after) == 0.0
        assert charger.core.composite(after).source == "TxDefaultProfile"


async def test_renewal_does_not_drop_to_the_default_of_a_slow_clock() -> None:
    """A charger whose clock is a minute behind goes from one setpoint to the next without a gap."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        await place.endpoint.set_power(setpoint(8.0))
        place.clock.advance_to(START + timedelta(seconds=60))
        await place.endpoint.set_power(setpoint(7.0))
        assert socket.requests[-2:] == [8.0, 7.0]


async def test_setpoint_before_the_car_waits_as_a_default() -> None:
    """Without a transaction the setpoint is a TxDefaultProfile, which the next car follows."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket)
        await place.ready(charger)
        assert isinstance(await place.endpoint.set_power(setpoint(6.0)), Applied)
        socket.token = CAR
        place.advance(10, charger)
        assert socket.requests[-1] == 6.0


async def test_setpoint_beyond_the_charger_is_partly_applied() -> None:
    """A setpoint is clipped to what the charger can, and the outcome says so."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        outcome = await place.endpoint.set_power(setpoint(22.0))
        assert isinstance(outcome, PartlyApplied)
        assert outcome.power_kw == 11.0
        assert socket.requests[-1] == 11.0


async def test_setpoint_for_a_charger_that_is_not_there_is_not_sent() -> None:
    """The charger has refused nothing and may have taken nothing."""
    async with street() as place:
        outcome = await place.endpoint.set_power(setpoint(5.0))
        assert isinstance(outcome, NotSent)


async def test_quarter_hour_registers_are_those_at_the_boundary() -> None:
    """Settlement's registers carry the boundary's time and the energy up to it, not a second more."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        await place.endpoint.set_power(setpoint(10.0, life_s=3600))
        before_wh = socket.imported_wh
        # Steps of 7 s do not meet the quarter-hour: the charger reckons back to it.
        place.advance(1000, charger, step_s=7.0)
        boundary = START + timedelta(minutes=15)
        await until(lambda: any(meter.at == boundary for meter in place.of(MeterReading)))
        at_boundary = next(meter for meter in place.of(MeterReading) if meter.at == boundary)
        assert at_boundary.import_wh == round(before_wh + 2500.0)
        assert at_boundary.export_wh == round(socket.exported_wh)


async def test_unplugging_ends_the_transaction() -> None:
    """A car that left is not there any more, and its profiles left with it."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        await place.endpoint.set_power(setpoint(5.0))
        socket.token = None
        place.advance(10, charger)
        await until(lambda: not place.of(ConnectorReading)[-1].plugged)
        connector = place.of(ConnectorReading)[-1]
        assert (connector.token, connector.transaction) == (None, None)
        assert {profile.purpose for profile in charger.core.profiles} == {
            "ChargingStationMaxProfile",
            "TxDefaultProfile",
        }


async def test_reconnect_without_boot_is_asked_for_its_state() -> None:
    """Field failure 21: a charger that comes back without booting tells its transaction when asked."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket)
        await place.ready(charger)
        await charger.drop()
        await until(lambda: not place.endpoint.connected())
        socket.token = CAR
        place.advance(10, charger)
        await until(lambda: charger.connections == 2)
        await until(lambda: any(car.charge_kw_max for car in place.of(CarReading)))
        assert place.of(ConnectorReading)[-1].token == CAR
        assert [reading.up for reading in place.of(LinkReading)] == [True, False, True]


async def test_offline_quarter_hours_arrive_after_the_outage() -> None:
    """What settlement needs of an outage is kept by the charger and told afterwards, with its own time."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        charger.core.link_down()
        place.advance(3600, charger)
        charger.core.link_up()
        charger.tick(place.clock.now())
        quarters = {START + timedelta(minutes=15 * n) for n in range(1, 4)}
        await until(lambda: quarters <= {meter.at for meter in place.of(MeterReading)})
        registers = [meter.import_wh for meter in place.of(MeterReading) if meter.at in quarters]
        assert None not in registers


async def test_answer_that_never_comes_is_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A charger that keeps silent may have taken the setpoint or not: that is what the outcome says."""
    async with street(call_timeout_s=2.0) as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        monkeypatch.setattr(charger.core, "receive", lambda _message: None)
        assert isinstance(await place.endpoint.set_power(setpoint(5.0)), TimedOut)


async def test_refusal_of_the_charger_is_a_rejection_with_its_reason() -> None:
    """A one-way charger refuses to discharge, and its reason code comes through."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, point=charge_point(discharge_kw_max=0.0))
        await place.ready(charger)
        outcome = await place.endpoint.set_power(setpoint(-5.0))
        assert isinstance(outcome, Rejected)
        assert outcome.code == "InvalidOperationMode"


async def test_unknown_token_gets_no_power() -> None:
    """A token that is not ours is refused, noted without the token, and the charger gives nothing."""
    async with street() as place:
        stranger = "somebody-else"
        socket = FakeSocket(token=stranger)
        charger = place.charger(socket)
        codes = {NoticeCode.UNKNOWN_TOKEN}
        await until(lambda: codes <= {notice.code for notice in place.endpoint.notices})
        await until(lambda: not charger.core.outbox.has_open_call() and len(charger.core.profiles) == 2)
        await place.endpoint.set_power(setpoint(11.0))
        assert socket.requests[-1] == 0.0
        assert all(stranger not in notice.text for notice in place.endpoint.notices)


async def test_operator_asks_for_variables_and_the_composite_schedule() -> None:
    """Any request can be asked; the charger's composite shows setpoint, safe value and default."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket)
        await place.ready(charger)
        await place.endpoint.set_power(setpoint(-4.0, life_s=600, safe_kw=5.0))
        answer = await place.endpoint.ask(
            CP, requests.get_variables([("EVSE", "Power"), ("Nothing", "Here")])
        )
        assert requests.read_variables(answer) == {("EVSE", "Power"): "11000", ("Nothing", "Here"): None}
        composite = await place.endpoint.ask(CP, requests.composite_schedule(3600))
        periods = composite.payload["schedule"]["chargingSchedulePeriod"]
        assert [(period["startPeriod"], period["setpoint"]) for period in periods] == [
            (0, -4000.0),
            (600, 5000.0),
            (1500, 0.0),
        ]
        stop = await place.endpoint.ask(CP, requests.request_stop(charger.core.transaction or ""))
        assert stop.payload["status"] == "Accepted"
        await until(lambda: place.of(ConnectorReading)[-1].transaction is None)
        assert place.of(ConnectorReading)[-1].plugged
