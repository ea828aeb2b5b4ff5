"""Where heavy pure work runs: on a thread or process of its own, or here and now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

type Offload = Callable[..., Awaitable[Any]]
"""Runs heavy pure work (a callable and its arguments) where it holds nobody up, and gives its result."""


async def run_inline(work: Callable[..., Any], *args: Any) -> Any:
    """Runs the work here and now: direct mode and tests."""
    return work(*args)
