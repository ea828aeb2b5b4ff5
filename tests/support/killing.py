"""Trades with a controller that is killed again and again (`kill -9`), and looks at what is left.

Members place orders by HTTP all the time. Whoever got an answer has a right to it; whoever got none asks
again with the same id in the next life. The moments of death are random: of a fifth of the lives counted from
birth, so that some die while they open the database, of the others from the first answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import IO, Any

import httpx

from controller.domain.time import QUARTER, ScaledDomainClock, quarter_start, utc_text
from controller.runtime.books import Books
from controller.runtime.core import Controller
from controller.runtime.ports import OrderRecord
from controller.runtime.sealing import SEAL_AFTER
from controller.runtime.trading import METERS_WAIT
from market.ledger import Posting, PostingReason, standing
from market.seals import day_end, ledger_day, seal_hash
from market.verify_file import run_verify
from tests.support.neighbourhood import START
from tests.support.running import running
from tests.support.trading_process import MEMBERS
from tests.support.web import bearer

ROOT = Path(__file__).parents[2]
SPEED = 450.0
"""A quarter-hour lasts two seconds, a day 192 s: slow enough that lives on a busy machine keep up."""
LIFE_S = 1.5
"""The longest life of a process [s]."""
STILLBORN = 0.2
"""The share of lives that is counted from birth."""
ANSWER_S = 10.0
"""How long an answer is waited for [s]."""

type Body = dict[str, Any]
"""An order as it was sent."""


@dataclass(kw_only=True)
class Log:
    """What the members know."""

    accepted: dict[str, tuple[str, Body]] = field(default_factory=dict)
    """By order id: the member and what the controller said yes to."""
    unanswered: dict[str, tuple[str, Body]] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    """By status."""
    seals: dict[str, str] = field(default_factory=dict)
    """By day: the hash of its seal, as it was told."""
    kills: int = 0
    answering: int = 0
    """How many lives got as far as to answer."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is in the database at the end."""

    orders: int
    filled: int
    postings: int
    sealed_days: int


class Member:
    """A member's program: it places one order after the other until nobody answers."""

    def __init__(self, name: str, log: Log, seed: int, clock: ScaledDomainClock) -> None:
        self._name = name
        self._log = log
        self._random = Random(f"{name}-{seed}")
        self._clock = clock

    def trade(self, port: int, tokens: Mapping[str, str]) -> None:
        """Trades with one life of the controller until its end."""
        headers = bearer(tokens[self._name])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S, headers=headers) as client:
            try:
                newest = client.get("/api/ledger/head").json()["newest"]
                if newest is not None:
                    self._log.seals[newest["seal"]["day"]] = newest["seal_hash"]
                for member, body in list(self._log.unanswered.values()):
                    if member == self._name:
                        self._place(client, body)
                while True:
                    self._place(client, self._order())
            except httpx.TransportError:
                return

    def _place(self, client: httpx.Client, body: Body) -> None:
        order_id = body["order_id"]
        self._log.unanswered[order_id] = self._name, body
        answer = client.post("/api/resident/orders", json=body)
        del self._log.unanswered[order_id]
        if answer.status_code == httpx.codes.CREATED:
            self._log.accepted[order_id] = self._name, body
        else:
            self._log.refused[answer.status_code] += 1

    def _order(self) -> Body:
        ahead = self._random.randint(1, 6) * QUARTER
        return {
            "order_id": f"{self._name}-{self._random.getrandbits(64):x}",
            "side": self._random.choice(["buy", "sell"]),
            "quantity_wh": self._random.randint(1, 3000),
            "limit_price_microeur_per_kwh": self._random.randint(-50_000, 400_000),
            "interval_start_utc": utc_text(quarter_start(self._clock.now()) + ahead),
            "node": MEMBERS[self._name],
        }


def trade_and_kill(folder: Path, *, kills: int, seed: int) -> tuple[Log, ScaledDomainClock]:
    """Lets members trade through so many lives of a controller.

    Args:
        folder: An empty folder, where the database and a log are made.
        kills: How often the controller is killed.
        seed: Of the moments and the orders.
    """
    random, log = Random(seed), Log()
    clock = ScaledDomainClock(anchor_domain=START, anchor_unix_s=time.time(), speed=SPEED)
    members = [Member(name, log, seed, clock) for name in MEMBERS]
    command = [sys.executable, "-m", "tests.support.trading_process"]
    command += [str(folder), str(clock.anchor_unix_s), str(SPEED)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with (
        (folder / "log").open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=-1, stdout=-1, stderr=errors, text=True
        ) as mother,
    ):
        assert mother.stdin is not None
        assert mother.stdout is not None
        for _ in range(kills):
            mother.stdin.write("live\n")
            mother.stdin.flush()
            from_birth = random.random() < STILLBORN
            _live(mother.stdout, members, log, random.uniform(0.0, LIFE_S), from_birth=from_birth)
        mother.stdin.close()
    return log, clock


def _live(told: IO[str], members: Sequence[Member], log: Log, life_s: float, *, from_birth: bool) -> None:
    """One life, killed so long [s] after its birth or its first answer."""
    pid = json.loads(told.readline())["pid"]
    killer = threading.Timer(life_s, os.kill, (pid, signal.SIGKILL))
    if from_birth:
        killer.start()
    trading: list[threading.Thread] = []
    while "ended" not in (line := json.loads(told.readline())):
        log.answering += 1
        known = line["port"], line["tokens"]
        trading = [threading.Thread(target=member.trade, args=known) for member in members]
        for thread in trading:
            thread.start()
        if not from_birth:
            killer.start()
    killer.join()
    log.kills += 1
    for thread in trading:
        thread.join()


async def examined(folder: Path, log: Log, clock: ScaledDomainClock) -> Left:
    """Settles and seals what is left to do, and holds everything against what the members know.

    Args:
        folder: Where the database is.
        log: What the members know.
        clock: The clock of the lives.

    Raises:
        AssertionError: If an accepted order is lost, one is booked twice, or the chain does not verify.
    """
    # A day later every order's quarter-hour is over, and the day on which it was settled too.
    end = day_end(ledger_day(clock.now()) + timedelta(days=1)) + SEAL_AFTER
    async with running(folder, end) as (controller, trading, later):
        for start in trading.due():
            await trading.clear_interval(start)
        await trading.settle_due()
        # What was settled only now is of this day.
        later.advance_to(day_end(ledger_day(end)) + SEAL_AFTER)
        await trading.sealing.seal_due()
        async with controller.store.unit() as unit:
            waiting = await unit.intervals_to_settle()
            assert [start for start in waiting if start + QUARTER + METERS_WAIT <= end] == []
            assert sum((await unit.balances()).values()) == 0
            found = {order_id: await unit.order(order_id) for order_id in (*log.accepted, *log.unanswered)}
        postings = await _all_postings(controller)
        days = await _verified_days(folder, controller)
    for order_id, (member, body) in log.accepted.items():
        _assert_kept(found[order_id], member, body)
    kept = {order_id: record for order_id, record in found.items() if record is not None}
    filled = _assert_booked_once(kept, postings)
    for day, told in log.seals.items():
        assert days[day] == told, f"the seal of {day} is another one than was told"
    return Left(orders=len(kept), filled=filled, postings=len(postings), sealed_days=len(days))


def _assert_kept(record: OrderRecord | None, member: str, body: Body) -> None:
    """An accepted order stands as it was sent, and its clearing has it."""
    assert record is not None, f"order {body['order_id']} was accepted and is lost"
    order = record.order
    assert (order.member, order.side.value, order.quantity_wh) == (member, body["side"], body["quantity_wh"])
    assert order.limit_price_microeur_per_kwh == body["limit_price_microeur_per_kwh"]
    assert utc_text(order.interval_start) == body["interval_start_utc"]
    passed_over = (
        f"order {order.order_id} for {order.interval_start}, placed at {order.placed_at}, was not cleared"
    )
    assert record.fill is not None, passed_over


def _assert_booked_once(records: Mapping[str, OrderRecord], postings: list[Posting]) -> int:
    """Each order that got something is booked exactly once, with its amount; how many there are."""
    assert len({one.posting_id for one in postings}) == len(postings)
    trades: dict[str, list[Posting]] = {}
    for one in standing(postings):
        if one.reason is PostingReason.TRADE:
            trades.setdefault(one.ref, []).append(one)
    filled = 0
    for order_id, record in records.items():
        fill, booked = record.fill, trades.get(order_id, [])
        if fill is None or not fill.filled_wh:
            assert booked == []
            continue
        filled += 1
        assert [one.amount_nanoeur for one in booked] == [abs(fill.amount_nanoeur)], f"order {order_id}"
    return filled


async def _all_postings(controller: Controller) -> list[Posting]:
    found: list[Posting] = []
    row = 0
    while True:
        async with controller.store.unit() as unit:
            page = await unit.postings(after_row=row, limit=5000)
        if not page:
            return found
        found += [one for _, one in page]
        row = page[-1][0]


async def _verified_days(folder: Path, controller: Controller) -> dict[str, str]:
    """The hashes of the seals by day, of ledger files that verify as one chain with the controller's key."""
    books = Books(controller, asyncio.get_running_loop())
    key = (await books.ledger_head()).public_key.hex()
    days = await books.sealed_days(after=None, limit=1000)
    files = []
    for day in days:
        files.append(folder / f"ledger-{day.seal.day}")
        files[-1].write_bytes(b"".join([piece async for piece in await books.ledger_file(day.seal.day)]))
    run_verify(files, [key])
    return {day.seal.day.isoformat(): seal_hash(day.seal).hex() for day in days}
