"""A plot of times over sizes as an SVG file, both axes logarithmic; no plotting library is installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

WIDTH, HEIGHT, EDGE = 640, 440, 60
COLOURS = ("#1b6ca8", "#c0392b", "#27864a", "#8e44ad")


def write_growth(path: Path, series: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Writes the plot, with a dashed line of linear growth through the first series' first point.

    Args:
        path: The file; its folder is made where there is none.
        series: Points of cars and seconds by name, each with at least one; at most four series.
    """
    points = [point for line in series.values() for point in line]
    first_decade, last_decade = _decades([cars for cars, _ in points])
    low_decade, high_decade = _decades([seconds for _, seconds in points])

    def place(cars: float, seconds: float) -> tuple[float, float]:
        right = (math.log10(cars) - first_decade) / (last_decade - first_decade)
        up = (math.log10(seconds) - low_decade) / (high_decade - low_decade)
        return EDGE + right * (WIDTH - 2 * EDGE), HEIGHT - EDGE - up * (HEIGHT - 2 * EDGE)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">cars</text>',
        f'<text x="12" y="{EDGE - 24}">seconds from problem to checked plan</text>',
    ]
    for decade in range(first_decade, last_decade + 1):
        x, y = place(10.0**decade, 10.0**low_decade)
        parts.append(f'<path d="M{x:.1f} {y:.1f}V{EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{10**decade}</text>')
    for decade in range(low_decade, high_decade + 1):
        x, y = place(10.0**first_decade, 10.0**decade)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number]
        places = [place(cars, seconds) for cars, seconds in sorted(line)]
        path_data = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path_data}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        parts.append(f'<text x="{EDGE + 12}" y="{EDGE + 16 + 16 * number}" fill="{colour}">{name}</text>')
    cars, seconds = min(next(iter(series.values())))
    most = max(size for size, _ in points)
    (x, y), (end_x, end_y) = place(cars, seconds), place(most, seconds * most / cars)
    parts.append(
        f'<path d="M{x:.1f} {y:.1f}L{end_x:.1f} {end_y:.1f}" stroke="#888" stroke-dasharray="5 4"/>'
        f'<text x="{EDGE + 12}" y="{EDGE + 16 + 16 * len(series)}" fill="#888">linear</text></svg>'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around the values, at least one apart."""
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))
