"""OCPI 2.2.1 as an e-mobility provider reads it: every answer held against the specification's tables."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from controller.api.rate import RateLimiter
from controller.domain.ids import AssetId, MemberId
from controller.domain.telemetry import ConnectorReading, LinkReading, SignedReading
from tests.support import ocpi
from tests.support.charging import BEGAN, CARD, OPERATOR, TARIFF, finished
from tests.support.providers import CONTRACT, CREDENTIALS, HOUR, NOW, OTHER_CARD, keep, provider

FREE = replace(TARIFF, id="free", energy_microeur_per_kwh=0, session_microeur=0, idle_microeur_per_minute=0)


def as_model[T: BaseModel](kind: type[T], data: object) -> T:
    """The data as the specification's table has it."""
    return kind.model_validate(data)


async def test_a_provider_finds_its_way_from_the_versions(tmp_path: Path) -> None:
    """By the addresses in the answers alone."""
    async with provider(tmp_path) as tnm:
        (version,) = TypeAdapter(list[ocpi.Version]).validate_python(await tnm.get("versions"))
        details = as_model(ocpi.VersionDetails, await tnm.get(version.url))
        urls = {endpoint.identifier: endpoint.url for endpoint in details.endpoints}
        assert set(urls) == {"credentials", "locations", "sessions", "cdrs", "tariffs"}
        for name in ("locations", "cdrs", "tariffs"):
            assert isinstance(await tnm.get(urls[name]), list)
        role = as_model(ocpi.Credentials, await tnm.get(urls["credentials"])).roles[0]
        assert (role.country_code, role.party_id, role.business_details.name) == (
            "NL",
            "WIJ",
            "Coöperatie De Wijk",
        )


async def test_the_first_token_opens_nothing_but_the_registration(tmp_path: Path) -> None:
    """Afterwards it opens nothing at all."""
    async with provider(tmp_path, registered=False) as tnm:
        first = tnm.token
        assert (await tnm.raw("GET", "versions")).status_code == 200
        assert (await tnm.raw("GET", "2.2.1")).status_code == 200
        assert (await tnm.raw("GET", "2.2.1/locations")).status_code == 401
        assert (await tnm.raw("PUT", "2.2.1/credentials", CREDENTIALS)).status_code == 405
        assert (await tnm.raw("DELETE", "2.2.1/credentials")).status_code == 405
        answer = await tnm.raw("POST", "2.2.1/credentials", CREDENTIALS)
        tnm.token = as_model(ocpi.Credentials, answer.json()["data"]).token
        assert (await tnm.raw("GET", "versions", token=first)).status_code == 401
        await tnm.get("2.2.1/locations")
        assert (await tnm.raw("POST", "2.2.1/credentials", CREDENTIALS)).status_code == 405


async def test_a_token_can_be_renewed_and_given_up(tmp_path: Path) -> None:
    """The old one ends at once; after DELETE the customers' tokens no longer charge either."""
    async with provider(tmp_path) as tnm:
        before = tnm.token
        answer = await tnm.raw("PUT", "2.2.1/credentials", CREDENTIALS)
        tnm.token = answer.json()["data"]["token"]
        assert (await tnm.raw("GET", "versions", token=before)).status_code == 401
        assert tnm.roaming.accepts(CARD)
        assert (await tnm.raw("DELETE", "2.2.1/credentials")).json()["status_code"] == 1000
        assert (await tnm.raw("GET", "versions")).status_code == 401
        assert not tnm.roaming.accepts(CARD)


async def test_a_made_up_token_is_401_in_the_envelope(tmp_path: Path) -> None:
    """Whatever is wrong with it."""
    wrong = ("", "Token", "Token !!", "Token bWFkZS11cA==", "Bearer bWFkZS11cA==", "Token /w==", "Token é")
    async with provider(tmp_path) as tnm:
        for header in wrong:
            headers = [(b"Authorization", header.encode("latin-1"))] if header else []
            answer = await tnm.client.get("http://test/ocpi/versions", headers=headers)
            assert (header, answer.status_code) == (header, 401)
            assert ocpi.Envelope.model_validate(answer.json()).status_code == 2000


async def test_no_route_forgets_to_ask_who_is_there(tmp_path: Path) -> None:
    """Without a token none opens; with the first one the way to the registration does, and no facts."""
    to_the_registration = {"/versions", "/2.2.1", "/2.2.1/credentials"}
    async with provider(tmp_path, registered=False) as tnm:
        routes = [route for route in tnm.ocpi.routes if isinstance(route, APIRoute)]
        assert {route.path for route in routes} > to_the_registration
        for route in routes:
            path = re.sub(r"\{\w+\}", "site", route.path)
            for method in route.methods or ():
                bare = await tnm.client.request(method, f"http://test/ocpi{path}")
                assert (method, path, bare.status_code) == (method, path, 401)
                if path not in to_the_registration:
                    assert (await tnm.raw(method, path.lstrip("/"))).status_code == 401


async def test_a_token_is_read_as_the_standard_has_it(tmp_path: Path) -> None:
    """Its own example encodes a line feed behind the token."""
    async with provider(tmp_path) as tnm:
        assert (await tnm.raw("GET", "versions", token=f"{tnm.token}\n")).status_code == 200


async def test_registering_as_somebody_else_is_2001(tmp_path: Path) -> None:
    """Also a body that is no Credentials object; one that is no JSON is HTTP 400."""
    async with provider(tmp_path, registered=False) as tnm:
        roles = [CREDENTIALS["roles"][0] | {"party_id": "XYZ"}]
        for body in (CREDENTIALS | {"roles": roles}, {"token": "a b"}, CREDENTIALS | {"roles": []}):
            answer = await tnm.raw("POST", "2.2.1/credentials", body)
            assert (answer.status_code, answer.json()["status_code"]) == (200, 2001)
        encoded = base64.b64encode(tnm.token.encode()).decode()
        headers = {"Authorization": f"Token {encoded}", "Content-Type": "application/json"}
        address = "http://test/ocpi/2.2.1/credentials"
        answer = await tnm.client.post(address, content="{", headers=headers)
        assert (answer.status_code, answer.json()["status_code"]) == (400, 2001)


async def test_the_site_is_a_location_with_its_sockets(tmp_path: Path) -> None:
    """With what is known of each; a socket that nobody hears is UNKNOWN, never AVAILABLE."""
    async with provider(tmp_path) as tnm:
        controller = tnm.roaming.controller
        for i, (plugged, transaction) in enumerate([(False, None), (True, None), (True, "tx")], 1):
            point = AssetId(f"cp-{i}")
            controller.receive(LinkReading(asset=point, at=NOW, up=True))
            controller.receive(
                ConnectorReading(charge_point=point, at=NOW, plugged=plugged, transaction=transaction)
            )
        controller.safety_cycle(NOW)
        (found,) = await tnm.get("2.2.1/locations")
        site = as_model(ocpi.Location, found)
        assert [evse.status for evse in site.evses] == ["AVAILABLE", "BLOCKED", "CHARGING", "UNKNOWN"]
        assert [evse.evse_id for evse in site.evses][:2] == ["NL*WIJ*ECP*1", "NL*WIJ*ECP*2"]
        (connector,) = site.evses[0].connectors
        assert (connector.max_amperage, connector.max_electric_power) == (16, 11_000)
        assert connector.tariff_ids == ["posted-2024"]
        evse = as_model(ocpi.Evse, await tnm.get("2.2.1/locations/SITE/CP-3"))
        assert evse.uid == "cp-3"
        as_model(ocpi.Connector, await tnm.get("2.2.1/locations/site/cp-3/1"))
        for path in ("no", "site/no", "site/cp-3/2"):
            answer = await tnm.raw("GET", f"2.2.1/locations/{path}")
            assert (answer.status_code, answer.json()["status_code"]) == (404, 2003)


async def test_a_households_own_socket_is_nobody_elses_to_look_at(tmp_path: Path) -> None:
    """Whether a car stands there tells who is at home."""
    async with provider(tmp_path) as tnm:
        controller = tnm.roaming.controller
        first, *others = controller.site.charge_points
        points = (replace(first, member=MemberId("m-home")), *others)
        controller.site = replace(controller.site, charge_points=points)
        (site,) = await tnm.get("2.2.1/locations")
        assert [evse["uid"] for evse in site["evses"]] == ["cp-2", "cp-3", "cp-4"]
        assert (await tnm.raw("GET", "2.2.1/locations/site/cp-1")).status_code == 404


async def test_tariffs_stand_without_vat_and_follow_one_another(tmp_path: Path) -> None:
    """EUR 0.40 a kWh, 0.50 a session, 3.00 an hour; in both languages with the VAT that a driver pays."""
    async with provider(tmp_path) as tnm:
        first, second = TypeAdapter(list[ocpi.Tariff]).validate_python(await tnm.get("2.2.1/tariffs"))
        components = {
            each.type: (each.price, each.vat, each.step_size) for each in first.elements[0].price_components
        }
        assert components == {
            "ENERGY": (0.4, 21.0, 1),
            "FLAT": (0.5, 21.0, 1),
            "PARKING_TIME": (3.0, 21.0, 60),
        }
        assert first.end_date_time == second.start_date_time == "2025-01-01T00:00:00.000Z"
        texts = {each.language: each.text for each in first.tariff_alt_text}
        assert texts["nl"].startswith(
            "€\N{NO-BREAK SPACE}0,484 per kWh, €\N{NO-BREAK SPACE}0,605 per laadbeurt, "
        )
        assert texts["en"].endswith("with 21% VAT in them. Charging with the street's own sun")


async def test_a_provider_sees_its_customers_sessions_and_nobody_elses(tmp_path: Path) -> None:
    """A resident's session is on the same socket, another provider's customer at the next one."""
    async with provider(tmp_path) as tnm:
        going = replace(finished(transaction="going"), ended_at=None, end_reason="", idle_since=None)
        lost = replace(finished(transaction="lost"), last=None, first=None)
        resident = replace(finished(transaction="resident"), token=OTHER_CARD)
        await keep(tnm, finished(), going, lost, resident, replace(finished(transaction="none"), token=None))
        found = TypeAdapter(list[ocpi.Session]).validate_python(
            await tnm.get("2.2.1/sessions?date_from=2024-01-01T00:00:00Z")
        )
        assert sorted((one.status, one.kwh) for one in found) == [
            ("ACTIVE", 10.0),
            ("COMPLETED", 10.0),
            ("INVALID", 0.0),
        ]
        assert {one.cdr_token.contract_id for one in found} == {CONTRACT}
        assert {one.cdr_token.uid for one in found} == {CARD}
        missing = await tnm.raw("GET", "2.2.1/sessions")
        assert (missing.status_code, missing.json()["status_code"]) == (200, 2001)


async def test_a_record_adds_up_to_the_cent(tmp_path: Path) -> None:
    """10 kWh, a session and 15 minutes; the half hour of grace is a period to which no tariff belongs."""
    async with provider(tmp_path) as tnm:
        signed = SignedReading(at=BEGAN, data="OCMF|{}|{}", encoding="OCMF", public_key="MFkw")
        over = finished().with_signed(signed).with_signed(replace(signed, at=BEGAN + HOUR, data="T0NNRg=="))
        await keep(tnm, over, replace(finished(transaction="lost"), last=None))
        (found,) = TypeAdapter(list[ocpi.Cdr]).validate_python(await tnm.get("2.2.1/cdrs"))
        assert (found.total_cost.excl_vat, found.total_cost.incl_vat) == (5.25, 6.35)
        parts = [found.total_energy_cost, found.total_fixed_cost, found.total_parking_cost]
        assert [part and part.excl_vat for part in parts] == [4.0, 0.5, 0.75]
        assert [part and part.incl_vat for part in parts] == [4.84, 0.605, 0.9075]
        assert (found.total_energy, found.total_time, found.total_parking_time) == (10.0, 2.0, 0.75)
        periods = [
            (
                period.start_date_time[11:16],
                period.tariff_id,
                {each.type: each.volume for each in period.dimensions},
            )
            for period in found.charging_periods
        ]
        assert periods == [
            ("08:00", "posted-2024", {"ENERGY": 10.0, "TIME": 1.25}),
            ("09:15", None, {"PARKING_TIME": 0.5}),
            ("09:45", "posted-2024", {"PARKING_TIME": 0.25}),
        ]
        assert (found.cdr_location.evse_id, found.cdr_location.evse_uid) == ("NL*WIJ*ECP*1", "cp-1")
        assert found.signed_data is not None
        values = [
            (each.nature, each.plain_data, each.signed_data) for each in found.signed_data.signed_values
        ]
        assert values == [("Start", "OCMF|{}|{}", "T0NNRnx7fXx7fQ=="), ("End", "", "T0NNRg==")]


async def test_pages_link_to_the_next_with_their_filters(tmp_path: Path) -> None:
    """Following the links gives each object once; the headers tell how many there are."""
    async with provider(tmp_path) as tnm:
        sessions = [finished(transaction=f"tx-{i}", began=BEGAN + i * HOUR) for i in range(5)]
        await keep(tnm, *sessions[:4])
        await keep(tnm, sessions[4], changed_at=NOW + HOUR)
        url: str | None = f"2.2.1/cdrs?limit=3&date_to={(NOW + HOUR).strftime('%Y-%m-%dT%H:%M:%SZ')}"
        seen: list[str] = []
        pages = 0
        while url is not None:
            answer = await tnm.raw("GET", url)
            assert (answer.headers["X-Total-Count"], answer.headers["X-Limit"]) == ("4", "100")
            seen += [one["id"] for one in answer.json()["data"]]
            url = answer.links.get("next", {}).get("url")
            pages += 1
        assert seen == [session.id for session in sessions[:4]]
        assert pages == 2
        assert len(await tnm.get("2.2.1/cdrs?offset=4")) == 1
        assert await tnm.get("2.2.1/cdrs?date_from=2024-05-15T13:00:00.001") == []
        assert await tnm.get("2.2.1/locations?date_to=2024-01-01T00:00:00Z") == []
        assert await tnm.get("2.2.1/tariffs?offset=2") == []


async def test_who_pulls_without_end_is_told_to_wait(tmp_path: Path) -> None:
    """Each provider by itself."""
    async with provider(tmp_path) as tnm:
        tnm.ocpi.state.limiter = RateLimiter(burst=3, per_s=0.001)
        statuses = [(await tnm.raw("GET", "versions")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await tnm.raw("GET", "versions")
        assert int(answer.headers["Retry-After"]) >= 1
        ocpi.Envelope.model_validate(answer.json())
        other = await tnm.roaming.invite(country_code="DE", party_id="ABC", name="Abc", who="operator")
        assert (await tnm.raw("GET", "versions", token=other)).status_code == 200


async def test_a_parameter_that_cannot_be_read_is_2001(tmp_path: Path) -> None:
    """It has reached OCPI, so HTTP says 200."""
    async with provider(tmp_path) as tnm:
        large = ("offset=99999999999", f"limit={'9' * 5000}")
        for query in ("limit=0", "limit=x", "offset=-1", *large, "date_to=yesterday"):
            answer = await tnm.raw("GET", f"2.2.1/cdrs?{query}")
            assert (query, answer.status_code, answer.json()["status_code"]) == (query, 200, 2001)


async def test_what_we_do_not_offer_is_said_in_the_envelope(tmp_path: Path) -> None:
    """Nothing can be written but the credentials."""
    unknown = [
        ("GET", "2.2.1/tokens", 404),
        ("POST", "2.2.1/cdrs", 405),
        ("PUT", "2.2.1/locations/site", 405),
    ]
    async with provider(tmp_path) as tnm:
        for method, path, status in unknown:
            answer = await tnm.raw(method, path, {})
            assert (path, answer.status_code) == (path, status)
            ocpi.Envelope.model_validate(answer.json())


def test_a_free_site_says_so() -> None:
    """A tariff of nothing has a component all the same."""
    from controller.api.ocpi import objects

    made = as_model(ocpi.Tariff, objects.tariff(OPERATOR, FREE, NOW))
    assert [(each.type, each.price) for each in made.elements[0].price_components] == [("ENERGY", 0.0)]
