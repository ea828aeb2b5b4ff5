"""What the allocation points of a site counted."""

from __future__ import annotations

import numpy as np

from controller.runtime.metering import DayMeters, site_points
from tests.support.neighbourhood import site


def test_a_member_is_metered_where_all_of_its_points_are() -> None:
    """The home's member has the roof too: where the roof is silent, the home waits with it, others do not."""
    points = site_points(site())
    place = {str(point.asset): i for i, point in enumerate(points)}
    assert points[place["home"]].member == points[place["roof"]].member != points[place["school"]].member
    metered = np.ones((2, len(points)), dtype=np.bool_)
    metered[1, place["roof"]] = False
    nothing = np.zeros((2, len(points)), dtype=np.int64)
    meters = DayMeters(
        offtake_wh=nothing, feed_in_wh=nothing, estimated=~metered, known=metered, metered=metered
    )
    whole = meters.metered_whole(points)
    assert whole[0].all()
    assert [bool(whole[1, place[name]]) for name in ("home", "roof", "school")] == [False, False, True]
    assert metered[1, place["home"]], "what was read stays as it was"
