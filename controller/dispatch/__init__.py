"""Dispatch: when every battery and car charges, discharges or waits, decided at once for a whole network.

`inputs` and `result` are the values in and out; `solve.solve` chooses a method, has its answer checked
(`check`) and falls back to rules (`fallback`) where there is none. `problem` is the model of formats.md
in cvxpy: the definition against which everything else is measured. cvxpy is a heavy import, so nothing
is imported here.
"""
