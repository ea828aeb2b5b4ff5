"""The market as the doors see it: sealed before the gate, open to all after it, tokens of members' own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.config import MarketSettings
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import VirtualDomainClock
from controller.runtime.door import ExpiredToken, Principal
from controller.runtime.ports import TOKEN_LIFE, Role, Scope
from controller.runtime.service import Service
from controller.runtime.tokens import token_hash
from controller.runtime.trading_door import DepthStep, MatchView
from controller.sharing_settings import MarketMode
from market.matching import Distance
from market.orders import Order, Side
from tests.support.neighbourhood import START
from tests.support.running import OLGA, QUARTER, running

HOME, SCHOOL = MemberId("m-home"), MemberId("m-school")
INTERVAL = START + QUARTER
GATE = INTERVAL - timedelta(minutes=1)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Service, VirtualDomainClock]]:
    """A service on the test's own event loop."""
    async with running(folder) as (controller, trading, clock):
        loop = asyncio.get_running_loop()
        yield Service(controller, trading, loop=loop, speed=1.0, messages=dict), clock


def order(order_id: str, member: MemberId, node: str, side: Side, quantity_wh: int, price: int) -> Order:
    """An order for the next quarter-hour."""
    return Order(
        order_id=order_id,
        member=member,
        node=NodeId(node),
        side=side,
        quantity_wh=quantity_wh,
        limit_price_microeur_per_kwh=price,
        interval_start=INTERVAL,
    )


async def test_the_book_is_sealed_until_its_gate_closes(tmp_path: Path) -> None:
    """To operators too; a member sees their own order all the time, and nobody else's ever."""
    async with serving(tmp_path) as (service, clock):
        await service.place_order(order("one", HOME, "f1", Side.BUY, 500, 150_000), HOME)
        with pytest.raises(ConflictError, match="sealed until its gate closes at 2024-01-15T17:14:00Z"):
            await service.order_book(INTERVAL)
        assert [record.order.order_id for record in await service.orders(HOME)] == ["one"]
        assert (await service.order("one", HOME)).fill is None
        with pytest.raises(NotFoundError):
            await service.order("one", SCHOOL)
        clock.advance_to(GATE)
        assert [record.order.order_id for record in await service.order_book(INTERVAL)] == ["one"]


@pytest.mark.parametrize(
    ("market", "mode"),
    [
        (MarketSettings(), MarketMode.SHARING),
        (MarketSettings(mode=MarketMode.AUCTION), MarketMode.AUCTION),
        (MarketSettings(enabled=False), None),
    ],
)
async def test_the_doors_know_how_energy_is_shared(
    tmp_path: Path, market: MarketSettings, mode: MarketMode | None
) -> None:
    """After the fact where nothing else is said; not at all where nothing is settled."""
    async with serving(tmp_path) as (service, _clock):
        service.controller.settings = replace(service.controller.settings, market=market)
        assert service.market_mode() is mode


async def test_all_see_the_same_once_it_is_cleared(tmp_path: Path) -> None:
    """The home buys 500 Wh, 300 of the school's and 200 of the supplier's: prices, depth, and who from."""
    async with serving(tmp_path) as (service, clock):
        await service.place_orders([order("buy", HOME, "f1", Side.BUY, 500, 150_000)], HOME)
        await service.place_order(order("sell", SCHOOL, "f2", Side.SELL, 300, 100_000), SCHOOL)
        for look in (service.depth(INTERVAL), service.matches(INTERVAL, HOME)):
            with pytest.raises(NotFoundError, match="not cleared"):
                await look
        assert service.latest_clearing() is None
        clock.advance_to(GATE)
        await service.trading.clear_interval(INTERVAL)
        latest = service.latest_clearing()
        assert latest is not None
        (record,) = await service.clearings(after=None, until=None, limit=5)
        assert record.interval_start == latest.interval_start == INTERVAL
        assert record.price_microeur_per_kwh == latest.price_microeur_per_kwh
        assert record.volume_wh == 500
        # The supplier asks 0.12 EUR/kWh for what the school does not have, and offers 0.09 for what it has.
        assert [step for step in await service.depth(INTERVAL) if step.filled_wh] == [
            DepthStep(side=Side.BUY, limit_price_microeur_per_kwh=150_000, quantity_wh=500, filled_wh=500),
            DepthStep(side=Side.SELL, limit_price_microeur_per_kwh=100_000, quantity_wh=300, filled_wh=300),
            DepthStep(side=Side.SELL, limit_price_microeur_per_kwh=120_000, quantity_wh=501, filled_wh=200),
        ]
        common = {"order_id": "buy", "side": Side.BUY, "sun": False, "social": False}
        assert list(await service.matches(INTERVAL, HOME)) == [
            MatchView(energy_wh=300, distance=Distance.NEIGHBOURHOOD, **common),  # type: ignore[arg-type]
            MatchView(energy_wh=200, distance=Distance.BEYOND, **common),  # type: ignore[arg-type]
        ]
        (fill,) = await service.own_fills(INTERVAL, HOME)
        assert (fill.order.order_id, fill.fill.filled_wh) == ("buy", 500)
        assert await service.own_fills(INTERVAL + QUARTER, HOME) == []


async def test_a_members_token_is_taken_back_at_once(tmp_path: Path) -> None:
    """It has the rights that it was made for; taken back it opens nothing, remembered or not."""
    async with serving(tmp_path) as (service, _clock):
        scopes = frozenset({Scope.READ})
        token = await service.create_token(
            role=Role.RESIDENT, member=HOME, label="viewer", who=OLGA, scopes=scopes
        )
        holder = Principal(role=Role.RESIDENT, member=HOME, label="viewer", scopes=scopes)
        assert await service.authenticate(token) == holder
        (kept,) = await service.own_tokens(HOME)
        assert (kept.token_hash, kept.scopes) == (token_hash(token), scopes)
        with pytest.raises(NotFoundError):
            await service.revoke_own_token(token_hash=kept.token_hash, member=SCHOOL)
        await service.revoke_own_token(token_hash=kept.token_hash[:16], member=HOME)
        assert await service.authenticate(token) is None
        assert await service.own_tokens(HOME) == []
        event, _ = await service.events(limit=5)
        assert (event.who, event.what) == ("resident:m-home", "took a token back")


async def test_a_members_token_ends_after_a_year_unless_it_is_renewed(tmp_path: Path) -> None:
    """By the computer's own time; an operator's has no end."""
    async with serving(tmp_path) as (service, _clock):
        wall = VirtualDomainClock(START)
        service.wall_clock = wall
        token = await service.create_token(role=Role.RESIDENT, member=HOME, label="phone", who=OLGA)
        operator = await service.create_token(role=Role.OPERATOR, member=None, label="op", who=OLGA)
        holder = Principal(role=Role.RESIDENT, member=HOME, label="phone")
        wall.advance_to(START + TOKEN_LIFE - QUARTER)
        assert await service.authenticate(token) == holder
        (kept,) = await service.own_tokens(HOME)
        assert kept.expires_at == START + TOKEN_LIFE
        until = await service.renew_own_token(token_hash=kept.token_hash[:16], member=HOME)
        assert until == wall.now() + TOKEN_LIFE
        wall.advance_to(until - QUARTER)
        assert await service.authenticate(token) == holder
        wall.advance_to(until)
        assert await service.authenticate(token) == ExpiredToken(at=until)
        assert isinstance(await service.authenticate(operator), Principal)
        again = Service(
            service.controller, service.trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict
        )
        again.wall_clock = wall
        assert await again.authenticate(token) == ExpiredToken(at=until)
