"""Orders that the controller makes, and what it learns from the meters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.runtime.core import Controller
from controller.runtime.trading import Trading
from market.orders import Order
from tests.support.running import QUARTER, registers, running

NOON = datetime(2024, 6, 3, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def made(controller: Controller, trading: Trading, start: datetime, asset: str) -> list[Order]:
    """Clears a quarter-hour; the orders that were made for an asset, by price as the surest comes first."""
    await trading.clear_interval(start)
    async with controller.store.unit() as unit:
        found = [each for each in await unit.orders_of_interval(start) if each.asset == asset]
    return sorted(found, key=lambda each: each.order_id)


async def settled(controller: Controller, trading: Trading, start: datetime, **wh: tuple[int, int]) -> None:
    """The meters of a quarter-hour come in."""
    async with controller.store.unit() as unit:
        await unit.add_registers([*registers(start), *registers(start + QUARTER, **wh)])
    await trading.settle_due()


@pytest.mark.parametrize(
    ("used_wh", "limits"),
    [
        # The supplier asks 0.12 and pays 0.09: 0.09 + 0.03 x chance, of 0.6 x 16 / 17 and so on.
        (0, [106_941, 97_058, 94_235]),
        (3000, [108_705, 98_823, 96_000]),
    ],
)
async def test_who_used_less_than_expected_bids_less_for_the_next(
    tmp_path: Path, used_wh: int, limits: list[int]
) -> None:
    """A home begins with chances of 0.6, 0.25 and 0.15, as of 16 quarter-hours; this one is the 17th."""
    async with running(tmp_path, at=NOON) as (controller, trading, clock):
        await controller.make_plan(controller.horizon(NOON))
        first, second = NOON + QUARTER, NOON + 2 * QUARTER
        begun = await made(controller, trading, first, "home")
        assert [one.limit_price_microeur_per_kwh for one in begun] == [108_000, 97_500, 94_500]
        clock.advance_to(first + QUARTER + 2 * MINUTE)
        await settled(controller, trading, first, home=(used_wh, 0))
        after = await made(controller, trading, second, "home")
        assert [one.limit_price_microeur_per_kwh for one in after] == limits


async def test_a_meter_that_is_silent_or_ran_backwards_teaches_nothing(tmp_path: Path) -> None:
    """Estimated energy is what was traded: who learned from it would believe themselves."""
    async with running(tmp_path, at=NOON) as (controller, trading, clock):
        await controller.make_plan(controller.horizon(NOON))
        first, second = NOON + QUARTER, NOON + 2 * QUARTER
        await made(controller, trading, first, "home")
        clock.advance_to(first + QUARTER + 10 * MINUTE)
        async with controller.store.unit() as unit:
            silent = [one for one in registers(first + QUARTER) if one.meter != "home"]
            await unit.add_registers([*registers(first, school=(50, 0)), *silent])
        await trading.settle_due()
        for name in ("home", "school"):
            orders = await made(controller, trading, second, name)
            assert [one.limit_price_microeur_per_kwh for one in orders] == [108_000, 97_500, 94_500]


async def test_another_part_of_the_day_has_odds_of_its_own(tmp_path: Path) -> None:
    """What a home did at noon says nothing of four in the afternoon."""
    async with running(tmp_path, at=NOON) as (controller, trading, clock):
        await controller.make_plan(controller.horizon(NOON))
        first, later = NOON + QUARTER, NOON + timedelta(hours=3)
        await made(controller, trading, first, "home")
        clock.advance_to(first + QUARTER + 2 * MINUTE)
        await settled(controller, trading, first)
        orders = await made(controller, trading, later, "home")
        assert [one.limit_price_microeur_per_kwh for one in orders] == [108_000, 97_500, 94_500]
