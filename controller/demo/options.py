"""What `wijkstroom demo` was asked to do, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from controller.domain.errors import InputProblemsError, Problem, StartUpError
from controller.domain.time import AMSTERDAM

DEFAULT_START = date(2024, 1, 15)
"""A Monday in January."""
OPEN_END_DAYS = 30
"""A demo without an end has prices and weather for so long."""
AFTER = timedelta(days=2)
"""What lies beyond the last quarter-hour must be known for the plan's horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The command line's options."""

    scenario: str
    speed: float
    direct: bool
    seed: int
    start: str | None
    prices: Path | None
    weather: Path | None
    quarters: int | None
    summary: Path | None
    port: int
    data: Path | None
    ready: Path | None

    def start_utc(self) -> datetime:
        """The first instant: midnight in Amsterdam of the day, or the local instant, as asked.

        Raises:
            InputProblemsError: If it is neither.
        """
        text = self.start
        if text is None:
            local = datetime.combine(DEFAULT_START, datetime.min.time())
        else:
            try:
                local = datetime.fromisoformat(text)
            except ValueError as error:
                problem = Problem(place="--start", rule=f"is no date: {error}", way_out="write 2024-01-15")
                raise InputProblemsError("command line", [problem]) from error
        if local.minute % 15 or local.second or local.microsecond:
            rule = "must be the start of a quarter-hour"
            raise InputProblemsError("command line", [Problem(place="--start", rule=rule)])
        aware = local if local.tzinfo is not None else local.replace(tzinfo=AMSTERDAM)
        return aware.astimezone(UTC)

    def end_utc(self) -> datetime:
        """The last instant that is simulated."""
        if self.quarters is None:
            return self.start_utc() + timedelta(days=OPEN_END_DAYS)
        return self.start_utc() + self.quarters * timedelta(minutes=15)


DATABASE = "wijkstroom.sqlite3"


def new_database(folder: Path) -> Path:
    """The database of a demo: always a new one, because its simulated neighbourhood is new too.

    Raises:
        StartUpError: If the folder holds one already, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartUpError(f"--data {folder}: {error.strerror}") from error
    database = folder / DATABASE
    if database.exists():
        raise StartUpError(f"{folder} holds the data of an earlier demo: name another folder with --data")
    return database
