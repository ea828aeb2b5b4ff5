"""The neighbourhood's market: orders, clearing, settlement and the ledger, in whole numbers.

Energy is whole watt-hours, a price whole micro-euro per kWh, money whole nano-euro. Everything here is
pure: values in, values out; `clear_file` alone reads and writes files.
"""
