"""The one typed door to numba: inner loops that are compiled once and kept on disk.

numba publishes no types, so its decorator would erase those of the loops; the wrapper gives them back.
The loops keep the order of their sums, so two runs give the same bits; they let go of Python's lock, so two
of them may run beside each other (`team`). Of the fast-math licences only the contraction to fused
multiply-adds is taken: infinite bounds must stay infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba


def compiled[F: Callable[..., Any]](function: F) -> F:
    """The function compiled to machine code at its first call, cached beside its source."""
    return cast("F", numba.njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")(function))
