"""A long cable behind a transformer, for the power flow's tests: everything small enough to work by hand."""

from __future__ import annotations

from dataclasses import replace

from controller.domain.assets import Phases
from controller.domain.electrical import Bus, CableType, Electrical, Line, Transformer
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Limit, LimitKind, Network
from controller.domain.site import Site
from controller.powerflow.placement import FlowModel, flow_model
from tests.support.neighbourhood import site

CABLE = CableType(id="al", r1_ohm_per_km=0.2, x1_ohm_per_km=0.08, r0_ohm_per_km=0.8, x0_ohm_per_km=0.32)
T, F1, F2 = NodeId("t"), NodeId("f1"), NodeId("f2")


def cable_site(length_m: float = 500.0, *, feeder_a: float = 200.0, kva: float = 400.0) -> Site:
    """The small neighbourhood with cables: all of f1 at the end of `length_m`, all of f2 100 m away.

    The home hangs on L1 at f1's end; chargers, roof and battery on three phases.
    """
    base = site(feeder_a)
    transformer, *feeders = base.network.nodes
    transformer = replace(transformer, limits=(Limit(kind=LimitKind.TRANSFORMER, value=kva),))
    return replace(
        base,
        network=Network((transformer, *feeders)),
        electrical=Electrical(
            source_short_circuit_mva=1e4,
            cable_types=(CABLE,),
            transformers=(Transformer(bus="busbar", kva=kva, copper_loss_kw=4.0, no_load_loss_kw=0.6),),
            buses=(Bus(id="busbar", node=T), Bus(id="end-1", node=F1), Bus(id="end-2", node=F2)),
            lines=(
                Line(from_bus="busbar", to_bus="end-1", cable="al", length_m=length_m),
                Line(from_bus="busbar", to_bus="end-2", cable="al", length_m=100.0),
            ),
        ),
    )


def cable_model(length_m: float = 500.0, *, phases: Phases | None = None) -> FlowModel:
    """Its power flow; with `phases` the home hangs on these."""
    made = cable_site(length_m)
    if phases is not None:
        loads = tuple(
            replace(load, phases=phases) if load.id == AssetId("home") else load for load in made.loads
        )
        made = replace(made, loads=loads)
    model = flow_model(made)
    if model is None:
        raise AssertionError("the site describes its cables")
    return model
