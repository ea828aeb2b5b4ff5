"""Energy that a store took from the grid and gives back to it: it is nobody's own sun.

A store is looked at as one mixed tank. What it is charged with in a quarter-hour in which its point takes
energy from the grid comes from the grid, as far as the point took; the rest is the point's own. What it
gives is of both kinds in the proportion in which they are in it. What it gives to the grid is at most what
the point feeds in. Energy of which the beginning is not known (what was in the store before the first
quarter-hour, or comes out beyond what went in) counts as the grid's: that it was sun is not shown.
"""

from __future__ import annotations

import numpy as np

from controller.domain.units import IntArray
from market.sharing.values import WHOLE_PPM


def grid_charged_wh(
    import_wh: IntArray,
    export_wh: IntArray,
    charged_wh: IntArray,
    discharged_wh: IntArray,
    efficiency_ppm: int,
) -> IntArray:
    """How much of a point's feed-in was charged from the grid before.

    Args:
        import_wh: What the point took from the grid [Wh], shape (T,).
        export_wh: What it fed in [Wh], a magnitude, shape (T,).
        charged_wh: What went into its store [Wh], shape (T,).
        discharged_wh: What came out [Wh], a magnitude, shape (T,).
        efficiency_ppm: How much of what goes in comes out [parts per million], in (0, 1,000,000].

    Returns:
        Energy [Wh], shape (T,), never more than `export_wh`.
    """
    found = np.zeros_like(export_wh)
    # In parts of a watt-hour (millionths), so that nothing is lost by rounding.
    grid = own = 0
    rows = zip(
        import_wh.tolist(), export_wh.tolist(), charged_wh.tolist(), discharged_wh.tolist(), strict=True
    )
    for quarter, (taken, fed, charged, discharged) in enumerate(rows):
        if discharged:
            wanted = discharged * WHOLE_PPM
            from_own = min(own, own * wanted // (grid + own)) if grid + own else 0
            # The own part of what leaves the point, rounded down: the rest has not been shown to be sun.
            outside = min(fed, discharged)
            found[quarter] = outside - outside * from_own // wanted
            own -= from_own
            grid = max(grid - (wanted - from_own), 0)
        if charged:
            from_grid = min(charged, taken)
            grid += from_grid * efficiency_ppm
            own += (charged - from_grid) * efficiency_ppm
    return found
