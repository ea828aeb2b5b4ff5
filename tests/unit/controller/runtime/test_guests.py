"""What readings make of guests' sessions, where a charger tells less than one would like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.domain.errors import NotFoundError
from controller.domain.guests import START_WITHIN, Stage, StopAsked, Why
from controller.domain.ids import AssetId, MemberId
from controller.domain.telemetry import (
    ConnectorReading,
    RegisterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.runtime.guest_sessions import LAST_WORD, UNNAMED_MAX
from tests.support.guest_desk import MINUTE, POINT, guest_desk
from tests.support.neighbourhood import START


async def test_a_charger_is_asked_to_start_once(tmp_path: Path) -> None:
    """Asked again it would refuse, because it charges already."""
    async with guest_desk(tmp_path) as desk:
        await desk.forward()
        assert desk.chargers.asked == [f"start {POINT}"]


async def test_a_transaction_without_a_name_is_the_guests_who_is_waited_for(tmp_path: Path) -> None:
    """After a restart OCPP 1.6 tells the number alone; another person's is not the guest's."""
    async with guest_desk(tmp_path) as desk:
        desk.connector("9", token="SOMEBODY-ELSE")  # noqa: S106  # no secret
        assert desk.session().stage is Stage.STARTING
        desk.connector("10")
        assert desk.session().stage is Stage.CHARGING
        assert desk.session().transaction == "10"


async def test_a_start_without_a_register_counts_from_the_newest_before_it(tmp_path: Path) -> None:
    """Nothing flows between two transactions."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(5000)
        desk.clock.advance_to(START + MINUTE)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(9000)
        charge = desk.session().charge
        assert charge is not None
        assert charge.energy_wh == 4000


async def test_a_charger_that_does_not_name_the_transaction_has_ended_it_after_a_while(
    tmp_path: Path,
) -> None:
    """It restarted and forgot; what it had charged until then is paid."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector(None)
        await desk.forward()
        assert desk.session().stage is Stage.CHARGING
        desk.clock.advance_to(desk.clock.now() + UNNAMED_MAX)
        key = desk.session().id
        await desk.forward()
        assert key not in desk.guests._open
        async with desk.guests.controller.store.unit() as unit:
            balances = await unit.balances()
        assert balances["payments"] == 303 * 10_000_000


async def test_an_end_that_is_told_late_carries_its_own_registers(tmp_path: Path) -> None:
    """The charger was off line when the car left: the meter of then counts, not of now."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(0)
        token = desk.session().token
        desk.connector("10", token=token)
        desk.clock.advance_to(START + 60 * MINUTE)
        end = START + 30 * MINUTE
        desk.guests._provider.silent = True  # type: ignore[attr-defined]  # the fake one
        desk.guests.hear(
            TransactionReading(
                charge_point=POINT,
                at=end,
                transaction="10",
                phase=TransactionPhase.ENDED,
                token=token,
                registers=(RegisterReading(at=end, import_wh=3000),),
            )
        )
        await desk.forward()
        ended = desk.session()
        assert ended.stage is Stage.CAPTURING
        assert ended.charge is not None
        assert (ended.charge.energy_wh, ended.charge.ended_at) == (3000, end)


async def test_a_car_idles_from_when_it_asks_for_nothing_and_only_while_it_may_charge(
    tmp_path: Path,
) -> None:
    """Also where the charger tells no register with it; some say it of a car that we paused ourselves."""
    async with guest_desk(tmp_path) as desk:
        desk.connector("10", token=desk.session().token)
        desk.lets(0.0)
        desk.asks(asks=False)
        desk.clock.advance_to(START + 10 * MINUTE)
        assert desk.idle() == 0 * MINUTE
        desk.lets(11.0)
        desk.asks(asks=False)
        desk.clock.advance_to(START + 30 * MINUTE)
        assert desk.idle() == 20 * MINUTE
        desk.asks(asks=True)
        assert desk.idle() == 0 * MINUTE


async def test_a_bug_in_one_session_holds_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, told and tried again later."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector("11")
        monkeypatch.setattr(desk.guests._provider, "capture", None)
        await desk.forward()
        assert desk.session().stage is Stage.CAPTURING
        assert desk.guests.controller.counters.failures["guests"] >= 1
        assert desk.guests._steps[desk.session().id].not_before_s > 0.0


async def test_a_car_that_leaves_ends_the_session(tmp_path: Path) -> None:
    """Unplugged, and the charger says no more; or somebody else's transaction: the guest is gone."""
    async with guest_desk(tmp_path) as desk:
        desk.connector("10", token=desk.session().token)
        desk.connector(None, plugged=False)
        key = desk.session().id
        desk.guests._look(key, desk.guests._steps[key])
        assert desk.session().stage is Stage.CHARGING
        desk.clock.advance_to(START + LAST_WORD)
        desk.guests._look(key, desk.guests._steps[key])
        # Without a meter nobody can say what was charged: nothing is paid.
        assert desk.session().stage is Stage.RELEASING


async def test_a_socket_that_is_told_free_before_the_end_keeps_its_last_register(tmp_path: Path) -> None:
    """The two messages come in either order; what was charged since the last sample is paid."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        end = START + 31 * MINUTE
        desk.clock.advance_to(end)
        desk.connector(None, plugged=False)
        await desk.forward()
        desk.guests._provider.silent = True  # type: ignore[attr-defined]  # the fake one
        desk.guests.hear(
            TransactionReading(
                charge_point=POINT,
                at=end,
                transaction="10",
                phase=TransactionPhase.ENDED,
                registers=(RegisterReading(at=end, import_wh=5180),),
            )
        )
        charge = desk.session().charge
        assert charge is not None
        assert (desk.session().stage, charge.energy_wh, charge.ended_at) == (Stage.CAPTURING, 5180, end)


async def test_who_came_first_while_the_guest_paid_keeps_the_socket(tmp_path: Path) -> None:
    """Also where the charger does not name them, after a restart: the guest must not pay for their car."""
    async with guest_desk(tmp_path) as desk:
        desk.guests._apply(desk.session().id, StopAsked())
        await desk.forward()
        assert not desk.guests._open
        await desk.guests.open(POINT, 2500, page_url="http://x/{secret}")
        controller, key = desk.guests.controller, desk.session().id
        nameless = ConnectorReading(charge_point=POINT, at=desk.clock.now(), plugged=True, transaction="7")
        controller.receive(nameless)
        controller.hear()
        await desk.guests._advance(key)
        desk.guests.hear(nameless)
        assert (desk.session().stage, desk.session().why) == (Stage.RELEASING, Why.REFUSED)
        assert desk.chargers.asked == [f"start {POINT}"]


async def test_what_is_due_at_a_socket_that_the_site_file_has_lost_is_the_cooperatives(
    tmp_path: Path,
) -> None:
    """Nobody else's session waits for it."""
    async with guest_desk(tmp_path) as desk:
        desk.meter(0)
        desk.connector("10", token=desk.session().token)
        desk.clock.advance_to(START + 30 * MINUTE)
        desk.meter(5000)
        desk.connector("11")
        controller = desk.guests.controller
        left = tuple(point for point in controller.site.charge_points if point.id != POINT)
        controller.site = replace(controller.site, charge_points=left)
        await desk.forward()
        assert not desk.guests._open
        async with controller.store.unit() as unit:
            balances = await unit.balances()
        assert -balances["community"] - balances["tax"] == 3_030_000_000


async def test_a_households_own_socket_is_not_shown_to_strangers(tmp_path: Path) -> None:
    """Whether a car stands there tells who is at home, and nobody signs in for a guest's page."""
    async with guest_desk(tmp_path) as desk:
        controller, other = desk.guests.controller, AssetId("cp-2")
        assert (await desk.guests.point(other)).point.id == other
        points = tuple(
            replace(point, member=MemberId("m-home")) if point.id == other else point
            for point in controller.site.charge_points
        )
        controller.site = replace(controller.site, charge_points=points)
        with pytest.raises(NotFoundError):
            await desk.guests.point(other)
        with pytest.raises(NotFoundError):
            await desk.guests.open(other, 2500, page_url="http://x/{secret}")


async def test_a_start_of_which_nothing_comes_is_asked_for_once_more_each_minute(tmp_path: Path) -> None:
    """A charger forgets a start without a car; what it says to the second one ends nothing."""
    async with guest_desk(tmp_path) as desk:
        desk.chargers.answer = "Rejected"
        desk.clock.advance_to(START + MINUTE)
        await desk.forward()
        assert desk.chargers.asked == [f"start {POINT}"] * 2
        assert desk.session().stage is Stage.STARTING
        desk.guests.controller.receive(
            ConnectorReading(charge_point=POINT, at=START, plugged=True, transaction="7")
        )
        desk.guests.controller.hear()
        desk.clock.advance_to(START + 3 * MINUTE)
        await desk.forward()
        assert len(desk.chargers.asked) == 2, "somebody charges there: who it is will be told"
        desk.clock.advance_to(START + START_WITHIN)
        await desk.forward()
        assert not desk.guests._open
        assert len(desk.chargers.asked) == 2


async def test_who_stops_while_a_start_is_kept_has_no_charger_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may be busy for seconds: a charger that is asked then would charge what nobody pays."""
    async with guest_desk(tmp_path) as desk:
        key, save = desk.session().id, desk.guests._save

        async def slow(key: str) -> None:
            await save(key)
            desk.guests._apply(key, StopAsked())

        monkeypatch.setattr(desk.guests, "_save", slow)
        desk.clock.advance_to(START + MINUTE)
        await desk.guests._advance(key)
        assert desk.session().stage is Stage.RELEASING
        assert desk.chargers.asked == [f"start {POINT}"], "the first one alone"
