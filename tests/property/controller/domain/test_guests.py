"""A guest's session: whatever happens, in whichever order, money is reserved, taken once or let go."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from controller.domain.guests import (
    ADMITTED,
    FINAL,
    PAY_WITHIN,
    SILENT_MAX,
    START_WITHIN,
    Act,
    Asked,
    Began,
    Event,
    GuestSession,
    Metered,
    Over,
    Released,
    Stage,
    StartAnswered,
    StartSent,
    StopAsked,
    Why,
    after,
    passed,
    to_do,
)
from controller.domain.ids import AssetId
from controller.domain.payments import Captured, Declined, MustPay, NotCaptured, Reserved
from controller.domain.telemetry import RegisterReading
from tests.support.charging import BEGAN, TARIFF

MINUTE = timedelta(minutes=1)
SESSION = GuestSession(
    id="s-1",
    charge_point=AssetId("cp-1"),
    token="GUEST1",  # noqa: S106  # no secret
    tariff=TARIFF,
    limit_cents=2500,
    opened_at=BEGAN,
    return_url="https://street.example/guest/session/secret",
)
RESERVED = Reserved(payment="pay-1")
_ADAPTER: TypeAdapter[GuestSession] = TypeAdapter(GuestSession)

_events = st.one_of(
    st.sampled_from(
        [
            RESERVED,
            MustPay(payment="pay-1", checkout_url="https://bank.example/1"),
            Declined(why="no"),
            Declined(why="401", by_provider=True),
            StartSent(),
            StartAnswered(why_not=""),
            StartAnswered(why_not=None),
            StartAnswered(why_not="Rejected"),
            StopAsked(),
            Captured(fee_cents=10),
            NotCaptured(why="expired"),
            Released(),
        ]
    ),
    st.builds(Began, transaction=st.sampled_from(["tx-1", "tx-2"]), at=st.just(BEGAN + MINUTE)),
    st.builds(
        Metered,
        reading=st.builds(
            RegisterReading,
            at=st.integers(0, 600).map(lambda minute: BEGAN + minute * MINUTE),
            import_wh=st.integers(0, 200_000),
        ),
    ),
    st.builds(
        Asked,
        at=st.integers(0, 600).map(lambda minute: BEGAN + minute * MINUTE),
        asks=st.booleans(),
    ),
    st.builds(Over, at=st.integers(0, 600).map(lambda minute: BEGAN + minute * MINUTE)),
)
_steps = st.lists(st.tuples(_events, st.integers(0, 120)), max_size=40)
_ALLOWED = {
    Stage.RESERVING: {Stage.PAYING, Stage.STARTING, Stage.DECLINED, Stage.RELEASING},
    Stage.PAYING: {Stage.STARTING, Stage.DECLINED, Stage.RELEASING},
    Stage.STARTING: {Stage.CHARGING, Stage.RELEASING},
    Stage.CHARGING: {Stage.CAPTURING, Stage.RELEASING},
    Stage.CAPTURING: {Stage.PAID, Stage.LOST},
    Stage.RELEASING: {Stage.RELEASED},
}


def _run(events: list[Event], session: GuestSession = SESSION, minutes: int = 1) -> GuestSession:
    now = BEGAN
    for event in events:
        now += minutes * MINUTE
        session = after(session, event, now)
    return session


def _meter(minute: int, import_wh: int) -> Metered:
    return Metered(reading=RegisterReading(at=BEGAN + minute * MINUTE, import_wh=import_wh))


@settings(max_examples=300)
@given(_steps)
def test_stages_follow_one_another_and_what_is_due_is_never_above_the_limit(
    steps: list[tuple[Event, int]],
) -> None:
    """Events of any kind in any order: only allowed steps, nothing after the end, one amount that is due."""
    session, now, seen = SESSION, BEGAN, [SESSION]
    for event, minutes in steps:
        now += minutes * MINUTE
        session = after(passed(session, now), event, now)
        # A crash between any two: what is kept is the whole of it.
        session = _ADAPTER.validate_json(_ADAPTER.dump_json(session))
        seen.append(session)
    for before, later in pairwise(seen):
        if before.stage in FINAL:
            assert later == before
        assert 0 <= later.due_cents <= later.limit_cents
        if before.stage is Stage.CAPTURING:
            assert later.due_cents == before.due_cents > 0
        if later.stage is not before.stage:
            # Time may have passed and an event come in one step.
            between = _ALLOWED[before.stage]
            assert later.stage in between | {n for one in between for n in _ALLOWED.get(one, set())}
        if later.stage in ADMITTED | {Stage.CAPTURING, Stage.PAID}:
            assert later.payment


@settings(max_examples=200)
@given(_steps)
def test_every_session_comes_to_an_end_once_everybody_answers(steps: list[tuple[Event, int]]) -> None:
    """From wherever a session is, doing what is to be done ends it, with the money taken or let go."""
    session, now = SESSION, BEGAN
    for event, minutes in steps:
        now += minutes * MINUTE
        session = after(passed(session, now), event, now)
    done: list[Act] = []
    for _ in range(20):
        now += SILENT_MAX
        session = passed(session, now)
        act = to_do(session, now)
        if session.stage in FINAL or act is None:
            continue
        done.append(act)
        answers: dict[Act, Event] = {
            Act.RESERVE: RESERVED,
            Act.LOOK_UP: RESERVED,
            Act.START: StartAnswered(why_not=""),
            Act.STOP: Over(at=now),
            Act.CAPTURE: Captured(),
            Act.RELEASE: Released(),
        }
        session = after(session, answers[act], now)
    assert session.stage in FINAL
    assert done.count(Act.CAPTURE) + done.count(Act.RELEASE) <= 1
    assert to_do(session, now) is None
    assert not session.return_url


def test_what_is_paid_is_the_cost_to_the_cent() -> None:
    """Ten kWh at EUR 0.484 and EUR 0.605 for the session: 5.445, half up."""
    session = _run(
        [
            RESERVED,
            StartAnswered(why_not=""),
            Began(transaction="tx-1", at=BEGAN + 3 * MINUTE),
            _meter(3, 1000),
            _meter(50, 11_000),
            Over(at=BEGAN + 60 * MINUTE),
        ]
    )
    assert (session.stage, session.due_cents) == (Stage.CAPTURING, 545)
    paid = after(session, Captured(fee_cents=10), BEGAN + 61 * MINUTE)
    assert (paid.stage, paid.fee_cents, paid.due_cents) == (Stage.PAID, 10, 545)
    assert after(paid, Captured(fee_cents=99), BEGAN + 62 * MINUTE) == paid


def test_charging_stops_at_the_limit_and_no_more_is_due() -> None:
    """A sample a minute may come late: what it is over the limit by is not the guest's."""
    began: list[Event] = [RESERVED, Began(transaction="tx-1", at=BEGAN), _meter(0, 0)]
    under = _run([*began, _meter(5, 49_000)])
    assert to_do(under, BEGAN + 6 * MINUTE) is None
    over = _run([*began, _meter(5, 60_000)])
    assert to_do(over, BEGAN + 6 * MINUTE) is Act.STOP
    assert after(over, Over(at=BEGAN + 7 * MINUTE), BEGAN + 7 * MINUTE).due_cents == 2500


def test_without_a_known_meter_nothing_is_paid() -> None:
    """Unknown is not 0 kWh at a price for the session, and a register that fell is no energy."""
    began: list[Event] = [RESERVED, Began(transaction="tx-1", at=BEGAN)]
    for readings in ([], [_meter(1, 500), _meter(9, 400)]):
        ended = _run([*began, *readings, Over(at=BEGAN + 20 * MINUTE)])
        assert (ended.stage, ended.why, ended.due_cents) == (Stage.RELEASING, Why.NOTHING, 0)


def test_what_nobody_finishes_in_time_is_let_go() -> None:
    """On the provider's page, before a car comes, and when a charger is never heard again."""
    paying = _run([MustPay(payment="pay-1", checkout_url="https://bank.example/1")])
    assert not paying.return_url
    late = passed(paying, BEGAN + PAY_WITHIN)
    assert (late.stage, late.why) == (Stage.RELEASING, Why.NOT_PAID)
    starting = _run([RESERVED, StartAnswered(why_not="")])
    assert passed(starting, BEGAN + START_WITHIN) == starting
    late = passed(starting, BEGAN + MINUTE + START_WITHIN)
    assert (late.stage, late.why) == (Stage.RELEASING, Why.NO_CAR)
    charging = _run([RESERVED, Began(transaction="tx-1", at=BEGAN), _meter(0, 0), _meter(9, 9000)])
    silent = passed(charging, BEGAN + 4 * MINUTE + SILENT_MAX)
    assert (silent.stage, silent.due_cents) == (Stage.CAPTURING, 496)


def test_a_reservation_that_is_answered_too_late_or_after_a_stop_starts_nothing() -> None:
    """The guest has gone by then: it is let go."""
    late = after(SESSION, RESERVED, BEGAN + PAY_WITHIN)
    assert (late.stage, late.why, late.payment) == (Stage.RELEASING, Why.NOT_PAID, "pay-1")
    stopped = _run([StopAsked(), RESERVED])
    assert (stopped.stage, stopped.why) == (Stage.RELEASING, Why.STOPPED)


def test_a_refused_start_is_let_go_and_one_without_an_answer_waits_for_the_car() -> None:
    """Nobody knows whether the charger took it: its readings tell."""
    assert _run([RESERVED, StartAnswered(why_not="Rejected")]).why is Why.REFUSED
    unknown = _run([RESERVED, StartAnswered(why_not=None)])
    assert (unknown.stage, to_do(unknown, BEGAN)) == (Stage.STARTING, None)
    assert _run([Began(transaction="t", at=BEGAN)], unknown).stage is Stage.CHARGING


def test_a_charger_is_asked_once_more_and_its_second_no_ends_nothing() -> None:
    """It may say no because it has taken the first start; the time for a car ends it."""
    assert _run([RESERVED, StartSent(), StartAnswered(why_not="Rejected")]).why is Why.REFUSED
    asked = _run([RESERVED, StartSent(), StartAnswered(why_not="")])
    at = asked.start_again_at
    assert at is not None
    assert [to_do(asked, when) for when in (at - MINUTE / 60, at)] == [None, Act.START]
    again = after(after(asked, StartSent(), at), StartAnswered(why_not="Rejected"), at)
    assert (again.stage, again.starts, to_do(again, at)) == (Stage.STARTING, 2, None)


def test_a_car_that_is_full_pays_for_keeping_the_socket_after_the_grace() -> None:
    """Half an hour is free; then EUR 0.0605 a minute."""
    began: list[Event] = [RESERVED, Began(transaction="tx-1", at=BEGAN), _meter(0, 0), _meter(60, 10_000)]
    full = Asked(at=BEGAN + 60 * MINUTE, asks=False)
    session = _run([*began, full, Over(at=BEGAN + 100 * MINUTE)])
    assert session.due_cents == 605
    again = Asked(at=BEGAN + 99 * MINUTE, asks=True)
    assert _run([*began, full, again, Over(at=BEGAN + 100 * MINUTE)]).due_cents == 545


def test_whoever_got_nothing_pays_nothing() -> None:
    """Neither the price of a session nor for the time: the page says so."""
    began: list[Event] = [RESERVED, Began(transaction="tx-1", at=BEGAN), _meter(0, 1000)]
    full: list[Event] = [Asked(at=BEGAN, asks=False), _meter(90, 1000)]
    for more in ([], full):
        ended = _run([*began, *more, Over(at=BEGAN + 100 * MINUTE)])
        assert (ended.stage, ended.why, ended.due_cents) == (Stage.RELEASING, Why.NOTHING, 0)
