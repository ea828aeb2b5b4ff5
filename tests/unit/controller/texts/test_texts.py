"""Every text exists in Dutch, and figures read as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import controller
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.time import AMSTERDAM, QUARTER
from controller.texts import (
    Language,
    Translator,
    alarm_advice,
    alarm_title,
    negotiate,
    plan_sentence,
    sentence,
    translator,
)
from controller.texts.alarms import ALARMS
from controller.texts.clocks import next_local
from controller.texts.plan_reasons import PLAN_SENTENCES
from controller.texts.problems import RULES, rule_text, status_title
from controller.texts.reasons import SENTENCES

_ROOT = Path(next(iter(controller.__path__)))
_PO = _ROOT / "texts" / "locale" / "nl" / "LC_MESSAGES" / "wijkstroom.po"
_KEYWORDS: dict[str, tuple[int, ...] | None] = {"say": None, "mark": None, "told": (2,), "frame": (2,)}
_DUTCH, _ENGLISH = translator(Language.DUTCH), translator(Language.ENGLISH)


def _source_strings() -> set[str]:
    """Every source string that the code marks or says."""
    found: set[str] = set()
    for folder in ("texts", "console", "api"):
        for _, _, message, _, _ in extract_from_dir(
            _ROOT / folder, method_map=[("**.py", "python")], keywords=_KEYWORDS
        ):
            found.add(str(message))
    return found


def test_every_source_string_has_a_dutch_text() -> None:
    """No page and no answer falls back to English, and the catalogue holds nothing that is not used."""
    with _PO.open("rb") as stream:
        catalogue = read_po(stream, locale="nl")
    translated = {str(message.id) for message in catalogue if message.id and message.string}
    assert _source_strings() == translated


def test_translations_keep_the_placeholders() -> None:
    """A figure that the source string names is in the Dutch text too, under the same name."""
    with _PO.open("rb") as stream:
        catalogue = read_po(stream, locale="nl")
    for message in catalogue:
        names = re.findall(r"\{(\w+)\}", str(message.id))
        assert sorted(names) == sorted(re.findall(r"\{(\w+)\}", str(message.string))), message.id


def test_every_reason_has_a_sentence_in_both_languages() -> None:
    """Whatever binds a value can be said, in words that differ between the languages."""
    assert set(SENTENCES) == set(ReasonCode)
    for code in ReasonCode:
        reason = Reason(code=code)
        assert sentence(reason, Language.DUTCH) != sentence(reason, Language.ENGLISH)


def test_every_reason_of_a_plan_has_a_sentence_in_both_languages() -> None:
    """With its figures filled in, also where some are not known."""
    assert set(PLAN_SENTENCES) == set(PlanReasonCode)
    for code in PlanReasonCode:
        dutch, english = (plan_sentence(PlanReason(code=code), None, w) for w in (_DUTCH, _ENGLISH))
        assert dutch != english
        assert "{" not in dutch + english
    at = datetime(2024, 1, 15, 23, 0, tzinfo=UTC)
    cheap = PlanReason(
        code=PlanReasonCode.CHEAP, price_eur_per_kwh=0.12, compare_eur_per_kwh=0.3, compare_step=1
    )
    assert plan_sentence(cheap, at, _ENGLISH) == (
        "It charges at 0.120\N{NO-BREAK SPACE}€/kWh; "
        "other hours of its stay cost up to 0.300\N{NO-BREAK SPACE}€/kWh."
    )
    assert "worth 0.300" in plan_sentence(cheap, None, _ENGLISH)


def test_a_reason_says_its_figures_with_their_unit() -> None:
    """Subject, figure and end stand in brackets behind the sentence."""
    reason = Reason(code=ReasonCode.NETWORK_LIMIT, subject="feeder-1", value=1120.5, unit="kW", until="18:00")
    assert (
        sentence(reason, Language.DUTCH)
        == "De kabel, zekering of transformator is vol (feeder-1, 1.120,5\N{NO-BREAK SPACE}kW, tot 18:00)."
    )
    assert "1,120.5\N{NO-BREAK SPACE}kW, until 18:00" in sentence(reason, Language.ENGLISH)


def test_every_alarm_code_has_a_title_and_an_advice() -> None:
    """The codes that the door names, in both languages; another code gets a general text."""
    codes = {
        "node_over_limit",
        "device_silent",
        "plan_late",
        "plan_fallback",
        "network_strained",
        "departure_at_risk",
        "meter_stale",
        "setpoint_refused",
        "unknown_device",
        "clock_off",
        "step_failed",
        "payment_waits",
        "payment_lost",
    }
    assert codes <= set(ALARMS)
    for code in (*ALARMS, "something_new"):
        for text in (alarm_title, alarm_advice):
            assert text(code, Language.DUTCH) != text(code, Language.ENGLISH)


@pytest.mark.parametrize(
    ("chosen", "header", "expected"),
    [
        (None, None, "nl"),
        (None, "de, fr;q=0.8", "nl"),
        (None, "en-GB,en;q=0.9,nl;q=0.8", "en"),
        (None, "nl;q=0.2, en;q=0.9", "en"),
        (None, "en;q=0, nl;q=0.1", "nl"),
        (None, "en;q=nonsense", "nl"),
        ("nl", "en", "nl"),
        ("xx", "en", "en"),
    ],
)
def test_language_is_the_chosen_one_else_the_browsers_else_dutch(
    chosen: str | None, header: str | None, expected: str
) -> None:
    """Quality values count; what we do not speak is passed over."""
    assert negotiate(chosen=chosen, accept_language=header) is Language(expected)


def test_unknown_figures_are_a_dash_and_never_zero() -> None:
    """Unknown is unknown; infinite is infinite; minus zero is zero."""
    assert _DUTCH.power(None) == "–"
    assert _DUTCH.power(float("nan")) == "–"
    assert _DUTCH.percent(None) == "–"
    assert _DUTCH.price(None) == "–"
    assert _DUTCH.number(float("inf")) == "∞"
    assert _DUTCH.number(-0.04, digits=1) == "0,0"


def test_figures_follow_the_language() -> None:
    """Decimal commas and the place of the currency sign, with a unit on every number."""
    assert _DUTCH.power(1234.56) == "1.234,6\N{NO-BREAK SPACE}kW"
    assert _ENGLISH.power(1234.56) == "1,234.6\N{NO-BREAK SPACE}kW"
    assert _DUTCH.price(184_000) == "0,184\N{NO-BREAK SPACE}€/kWh"
    assert _ENGLISH.money(-83_000_001) == "-€0.08"
    assert _DUTCH.energy_wh(450) == "0,45\N{NO-BREAK SPACE}kWh"


def test_people_read_the_time_of_amsterdam() -> None:
    """UTC inside, local time outside, in winter and in summer."""
    assert _DUTCH.clock(datetime(2024, 1, 15, 16, 35, tzinfo=UTC)) == "17:35"
    assert _DUTCH.clock(datetime(2024, 7, 15, 16, 35, tzinfo=UTC)) == "18:35"
    assert _DUTCH.moment(datetime(2024, 1, 15, 16, 35, tzinfo=UTC)) == "ma 15 jan 17:35"
    assert _DUTCH.day(datetime(2024, 1, 15, 23, 35, tzinfo=UTC)) == "dinsdag 16 januari 2024"


@pytest.mark.parametrize(
    ("now", "clock", "expected"),
    [
        # 17:35 local: 18:00 is today, 07:30 tomorrow.
        ((2024, 1, 15, 16, 35), (18, 0), (2024, 1, 15, 17, 0)),
        ((2024, 1, 15, 16, 35), (7, 30), (2024, 1, 16, 6, 30)),
        # Exactly now is past: the next one is tomorrow.
        ((2024, 1, 15, 16, 35), (17, 35), (2024, 1, 16, 16, 35)),
        # 02:30 does not exist on 31 March 2024; an hour later on the clock is 03:30 summer time.
        ((2024, 3, 30, 22, 0), (2, 30), (2024, 3, 31, 0, 30)),
        # 02:30 comes twice on 27 October 2024: first at 00:30 UTC, then at 01:30 UTC.
        ((2024, 10, 26, 22, 0), (2, 30), (2024, 10, 27, 0, 30)),
        ((2024, 10, 27, 0, 45), (2, 30), (2024, 10, 27, 1, 30)),
    ],
)
def test_a_clock_time_is_the_next_such_moment(
    now: tuple[int, int, int, int, int],
    clock: tuple[int, int],
    expected: tuple[int, int, int, int, int],
) -> None:
    """Also over the nights in which the clock is changed."""
    assert next_local(time(*clock), datetime(*now, tzinfo=UTC)) == datetime(*expected, tzinfo=UTC)


def test_rules_and_titles_have_a_general_text_for_what_is_not_listed() -> None:
    """A new kind of error is said in general words instead of failing."""
    assert rule_text("no_such_rule", {}, _DUTCH) == "is niet geldig"
    assert status_title(418, _DUTCH) == "Het verzoek is mislukt"
    assert rule_text("greater_than", {"gt": 0}, _ENGLISH) == "must be greater than 0"
    assert len(RULES) > 20


@pytest.mark.parametrize("words", [_DUTCH, _ENGLISH])
@pytest.mark.parametrize(("year", "month", "day"), [(2026, 10, 25), (2026, 3, 29), (2024, 1, 15)])
def test_no_two_quarter_hours_of_a_day_read_alike(words: Translator, year: int, month: int, day: int) -> None:
    """A day of 100, of 92 and of 96: who orders for the hour that comes twice chooses which."""
    start = datetime(year, month, day, tzinfo=AMSTERDAM).astimezone(UTC)
    end = (datetime(year, month, day, tzinfo=AMSTERDAM) + timedelta(days=1)).astimezone(UTC)
    starts = [start + step * QUARTER for step in range((end - start) // QUARTER)]
    assert len({words.moment(at) for at in starts}) == len(starts)
    assert len({words.clock(at) for at in starts}) == len(starts)
    twice = [words.moment(at) for at in starts if "time" in words.moment(at) or "tijd" in words.moment(at)]
    assert len(twice) == (8 if month == 10 else 0)
