"""The fast dispatch solver: an interior point whose Newton step is solved by the problem's structure.

`solve.solve_structured` is the door; its module tells the method's story. Nothing is imported here,
because the compiled loops are heavy to load.
"""
