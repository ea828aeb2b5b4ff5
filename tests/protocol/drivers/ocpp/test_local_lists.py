"""The chargers' own lists over a real socket, in every version: who may charge while we are gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from controller.domain.charging_tokens import ChargingToken, TokenBook, TokenKind, handle_of
from controller.domain.ids import AssetId, MemberId
from controller.domain.telemetry import LinkReading
from drivers.ocpp.local_lists import PIECE, LocalLists
from sim.chargers.client import SimulatedCharger
from tests.support.neighbourhood import vehicle
from tests.support.ocpp import START, FakeSocket, Street, charge_point, street, until

VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
FIRST = 1000
"""The version of the first list; pieces of a whole one stay below it."""


def _card(token: str, version: int) -> ChargingToken:
    return ChargingToken(
        token=token,
        handle=handle_of(token),
        member=MemberId("anna"),
        kind=TokenKind.CARD,
        label="",
        vehicle=None,
        created_at=START,
        list_version=version,
    )


@dataclass
class _Keeper:
    """The book of a site with one car, whose place is the charger's."""

    place: Street
    book: TokenBook = field(default_factory=lambda: TokenBook(vehicles=[vehicle(1)], version=FIRST))
    heard: int = 0

    def __post_init__(self) -> None:
        self.book = replace(self.book, oldest=FIRST)
        self.lists = LocalLists(self.place.endpoint, lambda: self.book, settle_s=0.0)

    def put(self, tokens: Iterable[ChargingToken]) -> None:
        """Tokens came or changed."""
        known = {one.token: one for one in self.book.registered} | {one.token: one for one in tokens}
        version = max(one.list_version for one in known.values())
        self.book = replace(self.book, registered=tuple(known.values()), version=version)

    async def tell(self) -> None:
        """Looks at who connected, and tells them."""
        for reading in self.place.of(LinkReading)[self.heard :]:
            self.heard += 1
            self.lists.hear(reading)
        await self.lists.tell_all()


async def _connected(place: Street, version: str) -> SimulatedCharger:
    charger = place.charger(FakeSocket(), "cp-1", version=version, point=charge_point("cp-1"))
    await until(lambda: len(charger.core.profiles) == 2)
    return charger


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lost_card_is_blocked_in_the_chargers_own_list(version: str) -> None:
    """A new card charges off line too; once it is blocked no charger that we reach takes it any more."""
    async with street("cp-1") as place:
        keeper = _Keeper(place)
        keeper.put([_card("04A1B2C3", FIRST + 1), _card("04D4E5F6", FIRST + 2)])
        local = (await _connected(place, version)).core.local
        await keeper.tell()
        assert local.version == FIRST + 2
        for token in ("token-1", "04A1B2C3", "04D4E5F6"):
            assert local.knows(token)
            assert local.may_charge(token, online=False)

        lost = replace(_card("04A1B2C3", FIRST + 9), blocked_at=START + timedelta(minutes=1))
        keeper.put([lost])
        await keeper.tell()
        assert local.version == FIRST + 9
        assert not local.may_charge("04A1B2C3", online=False)
        assert not local.may_charge("04A1B2C3", online=True)
        assert local.may_charge("04D4E5F6", online=False)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_long_list_goes_in_pieces_and_is_whole_at_the_end(version: str) -> None:
    """More tokens than one message takes."""
    cards = [_card(f"04{number:06d}", FIRST + number) for number in range(1, 2 * PIECE + 6)]
    async with street("cp-1") as place:
        keeper = _Keeper(place)
        keeper.put(cards)
        local = (await _connected(place, version)).core.local
        await keeper.tell()
        assert local.version == keeper.book.version
        assert all(local.knows(card.token) for card in cards)
        asked = place.endpoint.messages
        await keeper.tell()
        assert place.endpoint.messages == asked


async def test_who_connects_again_is_asked_for_its_version_and_told_nothing_twice() -> None:
    """A list that is as it should be is not sent again; one of another life is sent whole."""
    async with street("cp-1") as place:
        keeper = _Keeper(place)
        keeper.put([_card("04A1B2C3", FIRST + 1)])
        charger = await _connected(place, "ocpp2.1")
        await keeper.tell()
        await charger.drop()
        await until(lambda: len(place.of(LinkReading)) == 3)
        sent = _sent(place)
        await keeper.tell()
        assert _sent(place) == sent
        charger.core.local.take_list(FIRST + 50, {"04OLD": "Accepted"}, full=True)
        keeper.put([_card("04D4E5F6", FIRST + 60)])
        keeper.book = replace(keeper.book, oldest=FIRST + 55)
        await keeper.tell()
        assert charger.core.local.version == FIRST + 60
        assert not charger.core.local.knows("04OLD")


async def test_a_charger_without_lists_is_left_alone() -> None:
    """One that says it keeps none is asked once a connection."""
    async with street("cp-1") as place:
        keeper = _Keeper(place)
        keeper.put([_card("04A1B2C3", FIRST + 1)])
        charger = await _connected(place, "ocpp1.6")
        charger.core.local.version = -1
        await keeper.tell()
        asked = place.endpoint.messages
        await keeper.tell()
        assert place.endpoint.messages == asked
        assert not charger.core.local.knows("04A1B2C3")


def _sent(place: Street) -> int:
    log = place.endpoint.log._newest[AssetId("cp-1")]
    return sum('"SendLocalList"' in text for _, _, text in log)
