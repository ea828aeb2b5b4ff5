"""OCPP 2.0.1: the codec that the endpoint takes by the subprotocol `ocpp2.0.1`."""

from drivers.ocpp.v201.session import Ocpp201, Session201

__all__ = ["Ocpp201", "Session201"]
