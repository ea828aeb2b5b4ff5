"""Room: sim/endpoints."""
