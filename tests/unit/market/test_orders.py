"""Validation and admission of orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from market.orders import AdmissionRules, Link, RefusalCode, exposure_nanoeur, refusals, stands, validate
from tests.support.market import QUARTER_AT_NOON, an_order

GOOD = an_order("o", "buy", 100, 200_000, "n")
RULES = AdmissionRules(gate_lead=timedelta(minutes=1), nodes={"n", "m"}, member_nodes={"n"})
BEFORE = QUARTER_AT_NOON - timedelta(minutes=30)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"order_id": ""}, "order_id"),
        ({"member": ""}, "member"),
        ({"quantity_wh": 0}, "quantity_wh"),
        ({"quantity_wh": 10**15 + 1}, "quantity_wh"),
        ({"limit_price_microeur_per_kwh": -(10**12) - 1}, "limit_price_microeur_per_kwh"),
        ({"min_fill_wh": 101}, "min_fill_wh"),
        ({"min_fill_wh": -1}, "min_fill_wh"),
        ({"link": Link(name="", efficiency_ppm=900_000)}, "link.name"),
        ({"link": Link(name="battery", efficiency_ppm=0)}, "link.efficiency_ppm"),
        ({"link": Link(name="battery", efficiency_ppm=1_000_001)}, "link.efficiency_ppm"),
        ({"valid_until": datetime(2024, 6, 3, 11, 0)}, "valid_until"),  # noqa: DTZ001  # that is the fault
        ({"interval_start": QUARTER_AT_NOON + timedelta(minutes=1)}, "interval_start"),
        ({"interval_start": datetime(2024, 6, 3, 12, 0)}, "interval_start"),  # noqa: DTZ001  # that is the fault
        ({"interval_start": QUARTER_AT_NOON.astimezone(timezone(timedelta(hours=2)))}, "interval_start"),
    ],
)
def test_malformed_order_is_told_by_field(change: dict[str, Any], place: str) -> None:
    """Each rule names the field that breaks it."""
    assert [problem.place for problem in validate(replace(GOOD, **change))] == [place]


def test_all_problems_come_at_once() -> None:
    """An order with several faults gets them all."""
    bad = replace(GOOD, order_id="", quantity_wh=-1, min_fill_wh=-1)
    assert {problem.place for problem in validate(bad)} == {"order_id", "quantity_wh", "min_fill_wh"}


def test_good_order_stands() -> None:
    """No problems and no refusals; a negative price is a price."""
    assert validate(replace(GOOD, limit_price_microeur_per_kwh=-5)) == []
    assert refusals(GOOD, now=BEFORE, rules=RULES) == []


@pytest.mark.parametrize(
    ("change", "now", "code"),
    [
        ({}, QUARTER_AT_NOON - timedelta(minutes=1), RefusalCode.GATE_CLOSED),
        ({}, QUARTER_AT_NOON, RefusalCode.GATE_CLOSED),
        ({}, QUARTER_AT_NOON + timedelta(minutes=15), RefusalCode.INTERVAL_PAST),
        ({}, QUARTER_AT_NOON - timedelta(days=8), RefusalCode.TOO_FAR_AHEAD),
        ({"valid_until": BEFORE}, BEFORE, RefusalCode.EXPIRED),
        ({"node": "x"}, BEFORE, RefusalCode.UNKNOWN_NODE),
        ({"node": "m"}, BEFORE, RefusalCode.NOT_YOURS),
        ({"node": ""}, BEFORE, RefusalCode.NOT_YOURS),
        ({"quantity_wh": 0, "min_fill_wh": 0}, BEFORE, RefusalCode.BAD_QUANTITY),
        ({"min_fill_wh": 101}, BEFORE, RefusalCode.BAD_ORDER),
        ({"quantity_wh": 10**15}, BEFORE, RefusalCode.BAD_QUANTITY),
    ],
)
def test_refusal_has_its_code(change: dict[str, Any], now: datetime, code: RefusalCode) -> None:
    """The gate, the horizon, the place and the form each have a code."""
    assert [refusal.code for refusal in refusals(replace(GOOD, **change), now=now, rules=RULES)] == [code]


def test_last_moment_before_the_gate_counts() -> None:
    """One microsecond before the gate is in time."""
    now = QUARTER_AT_NOON - timedelta(minutes=1, microseconds=1)
    assert refusals(GOOD, now=now, rules=RULES) == []


def test_order_beyond_the_credit_is_refused() -> None:
    """100 Wh at 0.20 EUR/kWh can cost 20,000,000 nano-euro; a seller at a negative price can pay too.

    Who sells 100 Wh at 0.10 and feeds nothing in buys them at the supplier's 0.12 and is 2,000,000 short.
    """
    assert exposure_nanoeur(GOOD, 120_000) == 20_000_000
    assert exposure_nanoeur(an_order("s", "sell", 100, 200_000), 120_000) == 0
    assert exposure_nanoeur(an_order("s", "sell", 100, 100_000), 120_000) == 2_000_000
    assert exposure_nanoeur(an_order("s", "sell", 100, -7), 0) == 700
    assert exposure_nanoeur(an_order("s", "sell", 100, -7), -120_000) == 700
    vain = replace(RULES, credit_left_nanoeur=1_999_999, import_microeur_per_kwh=120_000)
    sale = an_order("s", "sell", 100, 100_000, "n")
    assert [refusal.code for refusal in refusals(sale, now=BEFORE, rules=vain)] == [RefusalCode.CREDIT]
    enough = replace(RULES, credit_left_nanoeur=20_000_000)
    assert refusals(GOOD, now=BEFORE, rules=enough) == []
    short = replace(RULES, credit_left_nanoeur=19_999_999)
    assert [refusal.code for refusal in refusals(GOOD, now=BEFORE, rules=short)] == [RefusalCode.CREDIT]


def test_order_stands_until_its_own_end() -> None:
    """Without an end it stands until the gate."""
    limited = replace(GOOD, valid_until=BEFORE)
    assert stands(limited, BEFORE - timedelta(seconds=1))
    assert not stands(limited, BEFORE)
    assert stands(GOOD, QUARTER_AT_NOON)
