"""What a plan says that a schedule costs is what the bills of the same schedule come to, VAT included."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import Settings
from controller.dispatch.evaluate import Powers, evaluate
from controller.domain.ids import Ean, MemberId, NodeId
from controller.domain.time import QUARTER, quarter_start
from controller.domain.units import MICROEUR_PER_EUR, NANOEUR_PER_EUR, FloatArray, IntArray
from controller.runtime.horizon import HorizonFacts, build_horizon
from controller.runtime.people import People
from controller.sharing_settings import SharingSettings
from controller.supplier_settings import SupplierSettings
from market.ledger import PostingReason
from market.prices import WH_PER_KW_QUARTER
from market.rates import Rate, RateKind
from market.sharing import KEYS, Energy
from market.sharing.pool import Point, PoolInputs, PoolRules, SupplyPrices, block_amounts, settle_pool
from tests.support.neighbourhood import START, site

BEGIN = quarter_start(START)
QUARTERS = 6
TAX = 91_600
"""Energy tax [micro-euro/kWh]."""
LESS_THAN_A_NANOEURO_A_LINE = 1e-8
SHARED = SharingSettings(share_grid_charged=True)
"""What the battery took from the grid may be shared when it is fed in again."""


def rates(**values: int) -> tuple[Rate, ...]:
    """Each from the day before on."""
    return tuple(
        Rate(kind=RateKind(kind), value=value, from_utc=BEGIN - timedelta(days=1), source="law")
        for kind, value in values.items()
    )


def planned_eur(
    battery_wh: list[int],
    home_wh: list[int],
    asked: list[int],
    paid: list[int],
    charged: tuple[Rate, ...],
    *,
    sharing: SharingSettings = SHARED,
    reclaims: bool = False,
) -> float:
    """The cost by the plan's own inputs and formula [EUR]: a battery at home's feeder, no wear."""
    boundaries = tuple(BEGIN + i * QUARTER for i in range(QUARTERS + 1))
    one = replace(site(), vehicles=(), charge_points=())
    members = tuple(replace(each, reclaims_vat=reclaims) for each in one.members)
    one = replace(one, members=members)
    battery = replace(one.batteries[0], wear_eur_per_kwh_discharged=0.0)
    facts = HorizonFacts(
        cars=[],
        batteries=[(battery, 50.0, True)],
        base_kw={NodeId("f1"): np.array(home_wh) / WH_PER_KW_QUARTER},
        sun_kw={},
        import_price_eur_per_kwh=np.array(asked) / MICROEUR_PER_EUR,
        export_price_eur_per_kwh=np.array(paid) / MICROEUR_PER_EUR,
    )
    configured = Settings(sharing=replace(sharing, rates=charged))
    made = build_horizon(BEGIN, boundaries, one, configured, People(), facts)
    power: FloatArray = np.array([battery_wh]) / WH_PER_KW_QUARTER
    charge, discharge = np.maximum(power, 0.0), np.maximum(-power, 0.0)
    powers = Powers(charge_kw=charge, discharge_kw=discharge, pv_kw=np.zeros((0, QUARTERS)))
    return evaluate(made.inputs, powers).cost_eur


def billed_eur(
    battery_wh: list[int],
    home_wh: list[int],
    asked: list[int],
    paid: list[int],
    charged: tuple[Rate, ...],
    *,
    shared: bool = True,
    without: tuple[PostingReason, ...] = (),
) -> tuple[float, float]:
    """What the bills of battery and home come to [EUR], VAT rounded once on each, without some lines."""
    energy: IntArray = np.stack([battery_wh, home_wh], axis=1)
    fed: IntArray = np.maximum(-energy, 0)
    inputs = PoolInputs(
        points=tuple(Point(ean=Ean(name), member=MemberId(name)) for name in ("battery", "home")),
        starts=tuple(BEGIN + i * QUARTER for i in range(QUARTERS)),
        energy=Energy(offtake_wh=np.maximum(energy, 0), feed_in_wh=fed),
        grid_charged_wh=fed,
        supply={
            "": SupplyPrices(import_microeur_per_kwh=np.array(asked), export_microeur_per_kwh=np.array(paid))
        },
        shared_microeur_per_kwh=np.zeros(QUARTERS, dtype=np.int64),
    )
    rules = PoolRules(key=KEYS["mid_market_rate"], share_grid_charged=shared, rates=charged)
    amounts = block_amounts(settle_pool(inputs, rules), slice(0, QUARTERS))
    lines = [amount for reason, amount in amounts.items() if reason not in without]
    battery, home = (np.sum(lines, axis=0) / NANOEUR_PER_EUR).tolist()
    return battery, home


NIGHT_AND_EVENING = ([1000, 0, 0, 0, -800, 0], [200_000] * 6, [50_000] * 6)


def test_a_battery_worked_by_hand() -> None:
    """1 kWh charged at 0.20 EUR, 0.8 kWh fed in and sold at 0.05; tax 0.0916, fee 0.01, VAT of 21%.

    Charged: (0.20 + 0.0916) x 1.21 = 0.352836. Fed in: 0.8 x (0.01 x 1.21 - 0.05) = -0.03032. Of supply alone
    the VAT is 0.042: without it the plan would hold 1 kWh to cost 0.310836.
    """
    charged = rates(energy_tax=TAX, feed_in_fee=10_000, vat=210_000)
    schedule, asked, paid = NIGHT_AND_EVENING
    assert planned_eur(schedule, [0] * 6, asked, paid, charged) == pytest.approx(0.322516)
    assert billed_eur(schedule, [0] * 6, asked, paid, charged)[0] == pytest.approx(0.322516)


def test_what_a_neighbour_gets_of_the_battery_saves_it_supply_and_its_vat() -> None:
    """The home takes 0.8 kWh as the battery gives them: 0.8 x 0.20 x 1.21 less than from the supplier."""
    charged = rates(energy_tax=TAX, vat=210_000)
    schedule, asked, paid = NIGHT_AND_EVENING
    home = [0, 0, 0, 0, 800, 0]
    own_tax = 0.8 * 0.0916 * 1.21
    assert planned_eur(schedule, home, asked, paid, charged) == pytest.approx(0.352836)
    assert sum(billed_eur(schedule, home, asked, paid, charged)) == pytest.approx(0.352836 + own_tax)


def test_the_suppliers_fee_is_on_what_it_buys_and_not_on_what_a_neighbour_gets() -> None:
    """0.8 kWh are fed in and the home takes 0.5 of them: the fee of 0.01, with VAT, is on 0.3 kWh.

    Charged: 0.20 x 1.21 = 0.242. The home is spared 0.5 x 0.20 x 1.21 = 0.121 of its 0.121. The supplier pays
    0.3 x 0.05 and takes 0.3 x 0.01 x 1.21: together 0.242 - 0.015 + 0.00363 = 0.23063.
    """
    charged = rates(feed_in_fee=10_000, vat=210_000)
    schedule, asked, paid = NIGHT_AND_EVENING
    home = [0, 0, 0, 0, 500, 0]
    assert planned_eur(schedule, home, asked, paid, charged) == pytest.approx(0.23063)
    assert sum(billed_eur(schedule, home, asked, paid, charged)) == pytest.approx(0.23063)


def test_where_stored_energy_is_not_shared_the_fee_is_on_all_of_it() -> None:
    """The supplier buys all 0.8 kWh, whatever the home takes; of energy alone: 0.242 - 0.04 + 0.00968."""
    charged = rates(feed_in_fee=10_000, vat=210_000)
    schedule, asked, paid = NIGHT_AND_EVENING
    alone = [0] * QUARTERS
    planned = planned_eur(schedule, alone, asked, paid, charged, sharing=SharingSettings())
    assert planned == pytest.approx(0.21168)
    assert billed_eur(schedule, alone, asked, paid, charged, shared=False)[0] == pytest.approx(0.21168)


def test_who_reclaims_vat_charges_without_it() -> None:
    """1 kWh at 0.20 and the tax of 0.0916, 0.8 kWh sold at 0.05: 0.2516; VAT of 0.061236 comes back."""
    charged = rates(energy_tax=TAX, vat=210_000)
    schedule, asked, paid = NIGHT_AND_EVENING
    alone = [0] * QUARTERS
    assert planned_eur(schedule, alone, asked, paid, charged, reclaims=True) == pytest.approx(0.2516)
    with_it = billed_eur(schedule, alone, asked, paid, charged)[0]
    without = billed_eur(schedule, alone, asked, paid, charged, without=(PostingReason.VAT,))[0]
    assert with_it == pytest.approx(0.312836)
    assert without == pytest.approx(0.2516)


def test_a_suppliers_own_vat_is_on_its_whole_price() -> None:
    """The battery's supplier asks 3 cents more than the site's own and has VAT of 9%, the others 21%.

    1 kWh at 0.23 x 1.09 = 0.2507; 0.8 kWh at the 0.05 that both pay: 0.2107. By the others' rate on the
    price of 0.20 it would be 0.2347.
    """
    own, tariff = site().batteries[0], site().tariff
    north = SupplierSettings(
        id="north",
        import_adder_eur_per_kwh=tariff.import_adder_eur_per_kwh + 0.03,
        export_adder_eur_per_kwh=tariff.export_adder_eur_per_kwh,
        points=(own.ean,),
        source="its letter",
    )
    everybody = rates(vat=210_000)
    low = tuple(replace(rate, value=90_000, supplier="north") for rate in everybody)
    schedule, asked, paid = NIGHT_AND_EVENING
    sharing = replace(SHARED, suppliers=(north,))
    planned = planned_eur(schedule, [0] * QUARTERS, asked, paid, (*everybody, *low), sharing=sharing)
    assert planned == pytest.approx(0.2107)
    dearer = [price + 30_000 for price in asked]
    assert billed_eur(schedule, [0] * QUARTERS, dearer, paid, rates(vat=90_000))[0] == pytest.approx(0.2107)


def each(low: int, high: int) -> st.SearchStrategy[list[int]]:
    """A whole number for each quarter-hour."""
    return st.lists(st.integers(low, high), min_size=QUARTERS, max_size=QUARTERS)


PRICES = st.tuples(each(0, 500_000), each(-100_000, 500_000))
VAT = st.sampled_from([0, 90_000, 210_000])


@settings(deadline=None)
@given(schedule=each(-2500, 2500), prices=PRICES, tax=st.integers(0, 120_000), vat=VAT)
def test_one_connections_bill_is_what_the_plan_says(
    schedule: list[int], prices: tuple[list[int], list[int]], tax: int, vat: int
) -> None:
    """A battery with a connection of its own: supply, tax, tariff, fee and refund, each with its VAT."""
    asked, paid = prices[0], np.minimum(*prices).tolist()
    charged = rates(energy_tax=tax, network=7_000, feed_in_fee=9_000, storage_refund=tax // 2, vat=vat)
    alone = [0] * QUARTERS
    bill = billed_eur(schedule, alone, asked, paid, charged)[0]
    assert planned_eur(schedule, alone, asked, paid, charged) == pytest.approx(
        bill, rel=0.0, abs=LESS_THAN_A_NANOEURO_A_LINE
    )


@settings(deadline=None)
@given(schedule=each(-2500, 2500), home=each(0, 3000), prices=PRICES, vat=VAT, fee=st.integers(0, 20_000))
def test_the_pools_bills_are_what_the_plan_says(
    schedule: list[int], home: list[int], prices: tuple[list[int], list[int]], vat: int, fee: int
) -> None:
    """With a neighbour: together they pay the plan's cost, and the tax on what the home uses anyway."""
    asked, paid = prices[0], np.minimum(*prices).tolist()
    charged = rates(energy_tax=TAX, network=7_000, feed_in_fee=fee, vat=vat)
    own = sum(home) * (TAX + 7_000) * (1_000_000 + vat) / 1_000_000 / NANOEUR_PER_EUR
    bills = sum(billed_eur(schedule, home, asked, paid, charged))
    assert planned_eur(schedule, home, asked, paid, charged) + own == pytest.approx(
        bills, rel=0.0, abs=LESS_THAN_A_NANOEURO_A_LINE
    )
