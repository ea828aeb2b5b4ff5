"""Simulated chargers: OCPP 1.6J, 2.0.1 and 2.1 on real sockets, with the faults seen in the field."""
