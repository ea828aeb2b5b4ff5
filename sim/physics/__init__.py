"""Room: sim/physics."""
