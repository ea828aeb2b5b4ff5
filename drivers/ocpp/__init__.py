"""OCPP: one WebSocket endpoint for every charger, codecs without I/O behind it.

`frames` reads and writes OCPP-J, `schemas` validates payloads, `codec` is the seam between the endpoint
and a version of the protocol, `v21` is that version, `endpoint` moves the bytes. This file imports
nothing, so that the simulator can take the codecs without the server.
"""
