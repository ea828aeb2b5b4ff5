"""What the controller is told of the cables: the grid operator's drawings, in the site file's terms.

The drawings are right: lengths, cable types and where each connection branches off. On which phase a home
hangs is not in them.
"""

from __future__ import annotations

import math

from controller.domain import electrical as drawn
from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.units import IntArray
from sim.scenarios.scenario import HOUSEHOLD_TAN_PHI, Electrical

_CABLE = "main"


def drawings(truth: Electrical, site: Site) -> drawn.Electrical:
    """The network of a scenario as its grid operator has drawn it."""
    nodes = site.network.nodes
    busbar = {item.node: str(nodes[item.node].id) for item in truth.transformers}
    point_bus: list[str] = []
    buses = [drawn.Bus(id=name, node=nodes[node].id) for node, name in busbar.items()]
    lines: list[drawn.Line] = []
    for cable in truth.feeders:
        above = busbar[cable.transformer]
        for i in range(cable.points):
            name = f"{nodes[cable.node].id}/{i + 1}"
            buses.append(drawn.Bus(id=name, node=nodes[cable.node].id))
            length = cable.length_m / cable.points
            lines.append(drawn.Line(from_bus=above, to_bus=name, cable=_CABLE, length_m=length))
            point_bus.append(name)
            above = name
    places: dict[AssetId, str] = {}
    groups: tuple[tuple[tuple[AssetId, ...], IntArray], ...] = (
        (tuple(asset.id for asset in site.charge_points), truth.charger_point),
        (tuple(asset.id for asset in site.pv), truth.pv_point),
        (tuple(asset.id for asset in site.batteries), truth.battery_point),
        (tuple(asset.id for asset in site.loads), truth.load_point),
    )
    for ids, points in groups:
        places.update({asset: point_bus[int(point)] for asset, point in zip(ids, points, strict=True)})
    return drawn.Electrical(
        medium_voltage_kv=truth.mv_voltage_kv,
        source_voltage_pu=truth.source_voltage_pu,
        source_short_circuit_mva=truth.source_short_circuit_mva,
        load_power_factor=1.0 / math.hypot(1.0, HOUSEHOLD_TAN_PHI),
        cable_types=(
            drawn.CableType(
                id=_CABLE,
                r1_ohm_per_km=truth.cable.r1_ohm_per_km,
                x1_ohm_per_km=truth.cable.x1_ohm_per_km,
                r0_ohm_per_km=truth.cable.r0_ohm_per_km,
                x0_ohm_per_km=truth.cable.x0_ohm_per_km,
            ),
        ),
        transformers=tuple(
            drawn.Transformer(
                bus=busbar[item.node],
                kva=item.kva,
                short_circuit_voltage=item.short_circuit_voltage,
                copper_loss_kw=item.copper_loss_kw,
                no_load_loss_kw=item.no_load_loss_kw,
                no_load_current=item.no_load_current,
                clock=item.clock,
            )
            for item in truth.transformers
        ),
        buses=tuple(buses),
        lines=tuple(lines),
        places=places,
    )
