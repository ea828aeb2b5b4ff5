"""The exceptions that cross a layer, and problems of input as values.

Wrong input is reported whole: a reader collects every `Problem` and raises one `InputProblemsError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in somebody's input."""

    place: str
    """Where, as a path into the input: `vehicles[3].stays[0].to_step`."""
    rule: str
    """The rule that is broken, as a sentence without a full stop."""
    way_out: str = ""
    """What the person can do about it; empty where the rule says it."""

    def __str__(self) -> str:
        """The problem on one line."""
        tail = f" ({self.way_out})" if self.way_out else ""
        return f"{self.place}: {self.rule}{tail}"


class WijkstroomError(Exception):
    """The root of every error that a caller may want to catch."""


class InputProblemsError(WijkstroomError):
    """A file or a request has problems; all of them are listed."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        """The file or the request."""
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{source}: {len(self.problems)} problem(s)", *map(str, self.problems)]))


class NotFoundError(WijkstroomError):
    """The named thing does not exist, or is not the caller's to see."""


class ConflictError(WijkstroomError):
    """The request does not fit the state of things; the text says which and what to do."""


class ForbiddenError(WijkstroomError):
    """The caller is known and may not do this."""


class StartUpError(WijkstroomError):
    """Something outside keeps the program from starting (a port, a file, a database); one clear line."""
