"""Measure the CPU time of a draw of a live map at any zoom, beside the packages that bin anew.

`dsshow` of datashader and mpl-scatter-density bin the points of each view, and do not smooth; an
empty WCSAxes is what every draw costs. All draw the same points in the same window in one run, in
turns, and values are asserted against those of a static map.

Run as ``python benchmarks/live.py``; with ``--write`` the table in docs/live.md is written anew,
with ``--quick`` there are fewer points and single turns.
"""

import statistics
import time

import numpy as np
from astropy import units as u
from large import load_compiled_code
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from recipe import field_wcs
from timing import parser_of, power, write_table

from mpl_skyheat import sky_map

SIDE = 1000  # pixels of the WCS
ZOOMS = (1, 10, 100, 1000)
KERNEL = 6 * u.arcmin


def axes(wcs):
    """Return a WCSAxes of 512 × 408 device pixels."""
    figure = Figure(figsize=(6.4, 5.1), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.1, 0.1, 0.8, 0.8), projection=wcs, aspect="auto")


def show(ax, zoom):
    """Show a part around the middle of the map."""
    half = 0.5 * SIDE / zoom
    for name in "xy":
        getattr(ax, f"set_{name}lim")(0.5 * SIDE - half, 0.5 * SIDE + half)


def live(wcs, where, statistic):
    """Return Axes with a live map."""
    ax = axes(wcs)
    kernel = None if statistic == "bins" else KERNEL
    ax.sky_heatmap(*where, kernel=kernel, live=True, unit="deg-2")
    ax.set_aspect("auto")
    return ax


def dsshow(wcs, where):
    """Return Axes on which datashader bins the points anew at each draw."""
    import datashader
    import pandas as pd
    from datashader.mpl_ext import dsshow

    ax = axes(wcs)
    x, y = wcs.wcs_world2pix(*where, 0)
    points = pd.DataFrame({"x": x, "y": y})
    show(ax, 1)
    ax.figure.canvas.draw()
    dsshow(points, datashader.Point("x", "y"), norm="linear", ax=ax, aspect="auto")
    return ax


def scatter_density(wcs, where):
    """Return Axes on which mpl-scatter-density bins the points anew at each draw."""
    from mpl_scatter_density import ScatterDensityArtist

    ax = axes(wcs)
    artist = ScatterDensityArtist(ax, *wcs.wcs_world2pix(*where, 0), dpi=None)
    ax.add_artist(artist)
    return ax


def peers(wcs, where):
    """Return Axes by the name of what draws on them, without the packages that are not there."""
    found = {
        "live": live(wcs, where, "density"),
        "live, without a kernel": live(wcs, where, "bins"),
    }
    for name, make in (("dsshow", dsshow), ("mpl-scatter-density", scatter_density)):
        try:
            found[name] = make(wcs, where)
        except ImportError:
            print(f"no {name}: left out")
    return found | {"an empty WCSAxes": axes(wcs)}


def cpu(ax, zoom):
    """Return the CPU time (ms) of a draw of a view that has not been drawn."""
    show(ax, zoom * (1 + 1e-6 * np.random.default_rng().uniform()))
    start = time.process_time()
    ax.figure.canvas.draw()
    return 1e3 * (time.process_time() - start)


def check(ax, where, wcs):
    """Assert that a zoomed live map has the values of a static one, smoothed on the sphere."""
    (heat,) = ax.images
    made = sky_map(*where, wcs=wcs, shape=(SIDE, SIDE), kernel=KERNEL, geometry="sphere",
                   unit="deg-2")  # fmt: skip
    show(ax, 10)
    ax.figure.canvas.draw()
    middle = SIDE // 2
    place = made.wcs.pixel_to_world(middle, middle)
    expected = made.data[middle, middle]
    assert abs(heat.value_at(place).value - expected) < 5e-4 * np.nanmax(made.data)


def chunks(wcs, number, times, rng):
    """Yield positions, which are in memory one chunk at a time."""
    for _ in range(times):
        yield tuple(wcs.wcs_pix2world(*rng.normal(0.5 * SIDE, 0.2 * SIDE, (2, number)), 0))


def main():
    """Measure draws at all zooms; with ``--write``, write the table into the site.

    A draw may take three times that of an empty WCSAxes, and above it 0.7 of what dsshow does.
    """
    options = parser_of(__doc__).parse_args()
    number, rounds = (10**5, 1) if options.quick else (10**7, 7)
    load_compiled_code()
    rng = np.random.default_rng(3)
    wcs = field_wcs(SIDE)
    wcs.wcs.cdelt = [-10 / SIDE, 10 / SIDE]
    x, y = rng.normal(0.5 * SIDE, 0.2 * SIDE, (2, number))
    where = wcs.wcs_pix2world(x, y, 0)
    shown = peers(wcs, where)
    check(shown["live"], where, wcs)
    for ax in shown.values():
        cpu(ax, 2)
    rows = [f"| zoom | {' | '.join(shown)} |", "|---|" + "---:|" * len(shown)]
    asked = []
    for zoom in ZOOMS:
        times = {name: [] for name in shown}
        for _ in range(rounds):
            for name, ax in shown.items():
                times[name].append(cpu(ax, zoom))
        medians = {name: statistics.median(spent) for name, spent in times.items()}
        empty = medians["an empty WCSAxes"]
        ratios = {name: spent / empty for name, spent in medians.items()}
        texts = [f"{ratio:.1f} ×" for ratio in ratios.values()]
        print(zoom, dict(zip(shown, texts, strict=True)), f"{empty:.0f} ms", flush=True)
        rows.append(f"| {zoom} | {' | '.join(texts)} |")
        asked.append(
            (ratios["live"], medians["live"] - empty, medians.get("dsshow", np.inf) - empty)
        )
    rows.append(f"\nCPU time of a draw over that of an empty WCSAxes, {power(number)} points.")
    many = 10 * number
    streamed = live(wcs, [chunks(wcs, number, 10, rng)], "density")
    assert streamed.images[0].sky_map.meta["read"] == many
    cpu(streamed, 2)
    pairs = [(cpu(streamed, 10), cpu(shown["an empty WCSAxes"], 10)) for _ in range(rounds)]
    ratio = statistics.median(pair[0] for pair in pairs) / statistics.median(p[1] for p in pairs)
    print(f"{power(many)} points: {ratio:.1f} ×")
    rows[-1] += f" With {power(many)}, from a stream, it is {ratio:.1f} × at a zoom of 10."
    if not options.quick:
        for ratio, ours, theirs in asked:
            assert ratio < 3
            assert ours < 0.7 * theirs
    if options.write:
        write_table("live.py", "\n".join(rows))


if __name__ == "__main__":
    main()
