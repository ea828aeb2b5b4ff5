"""The door of the cooperative's operators: the whole neighbourhood, and the stop of all discharge."""
