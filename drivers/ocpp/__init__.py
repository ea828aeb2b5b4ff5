"""Room: drivers/ocpp."""
