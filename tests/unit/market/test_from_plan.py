"""Orders that follow from plan, forecast and the supplier's prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain.ids import AssetId, MemberId, NodeId
from market.clearing import clear
from market.from_plan import (
    ForecastEnergy,
    PlannedEnergy,
    QuarterPrices,
    SurplusRule,
    as_cleared,
    backstop_orders,
    orders_from_plan,
    surplus_orders,
)
from market.orders import SUPPLIER, Label, OrderSource, Side, validate
from tests.support.market import QUARTER_AT_NOON, an_envelope

QUARTER = QuarterPrices(
    interval_start=QUARTER_AT_NOON, import_microeur_per_kwh=200_000, export_microeur_per_kwh=50_000
)


def planned(energy_wh: int, value: float | None = None) -> PlannedEnergy:
    """A car's plan."""
    return PlannedEnergy(
        asset=AssetId("car"),
        member=MemberId("ann"),
        node=NodeId("pole"),
        energy_wh=energy_wh,
        value_eur_per_kwh=value,
    )


def expected(asset: str, energy_wh: int) -> ForecastEnergy:
    """A load or a roof."""
    return ForecastEnergy(
        asset=AssetId(asset), member=MemberId(f"of-{asset}"), node=NodeId("pole"), energy_wh=energy_wh
    )


_HOME_AND_ROOF = {"home": expected("home", 300), "roof": expected("roof", -200)}


@pytest.mark.parametrize(
    ("energy_wh", "value", "side", "limit"),
    [
        pytest.param(500, 0.12, Side.BUY, 121_000, id="charge-at-its-value"),
        pytest.param(-500, 0.12, Side.SELL, 119_000, id="discharge-at-its-cost"),
        pytest.param(500, 0.1995, Side.BUY, 200_000, id="margin-ends-at-the-suppliers-price"),
        pytest.param(-500, 0.0505, Side.SELL, 50_000, id="margin-ends-at-what-the-supplier-pays"),
        pytest.param(500, 0.35, Side.BUY, 350_000, id="scarce-energy-keeps-its-value"),
        pytest.param(-500, -0.02, Side.SELL, -20_000, id="surplus-keeps-its-cost"),
        pytest.param(500, None, Side.BUY, 200_000, id="unknown-value-buys-as-all-do"),
        pytest.param(-500, None, Side.SELL, 50_000, id="unknown-value-sells-as-all-do"),
    ],
)
def test_planned_energy_becomes_an_order_at_its_value(
    energy_wh: int, value: float | None, side: Side, limit: int
) -> None:
    """A tenth of a cent of margin, up to the supplier's price but not past it."""
    (order,) = orders_from_plan(QUARTER, [planned(energy_wh, value)])
    assert (order.side, order.quantity_wh, order.limit_price_microeur_per_kwh) == (side, 500, limit)
    assert (order.source, order.asset, order.member) == (OrderSource.PLAN, "car", "ann")
    assert validate(order) == []


def test_forecasts_take_the_suppliers_prices() -> None:
    """A home buys at up to the import price, a roof sells down to the export price, 0 orders nothing."""
    orders = orders_from_plan(
        QUARTER, [], [expected("home", 300), expected("roof", -200), expected("off", 0)]
    )
    assert [(o.asset, o.side, o.quantity_wh, o.limit_price_microeur_per_kwh) for o in orders] == [
        ("home", Side.BUY, 300, 200_000),
        ("roof", Side.SELL, 200, 50_000),
    ]
    assert {order.source for order in orders} == {OrderSource.FORECAST}


def test_orders_made_again_have_the_same_ids() -> None:
    """A restart in the quarter-hour makes the same orders."""
    inputs = ([planned(5, 0.1)], [expected("home", 3)])
    assert orders_from_plan(QUARTER, *inputs) == orders_from_plan(QUARTER, *inputs)


def test_supplier_takes_what_neighbours_cannot() -> None:
    """A home of 300, a roof of 200: 200 are shared, 100 come from outside at the import price.

    The marginal energy is the supplier's, so everyone's price is 200,000 micro-euro/kWh.
    """
    orders = orders_from_plan(QUARTER, [], [expected("home", 300), expected("roof", -200)])
    backstop = backstop_orders(QUARTER, orders)
    assert {(o.side, o.quantity_wh, o.member) for o in backstop} == {
        (Side.SELL, 301, SUPPLIER),
        (Side.BUY, 201, SUPPLIER),
    }
    result = clear([*orders, *backstop], an_envelope(pole=(None, 1000, 1000)))
    filled = {fill.order_id.split("/")[1]: fill.filled_wh for fill in result.fills}
    assert filled == {"home": 300, "roof": 200, "sell": 100, "buy": 0}
    assert result.price_microeur_per_kwh[NodeId("pole")] == 200_000
    assert result.congestion_rent_nanoeur == 0


@pytest.mark.parametrize(
    ("sides", "now", "expected"),
    [
        pytest.param("home roof", (520_000, 10_000), (200_000, 50_000), id="both-as-cleared"),
        pytest.param("home", (520_000, 10_000), (200_000, 10_000), id="nobody-sold"),
        pytest.param("roof", (40_000, 10_000), (50_000, 50_000), id="never-asks-less-than-it-paid"),
        pytest.param("", (520_000, 10_000), (520_000, 10_000), id="no-book"),
    ],
)
def test_the_suppliers_prices_are_those_of_the_book(
    sides: str, now: tuple[int, int], expected: tuple[int, int]
) -> None:
    """It asked 0.20 and paid 0.05; of a side that nobody was on there is only what holds now."""
    orders = orders_from_plan(
        QUARTER, [], [expected_of for name, expected_of in _HOME_AND_ROOF.items() if name in sides]
    )
    today = replace(QUARTER, import_microeur_per_kwh=now[0], export_microeur_per_kwh=now[1])
    found = as_cleared(today, [*orders, *backstop_orders(QUARTER, orders)])
    assert (found.import_microeur_per_kwh, found.export_microeur_per_kwh) == expected


def test_no_backstop_for_an_empty_side() -> None:
    """Nobody sells, so the supplier need not buy."""
    (order,) = backstop_orders(QUARTER, orders_from_plan(QUARTER, [planned(5, 0.1)]))
    assert order.side is Side.SELL
    assert backstop_orders(QUARTER, []) == []


def test_supplier_never_pays_more_than_it_asks() -> None:
    """Otherwise its two orders would trade with each other without end."""
    with pytest.raises(ValueError, match="without end"):
        QuarterPrices(interval_start=QUARTER_AT_NOON, import_microeur_per_kwh=1, export_microeur_per_kwh=2)


def test_surplus_is_what_roofs_make_beyond_own_use() -> None:
    """Two roofs of 300 and 500 Wh, a use of 200: 600 are surplus, the first roof's 300, the second's 300.

    A neighbour without an instruction, and one without surplus, are forecast as before.
    """
    rows = [("roof-a", "me", -300), ("roof-b", "me", -500), ("home", "me", 200)]
    rows += [("their-roof", "they", -400), ("dim-roof", "dim", -100), ("dim-home", "dim", 150)]
    forecast = [
        ForecastEnergy(asset=AssetId(name), member=MemberId(member), node=NodeId("n"), energy_wh=energy)
        for name, member, energy in rows
    ]
    rules = {
        MemberId(name): SurplusRule(id=f"i-{name}", min_price_microeur_per_kwh=70_000, label=Label.NEIGHBOUR)
        for name in ("me", "dim")
    }
    orders, rest = surplus_orders(QUARTER, forecast, rules)
    assert [(one.asset, one.quantity_wh, one.limit_price_microeur_per_kwh) for one in orders] == [
        ("roof-a", 300, 70_000),
        ("roof-b", 300, 70_000),
    ]
    assert {one.asset: one.energy_wh for one in rest} == {
        "roof-b": -200,
        "home": 200,
        "their-roof": -400,
        "dim-roof": -100,
        "dim-home": 150,
    }
