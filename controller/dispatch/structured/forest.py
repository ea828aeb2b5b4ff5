"""The nodes' part of the Newton step: one dense matrix of steps by steps per kept node, up and down.

Under a node everything together answers a change of its price by `-A y`, A symmetric positive
semidefinite: the sum of its stores' matrices, of its roofs' diagonals, and of its child nodes' answers
to *their* parent's price. With the node's own power bounded (barrier curvature `h` per step, 0 where
nothing can bind) its price follows from its parent's by `y = y_parent - rho + h dP`, hence

    dP = f - A (y_parent - rho) - A h dP.

With `k = sqrt(h)` that is a Cholesky factorisation of `B = 1 + k A k`, never worse conditioned than it
need be, and the node answers its parent by `A - Z'Z`, `Z = inv(L) k A`. A root has no parent: its own
curvature (limits, and the kink between buying and selling) closes the system.

Only the steps count in which anything hangs under a node at all, and curvature but those where a limit or
a kink is: a charge point with two cars needs a third of what all steps would. Matrices are that small where
there are few stores, so calls of a linear algebra library would cost more than their arithmetic; the loops
here take four rows at a time, which is as quick at a hundred steps.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import BoolArray, FloatArray, IntArray


class FactorisationError(ArithmeticError):
    """A node's matrix is not positive definite to working precision."""


class Forest:
    """The nodes' factors, and room for them; K nodes, children first, T steps."""

    def __init__(self, parent: IntArray, alive: BoolArray, bound: BoolArray) -> None:
        """Room for factors.

        Args:
            parent: The kept parent of each node, -1 for a root, shape (K,).
            alive: Where something hangs directly at a node that answers its price, shape (K, T).
            bound: Where a node's power has curvature, shape (K, T).
        """
        nodes, steps = bound.shape
        under = alive | bound
        for n, above in enumerate(parent.tolist()):
            if above >= 0:
                under[above] |= under[n]
        self._parent = parent
        self._first, self._at = _cut_up(under)
        self._first_tight, tight = _cut_up(bound)
        node = np.repeat(np.arange(nodes), np.diff(self._first_tight))
        self._tight = (np.cumsum(under, axis=1) - 1)[node, tight]
        """Where among a node's steps those with curvature are."""
        self._root = np.zeros(tight.size)
        """k at those."""
        self._own = np.zeros((nodes, steps, steps))
        """A of each node's steps, children included."""
        self._system = np.zeros((nodes, steps, 2 * steps))
        """A row for each step with curvature: transposed L, then Z of the node's steps."""

    def factor(self, answers: FloatArray, curvature: FloatArray) -> None:
        """Factors every node.

        Args:
            answers: A without children, lower triangles, shape (K, T, T); used up.
            curvature: h, shape (K, T).

        Raises:
            FactorisationError: If a matrix is not positive definite to working precision.
        """
        if not _factor(*self._shape, answers, curvature, self._root, self._own, self._system):
            raise FactorisationError("a node's matrix is not positive definite")

    def solve(self, power: FloatArray, rho: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The steps of the nodes' prices and powers, both (K, T).

        Args:
            power: What hangs directly at each node does at unchanged prices, plus the balance's residual,
                shape (K, T); used up.
            rho: Right side of the node powers' own condition, shape (K, T).
        """
        price, step = np.empty_like(power), np.empty_like(power)
        _solve(*self._shape, self._root, self._own, self._system, power, rho, price, step)
        return price, step

    @property
    def _shape(self) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
        return self._parent, self._first, self._at, self._first_tight, self._tight


def _cut_up(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """Where each row's part of a list begins, shape (K + 1,), and the list of what is set in the rows."""
    first = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    return first, np.nonzero(mask)[1].astype(np.int64)


@compiled
def _factor(
    parent: IntArray,
    first: IntArray,
    at: IntArray,
    first_tight: IntArray,
    tight: IntArray,
    answers: FloatArray,
    curvature: FloatArray,
    root: FloatArray,
    own: FloatArray,
    system: FloatArray,
) -> bool:
    """Factors every node; False if a pivot is not positive."""
    for n in range(parent.size):
        steps, places = at[first[n] : first[n + 1]], tight[first_tight[n] : first_tight[n + 1]]
        k, answer, mine, rows, above = root[first_tight[n] :], answers[n], own[n], system[n], parent[n]
        for i in range(steps.size):
            _gather(answer[steps[i]], steps[: i + 1], mine[i])
            for j in range(i):
                mine[j, i] = mine[i, j]
        for i in range(places.size):
            k[i] = np.sqrt(curvature[n, steps[places[i]]])
        if not _eliminate(mine, places, k, steps.size if above >= 0 else 0, rows):
            return False
        if above >= 0:
            _hand_up(mine, steps, places.size, rows, answer[0], answers[above])
    return True


@compiled
def _eliminate(mine: FloatArray, places: IntArray, k: FloatArray, size: int, rows: FloatArray) -> bool:
    """Writes transposed L and, of the first `size` steps, Z; False if a pivot is not positive."""
    bound = places.size
    for i in range(bound):
        row, source = rows[i, : bound + size], mine[places[i]]
        _gather(source, places, row)
        for j in range(i, bound):
            # The same rounding as in the columns of Z: where curvatures are large, both must cancel.
            row[j] = (row[j] * k[i]) * k[j]
        row[i] += 1.0
        for j in range(size):
            row[bound + j] = k[i] * source[j]
        _take_off(rows, i, i, row[i:], i)
        if not row[i] > 0.0:
            return False
        pivot = np.sqrt(row[i])
        for j in range(i, row.size):
            row[j] /= pivot
    return True


@compiled
def _hand_up(
    mine: FloatArray, steps: IntArray, bound: int, rows: FloatArray, room: FloatArray, above: FloatArray
) -> None:
    """Adds `A - Z'Z` to the parent's matrix; `room` is for one row."""
    for i in range(steps.size):
        row, into = room[: i + 1], above[steps[i]]
        for j in range(row.size):
            row[j] = mine[i, j]
        _take_off(rows, bound, bound + i, row, bound)
        for j in range(row.size):
            into[steps[j]] += row[j]


@compiled
def _take_off(rows: FloatArray, count: int, column: int, into: FloatArray, begin: int) -> None:
    """Takes the first rows, each times its entry in a column, off a row that begins at `begin`."""
    r = 0
    while r + 4 <= count:
        a, b, c, d = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        p, q, s, t = a[column], b[column], c[column], d[column]
        a, b, c, d = a[begin:], b[begin:], c[begin:], d[begin:]
        for j in range(into.size):
            into[j] -= p * a[j] + q * b[j] + s * c[j] + t * d[j]
        r += 4
    while r < count:
        a, p = rows[r, begin:], rows[r, column]
        for j in range(into.size):
            into[j] -= p * a[j]
        r += 1


@compiled
def _solve(
    parent: IntArray,
    first: IntArray,
    at: IntArray,
    first_tight: IntArray,
    tight: IntArray,
    root: FloatArray,
    own: FloatArray,
    system: FloatArray,
    power: FloatArray,
    rho: FloatArray,
    price: FloatArray,
    step: FloatArray,
) -> None:
    """Up the forest and down again; `price` and `step` are written."""
    held, given = np.empty(root.size), np.empty(power.shape[1])
    for n in range(parent.size):
        steps, places = at[first[n] : first[n + 1]], tight[first_tight[n] : first_tight[n + 1]]
        k, part = root[first_tight[n] :], held[first_tight[n] :]
        _gather(rho[n], steps, given)
        _up(steps, places, k, own[n], system[n], given, power[n], part)
        if parent[n] >= 0:
            above, passed = power[parent[n]], power[n]
            for t in range(passed.size):
                above[t] += passed[t]
            for i in range(places.size):
                row, value = system[n, i, places.size :], part[i]
                for j in range(steps.size):
                    above[steps[j]] -= row[j] * value
    for back in range(parent.size):
        n = parent.size - 1 - back
        steps, places = at[first[n] : first[n + 1]], tight[first_tight[n] : first_tight[n + 1]]
        k, part = root[first_tight[n] :], held[first_tight[n] :]
        if parent[n] >= 0:
            _gather(price[parent[n]], steps, given)
            for i in range(places.size):
                part[i] -= _dot(system[n, i, places.size :], given, steps.size)
        value, moved, side, flow = price[n], step[n], rho[n], power[n]
        for t in range(value.size):
            value[t] = (price[parent[n], t] if parent[n] >= 0 else 0.0) - side[t]
            moved[t] = flow[t]
        _down(steps, places, k, own[n], system[n], part, side, value, moved, given)


@compiled
def _up(
    steps: IntArray,
    places: IntArray,
    k: FloatArray,
    own: FloatArray,
    rows: FloatArray,
    rho: FloatArray,
    power: FloatArray,
    part: FloatArray,
) -> None:
    """Adds what a node does at its own right sides to its power; the forward solve goes to `part`."""
    for i in range(steps.size):
        power[steps[i]] += _dot(own[i], rho, steps.size)
    for i in range(places.size):
        part[i] = k[i] * power[steps[places[i]]]
    for i in range(places.size):
        row = rows[i]
        part[i] /= row[i]
        for j in range(i + 1, places.size):
            part[j] -= row[j] * part[i]


@compiled
def _down(
    steps: IntArray,
    places: IntArray,
    k: FloatArray,
    own: FloatArray,
    rows: FloatArray,
    part: FloatArray,
    rho: FloatArray,
    price: FloatArray,
    step: FloatArray,
    room: FloatArray,
) -> None:
    """The backward solve of a node; adds its part to the price and what the price does to the power."""
    for j in range(places.size):
        i = places.size - 1 - j
        row = rows[i]
        part[i] = (part[i] - _dot(row[i + 1 :], part[i + 1 :], j)) / row[i]
        price[steps[places[i]]] += k[i] * part[i]
    for i in range(steps.size):
        room[i] = price[steps[i]] + rho[steps[i]]
    for i in range(steps.size):
        step[steps[i]] -= _dot(own[i], room, steps.size)
    for i in range(places.size):
        step[steps[places[i]]] = part[i] / k[i]


@compiled
def _gather(source: FloatArray, at: IntArray, into: FloatArray) -> None:
    """Writes the chosen entries one after the other."""
    for i in range(at.size):
        into[i] = source[at[i]]


@compiled
def _dot(one: FloatArray, other: FloatArray, size: int) -> float:
    """The sum of the first `size` products, in four sums beside each other."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    i = 0
    while i + 4 <= size:
        a += one[i] * other[i]
        b += one[i + 1] * other[i + 1]
        c += one[i + 2] * other[i + 2]
        d += one[i + 3] * other[i + 3]
        i += 4
    while i < size:
        a += one[i] * other[i]
        i += 1
    return (a + b) + (c + d)
