"""The operator's routes for e-mobility providers: invite them, tell their customers' tokens, end it."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Depends, Request
from starlette.responses import Response

from controller.api import wire
from controller.api.models import Done
from controller.api.ocpi.app import PREFIX
from controller.api.ocpi.models import ContractIn, InvitedOut, PartyIn, PartyOut
from controller.api.operator.routes import Operator
from controller.api.problems import documented
from controller.domain.charging_tokens import normal, token_problem
from controller.domain.errors import InputProblemsError, NotFoundError, Problem
from controller.runtime.roaming import CONTRACTS_MAX, Roaming

router = APIRouter(prefix="/api/operator/roaming", tags=["roaming"], responses=documented())


def roaming_of(request: Request, _who: Operator) -> Roaming:
    """The providers.

    Raises:
        NotFoundError: If the site's operator has no party id, so that nobody can read from it.
    """
    roaming = request.app.state.roaming
    if roaming is None:
        raise NotFoundError("this site does not roam: settings.charging.party_id is missing")
    return cast("Roaming", roaming)


TheRoaming = Annotated[Roaming, Depends(roaming_of)]


@router.get("/parties", summary="E-mobility providers", response_model=list[PartyOut])
async def get_parties(roaming: TheRoaming) -> Response:
    """Who may read sessions of its own customers."""
    return wire.reply(
        [
            {
                "party": party.key,
                "name": party.name,
                "registered": party.registered,
                "contracts": len(party.contracts),
            }
            for party in roaming.parties()
        ]
    )


@router.post(
    "/parties",
    summary="Invite a provider",
    status_code=201,
    response_model=InvitedOut,
    responses=documented(409, 422),
)
async def post_party(roaming: TheRoaming, who: Operator, body: PartyIn) -> Response:
    """Gives the first token, which is shown once; invited again before it registers, it gets another."""
    token = await roaming.invite(
        country_code=body.country_code, party_id=body.party_id, name=body.name, who=f"{who.role}:{who.label}"
    )
    party = f"{body.country_code}*{body.party_id}"
    return wire.reply({"party": party, "token": token, "versions_path": f"{PREFIX}/versions"}, 201)


@router.put(
    "/parties/{party}/contracts",
    summary="Tell a provider's customers",
    response_model=Done,
    responses=documented(404, 409, 422),
)
async def put_contracts(
    roaming: TheRoaming,
    who: Operator,
    party: str,
    body: Annotated[list[ContractIn], Body(max_length=CONTRACTS_MAX)],
) -> Response:
    """All of them, in place of those that were told before: they may charge, and the provider sees what."""
    tokens = [normal(each.token) for each in body]
    problems = [
        Problem(place=f"[{i}].token", rule=rule)
        for i, token in enumerate(tokens)
        if (rule := token_problem(token))
    ]
    seen: set[str] = set()
    for i, token in enumerate(tokens):
        if token in seen:
            problems.append(Problem(place=f"[{i}].token", rule="is there more than once"))
        seen.add(token)
    if problems:
        raise InputProblemsError("contracts", problems)
    contracts = {each.token: each.contract_id for each in body}
    await roaming.put_contracts(party, contracts, f"{who.role}:{who.label}")
    return wire.reply({"done": True})


@router.delete(
    "/parties/{party}", summary="Remove a provider", response_model=Done, responses=documented(404)
)
async def delete_party(roaming: TheRoaming, who: Operator, party: str) -> Response:
    """Its token opens nothing any more; its customers' tokens no longer charge."""
    await roaming.remove(party, f"{who.role}:{who.label}")
    return wire.reply({"done": True})
