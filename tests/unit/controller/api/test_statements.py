"""Statements for programs, tables and people."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from controller.api.resident.statement_pages import statement_html
from controller.domain.ids import MemberId
from controller.texts import Language, translator
from market.statements import Line, LineKind
from tests.support.fake_statements import JANUARY, FakeStatements, fake_statement
from tests.support.web import Api, bearer, make_api

PATH = "/api/resident/statements/2024-01"


async def page(api: Api, path: str, language: str = "en") -> str:
    """A document as text."""
    answer = await api.call("GET", path, "resident-token", language=language)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_statement_for_programs_is_exact_and_rounded() -> None:
    """Nano-euro for who checks, cents for who pays; the lines in cents add up to the total."""
    found = (await make_api().call("GET", PATH, "resident-token")).json()
    assert found["total_nanoeur"] == sum(line["amount_nanoeur"] for line in found["lines"])
    assert found["total_cents"] == sum(line["cents"] for line in found["lines"]) == 356
    assert (found["without_cents"], found["days"], found["estimated_quarters"]) == (400, 2, 3)
    assert found["lines"][0] == {
        "kind": "shared_buy",
        "title": "Energy of neighbours",
        "energy_wh": 4000,
        "price_microeur_per_kwh": 150_000,
        "amount_nanoeur": 600_000_000,
        "cents": 60,
    }
    assert found["rates"][0]["source"] == "the law <of the year>"
    assert "no legal advice" in found["note"]


async def test_the_table_has_every_line_and_the_totals() -> None:
    """It opens in any program for tables, and is saved under the month's name."""
    api = make_api()
    answer = await api.call("GET", f"{PATH}?format=csv", "resident-token")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="wijkstroom-2024-01.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["line"] for row in rows] == [
        *(line.kind.value for line in fake_statement().lines),
        "total",
        "without",
    ]
    assert [row["amount_eur_rounded"] for row in rows] == [
        "0.60",
        "1.80",
        "-0.05",
        "1.00",
        "0.21",
        "3.56",
        "4.00",
    ]


async def test_the_page_keeps_energy_and_taxes_apart_and_compares() -> None:
    """With the sources of the tariffs, and what it is not."""
    text = await page(make_api(), f"{PATH}?format=html")
    energy, taxes = text.index("<h2>Energy</h2>"), text.index("<h2>Taxes, tariffs and fees</h2>")
    assert energy < text.index("Energy of neighbours") < taxes < text.index("VAT")
    for part in (
        "Statement of January 2024",
        "€3.56",
        "€4.00",
        "€0.44 better off",
        "no legal advice",
        "estimated",
    ):
        assert part in text


async def test_who_traded_reads_what_sharing_would_have_cost() -> None:
    """Beside what it would have been with neither; who shared anyway does not."""
    view = await FakeStatements().statement(member=MemberId("home-7"), first=JANUARY[0], last=JANUARY[1])
    words = translator(Language.ENGLISH)
    sentence = "By sharing after the fact instead of the auction: €3.60."
    assert sentence not in statement_html(view, words)
    bought = Line(kind=LineKind.BOUGHT, energy_wh=1000, amount_nanoeur=10**8, cents=10)
    traded = replace(view.statement, lines=(*view.statement.lines, bought))
    assert sentence in statement_html(replace(view, statement=traded), words)


async def test_the_page_speaks_dutch() -> None:
    """Also its figures."""
    text = await page(make_api(), f"{PATH}?format=html", language="nl")
    assert '<html lang="nl">' in text
    # Without it a phone shows the page as small as on a desk.
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    for part in ("Overzicht van januari 2024", "Energie van buren", "3,56", "geen juridisch advies"):
        assert part in text


async def test_names_and_sources_cannot_bring_markup() -> None:
    """Whatever a site file calls its members; and nothing is loaded from elsewhere."""
    api = make_api()
    answer = await api.client.get(f"{PATH}?format=html", headers=bearer("resident-token"))
    assert "Home &lt;7&gt;" in answer.text
    assert "the law &lt;of the year&gt;" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_statement_is_the_callers_own() -> None:
    """The member is the token's; there is no other way to name one."""
    found = (await make_api().call("GET", PATH, "neighbour-token")).json()
    assert found["member"] == MemberId("home-8")


async def test_taxes_of_a_year() -> None:
    """By month and in total; what was earned is positive."""
    api = make_api()
    found = (await api.call("GET", "/api/resident/taxes/2024", "resident-token")).json()
    assert [month["first"] for month in found["months"]] == ["2024-01-01"]
    assert found["total"] == {
        "energy_tax_nanoeur": 1_004_999_999,
        "vat_nanoeur": 210_000_001,
        "network_nanoeur": 0,
        "feed_in_fee_nanoeur": 0,
        "sold_to_supplier_nanoeur": 50_000_000,
        "sold_to_neighbours_nanoeur": 0,
    }
    table = (await page(api, "/api/resident/taxes/2024?format=csv")).splitlines()
    assert table[1].startswith("2024-01,1004999999,210000001,")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/resident/statements/2024-02", 404),
        ("/api/resident/statements/2024-13", 422),
        ("/api/resident/statements/24-1", 422),
        ("/api/resident/statements/2024-01?format=pdf", 422),
        ("/api/resident/taxes/2023", 404),
        ("/api/resident/taxes/soon", 422),
    ],
)
async def test_what_cannot_be_answered(path: str, status: int) -> None:
    """Not closed yet, no such month, no such format."""
    answer = await make_api().call("GET", path, "resident-token")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
