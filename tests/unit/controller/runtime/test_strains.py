"""What the power flow finds reaches the operator: in the plan's view, as alarms, and in the counts."""

from __future__ import annotations

import asyncio
import math
from dataclasses import fields
from pathlib import Path

import pytest

from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId
from controller.powerflow.result import CheckedPlan, Finding, FindingKind
from controller.runtime.door import Urgency
from controller.runtime.service import Service
from tests.support.neighbourhood import START
from tests.support.running import running

FEEDER, TRANSFORMER = NodeId("f1"), NodeId("t")
LOW = Finding(kind=FindingKind.LOW_VOLTAGE, node=FEEDER, place="end-1", step=1, value=203.4, bound=207.0)
LOWER = Finding(kind=FindingKind.LOW_VOLTAGE, node=FEEDER, place="end-1", step=2, value=201.0, bound=207.0)
NONE = Finding(kind=FindingKind.NO_SOLUTION, node=TRANSFORMER, place="t", step=3, value=math.inf, bound=0.0)


class Strained:
    """A solver whose plans leave these findings."""

    def __init__(self, *findings: Finding, inside_share: float | None = None) -> None:
        self.findings = findings
        self.inside_share = inside_share
        """Of its cost's scale, how far a bound inside lower limits is under its cost."""

    async def solve(self, inputs: DispatchInputs, deadline_s: float) -> DispatchResult:  # noqa: ARG002  # a port
        """Rules, said to be checked."""
        made = fallback(inputs, "rules")
        own = {item.name: getattr(made, item.name) for item in fields(DispatchResult)}
        if self.inside_share is not None:
            own["inside_bound_eur"] = made.cost_eur - self.inside_share * inputs.cost_scale_eur
        return CheckedPlan(**{**own, "status": "feasible", "reason": ""}, findings=self.findings, rounds=1)


async def test_findings_are_shown_and_told(tmp_path: Path) -> None:
    """Each finding with its place and time in the view; one alarm a node, of its first."""
    async with running(tmp_path) as (controller, trading, _):
        controller.solver = Strained(LOW, LOWER, NONE)
        await controller.make_plan(controller.horizon(START))
        controller.safety_cycle(START)
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        strains = (await service.plan()).strains
        assert strains is not None
        assert [(item.kind, item.place, item.value, item.unit) for item in strains] == [
            ("low_voltage", "end-1", 203.4, "V"),
            ("low_voltage", "end-1", 201.0, "V"),
            ("no_solution", "t", None, ""),
        ]
        assert controller.plan is not None
        assert strains[0].start == controller.plan.horizon.boundaries[1]
        alarms = [item for item in (await service.state()).alarms if item.code == "network_strained"]
        assert {item.subject: (item.urgency, item.value) for item in alarms} == {
            "f1": (Urgency.TODAY, 203.4),
            "t": (Urgency.TODAY, None),
        }
        assert (controller.counters.plans_straining, controller.counters.plans_made_again) == (1, 1)


async def test_a_plan_that_holds_has_no_strains_and_an_unchecked_one_says_so(tmp_path: Path) -> None:
    """Nothing found is not the same as nobody looked."""
    async with running(tmp_path) as (controller, trading, _):
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        await controller.make_plan(controller.horizon(START))
        controller.safety_cycle(START)
        assert (await service.plan()).strains is None
        controller.solver = Strained()
        await controller.make_plan(controller.horizon(START))
        controller.safety_cycle(START)
        assert (await service.plan()).strains == ()
        assert controller.counters.plans_straining == 0
        assert controller.counters.fallbacks == 1


@pytest.mark.parametrize(
    ("inside_share", "status", "gap"),
    [(0.0005, "optimal_inside", 0.0005), (0.02, "feasible", 0.02), (None, "feasible", None)],
)
async def test_the_best_inside_lower_limits_is_told_as_that(
    tmp_path: Path, inside_share: float | None, status: str, gap: float | None
) -> None:
    """A bound of the limits that voltages need proves a plan there; without one the tree's own counts."""
    async with running(tmp_path) as (controller, trading, _):
        controller.solver = Strained(inside_share=inside_share)
        await controller.make_plan(controller.horizon(START))
        controller.safety_cycle(START)
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        view = await service.plan()
        assert view.status == status
        assert view.gap_fraction is not None
        if gap is not None:
            assert view.gap_fraction == pytest.approx(gap, rel=1e-6)
        else:
            assert view.inside_bound_eur is None
