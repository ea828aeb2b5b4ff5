"""The demo: a simulated neighbourhood and its controller, as two child processes or joined directly.

Like `bootstrap` this is a place where things are put together, and may import everything.
"""
