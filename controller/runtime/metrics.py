"""The figures for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from controller.runtime.core import Controller


def metrics_text(controller: Controller, messages: Mapping[str, int], quarters_waiting: int) -> str:
    """All figures in Prometheus' text format; built anew per request, so nothing is global.

    Args:
        controller: Whose.
        messages: In and out, by protocol.
        quarters_waiting: How many quarter-hours' gates have closed that are not cleared.
    """
    registry = CollectorRegistry()
    counters = controller.counters
    for name, text, value in (
        ("wijkstroom_safety_cycles", "Safety cycles run", counters.safety_cycles),
        (
            "wijkstroom_safety_cycles_late",
            "Safety cycles that began more than a period late",
            counters.late_cycles,
        ),
        ("wijkstroom_plans", "Plans made", counters.plans),
        ("wijkstroom_plan_fallbacks", "Plans that no solver made anew", counters.fallbacks),
        ("wijkstroom_plans_made_again", "Plans made again after their power flow", counters.plans_made_again),
        ("wijkstroom_plans_straining", "Plans that strain the network", counters.plans_straining),
        ("wijkstroom_setpoints_refused", "Setpoints that a device refused", counters.refused),
        ("wijkstroom_setpoints_timed_out", "Setpoints without an answer", counters.timed_out),
        ("wijkstroom_readings_dropped", "Readings dropped for want of room", counters.dropped_readings),
    ):
        Counter(name, text, registry=registry).inc(value)
    failures = Counter("wijkstroom_failures", "Steps of a loop that failed", ["loop"], registry=registry)
    for loop, count in dict(counters.failures).items():
        failures.labels(loop=loop).inc(count)
    per_protocol = Counter("wijkstroom_messages", "Messages in and out", ["protocol"], registry=registry)
    for protocol, count in messages.items():
        per_protocol.labels(protocol=protocol).inc(count)
    Gauge("wijkstroom_safety_delay_seconds_max", "Largest delay of a safety cycle", registry=registry).set(
        counters.delay_ms_max / 1000.0
    )
    Gauge("wijkstroom_market_quarters_waiting", "Quarter-hours to be cleared", registry=registry).set(
        quarters_waiting
    )
    power = Gauge("wijkstroom_node_power_kilowatts", "Measured power of a node", ["node"], registry=registry)
    for node in controller.site.network.nodes:
        reading = controller.snapshot.state.meters.get(node.id)
        if reading is not None and reading.power_kw is not None:
            power.labels(node=node.id).set(reading.power_kw)
    return generate_latest(registry).decode()
