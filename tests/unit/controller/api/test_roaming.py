"""Who roams: providers, their customers and nobody else's, told by operators."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from controller.bootstrap_roaming import who_may_charge
from controller.domain.charging_tokens import ChargingToken, TokenKind, Verdict, handle_of
from controller.domain.errors import ConflictError, NotFoundError
from controller.runtime.charging_tokens import ChargingTokens, NewToken
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from controller.runtime.roaming import Roaming
from controller.runtime.session_ports import SessionQuery
from tests.support.charging import CARD, finished
from tests.support.providers import CONTRACT, CREDENTIALS, NOW, OTHER_CARD, keep, provider


async def test_a_token_of_the_sites_own_is_no_providers_whoever_told_it_first(tmp_path: Path) -> None:
    """A resident's sessions stay here, and a lost card that its owner blocked does not charge as a guest."""
    async with provider(tmp_path) as tnm:
        controller, loop = tnm.roaming.controller, asyncio.get_running_loop()
        tokens = ChargingTokens(controller, loop)
        roaming = Roaming(controller, loop, is_own=tokens.owns)
        tokens.is_strangers = roaming.accepts
        await roaming.load()
        await roaming.put_contracts("NL*TNM", {CARD: CONTRACT, OTHER_CARD: CONTRACT}, "operator")
        may_charge = who_may_charge(tokens, roaming)
        member = controller.site.members[0].id
        who = Principal(role=Role.RESIDENT, member=member, label="owner")
        with pytest.raises(ConflictError):
            await tokens.register(NewToken(token=CARD, kind=TokenKind.CARD, label="mine"), member, who)
        await keep(tnm, finished(), replace(finished(transaction="own"), token=OTHER_CARD))
        (party,) = roaming.parties()
        assert (await roaming.sessions(party, SessionQuery(), offset=0, limit=9)).total == 2
        # Registered in an earlier run, when the site did not roam.
        lost = ChargingToken(
            token=OTHER_CARD,
            handle=handle_of(OTHER_CARD),
            member=member,
            kind=TokenKind.CARD,
            label="ring",
            vehicle=None,
            created_at=NOW,
        )
        tokens.book = replace(tokens.book, registered=(lost,))
        assert may_charge(OTHER_CARD) is Verdict.ACCEPTED
        await tokens.set_blocked(lost.handle, blocked=True, member=None, who=who)
        assert (may_charge(CARD), may_charge(OTHER_CARD)) == (Verdict.ACCEPTED, Verdict.BLOCKED)
        assert (await roaming.sessions(party, SessionQuery(), offset=0, limit=9)).total == 1
        with pytest.raises(ConflictError):
            await roaming.put_contracts("NL*TNM", {OTHER_CARD: CONTRACT}, "operator")


async def test_what_a_former_customer_has_charged_is_still_to_be_paid(tmp_path: Path) -> None:
    """Who left before the provider asked charges no more; whose token it is next keeps its own sessions."""
    async with provider(tmp_path) as tnm:
        await keep(tnm, finished())
        await tnm.roaming.put_contracts("NL*TNM", {OTHER_CARD: "NL-TNM-2"}, "operator")
        assert not tnm.roaming.accepts(CARD)
        again = Roaming(tnm.roaming.controller, asyncio.get_running_loop())
        await again.load()
        assert again.parties() == tnm.roaming.parties()
        (record,) = await tnm.get("2.2.1/cdrs")
        assert record["cdr_token"]["contract_id"] == CONTRACT
        await tnm.roaming.invite(country_code="DE", party_id="ABC", name="Abc", who="operator")
        await tnm.roaming.put_contracts("DE*ABC", {CARD: "DE-ABC-1"}, "operator")
        await keep(tnm, finished(transaction="next", began=NOW))
        (record,) = await tnm.get("2.2.1/cdrs")
        assert (record["id"], record["cdr_token"]["contract_id"]) == (finished().id, CONTRACT)
        (other,) = (party for party in tnm.roaming.parties() if party.key == "DE*ABC")
        page = await tnm.roaming.sessions(other, SessionQuery(), offset=0, limit=9)
        assert [record.session.transaction for record in page.records] == ["next"]
        assert page.total == 1


async def test_who_takes_over_the_customers_of_a_removed_provider_reads_nothing_of_before(
    tmp_path: Path,
) -> None:
    """A removed provider reads nothing; invited again it reads what its customers had charged until then."""
    async with provider(tmp_path) as tnm:
        await keep(tnm, finished())
        await tnm.roaming.invite(country_code="DE", party_id="ABC", name="Abc", who="operator")
        await tnm.roaming.remove("NL*TNM", "operator")
        again = Roaming(tnm.roaming.controller, asyncio.get_running_loop())
        await again.load()
        assert [party.key for party in again.parties()] == ["DE*ABC"]
        assert not again.accepts(CARD)
        await again.put_contracts("DE*ABC", {CARD: "DE-ABC-1"}, "operator")
        await keep(tnm, finished(transaction="next", began=NOW))

        async def seen(key: str) -> list[str]:
            (party,) = (each for each in again.parties() if each.key == key)
            page = await again.sessions(party, SessionQuery(), offset=0, limit=9)
            return [record.session.transaction for record in page.records]

        assert await seen("DE*ABC") == ["next"]
        with pytest.raises(NotFoundError):
            await again.remove("NL*TNM", "operator")
        first = await again.invite(country_code="NL", party_id="TNM", name="Tnm", who="operator")
        party = again.party_of(first)
        assert party is not None
        assert not party.registered
        assert await seen("NL*TNM") == [finished().transaction]


async def test_what_two_operators_change_at_once_is_both_kept(tmp_path: Path) -> None:
    """Nobody's providers are lost, no token gets two of them, and a first token registers once."""
    async with provider(tmp_path) as tnm:
        tokens = await asyncio.gather(
            *(
                tnm.roaming.invite(country_code="DE", party_id=name, name=name, who="operator")
                for name in ("AAA", "BBB")
            )
        )
        assert {party.key for party in tnm.roaming.parties()} == {"DE*AAA", "DE*BBB", "NL*TNM"}
        told = [tnm.roaming.put_contracts(key, {OTHER_CARD: "X"}, "operator") for key in ("DE*AAA", "DE*BBB")]
        ends = await asyncio.gather(*told, return_exceptions=True)
        assert [type(end) for end in ends] == [type(None), ConflictError]
        role = CREDENTIALS["roles"][0] | {"country_code": "DE", "party_id": "AAA"}
        body = CREDENTIALS | {"roles": [role]}
        answers = await asyncio.gather(
            *(tnm.raw("POST", "2.2.1/credentials", body, tokens[0]) for _ in range(2))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401]
        good = next(answer for answer in answers if answer.status_code == 200).json()["data"]["token"]
        assert (await tnm.raw("GET", "2.2.1/locations", token=good)).status_code == 200


async def test_operators_invite_providers_and_tell_their_customers(tmp_path: Path) -> None:
    """Nobody else does; a token is one provider's; who did it stands in the log."""
    async with provider(tmp_path) as tnm:

        async def call(method: str, path: str, body: object = None, who: str = "operator") -> httpx.Response:
            headers = {"Authorization": f"Bearer {who}-token"}
            url = f"http://test/api/operator/roaming/parties{path}"
            return await tnm.client.request(method, url, json=body, headers=headers)

        assert (await call("GET", "", who="resident")).status_code == 403
        known = {"party": "NL*TNM", "name": "TNM", "registered": True, "contracts": 1}
        assert (await call("GET", "")).json() == [known]
        assert (
            await call("POST", "", {"country_code": "NL", "party_id": "TNM", "name": "x"})
        ).status_code == 409
        invited = await call("POST", "", {"country_code": "DE", "party_id": "ABC", "name": "Abc"})
        assert invited.status_code == 201
        assert (await tnm.raw("GET", "versions", token=invited.json()["token"])).status_code == 200
        mine = [{"token": CARD, "contract_id": "DE-ABC-1"}]
        assert (await call("PUT", "/DE*ABC/contracts", mine)).status_code == 409
        assert (await call("PUT", "/DE*ABC/contracts", mine * 2)).status_code == 422
        own = [{"token": OTHER_CARD, "contract_id": "DE-ABC-1"}]
        assert (await call("PUT", "/DE*ABC/contracts", own)).status_code == 200
        assert tnm.roaming.accepts(OTHER_CARD.lower())
        assert (await call("DELETE", "/DE*ABC")).status_code == 200
        assert (await call("DELETE", "/DE*ABC")).status_code == 404
        assert not tnm.roaming.accepts(OTHER_CARD)
        async with tnm.roaming.controller.store.unit() as unit:
            newest = (await unit.events(limit=1))[0]
        assert (newest.what, newest.subject) == ("removed a provider", "DE*ABC")
        again = Roaming(tnm.roaming.controller, asyncio.get_running_loop())
        await again.load()
        assert [party.key for party in again.parties()] == ["NL*TNM"]
        assert again.accepts(CARD)


async def test_all_customers_of_a_provider_go_to_another(tmp_path: Path) -> None:
    """One took over the other: each still reads its own time, however many there are."""
    async with provider(tmp_path) as tnm:
        many = {f"{CARD}{number:04}": f"NL-TNM-{number}" for number in range(3000)}
        await tnm.roaming.put_contracts("NL*TNM", many | {CARD: CONTRACT}, "operator")
        await keep(tnm, finished(), finished(transaction="next", began=NOW))
        await tnm.roaming.put_contracts("NL*TNM", {}, "operator")
        await tnm.roaming.invite(country_code="DE", party_id="ABC", name="Abc", who="operator")
        await tnm.roaming.put_contracts("DE*ABC", many | {CARD: CONTRACT}, "operator")
        told = {}
        for party in tnm.roaming.parties():
            page = await tnm.roaming.sessions(party, SessionQuery(), offset=0, limit=9)
            told[party.key] = [record.session.transaction for record in page.records]
        assert told == {"DE*ABC": ["next"], "NL*TNM": ["tx-1"]}
