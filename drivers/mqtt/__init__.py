"""Meters over MQTT: topics and payloads (no I/O), the subscriber, and the neighbourhood's announced clock."""
