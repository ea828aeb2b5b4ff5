"""Finished days are sealed once, whatever happens between; what is downloaded of them verifies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.api.app import create_app
from controller.domain.errors import ConflictError
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import quarters_of_local_day
from controller.runtime.core import Controller
from controller.runtime.offload import run_inline
from controller.runtime.ports import Role
from controller.runtime.sealing import SEAL_AFTER, Sealing
from controller.runtime.service import Service
from controller.runtime.trading import Trading
from market.ledger import Posting, member_account, reverse
from market.orders import Order, Side
from market.seals import CHUNK_LEAVES
from market.verify_file import VerificationError, run_verify
from tests.support.neighbourhood import START
from tests.support.running import OLGA, QUARTER, registers, running
from tests.support.sealed import a_day_of_postings
from tests.support.web import bearer

HOME = MemberId("m-home")
DAY = timedelta(days=1)
MIDNIGHT = datetime(START.year, START.month, START.day, tzinfo=UTC)


@asynccontextmanager
async def doors(controller: Controller, trading: Trading) -> AsyncIterator[Callable[[str, str], Any]]:
    """The API of a running controller: `await get(token, path)`."""
    service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
    tokens = {
        "home": await service.create_token(role=Role.RESIDENT, member=HOME, label="home", who=OLGA),
        "school": await service.create_token(
            role=Role.RESIDENT, member=MemberId("m-school"), label="s", who=OLGA
        ),
        "operator": await service.create_token(role=Role.OPERATOR, member=None, label="op", who=OLGA),
    }
    app = create_app(service, console=False, storage_secret="of the tests")  # noqa: S106  # no secret
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def get(who: str, path: str) -> httpx.Response:
            return await client.get(path, headers=bearer(tokens[who]))

        yield get


async def book(controller: Controller, postings: list[Posting]) -> None:
    """Books postings."""
    async with controller.store.unit() as unit:
        await unit.add_postings(postings)


async def sealed_days(controller: Controller) -> list[tuple[str, int]]:
    """The sealed days and how many postings each has."""
    async with controller.store.unit() as unit:
        seals = [record.sealed.seal for record in await unit.sealed_days()]
    return [(seal.day.isoformat(), seal.postings) for seal in seals]


async def test_an_order_is_traded_settled_and_proven_by_its_owner(tmp_path: Path) -> None:
    """From the order to `wijkstroom verify`, with a running controller's own doors and files."""
    interval = START + QUARTER
    async with running(tmp_path) as (controller, trading, clock):
        order = Order(
            order_id="one",
            member=HOME,
            node=NodeId("f1"),
            side=Side.BUY,
            quantity_wh=500,
            limit_price_microeur_per_kwh=1_000_000,
            interval_start=interval,
        )
        async with controller.store.unit() as unit:
            await unit.add_orders([order])
            await unit.add_registers([*registers(interval), *registers(interval + QUARTER, home=(700, 0))])
        await trading.clear_interval(interval)
        clock.advance_to(interval + 2 * QUARTER)
        await trading.settle_due()
        async with doors(controller, trading) as get:
            mine = (await get("home", "/api/resident/postings")).json()
            assert {posting["reason"] for posting in mine} == {"trade", "imbalance_buy"}
            path = f"/api/resident/postings/{mine[0]['posting_id']}/proof"
            early = await get("home", path)
            assert early.status_code == 409
            assert "vraag het opnieuw na 2024-01-16" in early.json()["detail"]
            clock.advance_to(MIDNIGHT + DAY + SEAL_AFTER)
            await trading.sealing.seal_due()
            key = (await get("home", "/api/ledger/head")).json()["public_key"]
            proof, ledger = tmp_path / "proof.json", tmp_path / "ledger.ndjson"
            proof.write_bytes((await get("home", path)).content)
            ledger.write_bytes(
                (await get("operator", f"/api/operator/ledger/days/{MIDNIGHT.date()}")).content
            )
            assert (await get("school", path)).status_code == 404
    facts = run_verify([proof, ledger], [key])
    assert any("trade" in fact and member_account(HOME) in fact for fact in facts)


async def test_days_are_sealed_one_after_the_other_and_once(tmp_path: Path) -> None:
    """Nothing before a quarter past midnight; after days without us all of them, the empty one too."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.sealing.seal_due()
        await book(controller, a_day_of_postings(3, MIDNIGHT))
        clock.advance_to(MIDNIGHT + DAY + SEAL_AFTER - timedelta(seconds=1))
        await trading.sealing.seal_due()
        assert await sealed_days(controller) == []
        await book(controller, a_day_of_postings(5, MIDNIGHT + 2 * DAY))
        clock.advance_to(MIDNIGHT + 3 * DAY + SEAL_AFTER)
        for _ in range(2):
            await trading.sealing.seal_due()
            dates = [str((MIDNIGHT + number * DAY).date()) for number in range(3)]
            assert await sealed_days(controller) == list(zip(dates, (3, 0, 5), strict=True))
    async with running(tmp_path, clock.now()) as (controller, trading, _):
        await trading.sealing.seal_due()
        assert len(await sealed_days(controller)) == 3


@pytest.mark.parametrize(("day", "count"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100)])
async def test_a_local_day_of_92_or_100_quarter_hours_is_sealed_whole(
    tmp_path: Path, day: date, count: int
) -> None:
    """Summer time comes or goes: every quarter-hour's posting is in one of the UTC days, once."""
    quarters = quarters_of_local_day(day)
    assert len(quarters) == count
    ends = [start + QUARTER for start in quarters]
    async with running(tmp_path, ends[0]) as (controller, trading, clock):
        for start, end in zip(quarters, ends, strict=True):
            clock.advance_to(end)
            await book(controller, a_day_of_postings(1, start - timedelta(hours=2)))
        clock.advance_to(ends[-1] + 2 * DAY)
        await trading.sealing.seal_due()
        days = await sealed_days(controller)
        assert sum(number for _, number in days) == count
        key = trading.controller.store.ledger_key().public_key.hex()
        async with doors(controller, trading) as get:
            files = [tmp_path / name for name, _ in days]
            for file in files:
                file.write_bytes((await get("operator", f"/api/operator/ledger/days/{file.name}")).content)
    assert run_verify(files, [key])[0].startswith(f"{count} postings of {len(days)} day(s)")


async def test_a_correction_is_booked_on_its_own_day_and_a_sealed_day_takes_nothing(tmp_path: Path) -> None:
    """The reversal of a sealed posting stands in the next seal; a clock that goes back books nothing."""
    async with running(tmp_path) as (controller, trading, clock):
        (first, *_) = booked = a_day_of_postings(3, MIDNIGHT)
        await book(controller, booked)
        clock.advance_to(MIDNIGHT + DAY + SEAL_AFTER)
        await trading.sealing.seal_due()
        with pytest.raises(ConflictError, match="nothing can be booked on"):
            await book(controller, [reverse(first, booked_at=MIDNIGHT + QUARTER)])
        await book(controller, booked)
        late = replace(booked[2], posting_id="0" * 64, booked_at=MIDNIGHT + DAY)
        await book(controller, [late])
        clock.advance_to(MIDNIGHT + 2 * DAY + SEAL_AFTER)
        await trading.sealing.seal_due()
        assert [number for _, number in await sealed_days(controller)] == [3, 1]


@pytest.mark.parametrize("postings", [CHUNK_LEAVES - 1, CHUNK_LEAVES, 2 * CHUNK_LEAVES + 1])
async def test_a_day_of_several_chunks_verifies_whole_and_by_proof(tmp_path: Path, postings: int) -> None:
    """Around the size of a chunk; the first, the last and the one beside a border are proven."""
    async with running(tmp_path) as (controller, trading, clock):
        booked = a_day_of_postings(postings, MIDNIGHT)
        for _ in range(2):
            await book(controller, booked)
        clock.advance_to(MIDNIGHT + DAY + SEAL_AFTER)
        await trading.sealing.seal_due()
        async with doors(controller, trading) as get:
            key = (await get("home", "/api/ledger/head")).json()["public_key"]
            file = tmp_path / "day"
            file.write_bytes((await get("operator", f"/api/operator/ledger/days/{MIDNIGHT.date()}")).content)
        assert run_verify([file], [key])[0].startswith(f"{postings} postings of 1 day(s)")
        for index in {0, postings - 1, min(CHUNK_LEAVES, postings - 1)}:
            async with controller.store.unit() as unit:
                proof = await unit.proof(booked[index].posting_id)
            assert proof is not None
            assert (proof.posting, proof.index) == (booked[index], index)


async def test_killed_before_the_seal_is_written_it_is_made_again(tmp_path: Path) -> None:
    """All is read and hashed, then the end comes: nothing is sealed, and the next life seals the day."""
    at = MIDNIGHT + DAY + SEAL_AFTER

    async def dies_at_the_seal(work: Callable[..., Any], *args: Any) -> Any:
        if work.__name__ == "seal_day":
            raise ConflictError("killed")
        return work(*args)

    async with running(tmp_path, at) as (controller, _, _clock):
        await book(controller, a_day_of_postings(3, MIDNIGHT))
        with pytest.raises(ConflictError, match="killed"):
            await Sealing(controller, offload=dies_at_the_seal).seal_due()
        assert await sealed_days(controller) == []
    async with running(tmp_path, at) as (controller, _, _clock):
        await Sealing(controller, offload=run_inline).seal_due()
        assert await sealed_days(controller) == [(str(MIDNIGHT.date()), 3)]


async def test_a_new_key_goes_on_with_the_chain_and_everybody_sees_it(tmp_path: Path) -> None:
    """The key's file was lost: the days hang together, and verify names the day of the change."""
    files = [tmp_path / "monday", tmp_path / "tuesday"]
    keys = []
    for number, file in enumerate(files):
        at = MIDNIGHT + number * DAY
        async with running(tmp_path, at + DAY + SEAL_AFTER) as (controller, trading, _):
            await book(controller, a_day_of_postings(2, at))
            await trading.sealing.seal_due()
            async with doors(controller, trading) as get:
                keys.append((await get("home", "/api/ledger/head")).json()["public_key"])
                file.write_bytes((await get("operator", f"/api/operator/ledger/days/{at.date()}")).content)
        (tmp_path / "test.sqlite3.key").unlink()
    assert keys[0] != keys[1]
    with pytest.raises(
        VerificationError, match=f"{(MIDNIGHT + DAY).date()} is signed with the key {keys[1]}"
    ):
        run_verify(files)
    assert run_verify(files, keys)
