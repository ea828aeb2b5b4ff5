"""The posted tariff: worked by hand, and what always holds of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.charge_tariff import (
    PRICE_MICROEUR_MAX,
    CostPart,
    session_cost,
    tariff_at,
    tariff_problems,
    without_vat_nanoeur,
)
from tests.support.charging import POSTED, TARIFF

LATER = replace(TARIFF, id="posted-2025", from_utc=POSTED + timedelta(days=366))
prices = st.integers(0, PRICE_MICROEUR_MAX)


def test_a_session_costs_what_a_driver_reckons() -> None:
    """12.5 kWh at 0.484, a session at 0.605, and 45 minutes idle of which 30 are free, at 0.0605."""
    cost = session_cost(TARIFF, energy_wh=12_500, idle=timedelta(minutes=45))
    euros = {part: amount.nanoeur / 1e9 for part, amount in cost.parts.items()}
    assert euros == {CostPart.ENERGY: 6.05, CostPart.SESSION: 0.605, CostPart.IDLE: 0.9075}
    assert cost.idle_minutes == 15
    assert cost.total.nanoeur == 7_562_500_000
    assert cost.total.vat_nanoeur == 1_312_500_000
    assert (cost.total.cents, cost.total.vat_cents, cost.total.without_vat_cents) == (756, 131, 625)


@pytest.mark.parametrize(
    ("idle", "paid"),
    [
        (timedelta(0), 0),
        (timedelta(minutes=30), 0),
        (timedelta(minutes=30, seconds=1), 1),
        (timedelta(minutes=31), 1),
        (timedelta(minutes=31, microseconds=1), 2),
    ],
)
def test_minutes_are_paid_once_begun_and_the_grace_is_free(idle: timedelta, paid: int) -> None:
    """The grace is 30 minutes."""
    assert session_cost(TARIFF, energy_wh=0, idle=idle).idle_minutes == paid


def test_a_tariff_holds_until_the_next_one() -> None:
    """In whatever order they stand; before the first nothing is posted."""
    posted = [LATER, TARIFF]
    moment = timedelta(microseconds=1)
    assert tariff_at(posted, POSTED - moment) is None
    assert tariff_at(posted, POSTED) is TARIFF
    assert tariff_at(posted, LATER.from_utc - moment) is TARIFF
    assert tariff_at(posted, LATER.from_utc) is LATER


def test_vat_comes_out_of_the_price() -> None:
    """EUR 0.484 is EUR 0.40 and 21%."""
    assert without_vat_nanoeur(484_000_000, 210_000) == 400_000_000


@given(prices, prices, prices, st.integers(0, 1_000_000), st.integers(0, 10**9), st.integers(0, 10**6))
def test_parts_and_vat_add_up(
    energy: int, session: int, idle: int, vat_ppm: int, energy_wh: int, seconds: int
) -> None:
    """To the nano-euro; each part's VAT is within one of its exact value; cents are half off at most."""
    tariff = replace(
        TARIFF,
        energy_microeur_per_kwh=energy,
        session_microeur=session,
        idle_microeur_per_minute=idle,
        vat_ppm=vat_ppm,
    )
    cost = session_cost(tariff, energy_wh=energy_wh, idle=timedelta(seconds=seconds))
    exact = energy * energy_wh + 1000 * session + 1000 * idle * cost.idle_minutes
    assert cost.total.nanoeur == exact
    for part in cost.parts.values():
        assert abs(part.vat_nanoeur * (1_000_000 + vat_ppm) - part.nanoeur * vat_ppm) < 1_000_000 + vat_ppm
    assert abs(cost.total.cents * 10_000_000 - exact) <= 5_000_000
    assert cost.total.without_vat_cents + cost.total.vat_cents == cost.total.cents


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_energy_or_time_never_costs_less(energy_wh: int, more_wh: int, idle_s: int, more_s: int) -> None:
    """Nobody saves by charging more or staying longer."""
    less = session_cost(TARIFF, energy_wh=energy_wh, idle=timedelta(seconds=idle_s))
    more = session_cost(TARIFF, energy_wh=energy_wh + more_wh, idle=timedelta(seconds=idle_s + more_s))
    assert more.total.nanoeur >= less.total.nanoeur


@pytest.mark.parametrize(("energy_wh", "idle_s"), [(-1, 0), (0, -1)])
def test_nothing_below_zero_is_reckoned(energy_wh: int, idle_s: int) -> None:
    """A session that gave back more than it took costs nothing; who asks for less is mistaken."""
    with pytest.raises(ValueError, match="cannot"):
        session_cost(TARIFF, energy_wh=energy_wh, idle=timedelta(seconds=idle_s))


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("id", "", "tariffs[0].id"),
        ("id", "x" * 37, "tariffs[0].id"),
        ("id", "prijs-€", "tariffs[0].id"),
        ("energy_microeur_per_kwh", -1, "tariffs[0].energy_microeur_per_kwh"),
        ("vat_ppm", 1_000_001, "tariffs[0].vat_ppm"),
        ("session_microeur", PRICE_MICROEUR_MAX + 1, "tariffs[0].session_microeur"),
        ("idle_microeur_per_minute", -1, "tariffs[0].idle_microeur_per_minute"),
        ("idle_grace_minutes", 10_081, "tariffs[0].idle_grace_minutes"),
        ("from_utc", datetime(2024, 1, 1), "tariffs[0].from_utc"),  # noqa: DTZ001  # that is the mistake
        ("source", " ", "tariffs[0].source"),
    ],
)
def test_a_wrong_figure_is_told_with_its_place(field: str, value: Any, place: str) -> None:
    """One mistake, one problem."""
    wrong: dict[str, Any] = {field: value}
    assert [problem.place for problem in tariff_problems([replace(TARIFF, **wrong)])] == [place]


def test_two_tariffs_of_one_name_or_moment_are_a_mistake() -> None:
    """Every one of them is told."""
    found = [problem.place for problem in tariff_problems([TARIFF, replace(TARIFF, id="POSTED-2024")])]
    assert found == ["tariffs[1].id", "tariffs[1].from_utc"]
    assert not list(tariff_problems([TARIFF, LATER]))
