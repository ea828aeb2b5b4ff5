"""Keys that ask what was agreed on of single points, in a running controller."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.config import Settings
from controller.domain.ids import AssetId
from controller.runtime.closing import DAY_WAIT
from controller.sharing_settings import PointTerms, SharingChange, SharingSettings
from tests.support.metered_days import DAY, END, day_registers, keep, running
from tests.support.neighbourhood import site

EAN_OF = {load.id: load.ean for load in site().loads}
HOME, SCHOOL = EAN_OF[AssetId("home")], EAN_OF[AssetId("school")]
STATIC = SharingSettings(
    key="static",
    points=(PointTerms(ean=HOME, share_ppm=250_000), PointTerms(ean=SCHOOL, share_ppm=500_000)),
)
PRIORITY = SharingSettings(key="priority", points=(PointTerms(ean=HOME, priority=2),))


@pytest.mark.parametrize(
    ("sharing", "home_wh", "school_wh"),
    [
        # Of 400 Wh the home is due a quarter and the school a half; the last quarter goes to the supplier.
        pytest.param(STATIC, 100, 200, id="static"),
        # The school is of the first class and takes its 300; the home has what is left.
        pytest.param(PRIORITY, 100, 300, id="priority"),
        pytest.param(SharingSettings(key="priority"), 160, 240, id="one-class-by-offtake"),
    ],
)
async def test_a_day_is_shared_by_what_was_agreed(
    tmp_path: Path, sharing: SharingSettings, home_wh: int, school_wh: int
) -> None:
    """The roof feeds in 400 Wh; the home takes 200 and the school 300."""
    async with running(tmp_path, Settings(sharing=sharing)) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0), school=(300, 0), roof=(0, 400)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        async with controller.store.unit() as unit:
            got = {point.ean: point.received_wh for point in await unit.closed_days(DAY, DAY)}
    assert (got[HOME], got[SCHOOL]) == (96 * home_wh, 96 * school_wh)


async def test_shares_hold_from_the_day_on_that_they_are_agreed_for(tmp_path: Path) -> None:
    """From the second day on by fixed shares, before by offtake: both are closed with the same site file."""
    change = SharingChange(from_day=DAY + timedelta(days=1), key="static", points=STATIC.points)
    settings = Settings(sharing=SharingSettings(key="pro_rata", changes=(change,)))
    async with running(tmp_path, settings) as (controller, trading, clock):
        await keep(controller, day_registers(days=2, home=(200, 0), school=(300, 0), roof=(0, 400)))
        clock.advance_to(END + timedelta(days=1) + DAY_WAIT)
        await trading.closing.close_due()
        async with controller.store.unit() as unit:
            found = await unit.closed_days(DAY, DAY + timedelta(days=1))
    assert [point.received_wh for point in found if point.ean == HOME] == [96 * 160, 96 * 100]
