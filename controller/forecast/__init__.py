"""Forecasts: arrays in, arrays out. What is measured corrects what was expected."""
