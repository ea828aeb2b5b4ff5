"""SunSpec inverters and batteries over Modbus TCP: layouts and codec (no I/O), transport, devices."""
