"""Programs of others against OCPP's side of the controller; see `make conformance`."""
