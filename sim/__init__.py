"""The simulated neighbourhood: physics, network, scenarios, and endpoints that speak the real protocols."""
