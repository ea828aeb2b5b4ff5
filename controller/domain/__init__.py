"""The vocabulary every other room speaks: pure values, no I/O, nothing of ours imported.

Sign: positive power is consumption (a car charging, a home using), negative is production
(discharge, PV). Physics in float kW and kWh, money and metered energy in integers. Time is UTC.
"""
