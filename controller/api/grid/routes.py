"""The grid operator's routes: load, flexibility, limits and the discharge lock-out per node."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from controller.api import wire
from controller.api.grid.models import FlexibilityOut, GridNodeOut, LimitIn, LockoutOut, WithdrawnOut
from controller.api.models import Done, ImposedLimitOut
from controller.api.problems import documented
from controller.api.security import TheDoor, allow
from controller.domain.errors import NotFoundError
from controller.domain.ids import NodeId
from controller.runtime.door import NodeView, Principal
from controller.runtime.ports import Role

_grid = allow(Role.GRID)
GridOperator = Annotated[Principal, Depends(_grid)]
"""A grid operator."""

router = APIRouter(prefix="/api/grid", tags=["grid"], dependencies=[Depends(_grid)], responses=documented())


def _node(view: NodeView) -> wire.Json:
    """What of a node is the grid operator's to see: no prices, no baselines."""
    return {name: value for name, value in wire.node(view).items() if name in GridNodeOut.model_fields}


@router.get("/nodes", summary="The nodes and their measured load", response_model=list[GridNodeOut])
async def get_nodes(door: TheDoor) -> Response:
    """Every node of the network with its load and the limits in force."""
    return wire.reply([_node(view) for view in (await door.state()).nodes])


@router.get(
    "/nodes/{node_id:path}/flexibility",
    summary="Forecast and flexibility per quarter-hour",
    response_model=list[FlexibilityOut],
    responses=documented(404),
)
async def get_flexibility(door: TheDoor, node_id: str) -> Response:
    """What the node is expected to draw, and how much more or less it could."""
    return wire.reply([wire.flexibility_point(point) for point in await door.flexibility(NodeId(node_id))])


@router.get(
    "/nodes/{node_id:path}/limits",
    summary="The limits of a node",
    response_model=list[ImposedLimitOut],
    responses=documented(404),
)
async def get_limits(door: TheDoor, node_id: str) -> Response:
    """The limits that hold, or will."""
    return wire.reply([wire.limit(limit) for limit in await door.limits(NodeId(node_id))])


@router.post(
    "/nodes/{node_id:path}/limits",
    summary="Set a limit",
    status_code=201,
    response_model=ImposedLimitOut,
    responses=documented(404, 409, 422),
)
async def post_limit(door: TheDoor, who: GridOperator, node_id: str, body: LimitIn) -> Response:
    """Limits what flows through a node; the controller plans around it at once and never lets it lapse."""
    limit = await door.put_limit(
        node=NodeId(node_id),
        import_kw=body.import_kw,
        export_kw=body.export_kw,
        from_utc=body.from_utc,
        to_utc=body.to_utc,
        who=who,
    )
    return wire.reply(
        wire.limit(limit), 201, {"Location": wire.location("/api/grid/nodes", limit.node, "limits", limit.id)}
    )


@router.delete(
    "/nodes/{node_id:path}/limits/{limit_id}",
    summary="Withdraw a limit",
    response_model=WithdrawnOut,
    responses=documented(404, 409),
)
async def delete_limit(door: TheDoor, who: GridOperator, node_id: str, limit_id: str) -> Response:
    """Ends one limit now."""
    await door.withdraw_limit(node=NodeId(node_id), limit_id=limit_id, who=who)
    return wire.reply({"withdrawn": [limit_id]})


@router.delete(
    "/nodes/{node_id:path}/limits",
    summary="Withdraw all limits that you set on a node",
    response_model=WithdrawnOut,
    responses=documented(404, 409),
)
async def delete_limits(door: TheDoor, who: GridOperator, node_id: str) -> Response:
    """Ends now what the caller has set on this node; other people's limits stay."""
    own = [limit.id for limit in await door.limits(NodeId(node_id)) if limit.set_by == who.label]
    if not own:
        raise NotFoundError(f"you have set no limit on node {node_id!r}")
    for limit_id in own:
        await door.withdraw_limit(node=NodeId(node_id), limit_id=limit_id, who=who)
    return wire.reply({"withdrawn": own})


@router.get("/lockouts", summary="The discharge lock-outs", response_model=list[LockoutOut])
async def get_lockouts(door: TheDoor) -> Response:
    """Where no car and no battery may discharge."""
    return wire.reply([wire.lockout(item) for item in await door.lockouts()])


@router.put(
    "/nodes/{node_id:path}/lockout",
    summary="Lock discharge out below a node",
    response_model=LockoutOut,
    responses=documented(404, 409),
)
async def put_lockout(door: TheDoor, who: GridOperator, node_id: str) -> Response:
    """No discharge below this node until a person releases it."""
    return wire.reply(wire.lockout(await door.put_lockout(node=NodeId(node_id), who=who)))


@router.delete(
    "/nodes/{node_id:path}/lockout",
    summary="Release a lock-out",
    response_model=Done,
    responses=documented(404, 409),
)
async def delete_lockout(door: TheDoor, who: GridOperator, node_id: str) -> Response:
    """Allows discharge below this node again."""
    await door.release_lockout(node=NodeId(node_id), who=who)
    return wire.reply({"done": True})


# An id may hold a slash: what takes any path comes after the routes below a node.
@router.get(
    "/nodes/{node_id:path}", summary="One node", response_model=GridNodeOut, responses=documented(404)
)
async def get_node(door: TheDoor, node_id: str) -> Response:
    """One node with its load and the limits in force."""
    for view in (await door.state()).nodes:
        if view.id == node_id:
            return wire.reply(_node(view))
    raise NotFoundError(f"there is no node {node_id!r}")
