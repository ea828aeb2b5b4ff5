"""A charge session: its registers, its idle time and its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.charge_session import (
    Cdr,
    ChargeSession,
    NoCdr,
    begin_session,
    make_cdr,
)
from controller.domain.ids import AssetId
from controller.domain.telemetry import RegisterReading, SignedReading
from tests.support.charging import BEGAN, CARD, TARIFF, finished

HOUR = timedelta(hours=1)


def started(token: str | None = CARD) -> ChargeSession:
    """A session without readings."""
    return begin_session(
        charge_point=AssetId("cp-1"), transaction="tx-1", at=BEGAN, tariff=TARIFF, token=token
    )


def read(after: timedelta, import_wh: int, export_wh: int | None = None) -> RegisterReading:
    """The registers some time after the start."""
    return RegisterReading(at=BEGAN + after, import_wh=import_wh, export_wh=export_wh)


def test_a_record_holds_what_happened_and_what_it_costs() -> None:
    """10 kWh at 0.484, a session at 0.605, 15 minutes beyond the grace at 0.0605."""
    cdr = make_cdr(finished())
    assert isinstance(cdr, Cdr)
    assert (cdr.energy_wh, cdr.duration, cdr.idle) == (10_000, 2 * HOUR, timedelta(minutes=45))
    assert cdr.cost.total.nanoeur == 4_840_000_000 + 605_000_000 + 907_500_000
    assert cdr.cost.total.cents == 635


def test_a_transaction_has_one_id_on_every_machine() -> None:
    """So that what is told twice is the same session; others have others. It fits OCPI's 36 characters."""
    again = begin_session(charge_point=AssetId("cp-1"), transaction="tx-1", at=BEGAN + HOUR, tariff=None)
    other = begin_session(charge_point=AssetId("cp-2"), transaction="tx-1", at=BEGAN, tariff=None)
    assert started().id == again.id
    assert other.id != again.id
    assert len(again.id) == 36


def test_what_was_given_back_is_taken_off() -> None:
    """8 kWh in, 3 kWh out: 5 kWh are paid for; and nobody is paid for giving back more."""
    session = started().with_registers(read(0 * HOUR, 1000, 100)).with_registers(read(HOUR, 9000, 3100))
    assert (session.import_wh, session.export_wh, session.energy_wh) == (8000, 3000, 5000)
    drained = session.with_registers(read(2 * HOUR, 9000, 20_000))
    assert drained.energy_wh == 0
    assert isinstance(make_cdr(drained.ended(BEGAN + 2 * HOUR)), Cdr)


@given(st.permutations(range(5)), st.lists(st.integers(0, 5000), min_size=4, max_size=4))
def test_readings_count_in_any_order(order: list[int], steps: list[int]) -> None:
    """A queue that is replayed late tells the same energy."""
    registers = [1000]
    for step in steps:
        registers.append(registers[-1] + step)
    session = started()
    for i in order:
        session = session.with_registers(read(i * HOUR, registers[i]))
    assert session.energy_wh == sum(steps)


def test_readings_from_outside_its_time_say_nothing() -> None:
    """The car before and the car after have registers of their own."""
    session = started().with_registers(read(0 * HOUR, 1000)).with_registers(read(HOUR, 2000))
    session = session.with_registers(read(-HOUR, 0)).ended(BEGAN + HOUR)
    assert session.with_registers(read(2 * HOUR, 9000)).energy_wh == 1000


def test_a_car_that_asks_again_has_not_idled() -> None:
    """Only the time since it last asked counts, and it stands still when the session ends."""
    session = started().with_demand(BEGAN + HOUR, asks=False).with_demand(BEGAN + 2 * HOUR, asks=False)
    assert session.idle(BEGAN + 3 * HOUR) == 2 * HOUR
    again = session.with_demand(BEGAN + 3 * HOUR, asks=True)
    assert again.idle(BEGAN + 4 * HOUR) == timedelta(0)
    over = again.with_demand(BEGAN + 4 * HOUR, asks=False).ended(BEGAN + 5 * HOUR)
    assert over.idle(BEGAN + 9 * HOUR) == HOUR


def test_the_first_word_on_the_token_counts() -> None:
    """Somebody else's card may end a session; it does not make it theirs."""
    assert started(None).with_token(CARD) == started(CARD)
    assert started(CARD).with_token("another") == started(CARD)


def test_an_end_comes_once_and_not_before_the_last_reading() -> None:
    """A charger's clock may be off by seconds between two of its messages."""
    session = started().with_registers(read(HOUR, 2000)).ended(BEGAN, "Remote")
    assert session.ended_at == BEGAN + HOUR
    assert session.ended(BEGAN + 2 * HOUR, "Local") is session


def test_the_first_and_the_last_signed_statement_are_kept() -> None:
    """Whatever comes between them."""
    signed = [
        SignedReading(at=BEGAN + hours * HOUR, data=f"OCMF|{hours}", encoding="OCMF") for hours in range(3)
    ]
    session = started()
    for i in (1, 2, 0):
        session = session.with_signed(signed[i])
    assert (session.first_signed, session.last_signed) == (signed[0], signed[2])


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (started(), "goes on"),
        (started().ended(BEGAN + HOUR), "not known"),
        (finished(tariff=None), "no tariff"),
        (
            started()
            .with_registers(read(0 * HOUR, 5000))
            .with_registers(read(HOUR, 4000))
            .ended(BEGAN + HOUR),
            "lower at the end",
        ),
        (
            started()
            .with_registers(read(0 * HOUR, 5000, 900))
            .with_registers(read(HOUR, 6000, 800))
            .ended(BEGAN + HOUR),
            "lower at the end",
        ),
    ],
)
def test_a_session_that_nobody_can_bill_says_why(session: ChargeSession, why: str) -> None:
    """Unknown is not 0."""
    outcome = make_cdr(session)
    assert isinstance(outcome, NoCdr)
    assert why in outcome.why


def test_cost_is_known_while_it_goes_on() -> None:
    """What the display shows; without a tariff or a register there is nothing to show."""
    session = started().with_registers(read(0 * HOUR, 1000)).with_registers(read(HOUR, 3000))
    cost = session.cost(BEGAN + HOUR)
    assert cost is not None
    assert cost.total.nanoeur == 2 * 484_000_000 + 605_000_000
    assert started().cost(BEGAN) is None
    assert replace(session, tariff=None).cost(BEGAN) is None
