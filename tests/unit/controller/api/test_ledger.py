"""The sealed ledger by HTTP: who may see which part of it, and before it is sealed."""

from __future__ import annotations

from tests.support.web import make_api


async def test_a_proof_is_for_who_pays_or_receives() -> None:
    """Home 7 pays posting p-1; home 8 and strangers hear nothing of it, nor of one that is not there."""
    api = make_api()
    path = "/api/resident/postings/p-1/proof"
    answers = [await api.call("GET", path, token) for token in ("resident-token", "neighbour-token")]
    assert [answer.status_code for answer in answers] == [200, 404]
    unknown = await api.call("GET", "/api/resident/postings/p-9/proof", "resident-token")
    stray = await api.call("GET", path, "stray-token")
    assert [unknown.status_code, stray.status_code] == [404, 403]
    assert answers[1].json()["detail"] == "you have no posting 'p-1'"


async def test_before_the_seal_there_is_a_conflict_and_no_day() -> None:
    """The posting is there, its day is not sealed: 409, an empty list, no newest seal, no file."""
    api = make_api()
    api.door.sealed = False
    proof = await api.call("GET", "/api/resident/postings/p-1/proof", "resident-token")
    head = await api.call("GET", "/api/ledger/head", "fleet-token")
    days = await api.call("GET", "/api/ledger/days", "fleet-token")
    file = await api.call("GET", "/api/operator/ledger/days/2024-01-15", "operator-token")
    assert [proof.status_code, file.status_code] == [409, 404]
    assert (head.json()["newest"], days.json()) == (None, [])
    assert head.json()["public_key"] == api.door.key.public_key.hex()


async def test_the_ledger_file_of_a_day_is_for_operators() -> None:
    """Everybody's postings: a line each below the seal, as a download."""
    api = make_api()
    path = "/api/operator/ledger/days/2024-01-15"
    answer = await api.call("GET", path, "operator-token")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="ledger-2024-01-15.ndjson"'
    assert len(answer.content.splitlines()) == 3
    assert (await api.call("GET", "/api/operator/ledger/days/monday", "operator-token")).status_code == 422


async def test_the_newest_seal_is_the_last_of_the_days() -> None:
    """And its hash is there to write down."""
    api = make_api()
    newest = (await api.call("GET", "/api/ledger/head", "resident-token")).json()["newest"]
    assert (await api.call("GET", "/api/ledger/days", "resident-token")).json() == [newest]
    assert (await api.call("GET", "/api/ledger/days?after=2024-01-15", "resident-token")).json() == []
