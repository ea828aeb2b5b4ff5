"""Room: sim/scenarios."""
