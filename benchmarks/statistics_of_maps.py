"""Measure what errors, values and coverage cost, as multiples of the plain smoothed map.

Both are made in turns in one process, and every job asserts its answer. First maps find the
coverage and its exposure; the next ones of the same pixels have them.

Run as ``python benchmarks/statistics_of_maps.py``; with ``--write`` the table in docs/numbers.md is
written anew, with ``--quick`` there are fewer points and single turns.
"""

import itertools

import numpy as np
from astropy import units as u
from astropy.coordinates import Latitude, Longitude, SkyCoord
from large import load_compiled_code, whole_sky, whole_sky_wcs
from recipe import field_wcs, points
from timing import parser_of, power, turns, write_table

from mpl_skyheat import Annulus, sky_map

SIDE = 1000


def row(job, beside, ratio):
    """Print a row, and return it for the table."""
    print(f"{job}: {ratio:.1f} × {beside}", flush=True)
    return f"| {job} | {beside} | {ratio:.1f} × |"


def with_errors(made):
    """Return a map whose standard errors have been found."""
    assert made.uncertainty.array.shape == made.data.shape
    return made


def close(ratios, value, within):
    """Assert that the median of ratios is a value."""
    assert abs(np.nanmedian(ratios) / value - 1) < within


def jobs_of(number, where, options, rng, place):
    """Yield rows for errors and values of a smoothed map."""
    lon, lat = where
    values = rng.normal(5.0, 2.0, number)

    rounds, kernel = options.pop("rounds"), options.pop("kernel")
    widths = itertools.count()

    def made(**more):
        # (Another kernel for each map: what it sees of the sky is found anew, as of a first map.)
        width = (1 + 1e-7 * next(widths)) * kernel
        return sky_map(lon, lat, kernel=width, **options, **more)

    plain = f"the smoothed density, {place}"
    slow, fast, answer, _ = turns(lambda: with_errors(made()), made, rounds)
    close(answer.n_eff / (answer.data / answer.uncertainty.array) ** 2, 1, 1e-2)
    yield row("with standard errors", plain, slow / fast)
    for statistic, value in (("mean", 5.0), ("std", 2.0)):

        def ours(statistic=statistic):
            found = made(values=values, statistic=statistic)
            assert found.n_eff.shape == found.data.shape
            return found

        slow, fast, answer, _ = turns(ours, made, rounds)
        close(answer.data, value, 0.05)
        yield row(f"{statistic} of values, with errors and n_eff", plain, slow / fast)


def discoveries_of(where, options, place):
    """Return rows for a significance, in one thread, and for the contour that encloses a fraction.

    A significance may cost six plain maps.
    """
    lon, lat = where
    rounds, kernel = options.pop("rounds"), options.pop("kernel")
    widths = itertools.count()

    def made(**more):
        width = (1 + 1e-7 * next(widths)) * kernel
        return sky_map(lon, lat, kernel=width, threads=1, **options, **more)

    ring = Annulus(3 * kernel, 6 * kernel)
    slow, fast, answer, sky = turns(
        lambda: made(statistic="significance", background=ring), made, rounds
    )
    assert abs(np.nanstd(answer.data) - 1) < 0.1
    assert rounds == 1 or slow < 6 * fast
    rows = [row("significance", f"the smoothed density, {place}", slow / fast)]
    points = SkyCoord(lon, lat, unit="deg")
    slow, fast, contour, _ = turns(
        lambda: sky.contour(enclosed=0.5, points=points), lambda: sky.value_at(points), rounds
    )
    assert abs(contour.attained - 0.5) < 1e-3
    beside = f"value_at of the points, {place}"
    return [*rows, row("contour that encloses half of the points", beside, slow / fast)]


def coverage_of(where, options, place):
    """Return rows for a MOC of order 10; none without mocpy."""
    try:
        from mocpy import MOC
    except ImportError:
        print("no mocpy: left out")
        return []
    lon, lat = where
    centre = Longitude(56.75 * u.deg), Latitude(24.12 * u.deg)
    rounds, kernel = options.pop("rounds"), options.pop("kernel")
    numbers = itertools.count()

    def made(radius=None, width=kernel):
        moc = None if radius is None else MOC.from_cone(*centre, radius=radius, max_depth=10)
        return sky_map(lon, lat, kernel=width, coverage=moc, **options)

    # (Another MOC, or kernel, for each map: nothing of it is kept.)
    def first():
        return made((1.0 + 1e-3 * next(numbers)) * u.deg)

    def plain():
        return made(width=(1 + 1e-7 * next(numbers)) * kernel)

    rows = []
    for job, ours, theirs in (
        ("first map of a coverage, a MOC of order 10", first, plain),
        ("next map of the same pixels", lambda: made(1 * u.deg), made),
    ):
        slow, fast, answer, whole = turns(ours, theirs, rounds)
        assert 0.2 < answer.mask.mean() < 0.8
        close(answer.data / np.nanmedian(whole.data), 1, 0.05)
        rows.append(row(job, f"the same without, {place}", slow / fast))
    return rows


def main():
    """Run all jobs; with ``--write``, write their rows into the site."""
    options = parser_of(__doc__).parse_args()
    rng = np.random.default_rng(5)
    number, rounds = (10**5, 1) if options.quick else (10**6, 9)
    many = 2 * 10**5 if options.quick else 10**7
    load_compiled_code()
    rows = ["| job | beside | times as long |", "|---|---|---:|"]
    where, wcs = points(number, rng), field_wcs(SIDE)
    field = {"wcs": wcs, "kernel": 2 * u.arcmin, "rounds": rounds}
    place = f"plane, {power(number)} points, {SIDE}² pixels"
    rows += jobs_of(number, where, dict(field), rng, place)
    rows += coverage_of(where, dict(field), place)
    rows += discoveries_of(where, dict(field), place)
    sky = whole_sky(number, rng)
    bins = (360, 180) if options.quick else (1440, 720)
    whole = {"wcs": whole_sky_wcs("RA---CAR", "DEC--CAR", 360 / bins[0], bins), "bins": bins}
    whole |= {"kernel": 2 * u.deg, "rounds": rounds}
    rows += jobs_of(number, sky, whole, rng, f"sphere, {power(number)} points, whole sky")
    where, values = points(many, rng), rng.normal(5.0, 2.0, many)
    slow, fast, sums, counts = turns(
        lambda: sky_map(*where, wcs=wcs, values=values, statistic="sum"),
        lambda: sky_map(*where, wcs=wcs, statistic="count"),
        rounds,
    )
    close(sums.data.sum() / counts.data.sum(), 5.0, 1e-2)
    rows.append(row("sums of values, not smoothed", f"counts, {power(many)} points", slow / fast))
    if options.write:
        write_table("statistics_of_maps.py", "\n".join(rows))


if __name__ == "__main__":
    main()
