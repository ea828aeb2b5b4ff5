"""What charging costs on a charger's display, over a real socket."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from controller.domain.charge_session import ChargeSession, begin_session
from controller.domain.charge_tariff import ChargeTariff
from controller.domain.ids import AssetId
from controller.domain.telemetry import LinkReading, RegisterReading
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.costs import Displays, tariff_payload
from drivers.ocpp.schemas import PayloadError
from sim.chargers.client import SimulatedCharger
from sim.chargers.display import Display
from tests.support.charging import TARIFF
from tests.support.ocpp import (
    START,
    TOKENS,
    FakeSocket,
    Street,
    charge_point,
    exchange,
    raw_charger,
    street,
    until,
)

CP = AssetId("cp-1")
MINUTE = timedelta(minutes=1)
LATER = replace(TARIFF, id="posted-2025", session_microeur=0, idle_microeur_per_minute=0)
TEXTS = {"nl": "€ 0,484 per kWh", "en": "€ 0.484 per kWh"}


@dataclass
class _Board:
    """The displays of a street, told by hand."""

    place: Street
    tariff: ChargeTariff | None = TARIFF
    heard: int = 0
    displays: Displays = field(init=False)

    def __post_init__(self) -> None:
        self.displays = Displays(
            self.place.endpoint,
            clock=self.place.clock,
            tariff=lambda: self.tariff,
            describe=lambda _: TEXTS,
            settle_s=0.0,
        )

    async def tell(self) -> None:
        """Looks at who connected, and tells them."""
        for reading in self.place.of(LinkReading)[self.heard :]:
            self.heard += 1
            self.displays.hear(reading)
        await self.displays.tell_all()


async def _charging(place: Street, version: str) -> SimulatedCharger:
    """A charger with a car and an open transaction."""
    socket = FakeSocket(token=min(TOKENS))
    charger = place.charger(socket, str(CP), version=version, point=charge_point(str(CP)))
    await until(lambda: len(charger.core.profiles) == 2)
    place.advance(10.0, charger)
    await until(lambda: charger.core.transaction is not None)
    return charger


def _session(charger: SimulatedCharger, kwh: int) -> ChargeSession:
    """What the book would have of the open transaction."""
    transaction = charger.core.transaction
    assert transaction is not None
    begun = begin_session(charge_point=CP, transaction=transaction, at=START, tariff=TARIFF)
    first, last = (
        RegisterReading(at=START, import_wh=0),
        RegisterReading(at=START + MINUTE, import_wh=kwh * 1000),
    )
    return begun.with_registers(first).with_registers(last)


async def test_the_posted_tariff_is_the_chargers_own() -> None:
    """Prices without VAT, the rate beside them, the grace in seconds, both languages; told once."""
    async with street(str(CP)) as place:
        board = _Board(place)
        display: Display = (await _charging(place, "ocpp2.1")).core.display
        await board.tell()
        taxes = [{"type": "VAT", "tax": 21.0}]
        assert display.tariff is not None
        named = display.tariff["tariffId"]
        assert named.startswith("posted-2024-")
        assert display.tariff == {
            "tariffId": named,
            "currency": "EUR",
            "description": [
                {"format": "UTF8", "language": "nl", "content": TEXTS["nl"]},
                {"format": "UTF8", "language": "en", "content": TEXTS["en"]},
            ],
            "energy": {"prices": [{"priceKwh": 0.4}], "taxRates": taxes},
            "fixedFee": {"prices": [{"priceFixed": 0.5}], "taxRates": taxes},
            "idleTime": {
                "prices": [{"priceMinute": 0.05, "conditions": {"minIdleTime": 1800}}],
                "taxRates": taxes,
            },
        }
        messages = place.endpoint.messages
        await board.tell()
        assert place.endpoint.messages == messages


async def test_another_tariff_takes_the_place_of_the_first() -> None:
    """At the moment from which it holds; the first is cleared."""
    async with street(str(CP)) as place:
        board = _Board(place)
        display = (await _charging(place, "ocpp2.1")).core.display
        await board.tell()
        board.tariff = LATER
        await board.tell()
        assert display.tariff is not None
        assert display.tariff["tariffId"].startswith("posted-2025-")
        assert "idleTime" not in display.tariff


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_the_display_follows_the_session(version: str) -> None:
    """The amount that will be paid, at most once a minute; after the session nothing more comes."""
    async with street(str(CP)) as place:
        board = _Board(place)
        charger = await _charging(place, version)
        board.displays.show(_session(charger, 10))
        await board.tell()
        display = charger.core.display
        assert (display.transaction, display.total_cost) == (charger.core.transaction, 5.45)
        board.displays.show(_session(charger, 11))
        await board.tell()
        assert display.total_cost == 5.45
        place.clock.advance_to(place.clock.now() + MINUTE)
        await board.tell()
        assert display.total_cost == 5.93
        board.displays.show(_session(charger, 99).ended(START + 2 * MINUTE))
        place.clock.advance_to(place.clock.now() + MINUTE)
        await board.tell()
        assert display.total_cost == 5.93


async def test_a_price_that_changed_under_the_same_name_is_posted_anew() -> None:
    """The site file was mended and we started anew; a charger tells the names alone of what it has."""
    async with street(str(CP)) as place:
        display = (await _charging(place, "ocpp2.1")).core.display
        await _Board(place).tell()
        await _Board(place, replace(TARIFF, energy_microeur_per_kwh=363_000)).tell()
        assert display.tariff is not None
        assert display.tariff["energy"]["prices"] == [{"priceKwh": 0.3}]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_the_last_answer_of_a_transaction_has_what_it_cost(version: str) -> None:
    """Taxes in it; the answers before have none, nor has that of a transaction that nobody can bill."""
    async with street(str(CP)) as place, raw_charger(place, str(CP), subprotocol=version) as charger:
        board = _Board(place)

        async def told(transaction: str, kind: str) -> dict[str, object]:
            event = {
                "eventType": kind,
                "timestamp": "2024-01-15T16:00:00Z",
                "triggerReason": "Authorized",
                "seqNo": 0,
                "transactionInfo": {"transactionId": transaction},
            }
            answer = await exchange(charger, [2, f"{transaction}{kind}", "TransactionEvent", event])
            assert answer[0] == 3
            return dict(answer[2])

        first, last = RegisterReading(at=START, import_wh=0), RegisterReading(at=START, import_wh=11_000)
        begun = begin_session(charge_point=CP, transaction="A", at=START, tariff=TARIFF)
        assert await told("A", "Started") == {}
        board.displays.show(begun.with_registers(first).with_registers(last).ended(START))
        assert await told("A", "Updated") == {}
        assert await told("A", "Ended") == {"totalCost": 5.93}
        await told("B", "Started")
        board.displays.show(replace(begun, transaction="B").ended(START))
        assert await told("B", "Ended") == {}


async def test_a_charger_that_does_not_answer_is_left_alone_for_a_while() -> None:
    """Each question to it would keep a setpoint waiting for the whole of its time."""
    async with street(str(CP), call_timeout_s=0.05, boot_grace_s=9.0) as place, raw_charger(place, str(CP)):
        board = _Board(place)
        await until(lambda: place.of(LinkReading))
        await board.tell()
        messages = place.endpoint.messages
        await board.tell()
        assert place.endpoint.messages == messages


async def test_a_charger_without_a_display_is_left_alone() -> None:
    """OCPP 1.6 has no word for it; nothing is sent."""
    async with street(str(CP)) as place:
        board = _Board(place)
        charger = await _charging(place, "ocpp1.6")
        board.displays.show(_session(charger, 10))
        messages = place.endpoint.messages
        await board.tell()
        assert place.endpoint.messages == messages


async def test_a_tariff_of_one_transaction_and_its_refusals() -> None:
    """By the operator's own request: for the open transaction only, and what is not there is not cleared."""
    async with street(str(CP)) as place:
        charger = await _charging(place, "ocpp2.1")

        async def ask(action: str, payload: dict[str, object]) -> Answer:
            return await place.endpoint.ask(CP, Request(action=action, payload=payload))

        tariff = tariff_payload(LATER, {})
        del tariff["description"]
        for transaction, status in (("another", "TxNotFound"), (str(charger.core.transaction), "Accepted")):
            answer = await ask("ChangeTransactionTariff", {"transactionId": transaction, "tariff": tariff})
            assert answer.payload["status"] == status
        (found,) = (await ask("GetTariffs", {"evseId": 0})).payload["tariffAssignments"]
        assert (found["tariffId"], found["tariffKind"]) == (tariff["tariffId"], "DriverTariff")
        (cleared,) = (await ask("ClearTariffs", {"tariffIds": ["none"]})).payload["clearTariffsResult"]
        assert cleared == {"tariffId": "none", "status": "NoTariff"}
        with pytest.raises(PayloadError):
            await ask("SetDefaultTariff", {"evseId": 0})
