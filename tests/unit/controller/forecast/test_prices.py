"""What is known of prices at a moment, also on the days that are an hour longer or shorter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.domain.time import AMSTERDAM, quarters_of_local_day
from controller.forecast.prices import PriceBook

HOUR = timedelta(hours=1)


def local(*parts: int) -> datetime:
    """An instant on the clock on the wall."""
    return datetime(*parts, tzinfo=AMSTERDAM).astimezone(UTC)  # type: ignore[misc,arg-type]  # year to minute


def book(first: datetime, hours: int) -> PriceBook:
    """Prices that say their local day and hour: 15.18 is the 15th at 18:00."""
    prices = {}
    for i in range(hours):
        at = (first + i * HOUR).astimezone(AMSTERDAM)
        prices[first + i * HOUR] = at.day + at.hour / 100.0
    return PriceBook(prices, fallback_eur_per_kwh=-1.0)


def test_tomorrows_prices_are_out_at_one() -> None:
    """At 12:59 today's price of that hour stands in; at 13:00 the real one is known."""
    prices = book(local(2024, 1, 14), 96)
    tomorrow = local(2024, 1, 16, 18)
    assert prices.known(local(2024, 1, 15, 12, 59), [tomorrow]).tolist() == [15.18]
    assert prices.known(local(2024, 1, 15, 13), [tomorrow]).tolist() == [16.18]


def test_what_lies_beyond_is_the_last_known_of_the_same_hour() -> None:
    """The evening after tomorrow, and a gap in the file."""
    prices = book(local(2024, 1, 14), 72)
    assert prices.known(local(2024, 1, 15, 14), [local(2024, 1, 17, 18)]).tolist() == [16.18]
    # The file ends with the 16th; on the 18th its prices still stand in, and a month later none do.
    assert prices.known(local(2024, 1, 18, 14), [local(2024, 1, 18, 18)]).tolist() == [16.18]
    assert prices.known(local(2024, 2, 18, 14), [local(2024, 2, 18, 18)]).tolist() == [-1.0]


@pytest.mark.parametrize("day", [(2024, 3, 31), (2024, 10, 27)])
def test_the_same_local_hour_stands_in_across_daylight_saving(day: tuple[int, int, int]) -> None:
    """18:00 is 18:00, though a day has 23 or 25 hours (field failure 26)."""
    midnight = local(*day)
    prices = book(midnight - 48 * HOUR, 48)
    noon = local(*day, 9)
    assert prices.known(noon, [local(*day, 18)])[0] == pytest.approx(
        (midnight - HOUR).astimezone(AMSTERDAM).day + 0.18
    )
    starts = quarters_of_local_day(midnight.astimezone(AMSTERDAM).date())
    assert len(prices.known(noon, starts)) == len(starts)
    assert (prices.known(noon, starts) > 0.0).all()


def test_a_price_holds_for_its_hour_and_no_longer() -> None:
    """Quarter-hours inside it have it; negative prices stay negative."""
    at = datetime(2024, 1, 15, 17, tzinfo=UTC)
    prices = PriceBook({at: -0.05})
    assert prices.at(at + HOUR * 0.75) == -0.05
    assert prices.at(at + HOUR) is None
    assert prices.at(at - HOUR) is None
