"""Several suppliers: prices, sharing, announcements and imbalance of each one's own customers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from controller.config import Settings, read_site_file
from controller.domain.errors import NotFoundError
from controller.domain.ids import Ean, MemberId
from controller.domain.time import QUARTER, VirtualDomainClock
from controller.forecast.prices import PriceBook
from controller.runtime.closing import DAY_WAIT
from controller.runtime.core import Controller
from controller.runtime.nominating import INTRADAY_QUARTERS, Nominating
from controller.runtime.offload import run_inline
from controller.runtime.ports import Role
from controller.runtime.service import Service
from controller.runtime.supply_ports import Nomination, NominationKind
from controller.runtime.trading import Trading
from controller.sharing_settings import SharingSettings
from controller.supplier_settings import SupplierSettings, supplier_problems
from market.imbalance import ImbalanceCost
from market.ledger import PostingReason, assert_balanced, balances, standing
from market.rates import Rate, RateKind
from tests.support.metered_days import DAY, END, MIDNIGHT, books, day_registers, keep
from tests.support.neighbourhood import site
from tests.support.running import OLGA, make_controller
from tests.support.storage import opened

HOME, SCHOOL = site().loads
NORTH = SupplierSettings(
    id="north",
    import_adder_eur_per_kwh=0.05,
    export_adder_eur_per_kwh=-0.01,
    points=(SCHOOL.ean,),
    source="its letter",
)
"""The school's: 0.15 and 0.09 EUR/kWh, where the site's own asks 0.12 and pays 0.09."""
TWO = SharingSettings(suppliers=(NORTH,))


@asynccontextmanager
async def running(
    folder: Path, sharing: SharingSettings
) -> AsyncIterator[tuple[Controller, Service, VirtualDomainClock]]:
    """A controller just after midnight, and its doors."""
    clock = VirtualDomainClock(MIDNIGHT)
    async with opened(folder / "test.sqlite3") as store:
        controller = make_controller(
            store, clock, settings=Settings(sharing=sharing), prices=PriceBook({}, 0.10)
        )
        await controller.load()
        trading = Trading(controller, offload=run_inline)
        await trading.load()
        loop = asyncio.get_running_loop()
        yield controller, Service(controller, trading, loop=loop, speed=1.0, messages=dict), clock


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        # The school's 400 Wh are all its supplier's. The home takes 200 of its own roof's 300: 100 are sold.
        (
            TWO,
            {
                "member:m-home": -100 * 90_000,
                "supplier": 100 * 90_000,
                "member:m-school": 400 * 150_000,
                "supplier:north": -400 * 150_000,
            },
        ),
        # All 300 are shared, 100 with the home and 200 with the school, at the mean of 0.12 and 0.09.
        (
            replace(TWO, across_suppliers=True),
            {
                "member:m-home": -200 * 105_000 + 100 * 120_000,
                "supplier": -100 * 120_000,
                "member:m-school": 200 * 105_000 + 200 * 150_000,
                "supplier:north": -200 * 150_000,
            },
        ),
        # A tax for the north's customers alone.
        (
            replace(
                TWO,
                rates=(
                    Rate(
                        kind=RateKind.NETWORK,
                        value=10_000,
                        from_utc=MIDNIGHT - QUARTER,
                        supplier="north",
                        source="grid",
                    ),
                ),
            ),
            {
                "member:m-home": -100 * 90_000,
                "supplier": 100 * 90_000,
                "member:m-school": 400 * 160_000,
                "supplier:north": -400 * 150_000,
                "grid": -400 * 10_000,
            },
        ),
    ],
)
async def test_customers_share_with_those_of_their_own_supplier(
    tmp_path: Path, sharing: SharingSettings, expected: dict[str, int]
) -> None:
    """Home 200, school 400 and the home's roof 300 Wh in each of 96 quarter-hours."""
    async with running(tmp_path, sharing) as (controller, service, clock):
        await keep(controller, day_registers(home=(200, 0), school=(400, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT)
        await service.trading.closing.close_due()
        postings = await books(controller)
        assert_balanced(postings)
        told = {account: amount for account, amount in balances(postings).items() if account != "market"}
        assert told == {account: 96 * amount for account, amount in expected.items()}
        north = await service.imbalance(day=DAY, supplier="north")
        own = await service.imbalance(day=DAY, supplier="")
        bills = [await service.statement(member=one.member, first=DAY, last=DAY) for one in (SCHOOL, HOME)]
    # Each reads where the prices of its own supplier are written, and its rates alone.
    assert [bill.tariff_source for bill in bills] == ["its letter", site().tariff.source]
    assert [len(bill.statement.rates) for bill in bills] == [len(sharing.rates), 0]
    assert north[5].supplied is not None
    assert (north[5].supplied.import_wh, north[5].supplied.export_wh) == (400, 0)
    assert north[5].supplied.import_microeur_per_kwh == 150_000
    assert own[5].supplied is not None
    assert (own[5].supplied.import_wh, own[5].supplied.export_wh) == (200, 300)
    assert own[5].supplied.import_microeur_per_kwh == 120_000


@pytest.mark.parametrize("later", [SharingSettings(), replace(TWO, suppliers=(replace(NORTH, points=()),))])
async def test_whoever_supplied_a_point_on_a_closed_day_stays_its_supplier_of_that_day(
    tmp_path: Path, later: SharingSettings
) -> None:
    """The school changes its supplier, and a day from before is closed again."""
    async with running(tmp_path, TWO) as (controller, service, clock):
        await keep(controller, day_registers(home=(200, 0), school=(400, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT)
        await service.trading.closing.close_due()
        before = await books(controller)
    assert balances(before)["supplier:north"] == -96 * 400 * 150_000
    async with running(tmp_path, later) as (controller, service, clock):
        clock.advance_to(END + DAY_WAIT)
        cost = ImbalanceCost(short_microeur_per_kwh=1, long_microeur_per_kwh=1)
        await service.put_imbalance_costs(costs={MIDNIGHT: cost}, supplier="", who="own")
        await service.trading.closing_again.close_asked()
        assert await books(controller) == before
        bill = await service.statement(member=SCHOOL.member, first=DAY, last=DAY)
        # The north's letter where the site file still names it; never that of who supplies the school now.
        assert bill.tariff_source == ("its letter" if later.suppliers else "")
        north = await service.imbalance(day=DAY, supplier="north")
    assert north[5].supplied is not None
    assert (north[5].supplied.import_wh, north[5].supplied.import_microeur_per_kwh) == (400, 150_000)


async def test_imbalance_is_each_suppliers_own(tmp_path: Path) -> None:
    """The school took 100 Wh more than the north was told; the home 50 less than its supplier was told."""
    start = MIDNIGHT + QUARTER
    told = [
        Nomination(
            interval_start=start,
            kind=NominationKind.INTRADAY,
            made_at=MIDNIGHT,
            import_wh=wh,
            export_wh=0,
            net_wh={member: wh},
            supplier=supplier,
        )
        for supplier, member, wh in (("north", SCHOOL.member, 300), ("", HOME.member, 250))
    ]
    north_cost = ImbalanceCost(short_microeur_per_kwh=40_000, long_microeur_per_kwh=0)
    own_cost = ImbalanceCost(short_microeur_per_kwh=0, long_microeur_per_kwh=20_000)
    async with running(tmp_path, TWO) as (controller, service, clock):
        async with controller.store.unit() as unit:
            await unit.put_nominations(told)
        await keep(controller, day_registers(home=(200, 0), school=(400, 0)))
        clock.advance_to(END + DAY_WAIT)
        await service.put_imbalance_costs(costs={start: north_cost}, supplier="north", who="north")
        await service.trading.closing.close_due()
        await service.put_imbalance_costs(costs={start: own_cost}, supplier="", who="own")
        assert [len(await service.closings(supplier=name)) for name in ("north", "")] == [0, 1]
        await service.trading.closing_again.close_asked()
        booked = [one for one in await books(controller) if one.reason is PostingReason.IMBALANCE]
        assert balances(booked) == {
            "member:m-school": 100 * 40_000,
            "supplier:north": -100 * 40_000,
            "member:m-home": 50 * 20_000,
            "supplier": -50 * 20_000,
        }
        dearer = replace(north_cost, short_microeur_per_kwh=50_000)
        await service.put_imbalance_costs(costs={start: dearer}, supplier="north", who="north")
        await service.trading.closing_again.close_asked()
        stand = standing(await books(controller))
        booked = [one for one in stand if one.reason is PostingReason.IMBALANCE]
        assert balances(booked)["supplier:north"] == -100 * 50_000
        assert balances(booked)["supplier"] == -50 * 20_000
        assert (await service.imbalance(day=DAY, supplier="north"))[1].cost == dearer
        assert (await service.imbalance(day=DAY, supplier=""))[1].cost == own_cost


async def test_each_supplier_is_told_of_its_own_customers(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Together they are told what one alone would be; the north of nobody but the school."""
    async with running(tmp_path, TWO) as (controller, service, clock):
        await controller.make_plan(controller.horizon(clock.now()))
        await Nominating(controller, offload=run_inline).nominate_due()
        kind = NominationKind.INTRADAY
        north = await service.nominations(day=DAY, kind=kind, supplier="north")
        own = await service.nominations(day=DAY, kind=kind, supplier="")
    async with running(tmp_path_factory.mktemp("alone"), SharingSettings()) as (controller, service, clock):
        await controller.make_plan(controller.horizon(clock.now()))
        await Nominating(controller, offload=run_inline).nominate_due()
        alone = await service.nominations(day=DAY, kind=kind, supplier="")
    assert len(north) == len(own) == INTRADAY_QUARTERS
    assert {member for each in north for member in each.net_wh} == {SCHOOL.member}
    assert all(each.import_wh > 0 for each in north)
    assert [a.import_wh + b.import_wh for a, b in zip(north, own, strict=True)] == [
        each.import_wh for each in alone
    ]


async def test_a_suppliers_token_names_one_of_the_site(tmp_path: Path) -> None:
    """What its holder sees is that one's; without a name the site's own."""
    async with running(tmp_path, TWO) as (_, service, _clock):
        for name in (None, MemberId("north")):
            await service.create_token(role=Role.SUPPLIER, member=name, label="x", who=OLGA)
        with pytest.raises(NotFoundError, match="no supplier 'south'"):
            await service.create_token(role=Role.SUPPLIER, member=MemberId("south"), label="x", who=OLGA)


@pytest.mark.parametrize(
    ("suppliers", "is_auction", "expected"),
    [
        ((NORTH,), False, []),
        ((NORTH,), True, ["settings.sharing.suppliers: an auction has one"]),
        ((NORTH, NORTH), False, ["id: 'north' is there more than once", "is supplied more than once"] * 2),
        ((replace(NORTH, id=" ", source=""),), False, ["id: must not be empty", "source: must say"]),
        (
            (replace(NORTH, export_adder_eur_per_kwh=math.nan),),
            False,
            ["export_adder_eur_per_kwh: must lie"],
        ),
        (
            (replace(NORTH, points=(HOME.ean, Ean("8716"))),),
            False,
            ["points: there is no allocation point 8716"],
        ),
    ],
)
def test_what_is_wrong_with_suppliers_is_said_at_once(
    suppliers: tuple[SupplierSettings, ...],
    is_auction: bool,  # noqa: FBT001  # of a table
    expected: list[str],
) -> None:
    """Each by its place in the site file."""
    points = {load.ean for load in site().loads}
    found = [str(problem) for problem in supplier_problems(suppliers, points, is_auction=is_auction)]
    assert len(found) == len(expected)
    assert all(text in problem for text, problem in zip(expected, found, strict=True)), found


def test_the_suppliers_of_the_example_can_be_taken_in(tmp_path: Path) -> None:
    """What stands there as a comment is a part of a site file as it is."""
    example = Path(__file__).parents[4] / "deploy/examples/site.toml"
    before, _, after = example.read_text(encoding="utf-8").partition("# [[settings.sharing.suppliers]]\n")
    block, _, rest = after.partition("\n\n")
    lines = ["[[settings.sharing.suppliers]]", *(line.removeprefix("# ") for line in block.splitlines())]
    path = tmp_path / "site.toml"
    path.write_text("\n".join([before, *lines, "", rest]), encoding="utf-8")
    _, settings = read_site_file(path)
    (found,) = settings.sharing.suppliers
    assert (found.id, found.import_adder_eur_per_kwh) == ("north", 0.03)


def test_the_change_of_the_example_can_be_taken_in(tmp_path: Path) -> None:
    """It holds from its day on, and what stood there before holds until then."""
    example = Path(__file__).parents[4] / "deploy/examples/site.toml"
    before, _, after = example.read_text(encoding="utf-8").partition("# changes = [")
    block, _, rest = after.partition("\n# ]\n")
    change = "\n".join(line.removeprefix("# ") for line in block.splitlines()[1:])
    path = tmp_path / "site.toml"
    path.write_text(f"{before}changes = [\n{change}\n]\n{rest}", encoding="utf-8")
    _, settings = read_site_file(path)
    days = (date(2026, 6, 30), date(2026, 7, 1), date(2027, 1, 1))
    assert [settings.sharing.terms_on(day).key for day in days] == ["mid_market_rate", "pro_rata", "pro_rata"]
