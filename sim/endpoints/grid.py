"""A simulated grid operator: every evening it limits a node, and withdraws the limit later.

What it wants is a pure schedule in local time: at 17:00 it announces that from 17:30 only so much may flow
through the node, without saying until when; at 20:00 it withdraws that. The limit is a part of the node's
capacity, but never less than half again of what homes and buildings there take anyway when it is set: a
grid operator asks for what can be done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from controller.domain.ids import NodeId
from controller.domain.network import ImposedLimit, Node
from controller.domain.time import AMSTERDAM, utc_text
from sim.endpoints.api_client import ApiClient
from sim.world import World

ANNOUNCED = time(17, 0)
HOLDS_FROM = time(17, 30)
WITHDRAWN = time(20, 0)
CAPACITY_PART = 0.6
BASE_MARGIN = 1.5
CAPACITY_PART_MAX = 0.9
_NAME = "grid operator"
_CREATED = 201


class Wish(StrEnum):
    """What the grid operator wants at a moment."""

    NOTHING = "nothing"
    SET = "set"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class EveningPlan:
    """Where the grid operator is in its day."""

    day: date | None = None
    """The local day of the latest limit; None before the first."""
    standing: bool = False
    """Whether that limit has not been withdrawn yet."""

    def wish(self, now: datetime) -> Wish:
        """What is due at `now`."""
        local = now.astimezone(AMSTERDAM)
        if self.standing:
            over = local.date() != self.day or local.time() >= WITHDRAWN
            return Wish.WITHDRAW if over else Wish.NOTHING
        evening = ANNOUNCED <= local.time() < WITHDRAWN
        return Wish.SET if evening and local.date() != self.day else Wish.NOTHING

    def with_limit(self, now: datetime) -> EveningPlan:
        """After a limit was set."""
        return replace(self, day=now.astimezone(AMSTERDAM).date(), standing=True)

    def without_limit(self) -> EveningPlan:
        """After it was withdrawn."""
        return replace(self, standing=False)


def holds_from(now: datetime) -> datetime:
    """From when a limit that is set at `now` holds, UTC: 17:30, or a quarter of an hour's notice after it."""
    local = now.astimezone(AMSTERDAM)
    wanted = datetime.combine(local.date(), HOLDS_FROM, tzinfo=AMSTERDAM)
    return max(wanted, local + timedelta(minutes=15)).astimezone(now.tzinfo)


def evening_limit_kw(capacity_kw: float, base_kw: float) -> float:
    """The import limit [kW], to one decimal.

    Args:
        capacity_kw: What the node can carry.
        base_kw: What its homes and buildings take now.
    """
    wanted = max(CAPACITY_PART * capacity_kw, BASE_MARGIN * base_kw)
    return round(min(wanted, CAPACITY_PART_MAX * capacity_kw), 1)


def congestion_node(world: World) -> tuple[Node, Callable[[], float]]:
    """The congestion point that the grid operator looks after, and what homes and buildings take there now.

    It is the first transformer. The figure [kW] is told anew at each call.
    """
    site = world.site
    node = next((node for node in site.network.nodes if node.kind == "transformer"), site.network.nodes[0])
    below = [i for i, load in enumerate(site.loads) if node.id in site.network.paths[load.node]]
    return node, lambda: float(world.load_phase_kw[below].sum())


class GridOperator:
    """Carries the evening plan out over `/api/grid`."""

    def __init__(
        self, api: ApiClient, *, node: NodeId, capacity_kw: float, base_kw: Callable[[], float]
    ) -> None:
        """Describes a grid operator.

        Args:
            api: Its access.
            node: The node that it looks after.
            capacity_kw: What that node can carry.
            base_kw: Tells what homes and buildings below it take now [kW].
        """
        self._api, self._node, self._capacity_kw, self._base_kw = api, node, capacity_kw, base_kw
        self._plan = EveningPlan()
        self.imposed: list[ImposedLimit] = []
        """Every limit with the span in which it really held; open at the end while it stands."""

    async def act(self, now: Callable[[], datetime]) -> None:
        """Does what is due; waits as long as the controller is away.

        Args:
            now: Tells the domain time.
        """
        match self._plan.wish(now()):
            case Wish.SET:
                await self._set(now)
            case Wish.WITHDRAW:
                await self._withdraw(now)
            case Wish.NOTHING:
                return

    async def _set(self, now: Callable[[], datetime]) -> None:
        begins = holds_from(now())
        import_kw = evening_limit_kw(self._capacity_kw, self._base_kw())
        body = {"import_kw": import_kw, "export_kw": None, "from_utc": utc_text(begins), "to_utc": None}
        answer = await self._api.request("POST", f"/api/grid/nodes/{self._node}/limits", body)
        self._plan = self._plan.with_limit(now())
        if answer.status_code != _CREATED:
            # Refused: there is nothing to withdraw, and nothing to try again this evening.
            self._plan = self._plan.without_limit()
            return
        self.imposed.append(
            ImposedLimit(
                id=str(answer.json()["id"]),
                node=self._node,
                import_kw=import_kw,
                export_kw=None,
                # A controller that was away when it should have begun knows of it only from now on.
                from_utc=max(begins, now()),
                to_utc=None,
                set_by=_NAME,
            )
        )

    async def _withdraw(self, now: Callable[[], datetime]) -> None:
        limit = self.imposed[-1]
        # For us it ends when we say so, whether the controller hears it at once or not.
        self.imposed[-1] = replace(limit, to_utc=max(now(), limit.from_utc))
        await self._api.request("DELETE", f"/api/grid/nodes/{self._node}/limits/{limit.id}")
        self._plan = self._plan.without_limit()
