"""The token book: who may charge, and that a charger which takes our lists holds what the book says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.domain.charging_tokens import (
    ChargingToken,
    TokenBook,
    TokenKind,
    handle_of,
    masked,
    normal,
    token_problem,
)
from controller.domain.ids import AssetId, MemberId
from sim.chargers.local import LocalAuthorisation
from tests.support.neighbourhood import START, vehicle

CP = AssetId("cp-1")


def _card(token: str, *, version: int, blocked: bool = False, car: str | None = None) -> ChargingToken:
    return ChargingToken(
        token=normal(token),
        handle=handle_of(token),
        member=MemberId("m-home"),
        kind=TokenKind.CARD,
        label="",
        vehicle=None if car is None else AssetId(car),
        created_at=START,
        blocked_at=START + timedelta(minutes=1) if blocked else None,
        list_version=version,
    )


def _said(book: TokenBook, point: str) -> dict[str, bool]:
    return {token: entry.accepted for token, entry in book.whole_list(AssetId(point)).items()}


def test_a_card_stands_for_its_car_and_case_does_not_matter() -> None:
    """Whichever of the two starts the transaction, the car's own wishes and plan hold."""
    book = TokenBook(
        vehicles=[vehicle(1)], registered=[_card("04ab12", version=1, car="car-1"), _card("04cc", version=2)]
    )
    assert book.stands_for("04AB12") == book.stands_for("04ab12") == "token-1"
    assert book.stands_for("TOKEN-1") == "token-1"
    assert book.stands_for("04cc") == "04cc"
    assert book.accepts("04aB12")
    assert book.accepts("Token-1")
    assert not book.accepts("04AB13")


def test_a_cars_own_token_can_be_blocked() -> None:
    """A stolen car's identification no longer charges, and its place's list says so."""
    blocked = replace(_card("token-1", version=3, blocked=True), token="token-1", kind=TokenKind.CAR)  # noqa: S106
    book = TokenBook(vehicles=[vehicle(1), vehicle(2)], registered=[blocked])
    assert not book.accepts("token-1")
    assert book.accepts("token-2")
    assert _said(book, "cp-1") == {"token-1": False}
    assert _said(book, "cp-2") == {"token-2": True, "token-1": False}


def test_guests_may_charge_and_stand_in_no_list() -> None:
    """A guest's token is good for one session; no charger needs to remember it."""
    book = TokenBook(vehicles=[], guests=["G123"], version=4)
    assert book.accepts("g123")
    assert book.whole_list(CP) == {}


@given(st.text(max_size=30))
def test_a_form_is_either_taken_or_told(text: str) -> None:
    """What is taken fits the shortest field that any version has."""
    problem = token_problem(text)
    if not problem:
        assert 4 <= len(normal(text)) <= 20
        assert normal(text).isascii()


@given(st.text(min_size=1, max_size=30))
def test_a_masked_token_shows_four_characters_at_most(token: str) -> None:
    """It must not be possible to copy a card from what is shown."""
    assert len(masked(token)) <= 5
    assert len(token) <= 4 or token not in masked(token)


_steps = st.lists(
    st.tuples(st.sampled_from(["A111", "B222", "C333", "D444"]), st.booleans(), st.booleans()), max_size=12
)


@given(_steps)
def test_a_charger_that_takes_every_list_holds_what_the_book_says(
    steps: list[tuple[str, bool, bool]],
) -> None:
    """Whole or by changes, at once or after some were missed: the same list."""
    charger = LocalAuthorisation()
    registered: dict[str, ChargingToken] = {}
    book = TokenBook(vehicles=[vehicle(1)])
    for number, (token, blocked, heard) in enumerate(steps, start=1):
        registered[token] = _card(token, version=number, blocked=blocked)
        book = TokenBook(vehicles=[vehicle(1)], registered=[*registered.values()], version=number, oldest=1)
        if not heard:
            continue
        changes = book.changes_since(charger.version)
        entries = book.whole_list(CP) if changes is None else changes
        said = {key: "Accepted" if entry.accepted else "Blocked" for key, entry in entries.items()}
        assert charger.take_list(number, said, full=changes is None) == "Accepted"
        for key, entry in book.whole_list(CP).items():
            assert charger.may_charge(key, online=False) == entry.accepted == book.accepts(key)
