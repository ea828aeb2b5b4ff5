"""The simulated payment provider keeps its word: a key is a call, and money is taken once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.payments.provider import FEE_CENTS, PaymentFault, SimulatedPayments, Status

_BODY = {"amount_cents": 2500, "text": "street", "return_url": "http://street.example"}


def _reserved(payments: SimulatedPayments) -> str:
    return str(payments.reserve("k1", _BODY).body["payment"])


def test_the_same_key_is_the_same_call_and_another_call_with_it_is_refused() -> None:
    """Capturing twice by accident is not possible, nor changing the amount under a known key."""
    payments = SimulatedPayments()
    payment = _reserved(payments)
    assert payments.reserve("k1", _BODY).body["payment"] == payment
    assert len(payments.payments) == 1
    first = payments.capture(payment, "k2", {"amount_cents": 545})
    assert first.body == {"status": Status.CAPTURED, "fee_cents": FEE_CENTS}
    assert payments.capture(payment, "k2", {"amount_cents": 545}) == first
    assert payments.capture(payment, "k2", {"amount_cents": 546}).code == 422
    assert payments.capture(payment, "k3", {"amount_cents": 545}).code == 409
    assert payments.payments[payment].captured_cents == 545
    assert payments.release(payment, "k4").code == 409


def test_a_call_without_a_key_is_refused() -> None:
    """Nobody can know afterwards whether it was the same."""
    assert SimulatedPayments().reserve("", _BODY).code == 400


def test_what_fails_did_nothing_and_what_loses_its_answer_did() -> None:
    """The two look alike from outside; asked again, both come right."""
    payments = SimulatedPayments()
    payments.faults["reserve"] += [PaymentFault.FAILS, PaymentFault.LOSES_ANSWER]
    assert payments.reserve("k1", _BODY).code == 500
    assert not payments.payments
    assert payments.reserve("k1", _BODY).code == 504
    assert len(payments.payments) == 1
    assert payments.reserve("k1", _BODY).code == 201
    assert len(payments.payments) == 1


def test_a_payer_agrees_or_refuses_once() -> None:
    """A second press on the page changes nothing."""
    payments = SimulatedPayments(checkout=True)
    payment = _reserved(payments)
    assert payments.look_up(payment).body["status"] == Status.CHECKOUT
    payments.agree(payment, agreed=False)
    payments.agree(payment, agreed=True)
    assert payments.look_up(payment).body["status"] == Status.DECLINED


@given(st.lists(st.tuples(st.sampled_from(["capture", "release"]), st.integers(0, 3), st.integers(-5, 3000))))
def test_never_more_than_was_reserved_and_never_both(calls: list[tuple[str, int, int]]) -> None:
    """Whatever a shop sends."""
    payments = SimulatedPayments()
    payment = _reserved(payments)
    ended: list[Status] = []
    for operation, key, amount in calls:
        if operation == "capture":
            payments.capture(payment, f"c{key}", {"amount_cents": amount})
        else:
            payments.release(payment, f"r{key}")
        kept = payments.payments[payment]
        assert 0 <= kept.captured_cents <= 2500
        assert (kept.captured_cents > 0) == (kept.status is Status.CAPTURED)
        if ended:
            assert kept.status is ended[-1]
        if kept.status in {Status.CAPTURED, Status.RELEASED}:
            ended.append(kept.status)
