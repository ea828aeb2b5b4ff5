"""From a meter's registers to its quarter-hours, and the declared rule by which what is missing is estimated.

A reading is taken where it fits the last one that was: no register lower than before, and no more than the
connection can carry since. One that does not fit is put aside as `backwards` or `jump`. Where readings go on
to fit one another but not the old ones, for an hour, the meter was exchanged, and they count from there on.

What lies between two readings of one meter that are further than a quarter-hour apart is known in sum. It is
handed out by the point's own pattern: what it had on average, where it was metered, in the same quarter-hour
of the local day. What lies before the first reading, after the last one, or between two meters is the
pattern itself. A point without any metered quarter-hour has the yearly use that was declared for it, spread
evenly, and no feed-in; where none was declared its energy is not known, and it is not settled.

Everything that was estimated is flagged with the reason, and gone when the real reading comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from controller.domain.time import AMSTERDAM
from controller.domain.units import BoolArray, IntArray
from market.clearing.ties import by_position, divided, times

EXCHANGED_AFTER = 4
"""So many readings in a row that fit one another but not those before are another meter's."""
SLOTS = 96
"""Quarter-hours of a local day; the hour that summer time repeats or leaves out shares its slots."""
QUARTERS_PER_YEAR = 35_040
UNKNOWN = -1
"""Stands for a reading that is not there."""


class Why(StrEnum):
    """Why a quarter-hour was estimated."""

    MISSING = "missing"
    """No reading."""
    BACKWARDS = "backwards"
    """A register stood lower than before."""
    JUMP = "jump"
    """A register rose by more than the connection can carry."""
    EXCHANGED = "exchanged"
    """Another meter came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time that was estimated."""

    first: int
    """Its first quarter-hour."""
    after: int
    """The first one after it."""
    why: Why
    sum_known: bool
    """Whether its sum was metered, and only how it falls over the quarter-hours is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """The quarter-hours of one meter."""

    import_wh: IntArray
    """Shape (T,); 0 where not known."""
    export_wh: IntArray
    """Shape (T,), a magnitude; 0 where not known."""
    estimated: BoolArray
    """Shape (T,)."""
    known: BoolArray
    """Shape (T,): False where there is nothing to estimate from."""
    gaps: tuple[Gap, ...]


class _Taken(NamedTuple):
    """A reading that was taken."""

    at: int
    meter: int
    """How often the meter was exchanged before."""


def local_slots(starts: Sequence[datetime]) -> IntArray:
    """The quarter-hour of the local day, 0 to 95, of each instant; shape (T,)."""
    local = [start.astimezone(AMSTERDAM) for start in starts]
    return np.array([at.hour * 4 + at.minute // 15 for at in local], dtype=np.int64)


def metered(
    import_register_wh: IntArray,
    export_register_wh: IntArray,
    slots: IntArray,
    *,
    quarter_wh_max: int,
    yearly_kwh: int | None = None,
) -> Metered:
    """What one meter counted in each quarter-hour, estimated where it has to be.

    Args:
        import_register_wh: The register at each quarter-hour's bound, shape (T + 1,); `UNKNOWN` without one.
        export_register_wh: The same for what was fed in; known where the import register is.
        slots: The quarter-hour of the local day, shape (T,).
        quarter_wh_max: The most that the connection can carry in a quarter-hour [Wh].
        yearly_kwh: What was declared of its yearly use.
    """
    registers = np.stack([import_register_wh, export_register_wh])
    rises = np.diff(registers, axis=1)
    whole = bool((registers >= 0).all() and (rises >= 0).all() and (rises <= quarter_wh_max).all())
    count = len(slots)
    if whole:
        energy, gaps, known = rises, [], np.ones(count, dtype=np.bool_)
    else:
        taken, refused = _taken(registers, quarter_wh_max)
        gaps = list(_gaps(taken, refused, count))
        declared = None if yearly_kwh is None else min(yearly_kwh * 1000 // QUARTERS_PER_YEAR, quarter_wh_max)
        energy, known = _filled(registers, gaps, slots, quarter_wh_max, declared)
    estimated = np.zeros(count, dtype=np.bool_)
    for gap in gaps:
        estimated[gap.first : gap.after] = True
    return Metered(
        import_wh=energy[0], export_wh=energy[1], estimated=estimated, known=known, gaps=tuple(gaps)
    )


def _taken(registers: IntArray, quarter_wh_max: int) -> tuple[list[_Taken], dict[int, Why]]:
    """The readings that are taken, and why the others are not."""

    def misfit(before: int, at: int) -> Why | None:
        rises = (registers[:, at] - registers[:, before]).tolist()
        if min(rises) < 0:
            return Why.BACKWARDS
        return Why.JUMP if max(rises) > quarter_wh_max * (at - before) else None

    taken: list[_Taken] = []
    refused: dict[int, Why] = {}
    other: list[int] = []  # readings in a row that do not fit what was taken
    for at in np.flatnonzero(registers.min(axis=0) >= 0).tolist():
        meter = taken[-1].meter if taken else 0
        why = misfit(taken[-1].at, at) if taken else None
        if why is None:
            taken.append(_Taken(at, meter))
            other = []
            continue
        refused[at] = why
        other = [*other, at] if other and misfit(other[-1], at) is None else [at]
        if len(other) == EXCHANGED_AFTER:
            taken += [_Taken(each, meter + 1) for each in other]
            for each in other:
                del refused[each]
            other = []
    return taken, refused


def _gaps(taken: Sequence[_Taken], refused: dict[int, Why], count: int) -> Iterator[Gap]:
    """What lies between readings that are not next to each other, and outside all of them."""
    if not taken:
        yield Gap(first=0, after=count, why=Why.MISSING, sum_known=False)
        return
    if taken[0].at:
        yield Gap(first=0, after=taken[0].at, why=Why.MISSING, sum_known=False)
    for before, after in itertools.pairwise(taken):
        inside = [refused[at] for at in range(before.at + 1, after.at) if at in refused]
        if before.meter != after.meter:
            yield Gap(first=before.at, after=after.at, why=Why.EXCHANGED, sum_known=False)
        elif after.at > before.at + 1:
            why = inside[0] if inside else Why.MISSING
            yield Gap(first=before.at, after=after.at, why=why, sum_known=True)
    last = taken[-1].at
    if last < count:
        tail = [refused[at] for at in range(last + 1, count + 1) if at in refused]
        yield Gap(first=last, after=count, why=tail[0] if tail else Why.MISSING, sum_known=False)


def _filled(
    registers: IntArray, gaps: Sequence[Gap], slots: IntArray, quarter_wh_max: int, declared_wh: int | None
) -> tuple[IntArray, BoolArray]:
    """Both directions' energy with the gaps filled, shape (2, T), and what is known, shape (T,)."""
    known = np.ones(len(slots), dtype=np.bool_)
    energy = np.diff(registers, axis=1)
    for gap in gaps:
        known[gap.first : gap.after] = False
    pattern = _pattern(energy, known, slots, declared_wh)
    for gap in gaps:
        span = slice(gap.first, gap.after)
        known[span] = gap.sum_known or pattern is not None
        inside = None if pattern is None else pattern[:, slots[span]]
        if gap.sum_known:
            for way in (0, 1):
                total = int(registers[way, gap.after] - registers[way, gap.first])
                weights = None if inside is None else inside[way]
                energy[way, span] = _spread(total, gap.after - gap.first, weights, quarter_wh_max)
        else:
            energy[:, span] = 0 if inside is None else inside
    return energy, known


def _spread(total_wh: int, count: int, weights: IntArray | None, quarter_wh_max: int) -> IntArray:
    """A known sum over quarter-hours by weights; evenly where they say nothing or ask too much of one."""
    even = divided(times(np.ones(count, dtype=np.int64), total_wh), count, by_position)
    if weights is None or not weights.any():
        return even
    parts = divided(times(weights, total_wh), int(weights.sum()), by_position)
    return parts if parts.max() <= quarter_wh_max else even


def _pattern(energy: IntArray, real: BoolArray, slots: IntArray, declared_wh: int | None) -> IntArray | None:
    """What a point has on average in each slot of the day [Wh], shape (2, SLOTS); None: nothing is known.

    A slot in which it was never metered has the average of the whole time.
    """
    if not real.any():
        if declared_wh is None:
            return None
        pattern = np.zeros((2, SLOTS), dtype=np.int64)
        pattern[0] = declared_wh
        return pattern
    counts = np.bincount(slots[real], minlength=SLOTS)
    ways = []
    for way in (0, 1):
        sums = np.zeros(SLOTS, dtype=np.int64)
        np.add.at(sums, slots[real], energy[way, real])
        overall = int(energy[way, real].sum()) // int(real.sum())
        ways.append(np.where(counts > 0, sums // np.maximum(counts, 1), overall))
    return np.stack(ways)
