"""`wijkstroom settle`: sharing after the fact from files, with the code that the running controller uses.

A rules file says who takes part, by which key and at which prices and rates; a meters file holds registers.
What is missing or cannot be is estimated by the declared rule (`market.estimates`) and flagged. The result
holds what everybody used, shared and pays, the same without sharing, and the postings. Given the results of
earlier runs over the same time, it books only the difference: reversals and what stands in their place.

All problems of all files are told at once, and then nothing is written. Fields: deploy/formats/settle.md.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import AMSTERDAM, QUARTER, parse_utc, utc_text
from controller.domain.units import BoolArray, IntArray
from market.estimates import Metered, local_slots, metered
from market.files import collecting, parse_json, read_text, write_text
from market.ledger import Posting, PostingReason
from market.rebooking import rebooked
from market.seals import posting_document
from market.settle_meters import parse_meters, untold
from market.settle_rules import MeteredPoint, SettleRules, blocks_of, parse_rules
from market.sharing.pool import (
    PoolInputs,
    PoolSettlement,
    block_amounts,
    pool_lines,
    reference_prices,
    settle_pool,
)
from market.sharing.shapley import shapley
from market.sharing.storage import grid_charged_wh
from market.sharing.values import WHOLE_PPM, Energy, ranks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredPool:
    """The meters of a pool, with what was estimated."""

    inputs: PoolInputs
    meters: Mapping[str, Metered]
    """By meter, the stores' too."""
    estimated: BoolArray
    """Shape (T, N)."""
    known: BoolArray
    """Shape (T, N)."""


def run_settle(
    rules_path: Path,
    meters_path: Path,
    out: Path,
    *,
    previous: Sequence[Path] = (),
    quarters: Path | None = None,
    tell: Callable[[str], None] = untold,
) -> dict[str, Any]:
    """Reads the files, settles and writes the result.

    Args:
        rules_path: The rules (JSON).
        meters_path: The registers (CSV).
        out: Where the result goes (JSON); an older one is replaced.
        previous: Results of earlier runs over the same time, in their order.
        quarters: Where every quarter-hour of every point goes (CSV); None: nowhere.
        tell: Takes lines of progress; there are none where it is done at once.

    Returns:
        The result, as it was written.

    Raises:
        InputProblemsError: If anything in the files is wrong; all of it is listed and nothing is written.
        StartUpError: If the result cannot be written.
    """
    problems: list[Problem] = []
    rules: SettleRules | None = None
    booked: list[Posting] = []
    with collecting(problems):
        rules = parse_rules(read_text(rules_path), str(rules_path))
    for path in previous:
        with collecting(problems):
            booked += parse_postings(read_text(path), str(path))
    registers: Mapping[str, tuple[IntArray, IntArray]] = {}
    with collecting(problems):
        registers = parse_meters(read_text(meters_path), str(meters_path), rules, tell)
    if rules is not None:
        problems += _foreign(booked, rules)
    if problems or rules is None:
        names = " and ".join(map(str, (rules_path, meters_path, *previous)))
        raise InputProblemsError(names, problems)
    pool = metered_pool(rules, registers)
    settled = settle_pool(pool.inputs, rules.pool)
    result = result_document(rules, pool, settled, booked)
    if quarters is not None:
        write_text(quarters, quarters_text(pool, settled))
    write_text(out, json.dumps(result, indent=1) + "\n")
    return result


def parse_postings(text: str, source: str) -> list[Posting]:
    """The postings of an earlier result; `source` names it in the problems.

    Raises:
        InputProblemsError: With every problem.
    """
    problems: list[Problem] = []
    content = parse_json(text, source, problems)
    entries = content.get("postings") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        problems.append(Problem(place=f"{source}: postings", rule="must be a list of postings"))
        entries = []
    found = []
    for i, entry in enumerate(entries):
        try:
            posting = Posting(
                posting_id=entry["posting_id"],
                debit_account=entry["debit_account"],
                credit_account=entry["credit_account"],
                amount_nanoeur=entry["amount_nanoeur"],
                reason=PostingReason(entry["reason"]),
                interval_start=parse_utc(entry["interval_start_utc"]),
                ref=entry["ref"],
                booked_at=parse_utc(entry["booked_at_utc"]),
            )
            fine = posting_document(posting) == entry
        except (KeyError, TypeError, ValueError, AttributeError):
            fine = False
        if fine:
            found.append(posting)
        else:
            problems.append(Problem(place=f"{source}: postings[{i}]", rule="is no posting of a result file"))
    if problems:
        raise InputProblemsError(source, problems)
    return found


def _foreign(booked: Sequence[Posting], rules: SettleRules) -> list[Problem]:
    """Earlier postings of another time, or of other spans: they could be neither kept nor taken back."""
    blocks = blocks_of(rules.starts, rules.postings_per, _local_day)
    expected = {rules.starts[block.start] for block in blocks}
    other = sorted({entry.interval_start for entry in booked} - expected)
    return [
        Problem(
            place="previous",
            rule=f"holds postings of {utc_text(at)}, of which nothing is booked by these rules",
            way_out="settle the same time with the same postings_per",
        )
        for at in other
    ]


def metered_pool(rules: SettleRules, registers: Mapping[str, tuple[IntArray, IntArray]]) -> MeteredPool:
    """The energy of every point, estimated where it has to be."""
    slots = local_slots(rules.starts)
    meters: dict[str, Metered] = {}
    for point in rules.points:
        meters[point.point.ean] = metered(
            *registers[point.point.ean],
            slots,
            quarter_wh_max=point.quarter_wh_max,
            yearly_kwh=point.yearly_kwh,
        )
        if point.store is not None and point.store.meter not in meters:
            meters[point.store.meter] = metered(
                *registers[point.store.meter], slots, quarter_wh_max=point.quarter_wh_max
            )
    own = [meters[point.point.ean] for point in rules.points]
    energy = Energy(
        offtake_wh=np.stack([each.import_wh for each in own], axis=1),
        feed_in_wh=np.stack([each.export_wh for each in own], axis=1),
    )
    charged = np.stack([_grid_charged(point, meters) for point in rules.points], axis=1)
    return MeteredPool(
        inputs=PoolInputs(
            points=tuple(point.point for point in rules.points),
            starts=rules.starts,
            energy=energy,
            grid_charged_wh=charged,
            supply=rules.supply,
            shared_microeur_per_kwh=rules.shared_microeur_per_kwh,
        ),
        meters=meters,
        estimated=np.stack([each.estimated for each in own], axis=1),
        known=np.stack([each.known for each in own], axis=1),
    )


def _grid_charged(point: MeteredPoint, meters: Mapping[str, Metered]) -> IntArray:
    own = meters[point.point.ean]
    if point.store is None:
        return np.zeros_like(own.export_wh)
    store = meters[point.store.meter]
    return grid_charged_wh(
        own.import_wh, own.export_wh, store.import_wh, store.export_wh, point.store.efficiency_ppm
    )


def _local_day(at: datetime) -> object:
    return at.astimezone(AMSTERDAM).date()


def result_document(
    rules: SettleRules, pool: MeteredPool, settled: PoolSettlement, booked: Sequence[Posting] = ()
) -> dict[str, Any]:
    """The result as the file holds it."""
    inputs = pool.inputs
    blocks = blocks_of(rules.starts, rules.postings_per, _local_day)
    lines = pool_lines(inputs, settled, blocks)
    points = list(_points(pool, settled, blocks))
    shared = int(settled.received_wh.sum())
    result = {
        "from_utc": utc_text(rules.starts[0]),
        "to_utc": utc_text(rules.starts[-1] + QUARTER),
        "key": rules.key_name,
        "quarters": len(rules.starts),
        "energy_wh": {
            "offtake": int(inputs.energy.offtake_wh.sum()),
            "feed_in": int(inputs.energy.feed_in_wh.sum()),
            "grid_charged": int(inputs.grid_charged_wh.sum()),
            "shareable": settled.shareable_wh,
            "same_supplier": settled.same_supplier_wh,
            "shared": shared,
        },
        "same_supplier_ppm": (
            settled.same_supplier_wh * WHOLE_PPM // settled.shareable_wh if settled.shareable_wh else None
        ),
        "points": points,
        "members": _members(points),
        "estimates": list(_estimates(rules.starts, pool.meters)),
        "postings": [posting_document(entry) for entry in rebooked(booked, lines, booked_at=rules.booked_at)],
    }
    if rules.fairness_samples:
        result["fairness"] = _fairness(rules, inputs)
    return result


def _points(pool: MeteredPool, settled: PoolSettlement, blocks: Sequence[slice]) -> Iterable[dict[str, Any]]:
    paid: list[dict[str, int]] = [{} for _ in pool.inputs.points]
    without = [0] * len(paid)
    for block in blocks:
        for reason, amounts in block_amounts(settled, block).items():
            for i, amount in enumerate(amounts.tolist()):
                paid[i][reason.value] = paid[i].get(reason.value, 0) + amount
        for amounts in block_amounts(settled, block, settled.without).values():
            for i, amount in enumerate(amounts.tolist()):
                without[i] += amount
    sums = {
        "offtake_wh": pool.inputs.energy.offtake_wh,
        "feed_in_wh": pool.inputs.energy.feed_in_wh,
        "received_wh": settled.received_wh,
        "given_wh": settled.given_wh,
        "grid_charged_wh": pool.inputs.grid_charged_wh,
        "estimated_quarters": pool.estimated & pool.known,
        "unsettled_quarters": ~pool.known,
    }
    totals = {name: array.sum(axis=0).tolist() for name, array in sums.items()}
    for i, point in enumerate(pool.inputs.points):
        yield {
            "ean": point.ean,
            "member": point.member,
            "supplier": point.supplier,
            **{name: values[i] for name, values in totals.items()},
            "paid_nanoeur": paid[i],
            "total_nanoeur": sum(paid[i].values()),
            "without_sharing_nanoeur": without[i],
        }


def _members(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    fields = (
        "offtake_wh",
        "feed_in_wh",
        "received_wh",
        "given_wh",
        "total_nanoeur",
        "without_sharing_nanoeur",
    )
    totals: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(fields, 0))
    for point in points:
        for name in fields:
            totals[point["member"]][name] += point[name]
    return [{"member": member, **totals[member]} for member in sorted(totals)]


def _estimates(starts: Sequence[datetime], meters: Mapping[str, Metered]) -> Iterable[dict[str, Any]]:
    for name in sorted(meters):
        for gap in meters[name].gaps:
            yield {
                "meter": name,
                "from_utc": utc_text(starts[gap.first]),
                "to_utc": utc_text(starts[gap.after - 1] + QUARTER),
                "why": gap.why.value,
                "sum_known": gap.sum_known,
            }


def _fairness(rules: SettleRules, inputs: PoolInputs) -> list[dict[str, Any]]:
    """What each member's taking part is worth to all: the Shapley value beside what the key gives."""
    members = sorted({point.member for point in inputs.points})
    place = {member: i for i, member in enumerate(members)}
    offtake = np.zeros((len(inputs.starts), len(members)), dtype=np.int64)
    feed_in = np.zeros_like(offtake)
    for i, point in enumerate(inputs.points):
        offtake[:, place[point.member]] += inputs.energy.offtake_wh[:, i]
        feed_in[:, place[point.member]] += inputs.energy.feed_in_wh[:, i] - inputs.grid_charged_wh[:, i]
    prices = reference_prices(inputs.supply)
    names = ranks_of(members)
    found = shapley(
        Energy(offtake_wh=offtake, feed_in_wh=feed_in),
        prices.import_microeur_per_kwh - prices.export_microeur_per_kwh,
        lambda positions: positions[np.argsort(names[positions])],
        samples=rules.fairness_samples,
    )
    return [
        {
            "member": member,
            "value_nanoeur": int(found.value_nanoeur[i]),
            "standard_error_nanoeur": round(float(found.standard_error_nanoeur[i])),
            "exact": found.exact,
        }
        for i, member in enumerate(members)
    ]


def quarters_text(pool: MeteredPool, settled: PoolSettlement) -> str:
    """Every quarter-hour of every point, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = {
        "offtake_wh": pool.inputs.energy.offtake_wh,
        "feed_in_wh": pool.inputs.energy.feed_in_wh,
        "received_wh": settled.received_wh,
        "given_wh": settled.given_wh,
        "price_microeur_per_kwh": settled.price_microeur_per_kwh,
        "estimated": pool.estimated.astype(np.int64),
        "settled": pool.known.astype(np.int64),
    }
    writer.writerow(["ean", "start_utc", *columns])
    texts = [utc_text(start) for start in pool.inputs.starts]
    for i, point in enumerate(pool.inputs.points):
        series = [column[:, i].tolist() for column in columns.values()]
        writer.writerows([point.ean, text, *values] for text, *values in zip(texts, *series, strict=True))
    return file.getvalue()
