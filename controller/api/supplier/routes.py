"""The suppliers' routes. Each sees its own customers together, never one of them: statements do that."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query
from starlette.responses import Response

from controller.api import wire
from controller.api.problems import documented
from controller.api.security import TheDoor, allow
from controller.api.supplier.models import (
    ClosingOut,
    CostsTaken,
    ImbalanceCostIn,
    ImbalanceOut,
    NominationOut,
)
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import quarter_start, utc_text
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from controller.runtime.supplier_door import ImbalanceView
from controller.runtime.supply_ports import NominationKind
from controller.supplier_settings import SITE_SUPPLIER
from market.imbalance import ImbalanceCost

_supplier = allow(Role.SUPPLIER)
Supplier = Annotated[Principal, Depends(_supplier)]
"""The supplier, or its balance responsible party."""
COSTS_MAX = 35_136
"""At most a leap year of quarter-hours at a time."""
LocalDay = Annotated[date, Query(ge=date(1970, 1, 1), le=date(9999, 12, 30))]
"""A day in Amsterdam; a part of the calendar's last one is none in UTC."""
_TEXT = {"schema": {"type": "string"}}

router = APIRouter(
    prefix="/api/supplier", tags=["supplier"], dependencies=[Depends(_supplier)], responses=documented()
)


class TableFormat(StrEnum):
    """How a table comes."""

    JSON = "json"
    CSV = "csv"


@router.get(
    "/nominations",
    summary="What your customers will take",
    response_model=list[NominationOut],
    responses={200: {"content": {"text/csv": _TEXT}}, **documented(422)},
)
async def get_nominations(
    door: TheDoor,
    who: Supplier,
    day: LocalDay,
    kind: NominationKind = NominationKind.DAY_AHEAD,
    format: TableFormat = TableFormat.JSON,  # noqa: A002  # the name of the query's field
) -> Response:
    """A local day by quarter-hour: as announced the day before, or the newest before each began."""
    found = await door.nominations(day=day, kind=kind, supplier=_name(who))
    rows: list[wire.Json] = [
        {
            "interval_start_utc": utc_text(each.interval_start),
            "kind": each.kind.value,
            "made_at_utc": utc_text(each.made_at),
            "import_wh": each.import_wh,
            "export_wh": each.export_wh,
        }
        for each in found
    ]
    return _table(rows, format, tuple(NominationOut.model_fields), f"nominations-{kind}-{day}")


@router.get(
    "/imbalance",
    summary="What they took beyond it",
    response_model=list[ImbalanceOut],
    responses={200: {"content": {"text/csv": _TEXT}}, **documented(422)},
)
async def get_imbalance(
    door: TheDoor,
    who: Supplier,
    day: LocalDay,
    format: TableFormat = TableFormat.JSON,  # noqa: A002  # the name of the query's field
) -> Response:
    """A local day by quarter-hour: the last announcement, what the meters say, and what you told it cost."""
    rows = [_imbalance(view) for view in await door.imbalance(day=day, supplier=_name(who))]
    return _table(rows, format, tuple(ImbalanceOut.model_fields), f"imbalance-{day}")


def _imbalance(view: ImbalanceView) -> wire.Json:
    supplied, cost = view.supplied, view.cost
    net = None if supplied is None else supplied.import_wh - supplied.export_wh
    deviation = None if net is None or view.nominated_wh is None else net - view.nominated_wh
    return {
        "interval_start_utc": utc_text(view.interval_start),
        "nominated_wh": view.nominated_wh,
        "import_wh": None if supplied is None else supplied.import_wh,
        "export_wh": None if supplied is None else supplied.export_wh,
        "deviation_wh": deviation,
        "complete": None if supplied is None else supplied.complete,
        "short_microeur_per_kwh": None if cost is None else cost.short_microeur_per_kwh,
        "long_microeur_per_kwh": None if cost is None else cost.long_microeur_per_kwh,
        "cost_nanoeur": None if deviation is None or cost is None else cost.of(deviation),
    }


@router.put(
    "/imbalance-costs",
    summary="Tell what imbalance cost",
    status_code=202,
    response_model=CostsTaken,
    responses=documented(409, 422),
)
async def put_imbalance_costs(
    door: TheDoor,
    who: Supplier,
    body: Annotated[list[ImbalanceCostIn], Body(min_length=1, max_length=COSTS_MAX)],
) -> Response:
    """Kept at once; booked by who caused it, day after day (`/api/supplier/closings`). Again: corrected."""
    starts = [each.interval_start_utc for each in body]
    places = {start: i for i, start in reversed(list(enumerate(starts)))}
    problems = [
        Problem(place=f"[{i}].interval_start_utc", rule="must be the start of a quarter-hour")
        for i, start in enumerate(starts)
        if start != quarter_start(start)
    ]
    problems += [
        Problem(place=f"[{i}].interval_start_utc", rule=f"{utc_text(start)} is there more than once")
        for i, start in enumerate(starts)
        if places[start] < i
    ]
    if problems:
        raise InputProblemsError("costs", problems)
    costs = {
        each.interval_start_utc: ImbalanceCost(
            short_microeur_per_kwh=each.short_microeur_per_kwh,
            long_microeur_per_kwh=each.long_microeur_per_kwh,
        )
        for each in body
    }
    days = await door.put_imbalance_costs(costs=costs, supplier=_name(who), who=f"{who.role}:{who.label}")
    where = f"{router.prefix}/closings"
    return wire.reply({"days": days, "see": where}, 202, {"Location": where})


@router.get("/closings", summary="What is not booked yet", response_model=list[ClosingOut])
async def get_closings(door: TheDoor, who: Supplier) -> Response:
    """The days that wait for being closed with what you told; empty: all of them were."""
    return wire.reply(
        [
            {"day": each.day, "asked_at_utc": utc_text(each.asked_at), "why_not": each.why or None}
            for each in await door.closings(supplier=_name(who))
        ]
    )


def _name(who: Principal) -> str:
    """Which supplier asks: the one that its token was made for, or the site's own."""
    return who.member or SITE_SUPPLIER


def _table(rows: Sequence[wire.Json], form: TableFormat, columns: Sequence[str], name: str) -> Response:
    if form is TableFormat.JSON:
        return wire.reply(list(rows))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(file.getvalue(), media_type="text/csv", headers=headers)
