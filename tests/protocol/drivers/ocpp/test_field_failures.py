"""What goes wrong in the field, row by row: a simulated charger with that fault on a real socket.

The rows are those of the list of field failures; a test's name begins with its number. Rows that end in the
safety loop's decision (1 to 4) stand in tests/integration/controller/test_field_failures.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from controller.domain.chargers import ChargerTemplate, WakeStep
from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, Rejected
from controller.domain.telemetry import CarReading, ConnectorReading, LinkReading, MeterReading
from drivers.ocpp.codec import NoticeCode
from drivers.ocpp.handshake import Tls
from drivers.ocpp.security import server_context
from sim.chargers.client import DIALECTS, SimulatedCharger
from sim.chargers.faults import Fault
from tests.support.certificates import TestAuthority
from tests.support.ocpp import (
    START,
    FakeSocket,
    Street,
    charge_point,
    raw_charger,
    setpoint,
    street,
    until,
)

CP = AssetId("cp-001")
CAR = "NL-WST-C00000001"
VERSIONS = tuple(DIALECTS)


def _codes(place: Street) -> list[NoticeCode]:
    return [notice.code for notice in place.endpoint.notices]


async def _quiet(*chargers: SimulatedCharger) -> None:
    """Waits until everything that was to be said is said and answered."""
    for charger in chargers:
        outbox = charger.core.outbox
        await until(lambda box=outbox: not box.has_open_call() and not box.wants_to_speak())  # type: ignore[misc]


async def _pass(place: Street, span_s: float, *chargers: SimulatedCharger, step_s: float = 10.0) -> None:
    """Lets time pass step by step, with what chargers say heard at its own moment."""
    end = place.clock.now() + timedelta(seconds=span_s)
    while place.clock.now() < end:
        place.advance(step_s, *chargers, step_s=step_s)
        await _quiet(*chargers)


async def _ready(place: Street, charger: SimulatedCharger) -> None:
    """Waits for the floor, and for the transaction to be known."""
    await until(lambda: len(charger.core.profiles) == 2)
    await _quiet(charger)
    if charger.core.transaction is not None:
        await until(lambda: any(c.transaction for c in place.of(ConnectorReading)))


async def test_11_refused_discharge_has_a_code_and_a_sentence_when_the_charger_refuses() -> None:
    """V2G-liberty PR 497: a refusal was silent. Here the charger's own code and words come through."""
    async with street() as place:
        charger = place.charger(FakeSocket(token=CAR), point=charge_point(discharge_kw_max=0.0))
        await _ready(place, charger)
        outcome = await place.endpoint.set_power(setpoint(-5.0))
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.why) == ("InvalidOperationMode", "this charger cannot discharge")


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
async def test_11_refused_discharge_has_a_code_and_a_sentence_where_the_version_has_no_word(
    version: str,
) -> None:
    """Before 2.1 we refuse it ourselves, say why, and send nothing."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version)
        await _ready(place, charger)
        before = list(socket.requests)
        outcome = await place.endpoint.set_power(setpoint(-5.0))
        assert isinstance(outcome, Rejected)
        assert outcome.code == "OneWay"
        assert "cannot ask for discharge" in outcome.why
        assert socket.requests == before


@pytest.mark.parametrize("faults", [(), (Fault.DISCHARGE_SIGN,)])
async def test_12_sign_of_the_cars_discharge_limit_does_not_matter(faults: tuple[Fault, ...]) -> None:
    """EVerest PR 1473: cars disagree on it. We read a magnitude, the smaller of all limits (PR 2703)."""
    async with street() as place:
        charger = place.charger(FakeSocket(token=CAR, discharge_kw_max=3.7), faults=faults)
        await _ready(place, charger)
        await until(lambda: any(car.discharge_kw_max is not None for car in place.of(CarReading)))
        assert place.of(CarReading)[-1].discharge_kw_max == 3.7


@pytest.mark.parametrize("version", VERSIONS)
async def test_12_zero_is_zero_in_both_directions(version: str) -> None:
    """EVerest PR 1509: a charge limit of 0 flipped into discharge. Here it is a pause, before and after."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version)
        await _ready(place, charger)
        for power_kw in (6.0, 0.0):
            assert isinstance(await place.endpoint.set_power(setpoint(power_kw)), Applied)
            assert socket.requests[-1] == power_kw
        if version == "ocpp2.1":
            assert isinstance(await place.endpoint.set_power(setpoint(-6.0)), Applied)
            assert isinstance(await place.endpoint.set_power(setpoint(0.0)), Applied)
        assert socket.power == 0.0


@pytest.mark.parametrize("version", VERSIONS)
async def test_16_profile_that_is_accepted_and_ignored_is_noticed_in_three_samples(version: str) -> None:
    """Evcc 31597, steve 1192: "Accepted" is no measurement. Three samples of a minute are enough."""
    async with street() as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version, faults=[Fault.IGNORES_PROFILES])
        await _ready(place, charger)
        assert isinstance(await place.endpoint.set_power(setpoint(3.0)), Applied)
        assert socket.power == 11.0
        await _pass(place, 150, charger)
        assert NoticeCode.IGNORES_PROFILE not in _codes(place)
        await _pass(place, 90, charger)
        assert _codes(place).count(NoticeCode.IGNORES_PROFILE) == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_16_charger_that_refuses_zero_pauses_by_its_template(version: str) -> None:
    """Evcc 15493: `limit: 0` is rejected, and with it each schedule that ends in a pause.

    Without a template the operator hears it; with one the charger is told of a pause in its own way.
    """
    one_way = charge_point(discharge_kw_max=0.0)
    async with street(points=[one_way]) as place:
        charger = place.charger(
            FakeSocket(token=CAR), version=version, faults=[Fault.REFUSES_ZERO], point=one_way
        )
        await until(lambda: charger.core.transaction and NoticeCode.PROFILE_REFUSED in _codes(place))
        await _quiet(charger)
        assert isinstance(await place.endpoint.set_power(setpoint(6.9)), Rejected)
    template = ChargerTemplate(zero_limit=0.1, min_a=6.0)
    async with street(points=[one_way], templates={CP: template}) as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version, faults=[Fault.REFUSES_ZERO], point=one_way)
        await _ready(place, charger)
        for power_kw in (6.9, 0.0):
            assert isinstance(await place.endpoint.set_power(setpoint(power_kw)), Applied)
        assert socket.power < 0.2


async def test_17_end_with_minus_one_after_an_offline_start_counts_once() -> None:
    """Libocpp 495: accepted, kept, flagged; the charger is rid of it and goes on."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket, version="ocpp1.6", faults=[Fault.TRANSACTION_MINUS_ONE])
        await _ready(place, charger)
        charger.core.link_down()
        socket.token = CAR
        place.advance(60, charger)
        socket.token = None
        place.advance(10, charger)
        await charger.drop()
        await until(lambda: charger.connections == 2)
        await until(lambda: NoticeCode.UNKNOWN_TRANSACTION in _codes(place))
        await _quiet(charger)
        assert not charger.core.has_kept_messages()
        assert _codes(place).count(NoticeCode.UNKNOWN_TRANSACTION) == 1
        assert not place.of(ConnectorReading)[-1].plugged


@pytest.mark.parametrize("version", VERSIONS)
async def test_17_messages_of_a_transaction_that_come_twice_count_once(version: str) -> None:
    """Libocpp 907: start and end are sent twice. One transaction, ended once, flagged."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket, version=version, faults=[Fault.DUPLICATES])
        await _ready(place, charger)
        socket.token = CAR
        await _pass(place, 30, charger)
        socket.token = None
        await _pass(place, 10, charger)
        transactions = {c.transaction for c in place.of(ConnectorReading)} - {None}
        assert len(transactions) == 1
        assert not place.of(ConnectorReading)[-1].plugged
        assert _codes(place).count(NoticeCode.DUPLICATE) >= 2
        assert set(_codes(place)) == {NoticeCode.DUPLICATE}


@pytest.mark.parametrize("version", VERSIONS)
async def test_18_register_below_its_start_is_quarantined(version: str) -> None:
    """OCPP.Core 33: negative energy was stored. Here such a register is unknown, and flagged."""
    async with street() as place:
        socket = FakeSocket()
        charger = place.charger(socket, version=version, faults=[Fault.METER_BACKWARDS])
        await _ready(place, charger)
        socket.token = CAR
        await _pass(place, 30, charger)
        socket.token = None
        await _pass(place, 10, charger)
        assert NoticeCode.REGISTER_BACKWARDS in _codes(place)
        registers = [m.import_wh for m in place.of(MeterReading) if m.import_wh is not None]
        assert registers == sorted(registers)
        assert min(registers) >= 100_000


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.CLOCK_1970, NoticeCode.CLOCK_UNSET), (Fault.CLOCK_LOCAL, NoticeCode.CLOCK_LOCAL)],
)
async def test_19_wrong_clock_gets_our_time_and_is_noted(
    version: str, fault: Fault, code: NoticeCode
) -> None:
    """MicroOcpp 311, steve 136: 1970, or local time labelled Z. Our time wins, the difference is kept."""
    async with street() as place:
        charger = place.charger(FakeSocket(token=CAR), version=version, faults=[fault])
        await _ready(place, charger)
        await _pass(place, 120, charger)
        assert {notice.code for notice in place.endpoint.notices} == {code}
        dated = [r.at for r in (*place.of(MeterReading), *place.of(ConnectorReading))]
        assert dated
        assert all(START <= at <= place.clock.now() for at in dated)
        assert all("2024-01-15T16:0" in notice.text for notice in place.endpoint.notices)


async def test_20_second_socket_takes_over_only_when_it_is_authenticated() -> None:
    """Lbbrhzn/ocpp 336, 2116: two live sockets for one charger."""
    async with street(passwords={"cp-001": "correct-horse"}) as place:
        socket = FakeSocket(token=CAR)
        first = place.charger(socket, password="correct-horse")  # noqa: S106  # of the test
        await _ready(place, first)
        with pytest.raises(InvalidStatus):
            async with raw_charger(place):
                pass
        intruder = place.charger(FakeSocket(), password="guess")  # noqa: S106  # of the test
        await asyncio.sleep(0.1)
        assert intruder.connections == 0
        assert isinstance(await place.endpoint.set_power(setpoint(5.0)), Applied)
        second = place.charger(socket, password="correct-horse", backoff_s=(30.0, 30.0))  # noqa: S106
        await until(lambda: second.connected and first.connections == 1 and not first.connected)
        assert place.endpoint.connected() == 1
        assert [link.up for link in place.of(LinkReading)][:2] == [True, True]


@pytest.mark.parametrize("version", VERSIONS)
async def test_21_charger_that_never_boots_is_asked_for_its_state(version: str) -> None:
    """Evcc 25069: no BootNotification on reconnect. It is laid its floor and asked what it does."""
    async with street() as place:
        charger = place.charger(FakeSocket(token=CAR), version=version, faults=[Fault.NO_BOOT])
        await until(lambda: len(charger.core.profiles) == 2)
        await until(lambda: place.of(ConnectorReading) and place.of(MeterReading))
        assert place.of(ConnectorReading)[-1].plugged
        await charger.drop()
        place.readings.clear()
        await until(lambda: charger.connections == 2)
        await until(lambda: place.of(ConnectorReading))
        assert place.of(ConnectorReading)[-1].plugged


@pytest.mark.parametrize("version", VERSIONS)
async def test_27_sleeping_car_is_woken_by_its_template(version: str) -> None:
    """Evcc 14348: a car does not wake after a pause. Two minutes later the pilot line goes off and on."""
    template = ChargerTemplate(wake_up=(WakeStep.INOPERATIVE, WakeStep.OPERATIVE), wake_after_s=120.0)
    async with street(templates={CP: template}) as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version, faults=[Fault.CAR_SLEEPS])
        await _ready(place, charger)
        for power_kw in (6.0, 0.0, 6.0):
            assert isinstance(await place.endpoint.set_power(setpoint(power_kw)), Applied)
        assert socket.power == 0.0
        await _pass(place, 110, charger)
        assert socket.power == 0.0
        await _pass(place, 90, charger)
        await until(lambda: socket.power == 6.0)
        assert _codes(place) == [NoticeCode.ASLEEP]


@pytest.mark.parametrize("version", VERSIONS)
async def test_car_that_sleeps_on_gets_a_floor_current_instead_of_a_pause(version: str) -> None:
    """Row 27's other way out: a template whose pause is the minimum current keeps the car awake."""
    one_way = charge_point(discharge_kw_max=0.0)
    template = ChargerTemplate(zero_limit=4140.0, min_a=6.0)
    async with street(points=[one_way], templates={CP: template}) as place:
        socket = FakeSocket(token=CAR)
        charger = place.charger(socket, version=version, faults=[Fault.CAR_SLEEPS], point=one_way)
        await _ready(place, charger)
        await place.endpoint.set_power(setpoint(6.9))
        await place.endpoint.set_power(setpoint(0.0))
        assert socket.power == 4.14
        await place.endpoint.set_power(setpoint(6.9))
        assert socket.power == 6.9


# Faults of the link, which have no row of their own.


async def test_charger_that_falls_silent_without_closing_is_given_up() -> None:
    """Half-open: nothing comes, nothing closes. The pings notice, and it may come back."""
    async with street(ping_interval_s=1.0) as place:
        charger = place.charger(FakeSocket(token=CAR), faults=[Fault.SILENT])
        await _ready(place, charger)
        place.advance(310, charger)
        await until(lambda: place.endpoint.connected() == 0)
        assert not place.of(LinkReading)[-1].up
        assert charger.connected
        charger.unhush()
        await until(lambda: place.endpoint.connected() == 1)
        assert charger.connections >= 2


async def test_frame_of_a_megabyte_ends_its_connection_and_the_charger_comes_back() -> None:
    """Nothing of it is buffered; the second connection is an ordinary one, a neighbour noticed nothing."""
    async with street("cp-001", "cp-002") as place:
        neighbour = place.charger(FakeSocket(), "cp-002")
        await until(lambda: len(neighbour.core.profiles) == 2)
        charger = place.charger(FakeSocket(), faults=[Fault.MEGABYTE_FRAME])
        await until(lambda: charger.connections == 2 and len(charger.core.profiles) == 2)
        assert place.endpoint.connected() == 2
        assert neighbour.connections == 1


# TLS.


@asynccontextmanager
async def _tls_street(
    files: TestAuthority, names: list[str], **options: Any
) -> AsyncIterator[tuple[Street, str]]:
    """A street with an encrypted port, and its address; the password is the charger's own name."""
    context = server_context(*files.issue("server"), client_authority=files.certificate_file)
    passwords = {name: name for name in names}
    settings = {"tls": Tls(port=0, context=context), **options}
    async with street(*names, passwords=passwords, **settings) as place:
        yield place, f"wss://127.0.0.1:{place.endpoint.tls_port}/ocpp"


async def test_22_a_thousand_chargers_that_connect_at_once_over_tls_are_all_there(tmp_path: Path) -> None:
    """Libwebsockets 3247: of 1000 simultaneous TLS connects 400 succeeded. Here all have their floor.

    The goal is two minutes; this waits less, with both ends of every connection in one process.
    """
    files, names = TestAuthority(tmp_path), [f"cp-{number:04d}" for number in range(1000)]
    patient = {"call_timeout_s": 30.0, "boot_grace_s": 30.0}
    async with _tls_street(files, names, **patient) as (place, url):
        tls = files.client()
        chargers = [
            place.charger(FakeSocket(), name, url=url, tls=tls, password=name, answer_timeout_s=30.0)
            for name in names
        ]
        await until(lambda: all(len(charger.core.profiles) == 2 for charger in chargers), within_s=60.0)
        assert place.endpoint.connected() == len(names)
        assert {charger.connections for charger in chargers} == {1}


async def test_charger_that_trusts_another_authority_never_connects_and_disturbs_nobody(
    tmp_path: Path,
) -> None:
    """It ends each handshake itself; its neighbour is served."""
    files, names = TestAuthority(tmp_path), ["cp-001", "cp-002"]
    async with _tls_street(files, names) as (place, url):
        tls = files.client()
        lost = place.charger(
            FakeSocket(),
            "cp-001",
            url=url,
            tls=tls,
            password=names[0],
            faults=[Fault.WRONG_CERTIFICATE],
        )
        neighbour = place.charger(FakeSocket(), "cp-002", url=url, tls=tls, password=names[1])
        await until(lambda: len(neighbour.core.profiles) == 2)
        await asyncio.sleep(0.3)
        assert lost.connections == 0
        assert neighbour.connections == 1
        assert place.endpoint.connected() == 1


async def test_charger_with_a_certificate_of_a_stranger_does_not_get_in(tmp_path: Path) -> None:
    """The wrong certificate: its handshakes fail, again and again, and with its own it is let in."""
    files, stranger = TestAuthority(tmp_path), TestAuthority(tmp_path, "stranger")
    async with _tls_street(files, ["cp-001"]) as (place, url):
        wrong = files.client(*stranger.issue("cp-001"))
        charger = place.charger(FakeSocket(token=CAR), url=url, tls=wrong)
        await asyncio.sleep(0.3)
        assert charger.connections == 0
        assert place.endpoint.connected() == 0
        own = place.charger(FakeSocket(token=CAR), url=url, tls=files.client(*files.issue("cp-001")))
        await _ready(place, own)
        assert isinstance(await place.endpoint.set_power(setpoint(5.0)), Applied)
