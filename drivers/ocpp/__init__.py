"""OCPP: one WebSocket endpoint for every charger, codecs without I/O behind it.

`frames` reads and writes OCPP-J, `schemas` validates payloads, `codec` is the seam between the endpoint
and a version of the protocol. `session` is what all versions share; `v16`, `v201` and `v21` are the versions,
`limits` says setpoints where a version knows limits only, `watch` holds them against the meter, `endpoint`
moves the bytes. This file imports nothing, so that the simulator can take the codecs without the server.
"""
