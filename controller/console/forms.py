"""What the pages' forms share: reading local times, and saying in words how a request went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time

from nicegui import ui

from controller.domain.errors import ConflictError, ForbiddenError, InputProblemsError, NotFoundError
from controller.domain.time import QUARTER, quarter_start
from controller.runtime.desk import OrderRefusedError
from controller.texts import Translator
from controller.texts.details import in_words, problem_in_words


def clock_of(value: str | None) -> time | None:
    """The time of day in a field; None where it is empty or none."""
    try:
        return time.fromisoformat(value or "")
    except ValueError:
        return None


def quarter_choices(now: datetime, words: Translator, count: int = 24) -> dict[str, str]:
    """The coming quarter-hours to choose from: ISO text to what people read.

    Args:
        now: The present moment.
        words: The language.
        count: How many; the first one starts after the next, whose gate may be closing.
    """
    first = quarter_start(now.astimezone(UTC)) + 2 * QUARTER
    starts = [first + step * QUARTER for step in range(count)]
    return {start.isoformat(): words.moment(start) for start in starts}


@asynccontextmanager
async def told(words: Translator, done: str) -> AsyncIterator[None]:
    """Says how it went: `done` where it worked, else what was wrong.

    Args:
        words: The language.
        done: Source string for when it worked.
    """
    try:
        yield
    except InputProblemsError as error:
        told_problems = (str(problem_in_words(problem, words)) for problem in error.problems)
        ui.notify("; ".join(told_problems), type="negative", multi_line=True)
    except OrderRefusedError as error:
        sentences = (in_words(refusal.sentence, words) for refusal in error.refusals)
        ui.notify("; ".join(sentences), type="negative", multi_line=True)
    except (NotFoundError, ConflictError, ForbiddenError) as error:
        ui.notify(in_words(str(error), words), type="negative", multi_line=True)
    else:
        ui.notify(words.say(done), type="positive")
