"""The settings of charging for money: who operates the sockets, where they are, and what is posted at them.

They are what other parties see of the site in OCPI. A price or a rate of VAT has no default: it comes from
the site file, with the moment from which it holds and where it was decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from controller.domain.charge_tariff import ChargeTariff, tariff_problems
from controller.domain.errors import Problem

_COUNTRY = re.compile(r"[A-Z]{2}")
_COUNTRY_LONG = re.compile(r"[A-Z]{3}")
_PARTY = re.compile(r"[A-Z0-9]{3}")
_LENGTHS = {"operator_name": 100, "address": 45, "city": 45, "postal_code": 10, "public_url": 150}
"""OCPI's limits [characters]; an address of ours has at most a hundred more behind `public_url`."""
_TEXT_MAX = 400
"""OCPI shows at most 512 characters of a tariff; the prices stand before the site's own text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingSettings:
    """Who operates the sockets, and what charging costs."""

    country_code: str = "NL"
    """Of the operator, ISO 3166-1 alpha-2."""
    party_id: str = ""
    """The operator's three characters, given out by the national registry; empty: no OCPI."""
    operator_name: str = ""
    address: str = ""
    """Street and number."""
    city: str = ""
    postal_code: str = ""
    country: str = "NLD"
    """Where the sockets are, ISO 3166-1 alpha-3."""
    public_url: str = ""
    """Under which other parties reach us (`https://wijk.example`); empty: as they asked."""
    keep_days: int = 730
    """How long a session is kept after its end [days]."""
    tariffs: tuple[ChargeTariff, ...] = ()
    """What is posted, each from its moment to the next one's; empty: nothing is charged, nothing recorded."""

    @property
    def roams(self) -> bool:
        """Whether other parties may read sessions and tariffs."""
        return bool(self.party_id)


def charging_problems(charging: ChargingSettings) -> Iterator[Problem]:
    """What is wrong between settings that are well-formed."""
    place = "settings.charging"
    if charging.keep_days < 1:
        yield Problem(place=f"{place}.keep_days", rule=f"must be at least 1, is {charging.keep_days}")
    for problem in tariff_problems(charging.tariffs):
        yield Problem(place=f"{place}.{problem.place}", rule=problem.rule, way_out=problem.way_out)
    for i, tariff in enumerate(charging.tariffs):
        for name in ("text_nl", "text_en"):
            if len(getattr(tariff, name)) > _TEXT_MAX:
                yield Problem(
                    place=f"{place}.tariffs[{i}].{name}", rule=f"must have at most {_TEXT_MAX} characters"
                )
    if charging.roams:
        yield from _roaming_problems(charging, place)


def _roaming_problems(charging: ChargingSettings, place: str) -> Iterator[Problem]:
    """What other parties could not read."""
    for name, form, rule in (
        ("country_code", _COUNTRY, "must be two capitals"),
        ("party_id", _PARTY, "must be three capitals or digits"),
        ("country", _COUNTRY_LONG, "must be three capitals"),
    ):
        value = getattr(charging, name)
        if not form.fullmatch(value):
            yield Problem(place=f"{place}.{name}", rule=f"{rule}, is {value!r}")
    for name in ("operator_name", "address", "city"):
        if not getattr(charging, name).strip():
            yield Problem(place=f"{place}.{name}", rule="is needed where party_id is given")
    for name, most in _LENGTHS.items():
        if len(getattr(charging, name)) > most:
            yield Problem(place=f"{place}.{name}", rule=f"must have at most {most} characters")
    if charging.public_url and urlsplit(charging.public_url).scheme not in {"http", "https"}:
        yield Problem(
            place=f"{place}.public_url", rule="must begin with https:// (or http:// on a test bench)"
        )
