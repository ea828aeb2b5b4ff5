"""What the auction brings each member: the report by which a neighbourhood decides to keep it."""

from __future__ import annotations

from datetime import date, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from controller.api import wire
from controller.api.models import Out
from controller.api.operator.routes import Operator
from controller.api.problems import documented
from controller.api.security import TheDoor
from controller.domain.errors import InputProblemsError, Problem
from controller.domain.units import cents_of

DAYS_MAX = 366

router = APIRouter(prefix="/api/operator", tags=["operator"], responses=documented())


class BenefitOut(Out):
    """One member's sums over some closed days, and what they say of a year."""

    member: str
    days: int
    """How many days are closed: a year is made of these."""
    paid_nanoeur: int
    """What was booked; positive: paid."""
    sharing_nanoeur: int
    """What the same meters would have cost by sharing after the fact."""
    without_nanoeur: int
    """What they would have cost with neither."""
    fee_nanoeur_per_year: int
    gain_cents_per_year: int
    """What the auction brings more than sharing, net of its fee; negative: less."""
    saving_cents_per_year: int
    """What it saves against having neither, net of its fee."""


@router.get(
    "/benefit",
    summary="What the auction brings each member in a year",
    response_model=list[BenefitOut],
    responses=documented(422),
)
async def get_benefit(door: TheDoor, who: Operator, first: date, last: date) -> Response:  # noqa: ARG001  # rights
    """Over the closed days from `first` to `last`, scaled to a year, net of the fee for taking part."""
    if not timedelta(0) <= last - first < timedelta(days=DAYS_MAX):
        rule = f"must lie from first on, at most {DAYS_MAX} days"
        raise InputProblemsError("query", [Problem(place="last", rule=rule)])
    return wire.reply(
        [
            {
                "member": each.member,
                "days": each.days,
                "paid_nanoeur": each.paid_nanoeur,
                "sharing_nanoeur": each.sharing_nanoeur,
                "without_nanoeur": each.without_nanoeur,
                "fee_nanoeur_per_year": each.fee_nanoeur_per_year,
                "gain_cents_per_year": cents_of(each.gain_nanoeur_per_year),
                "saving_cents_per_year": cents_of(each.saving_nanoeur_per_year),
            }
            for each in await door.benefit(first=first, last=last)
        ]
    )
