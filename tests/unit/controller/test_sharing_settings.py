"""The settings of sharing, and of what is charged beside energy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.config import MarketSettings, Settings, read_site_file, site_file_text
from controller.domain.errors import InputProblemsError
from controller.domain.ids import Ean
from controller.sharing_settings import MarketMode, PointTerms, SharingSettings, sharing_problems
from market.rates import Rate, RateKind
from tests.support.neighbourhood import site

BEGIN = datetime(2023, 12, 31, 23, tzinfo=UTC)
EANS = {load.ean for load in site().loads}
HOME, SCHOOL = sorted(EANS)
SHARES = (PointTerms(ean=HOME, share_ppm=600_000), PointTerms(ean=SCHOOL, share_ppm=400_000, priority=2))
TAX = Rate(kind=RateKind.ENERGY_TAX, value=108_800, from_utc=BEGIN, source="the law")


def test_a_new_site_shares_after_the_fact() -> None:
    """The auction is a choice."""
    assert Settings().market.mode is MarketMode.SHARING
    assert not Settings().market.is_auction
    assert MarketSettings(mode=MarketMode.AUCTION).is_auction
    assert not MarketSettings(mode=MarketMode.AUCTION, enabled=False).is_auction


def test_rates_come_back_from_the_site_file(tmp_path: Path) -> None:
    """Kinds, instants and sources as they were written."""
    over = replace(TAX, to_utc=BEGIN + timedelta(days=366))
    settings = Settings(
        market=MarketSettings(mode=MarketMode.AUCTION, auction_fee_eur_per_year=12.5),
        sharing=SharingSettings(
            key="static", points=SHARES, rates=(over, replace(TAX, kind=RateKind.VAT, value=210_000))
        ),
    )
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), settings), encoding="utf-8")
    assert read_site_file(path)[1] == settings


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"key": "magic"}, "settings.sharing.key: must be one of pro_rata, "),
        (
            {"shared_price_eur_per_kwh": 101.0},
            "settings.sharing.shared_price_eur_per_kwh: must lie within +-100",
        ),
        (
            {"shared_price_eur_per_kwh": float("nan")},
            "settings.sharing.shared_price_eur_per_kwh: must lie within +-100",
        ),
        ({"key": "static"}, "settings.sharing.points: the key static shares by share_ppm, and no point"),
        (
            {"points": (*SHARES, PointTerms(ean=HOME, share_ppm=1))},
            "settings.sharing.points[2].ean: 8",
        ),
        ({"points": (*SHARES, PointTerms(ean=HOME, share_ppm=1))}, "settings.sharing.points: the shares add"),
        ({"points": (PointTerms(ean=Ean("x")),)}, "settings.sharing.points[0].ean: there is no"),
        ({"points": (replace(SHARES[0], share_ppm=-1),)}, "settings.sharing.points[0].share_ppm: must lie"),
        ({"points": (replace(SHARES[0], priority=0),)}, "settings.sharing.points[0].priority: must lie in"),
        ({"rates": (replace(TAX, value=-1),)}, "settings.sharing.rates[0].value: must lie in"),
        ({"rates": (replace(TAX, source=""),)}, "settings.sharing.rates[0].source: must say"),
        (
            {"rates": (replace(TAX, supplier="x"),)},
            "settings.sharing.rates[0].supplier: there is no",
        ),
        ({"rates": (TAX, TAX)}, "settings.sharing.rates[1].from_utc: another energy_tax rate still holds"),
        (
            {"rates": (replace(TAX, from_utc=BEGIN.replace(tzinfo=None)),)},
            "settings.sharing.rates[0].from_utc: names no time zone",
        ),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], expected: str) -> None:
    """By its place in the site file."""
    found = [str(problem) for problem in sharing_problems(replace(SharingSettings(), **change), EANS)]  # type: ignore[arg-type]
    assert any(text.startswith(expected) for text in found), found


def test_a_wrong_rate_keeps_the_site_file_from_being_read(tmp_path: Path) -> None:
    """With the other problems of the file."""
    settings = Settings(sharing=SharingSettings(rates=(replace(TAX, source=""),)))
    path = tmp_path / "site.toml"
    path.write_text(site_file_text(site(), settings), encoding="utf-8")
    with pytest.raises(InputProblemsError, match=r"rates\[0\]\.source"):
        read_site_file(path)
