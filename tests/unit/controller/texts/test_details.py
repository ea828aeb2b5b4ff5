"""What residents and guests are told when something was wrong is in their language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import controller
import drivers
import market
from controller.domain.errors import Problem
from controller.texts import Language, translator
from controller.texts.details import DETAILS, in_words, problem_in_words

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)
_ROOTS = {
    "controller": next(iter(controller.__path__)),
    "drivers": next(iter(drivers.__path__)),
    "market": next(iter(market.__path__)),
}
_HEARD = (
    "controller/runtime/books.py",
    "controller/runtime/charging_tokens.py",
    "controller/runtime/checks.py",
    "controller/runtime/desk.py",
    "controller/runtime/guests.py",
    "controller/runtime/roaming.py",
    "controller/runtime/service.py",
    "controller/runtime/statements.py",
    "controller/runtime/tokens.py",
    "controller/api/security.py",
    "controller/api/resident/market.py",
    "controller/api/resident/rights.py",
    "controller/api/resident/routes.py",
    "controller/api/chargers/routes.py",
    "controller/api/ocpi/operator.py",
    "drivers/ocpp/desk.py",
    "drivers/ocpp/gate.py",
    "drivers/ocpp/link.py",
    "drivers/ocpp/raising.py",
    "market/orders.py",
)
"""Where the sentences are written that residents, guests and operators of chargers may meet."""
_SPOKEN = {"NotFoundError", "ConflictError", "ForbiddenError", "HTTPException", "Problem", "LinkLostError"}
_NAMES = {"rule", "sentence", "way_out", "detail"}


def _sentence(node: ast.AST) -> str | None:
    """A text as it would be with the figure 7 everywhere; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return None


def _texts(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that a reader would see."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _SPOKEN:
            yield from node.args
            yield from (keyword.value for keyword in node.keywords if keyword.arg in _NAMES)
    if isinstance(node, ast.Assign):
        for target in node.targets:
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            yield from (value for name, value in pairs if getattr(name, "id", "") in _NAMES)


@pytest.mark.parametrize("place", _HEARD)
def test_every_sentence_that_people_meet_has_a_dutch_one(place: str) -> None:
    """Read from the code that raises it: a new one without a translation fails here."""
    package, _, rest = place.partition("/")
    tree = ast.parse((Path(_ROOTS[package]) / rest).read_text(encoding="utf-8"))
    found = {text for node in ast.walk(tree) for part in _texts(node) if (text := _sentence(part))}
    assert found
    assert [text for text in sorted(found) if in_words(text, _NL) == text] == []


def test_the_figures_of_a_sentence_are_kept() -> None:
    """Also where one form is the beginning of another."""
    assert in_words("there is no node 'f1'", _NL) == "er is geen netpunt 'f1'"
    assert in_words("there is no node 'f1' in this network", _NL) == "er is in dit net geen netpunt 'f1'"
    told = in_words("the order can cost 12 nano-euro, the credit left is -3", _NL)
    assert told == "de order kan 12 nano-euro kosten, het resterende krediet is -3"
    assert in_words("must be one of 1000, {2}", _NL) == "moet een van deze zijn: 1000, {2}"


@pytest.mark.parametrize("part", [" has no request ", " (", ": ", " to "])
def test_a_strangers_long_text_takes_no_time(part: str) -> None:
    """It stands in the address of a page that anybody may ask for: the control loop would wait.

    Looked at word by word, against each known sentence, this one would take minutes and hit the time limit.
    """
    sentence = f"a: guests cannot charge at {part * (1_000_000 // len(part))}!"
    assert in_words(sentence, _NL) == sentence
    assert problem_in_words(Problem(place="a", rule=sentence), _NL).rule == sentence


def test_a_problem_keeps_its_place_in_both_its_forms() -> None:
    """As a value, and on one line with its way out."""
    problem = Problem(
        place="interval_start",
        rule="must be the start of a quarter-hour, not 2024-01-15T16:20:00Z",
        way_out="the quarter-hour it lies in starts at 2024-01-15T16:15:00Z",
    )
    dutch = problem_in_words(problem, _NL)
    assert dutch.place == "interval_start"
    assert dutch.rule == "moet het begin van een kwartier zijn, niet 2024-01-15T16:20:00Z"
    assert dutch.way_out.endswith("begint om 2024-01-15T16:15:00Z")
    assert in_words(str(problem), _NL) == str(dutch)


@given(st.one_of(st.text(), st.sampled_from(DETAILS)))
def test_in_english_nothing_changes_and_nothing_ever_fails(sentence: str) -> None:
    """Whatever was written, also by a stranger."""
    assert in_words(sentence, _EN) == sentence
    assert isinstance(in_words(sentence, _NL), str)
