"""Rates that hold from a day to a day: taxes, network tariffs, fees and VAT, each with its source.

No figure of a tax or a tariff stands in the code. A rates file says what holds when, and where that is
written; a kind that is not in it is not charged at all. A kind that is in it must hold in the whole time
that is settled, and one rate at a time: a gap or an overlap is a mistake in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from controller.domain.errors import Problem
from controller.domain.time import QUARTER, utc_text
from controller.domain.units import MICROEUR_PER_EUR, FloatArray, IntArray
from market.sharing.values import PRICE_MAX, WHOLE_PPM


class RateKind(StrEnum):
    """What a rate is for."""

    ENERGY_TAX = "energy_tax"
    """On what a point takes from the grid, its neighbours' energy included [micro-euro/kWh]."""
    STORAGE_REFUND = "storage_refund"
    """Tax given back on what was charged from the grid and is fed in again [micro-euro/kWh]."""
    NETWORK = "network"
    """The grid operator's, on what a point takes from the grid [micro-euro/kWh]."""
    FEED_IN_FEE = "feed_in_fee"
    """The supplier's, on what is fed in and sold to it [micro-euro/kWh]."""
    VAT = "vat"
    """On supply, tax, network and fee [parts per million]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One rate and when it holds."""

    kind: RateKind
    value: int
    """In the unit of its kind."""
    from_utc: datetime
    to_utc: datetime | None = None
    """The first instant at which it no longer holds; None: until further notice."""
    supplier: str = ""
    """Whose customers it is for; empty: everybody's who has none of their own."""
    source: str = ""
    """Where it is written."""


def rate_problems(
    rates: Sequence[Rate],
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    may_begin: bool = False,
) -> Iterator[Problem]:
    """What is wrong in a list of rates, for the time from `start` to `end`.

    Without a time, every kind of rate may begin and end when it does, and only between its rates must there
    be neither gap nor overlap.

    Args:
        rates: The list.
        start: The first quarter-hour.
        end: The end of the last one.
        may_begin: Whether a kind may begin later than `start`: before it, it is not charged.
    """
    for i, rate in enumerate(rates):
        place = f"rates[{i}]"
        limit = WHOLE_PPM if rate.kind is RateKind.VAT else PRICE_MAX
        if not 0 <= rate.value <= limit:
            yield Problem(place=f"{place}.value", rule=f"must lie in [0, {limit}]")
        if rate.to_utc is not None and rate.to_utc <= rate.from_utc:
            yield Problem(place=f"{place}.to_utc", rule="must lie after from_utc")
        if not rate.source.strip():
            yield Problem(place=f"{place}.source", rule="must say where the rate is written")
        for name, at in (("from_utc", rate.from_utc), ("to_utc", rate.to_utc)):
            if at is not None and at.timestamp() % QUARTER.total_seconds():
                yield Problem(place=f"{place}.{name}", rule="must be the start of a quarter-hour")
    for key in sorted({(rate.kind, rate.supplier) for rate in rates}):
        chain = [i for i, rate in enumerate(rates) if (rate.kind, rate.supplier) == key]
        chain.sort(key=lambda i: rates[i].from_utc)
        begin = rates[chain[0]].from_utc
        held_from = begin if start is None or (may_begin and start < begin) else start
        yield from _chain_problems(rates, chain, held_from, end)


def _chain_problems(
    rates: Sequence[Rate], chain: Sequence[int], start: datetime, end: datetime | None
) -> Iterator[Problem]:
    """Gaps and overlaps between the rates of one kind and one supplier, given by their start.

    A supplier's own rates may leave gaps: there everybody's hold.
    """
    last = rates[chain[-1]]
    end = last.to_utc or max(last.from_utc, start) + QUARTER if end is None else end
    held_until: datetime | None = start
    for i in chain:
        rate, place = rates[i], f"rates[{i}].from_utc"
        if i != chain[0] and (held_until is None or rate.from_utc < held_until):
            yield Problem(place=place, rule=f"another {rate.kind} rate still holds then")
        elif held_until is not None and not rate.supplier and start <= held_until < min(rate.from_utc, end):
            yield Problem(place=place, rule=f"no {rate.kind} rate holds from {utc_text(held_until)} on")
        held_until = rate.to_utc
    if held_until is not None and held_until < end and not last.supplier:
        rule = f"no {last.kind} rate holds from {utc_text(max(held_until, start))} on"
        yield Problem(place=f"rates[{chain[-1]}].to_utc", rule=rule)


def rate_at(rates: Sequence[Rate], kind: RateKind, supplier: str, starts: Sequence[datetime]) -> IntArray:
    """The rate of a kind in each quarter-hour, in the unit of its kind; 0 where there is none of it.

    Args:
        rates: Without problems.
        kind: What is asked for.
        supplier: Whose customer it is for: that supplier's own rate goes before everybody's.
        starts: The quarter-hours, ascending.

    Returns:
        Shape (T,).
    """
    values = np.zeros(len(starts), dtype=np.int64)
    instants = np.array([start.timestamp() for start in starts])
    ranked = sorted(
        (rate for rate in rates if rate.kind is kind and rate.supplier in {"", supplier}),
        key=lambda rate: rate.supplier != "",
    )
    for rate in ranked:
        end = np.inf if rate.to_utc is None else rate.to_utc.timestamp()
        values[(instants >= rate.from_utc.timestamp()) & (instants < end)] = rate.value
    return values


def vat_fraction(rates: Sequence[Rate], supplier: str, starts: Sequence[datetime]) -> FloatArray:
    """The VAT on what a supplier's customers pay, as a part of it, shape (T,); arguments as `rate_at`."""
    return np.asarray(rate_at(rates, RateKind.VAT, supplier, starts) / WHOLE_PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """What rates make of a kWh at a connection, beside supply, without VAT [EUR/kWh], shape (T,) each."""

    taken: FloatArray
    """Tax and network tariff on what is taken from the grid."""
    refund: FloatArray
    """Tax given back on what was charged from the grid and is fed in again; not negative."""
    feed_in_fee: FloatArray
    """The supplier's on what it buys: not on what neighbours get."""


def charges(rates: Sequence[Rate], supplier: str, starts: Sequence[datetime]) -> Charges:
    """What rates make of a kWh; arguments as `rate_at`."""
    value = {kind: rate_at(rates, kind, supplier, starts) / MICROEUR_PER_EUR for kind in RateKind}
    return Charges(
        taken=value[RateKind.ENERGY_TAX] + value[RateKind.NETWORK],
        refund=value[RateKind.STORAGE_REFUND],
        feed_in_fee=value[RateKind.FEED_IN_FEE],
    )
