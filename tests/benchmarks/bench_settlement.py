"""How fast a month of a community is settled: 1000 allocation points, 2,976 quarter-hours.

First the arithmetic of every sharing key, arrays in, arrays out. Then the whole pool's settlement (supply,
tax, network, fee, VAT, and the same without sharing). Then everything from the registers on into a SQLite
file: estimates, key, money, one posting per point, reason and local day, fsync included. Last the command
`wijkstroom settle` on the month as files, with the memory that it took. The goal for the first is a million
member-quarter-hours a second.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import numpy as np

from controller.domain.ids import Ean, MemberId, ean_from_number
from controller.domain.time import AMSTERDAM, QUARTER, utc_text
from market.estimates import local_slots, metered
from market.ledger import Posting
from market.rates import Rate, RateKind
from market.rebooking import rebooked
from market.settle_rules import PostingsPer, blocks_of
from market.sharing import KEYS, Energy, Terms, ranks_of, share
from market.sharing.pool import Point, PoolInputs, PoolRules, SupplyPrices, pool_lines, settle_pool
from tests.support.storage import opened

MEMBERS = 1000
START = datetime(2023, 12, 31, 23, tzinfo=UTC)
"""January in Amsterdam: 31 days of 96 quarter-hours."""
QUARTERS = 31 * 96
RATES = tuple(
    Rate(kind=kind, value=value, from_utc=START, source="bench")
    for kind, value in (
        (RateKind.ENERGY_TAX, 108_800),
        (RateKind.NETWORK, 5_000),
        (RateKind.FEED_IN_FEE, 10_000),
        (RateKind.VAT, 210_000),
    )
)


def _inputs() -> PoolInputs:
    """Homes that take up to 400 Wh; a third has a roof, which feeds in by day."""
    random = np.random.default_rng(1)
    day = np.maximum(np.sin((np.arange(QUARTERS) % 96 / 96 - 0.25) * 2 * np.pi), 0.0)
    roofs = random.random(MEMBERS) < 1 / 3
    fed = (random.uniform(0, 900, (QUARTERS, MEMBERS)) * day[:, np.newaxis] * roofs).astype(np.int64)
    return PoolInputs(
        points=tuple(
            Point(
                ean=Ean(f"point-{i}"),
                member=MemberId(f"member-{i}"),
                share_ppm=1_000_000 // MEMBERS,
                priority=1 + i % 3,
            )
            for i in range(MEMBERS)
        ),
        starts=tuple(START + i * QUARTER for i in range(QUARTERS)),
        energy=Energy(offtake_wh=random.integers(0, 400, (QUARTERS, MEMBERS)), feed_in_wh=fed),
        grid_charged_wh=np.zeros((QUARTERS, MEMBERS), dtype=np.int64),
        supply={
            "": SupplyPrices(
                import_microeur_per_kwh=random.integers(100_000, 400_000, QUARTERS),
                export_microeur_per_kwh=random.integers(-50_000, 100_000, QUARTERS),
            )
        },
        shared_microeur_per_kwh=np.full(QUARTERS, 150_000),
    )


def _terms(inputs: PoolInputs) -> Terms:
    supply = inputs.supply[""]
    return Terms(
        import_microeur_per_kwh=supply.import_microeur_per_kwh,
        export_microeur_per_kwh=supply.export_microeur_per_kwh,
        shared_microeur_per_kwh=inputs.shared_microeur_per_kwh,
        share_ppm=np.array([point.share_ppm for point in inputs.points]),
        priority=np.array([point.priority for point in inputs.points]),
        ranks=ranks_of([point.ean for point in inputs.points]),
    )


def _seconds(work: Callable[[], object]) -> float:
    """The better of two runs."""
    spent = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return min(spent)


def _millions(seconds: float) -> str:
    return (
        f"{seconds:>8.2f} s {MEMBERS * QUARTERS / seconds / 1e6:>8.2f} million member-quarter-hours a second"
    )


def _arithmetic(inputs: PoolInputs) -> list[str]:
    terms = _terms(inputs)
    lines = []
    for name, key in KEYS.items():
        alone = _seconds(lambda key=key: share(key, inputs.energy, terms))  # type: ignore[misc]
        whole = _seconds(lambda key=key: settle_pool(inputs, PoolRules(key=key, rates=RATES)))  # type: ignore[misc]
        lines += [f"{name:<22} key  {_millions(alone)}", f"{'':<22} pool {_millions(whole)}"]
    return lines


def _postings(inputs: PoolInputs) -> list[Posting]:
    """From registers to postings."""
    slots = local_slots(inputs.starts)
    first = np.zeros((1, MEMBERS), dtype=np.int64)
    taken = np.concatenate([first, inputs.energy.offtake_wh.cumsum(axis=0)])
    fed = np.concatenate([first, inputs.energy.feed_in_wh.cumsum(axis=0)])
    read = [metered(taken[:, i], fed[:, i], slots, quarter_wh_max=25_000) for i in range(MEMBERS)]
    energy = Energy(
        offtake_wh=np.stack([each.import_wh for each in read], axis=1),
        feed_in_wh=np.stack([each.export_wh for each in read], axis=1),
    )
    rules = PoolRules(key=KEYS["mid_market_rate"], rates=RATES)
    months = PoolInputs(
        points=inputs.points,
        starts=inputs.starts,
        energy=energy,
        grid_charged_wh=inputs.grid_charged_wh,
        supply=inputs.supply,
        shared_microeur_per_kwh=inputs.shared_microeur_per_kwh,
    )
    days = blocks_of(inputs.starts, PostingsPer.DAY, lambda at: at.astimezone(AMSTERDAM).date())
    lines = pool_lines(months, settle_pool(months, rules), days)
    return rebooked((), lines, booked_at=START + timedelta(days=32))


async def _into_sqlite(path: Path, inputs: PoolInputs) -> str:
    async with opened(path) as store:
        begun = time.perf_counter()
        postings = _postings(inputs)
        computed = time.perf_counter()
        async with store.unit() as unit:
            await unit.add_postings(postings)
        done = time.perf_counter()
    return (
        f"{'into SQLite':<22} all  {_millions(done - begun)}\n"
        f"{'':<27} {computed - begun:.1f} s from registers to {len(postings):,} postings, "
        f"{done - computed:.1f} s to book them"
    )


def _write_files(folder: Path, inputs: PoolInputs) -> None:
    """The rules and three million readings as the command takes them."""
    eans = [ean_from_number("8716", number) for number in range(MEMBERS)]
    rules = {
        "from_utc": utc_text(START),
        "to_utc": utc_text(START + QUARTERS * QUARTER),
        "key": "mid_market_rate",
        "shared_price_microeur_per_kwh": 150_000,
        "suppliers": [{"id": "north", "import_microeur_per_kwh": 300_000, "export_microeur_per_kwh": 60_000}],
        "rates": [
            {"kind": rate.kind.value, "value": rate.value, "from_utc": utc_text(START), "source": "bench"}
            for rate in RATES
        ],
        "points": [
            {"ean": ean, "member": point.member, "supplier": "north"}
            for ean, point in zip(eans, inputs.points, strict=True)
        ],
    }
    (folder / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
    times = [utc_text(START + i * QUARTER) for i in range(QUARTERS + 1)]
    with (folder / "meters.csv").open("w", encoding="utf-8") as file:
        file.write("meter,at_utc,import_wh,export_wh\n")
        for i, ean in enumerate(eans):
            taken = [0, *inputs.energy.offtake_wh[:, i].cumsum().tolist()]
            fed = [0, *inputs.energy.feed_in_wh[:, i].cumsum().tolist()]
            rows = zip(times, taken, fed, strict=True)
            file.writelines(f"{ean},{at},{import_wh},{export_wh}\n" for at, import_wh, export_wh in rows)


def _command(folder: Path, inputs: PoolInputs) -> str:
    _write_files(folder, inputs)
    files = [str(folder / name) for name in ("rules.json", "meters.csv")]
    command = [sys.executable, "-m", "controller", "settle", *files, "--out", str(folder / "result.json")]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    spent, used = time.perf_counter() - begun, getrusage(RUSAGE_CHILDREN)
    return (
        f"{'wijkstroom settle':<22} all  {_millions(spent)}\n"
        f"{'':<27} {used.ru_utime + used.ru_stime:.1f} s of a core, {used.ru_maxrss / 1024:.0f} MiB at most"
    )


def main() -> None:
    """Prints the table."""
    inputs = _inputs()
    with TemporaryDirectory() as folder:
        lines = [*_arithmetic(inputs), asyncio.run(_into_sqlite(Path(folder) / "bench.sqlite3", inputs))]
        lines.append(_command(Path(folder), inputs))
    print("\n".join(lines))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
