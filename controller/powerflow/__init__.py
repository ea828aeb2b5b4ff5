"""Power flow: whether a plan that keeps the tree's limits also keeps voltages and currents, and if not, less.

`placement` says where along the cables, and on which phase, each power of a plan hangs; `grid` solves the
network (power-grid-model) for many steps at once; `check` compares with what buses, cables and transformers
bear; `tighten` lowers those limits of the tree that were too optimistic; `replan` goes round until the plan
holds. Pure: a plan and a description in, findings and a better plan out.
"""
