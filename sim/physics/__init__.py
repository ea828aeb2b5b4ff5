"""Physics: arrays in, arrays out; nothing here remembers anything."""
