"""The door of the car-sharing fleet: reservations, and where its cars stand."""
