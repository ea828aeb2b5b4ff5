"""Room: setpoints."""
