"""The power flow of the simulated network."""

from sim.network.flow import Flow, PowerFlow

__all__ = ["Flow", "PowerFlow"]
