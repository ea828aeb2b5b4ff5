"""The routes of statements: one's own months, and the year's taxes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from controller.api import wire
from controller.api.problems import documented, words_of
from controller.api.resident.rights import Reader, limited
from controller.api.resident.statement_models import StatementOut, TaxYearOut
from controller.api.resident.statement_pages import (
    statement_csv,
    statement_html,
    statement_json,
    tax_csv,
    tax_json,
)
from controller.api.security import TheDoor, own_member
from controller.runtime.statements import month_days

_TEXT = {"schema": {"type": "string"}}

router = APIRouter(
    prefix="/api/resident", tags=["resident"], dependencies=[Depends(limited)], responses=documented(429)
)


class StatementFormat(StrEnum):
    """How a statement comes."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


class TableFormat(StrEnum):
    """How a table comes."""

    JSON = "json"
    CSV = "csv"


@router.get(
    "/statements/{year}-{month}",
    summary="Your statement of a month",
    response_model=StatementOut,
    responses={
        200: {
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            }
        },
        **documented(404, 422),
    },
)
async def get_statement(
    request: Request,
    door: TheDoor,
    who: Reader,
    year: Annotated[int, Path(ge=2000, le=9998)],
    month: Annotated[int, Path(ge=1, le=12)],
    format: StatementFormat = StatementFormat.JSON,  # noqa: A002  # the name of the query's field
) -> Response:
    """What you used, made, shared and traded, and what it would have been without."""
    first, last = month_days(year, month)
    view = await door.statement(member=own_member(who), first=first, last=last)
    words = words_of(request)
    match format:
        case StatementFormat.JSON:
            return wire.reply(statement_json(view, words))
        case StatementFormat.CSV:
            return _file(statement_csv(view, words), "text/csv", f"wijkstroom-{year}-{month:02d}.csv")
        case StatementFormat.HTML:
            return Response(
                statement_html(view, words),
                media_type="text/html",
                headers={
                    "Content-Language": words.language.value,
                    # It stands by itself: no script, nothing from elsewhere.
                    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
                },
            )


@router.get(
    "/taxes/{year}",
    summary="Your taxes, fees and earnings of a year",
    response_model=TaxYearOut,
    responses={200: {"content": {"text/csv": _TEXT}}, **documented(404, 422)},
)
async def get_taxes(
    request: Request,
    door: TheDoor,
    who: Reader,
    year: Annotated[int, Path(ge=2000, le=9998)],
    format: TableFormat = TableFormat.JSON,  # noqa: A002  # the name of the query's field
) -> Response:
    """By month: energy tax, VAT, tariffs and fees, and what you sold to the supplier and to neighbours."""
    views = await door.statements(member=own_member(who), year=year)
    if format is TableFormat.CSV:
        return _file(tax_csv(views), "text/csv", f"wijkstroom-{year}.csv")
    return wire.reply(tax_json(views, words_of(request)))


def _file(text: str, media_type: str, name: str) -> Response:
    return Response(
        text, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
