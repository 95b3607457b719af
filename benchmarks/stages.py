"""Measure where the time of a large map goes, stage by stage, on one thread.

Run as ``python benchmarks/stages.py``; the table of benchmarks/README.md is its output.
"""

import cProfile
import pstats
import time

import numpy as np
from astropy import units as u
from large import MANY, SIGMA, catalogue_order, whole_sky_wcs
from recipe import field_wcs, points

from mpl_skyheat import sky_map

# Functions, by module and name, that are no part of each other.
STAGES = {
    "making tiles": ("tiles", "make"),
    "sky to pixels": ("counting", "_locate"),
    "counting": ("compiled", "tally"),
    "undecided points, by astropy": ("counting", "_ask"),
    "spreading over the sphere": ("rings", "add_compiled"),
    "solid angles": ("mapmaking", "_areas"),
    "smoothing on the plane": ("smoothing", "smooth_ratio"),
    "smoothing on the sphere": ("sphere", "density"),
}


def profile(job):
    """Return the time (s) of a job, and what it spends in each stage."""
    job()
    start = time.perf_counter()
    job()
    total = time.perf_counter() - start
    profiler = cProfile.Profile()
    profiler.runcall(job)
    stats = pstats.Stats(profiler).stats
    spent = dict.fromkeys(STAGES, 0.0)
    for (file, _, function), (_, _, _, cumulative, _) in stats.items():
        for stage, (module, name) in STAGES.items():
            if function == name and file.endswith(f"mpl_skyheat/{module}.py"):
                spent[stage] += cumulative
    return total, spent


def main():
    """Print the table, in Markdown."""
    rng = np.random.default_rng(1)
    near = points(MANY, rng)
    ra, dec = rng.uniform(0, 360, MANY), np.degrees(np.arcsin(rng.uniform(-1, 1, MANY)))
    order = catalogue_order(ra, dec)
    ra, dec = ra[order], dec[order]
    wcs, sky = field_wcs(180), whole_sky_wcs("AIT")
    jobs = {
        "3° of TAN, 180²": lambda: sky_map(*near, wcs=wcs, kernel=SIGMA, threads=1),
        "AIT, 0.1°": lambda: sky_map(ra, dec, wcs=sky, bins=(3600, 1800), threads=1),
        "AIT, 0.1°, σ = 1°": lambda: sky_map(
            ra, dec, wcs=sky, bins=(3600, 1800), kernel=1 * u.deg, threads=1
        ),
    }
    found = {name: profile(job) for name, job in jobs.items()}
    print("| stage (ns a point, 10⁷ points, one thread) | " + " | ".join(found) + " |")
    print("|---" + "|---:" * len(found) + "|")
    for stage in STAGES:
        cells = [f"{1e9 * spent[stage] / MANY:.1f}" for _, spent in found.values()]
        print(f"| {stage} | " + " | ".join(cells) + " |")
    print("| all | " + " | ".join(f"{1e9 * t / MANY:.1f}" for t, _ in found.values()) + " |")


if __name__ == "__main__":
    main()
