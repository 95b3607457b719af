"""Values and solid angles of maps of the whole sky, against sums and integrals of our own.

Nothing here is taken from the package but what everyone calls: `sky_map` and the kernels. Great
circles are summed over with a tree of neighbours, solid angles are integrated over places in
pixels, and where the sky is, the way to it and back tells.
"""

import itertools

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from scipy.integrate import quad
from scipy.spatial import cKDTree

from mpl_skyheat import Gaussian, Moffat, sky_map

# From where to where the plane of the whole sky goes (deg; Calabretta & Greisen 2002), of half of
# it with SIN.
EXTENTS = {
    "AIT": ((-np.sqrt(8), np.sqrt(8)), (-np.sqrt(2), np.sqrt(2))),
    "MOL": ((-np.sqrt(8), np.sqrt(8)), (-np.sqrt(2), np.sqrt(2))),
    "CAR": ((-np.pi, np.pi), (-np.pi / 2, np.pi / 2)),
    "SFL": ((-np.pi, np.pi), (-np.pi / 2, np.pi / 2)),
    "PAR": ((-np.pi, np.pi), (-np.pi / 2, np.pi / 2)),
    "HPX": ((-np.pi, np.pi), (-np.pi / 2, np.pi / 2)),
    "CEA": ((-np.pi, np.pi), (-1, 1)),
    "ZEA": ((-2, 2), (-2, 2)),
    "ARC": ((-np.pi, np.pi), (-np.pi, np.pi)),
    "SIN": ((-1, 1), (-1, 1)),
    "TSC": ((-np.pi / 4, 7 * np.pi / 4), (-3 * np.pi / 4, 3 * np.pi / 4)),
    "BON": ((-2.14, 2.14), (-np.pi / 2, 2.49)),
    "COE": ((-2.42, 2.42), (-np.sqrt(2), 2.47)),
}
PARAMETERS = {"BON": [(2, 1, 45.0)], "COE": [(2, 1, 45.0), (2, 2, 0.0)]}


def whole_sky(code, step, *, center=(83.1, 0.0), off=(0.0, 0.0), pad=1, axes="RADEC", turned=0.0):
    """Return the WCS of the whole sky in pixels of ``step`` deg, some more of them on each side.

    The middle of what the projection shows is ``off`` pixels from the middle of the map.
    """
    wcs = WCS(naxis=2)
    prefixes = ("RA---", "DEC--") if axes == "RADEC" else ("GLON-", "GLAT-")
    wcs.wcs.ctype = [prefix + code for prefix in prefixes]
    wcs.wcs.crval = (center[0], 45.0) if code == "COE" else center
    wcs.wcs.cdelt = -step, step
    wcs.wcs.set_pv(PARAMETERS.get(code, []))
    cos, sin = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    wcs.wcs.pc = [[cos, -sin], [sin, cos]]
    ends = np.degrees(EXTENTS[code]) / step
    shape = np.ceil(ends[:, 1] - ends[:, 0] - 1e-6).astype(int) + 2 * pad
    middle = ends.mean(axis=1) * (-1, 1)
    wcs.wcs.crpix = 0.5 * (shape + 1) + off - middle
    wcs.pixel_shape = tuple(int(n) for n in shape)
    wcs.wcs.set()
    return wcs


def shown(wcs, x, y):
    """Return positions in the map's frame (deg), NaN where points of the plane show no sky."""
    lon, lat = wcs.wcs_pix2world(x, y, 0)
    x_back, y_back = wcs.wcs_world2pix(lon, lat, 0)
    off = ~(np.hypot(x_back - x, y_back - y) < 1e-5)
    return np.where(off, np.nan, lon), np.where(off, np.nan, lat)


def vectors(lon, lat):
    """Return unit vectors (n, 3) to positions in deg."""
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def vectors_in_icrs(wcs, lon, lat):
    """Return unit vectors in ICRS to positions in the map's frame."""
    icrs = SkyCoord(lon, lat, unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs
    return vectors(icrs.ra.deg, icrs.dec.deg)


def gaussian(sigma):
    """Return the profile of a Gaussian that is cut at 5 sigma, and where it is cut (rad)."""
    return lambda theta: np.exp(-0.5 * (theta / sigma) ** 2), 5 * sigma


def moffat(fwhm, beta=4.765):
    """Return the profile of a Moffat, and where it is cut: it has 99.9 % of the whole there."""
    gamma = 0.5 * fwhm / np.sqrt(2 ** (1 / beta) - 1)
    reach = gamma * np.sqrt(0.001 ** (1 / (1 - beta)) - 1)
    return lambda theta: (1 + (theta / gamma) ** 2) ** -beta, reach


def assert_within(found, expected, worst, median=np.inf):
    """Hold relative errors against what they may be at worst, and in the median."""
    error = np.abs(np.asarray(found) / np.asarray(expected) - 1)
    assert np.median(error) <= median
    assert error.max() <= worst


class GreatCircles:
    """Sums of a kernel over great-circle separations, per sr."""

    def __init__(self, stars, profile, reach):
        self._tree = cKDTree(stars)
        self._profile, self._reach = profile, reach
        end = min(reach, np.pi)
        self._integral = 2 * np.pi * quad(lambda t: profile(t) * np.sin(t), 0, end, limit=200)[0]

    def __call__(self, places):
        """Return the sums at unit vectors, and the effective number of points in them."""
        total, square = np.empty(len(places)), np.empty(len(places))
        for start in range(0, len(places), 1000):
            part = np.s_[start : start + 1000]
            total[part], square[part] = self._sums(places[part])
        with np.errstate(invalid="ignore"):
            return total / self._integral, np.nan_to_num(total**2 / square)

    def _sums(self, places):
        chord = 2 * np.sin(0.5 * min(self._reach, np.pi))
        pairs = cKDTree(places).sparse_distance_matrix(self._tree, chord, output_type="ndarray")
        weight = self._profile(2 * np.arcsin(np.minimum(0.5 * pairs["v"], 1)))
        return (
            np.bincount(pairs["i"], weight, minlength=len(places)),
            np.bincount(pairs["i"], weight**2, minlength=len(places)),
        )


def stars_everywhere(sigma, per_kernel, clumps=()):
    """Return positions (deg) all over the sky: about so many effective points within a kernel.

    And as many in each of the clumps, at unit vectors, of half of the kernel's width.
    """
    rng = np.random.default_rng(11)
    v = rng.normal(size=(int(per_kernel / sigma**2) + 1, 3))
    for clump in clumps:
        v = np.concatenate([v, clump + 0.5 * sigma * rng.normal(size=(per_kernel, 3))])
    v /= np.linalg.norm(v, axis=1)[:, None]
    return np.degrees(np.arctan2(v[:, 1], v[:, 0])) % 360, np.degrees(np.arcsin(v[:, 2]))


def interesting_places(wcs):
    """Return unit vectors to the poles and the middle of a map, and to places at its edge."""
    ny, nx = wcs.array_shape
    row, column = np.indices((ny, nx))
    lon, _ = shown(wcs, column.ravel(), row.ravel())
    known = np.isfinite(lon).reshape(ny, nx)
    rows = np.flatnonzero(known.any(axis=1))
    middle = rows[len(rows) // 2]
    ends = [(row, np.flatnonzero(known[row])[end]) for row in rows[[0, -1]] for end in (0, -1)]
    y, x = np.array([*ends, (middle, np.flatnonzero(known[middle])[0]), (middle, nx // 2)]).T
    at_edge = vectors_in_icrs(wcs, *shown(wcs, x, y))
    poles = vectors_in_icrs(wcs, np.zeros(2), np.array([90.0, -90.0]))
    return np.concatenate([at_edge, poles])


def per_sr(skymap):
    return skymap.data * skymap.unit.to(u.sr**-1)


def values_at_centres(skymap, great_circles):
    """Return row, column, value and exact sum of pixels with a centre on the sky.

    Of those that are not much larger than the kernel, and in which a hundred points make it up.
    """
    row, column = np.nonzero(~skymap.mask)
    lon, lat = shown(skymap.wcs, column, row)
    known = np.isfinite(lon)
    row, column = row[known], column[known]
    expected, points = great_circles(vectors_in_icrs(skymap.wcs, lon[known], lat[known]))
    return row, column, per_sr(skymap)[row, column], expected, points


# --- values at centres ---------------------------------------------------------------------------

MAPS = {
    "AIT": whole_sky("AIT", 4.0),
    "MOL": whole_sky("MOL", 4.0),
    "CAR": whole_sky("CAR", 4.0, pad=0),
    "HPX": whole_sky("HPX", 4.0),
    "ZEA": whole_sky("ZEA", 3.0),
    "SIN": whole_sky("SIN", 1.7),
    "AIT, galactic": whole_sky("AIT", 3.6, axes="GLON", center=(0, 0), off=(0.3, 0.2)),
    "MOL, oblique": whole_sky("MOL", 4.0, center=(40, 50), off=(0.3, 0.2)),
    "ZEA, turned": whole_sky("ZEA", 3.0, center=(50, 70), off=(0.3, 0.2), turned=30),
    "ZEA, at a pole": whole_sky("ZEA", 3.0, axes="GLON", center=(0, 90)),
    "SIN, turned": whole_sky("SIN", 1.8, axes="GLON", center=(50, -40), off=(0.2, 0.3), turned=20),
}


@pytest.mark.parametrize("pixels", [2, 5])
@pytest.mark.parametrize("sky", MAPS)
def test_a_smoothed_map_has_the_exact_value_at_every_centre(sky, pixels):
    """The rim and the poles are no exception: to 5e-4, where 100 points or more are summed."""
    wcs = MAPS[sky]
    sigma = np.radians(pixels * wcs.wcs.cdelt[1])
    lon, lat = stars_everywhere(sigma, 150, interesting_places(wcs))
    skymap = sky_map(lon, lat, wcs=wcs, kernel=Gaussian(sigma * u.rad))
    assert skymap.meta["geometry"] == "sphere"
    great_circles = GreatCircles(vectors(lon, lat), *gaussian(sigma))
    row, column, found, expected, points = values_at_centres(skymap, great_circles)
    judged = points >= 100
    assert judged.sum() > 0.95 * len(row)
    wide = sigma >= 0.5 * np.sqrt(skymap.solid_angle.value[row, column])
    assert wide[judged].all()
    assert_within(found[judged], expected[judged], 5e-4)


@pytest.mark.parametrize("sky", ["AIT", "ZEA, turned"])
def test_a_moffat_too_has_the_exact_value_at_every_centre(sky):
    wcs = MAPS[sky]
    fwhm = np.radians(5 * wcs.wcs.cdelt[1])
    lon, lat = stars_everywhere(fwhm / 2.355, 150, interesting_places(wcs))
    skymap = sky_map(lon, lat, wcs=wcs, kernel=Moffat(fwhm * u.rad))
    great_circles = GreatCircles(vectors(lon, lat), *moffat(fwhm))
    _, _, found, expected, points = values_at_centres(skymap, great_circles)
    judged = points >= 100
    assert judged.mean() > 0.95
    assert_within(found[judged], expected[judged], 5e-4)


def test_a_sin_of_the_hemisphere_is_right_with_a_kernel_of_one_pixel():
    """In the median of the pixels that the kernel is not lost in, to 1e-3."""
    wcs = whole_sky("SIN", 1.9)
    sigma = np.radians(1.9)
    lon, lat = stars_everywhere(sigma, 150)
    skymap = sky_map(lon, lat, wcs=wcs, kernel=Gaussian(sigma * u.rad))
    great_circles = GreatCircles(vectors(lon, lat), *gaussian(sigma))
    row, column, found, expected, _ = values_at_centres(skymap, great_circles)
    wide = sigma >= 0.5 * np.sqrt(skymap.solid_angle.value[row, column])
    assert wide.mean() > 0.8
    assert_within(found[wide], expected[wide], np.inf, median=1e-3)


# --- means over pixels ---------------------------------------------------------------------------


# Those that show all of the sky in equal areas, but not on a plane of 4 pi.
EQUAL_AREA = {"HPX": 8 / (3 * np.pi), "PAR": 3 / np.pi}


def weight_of(code, x, y):
    """Return the solid angle of a square radian of the plane, at places (rad) on it."""
    if code == "CAR":
        return np.cos(y)
    if code == "ARC":
        return np.sinc(np.hypot(x, y) / np.pi)
    if code == "TSC":
        # Six faces of pi / 2, each gnomonic.
        p, q = (4 / np.pi * (v - np.pi / 2 * np.round(2 * v / np.pi)) for v in (x, y))
        return (4 / np.pi) ** 2 * (1 + p**2 + q**2) ** -1.5
    assert code in ("AIT", "MOL", "SFL", "PAR", "HPX", "CEA", "ZEA", "BON", "COE")
    return np.full(x.shape, EQUAL_AREA.get(code, 1.0))


def places_in(wcs, column, row, number):
    """Return places all over the sky of a pixel, x and y, and the solid angle (sr) of each.

    ``number`` squared of them, before those off the sky are left out, on a lattice that has no two
    in a column or a row: an edge along one of these has none of them on it.
    """
    if wcs.wcs.ctype[0].endswith("SIN"):
        return sin_places(wcs, column, row, number)
    k = np.arange(number**2)
    x = column - 0.5 + (k + 0.5) / number**2
    y = row - 0.5 + (k * 0.5 * (1 + np.sqrt(5)) + 0.5) % 1
    known = np.isfinite(shown(wcs, x, y)[0])
    x, y = x[known], y[known]
    scale = np.radians(wcs.wcs.cdelt)
    plane = [s * (v + 1 - c) for s, v, c in zip(scale, (x, y), wcs.wcs.crpix, strict=True)]
    return x, y, weight_of(wcs.wcs.ctype[0][-3:], *plane) * np.abs(scale).prod() / number**2


def sin_places(wcs, column, row, number):
    """Return the places of `places_in` on a SIN, dense beside the limb.

    As on a cylinder around the x axis: with y = sqrt(1 - x^2) sin t, dx dt is the solid angle.
    """
    scale, (x_zero, y_zero) = np.radians(wcs.wcs.cdelt[1]), wcs.wcs.crpix - 1
    ends = np.array([-0.5, 0.5])
    bottom, top = scale * (row + ends - y_zero)
    most = np.sqrt(max(1 - np.clip(0, bottom, top) ** 2, 0))
    start, stop = np.clip(scale * (column + ends - x_zero), -most, most)
    phase = np.pi * (np.arange(number) + 0.5) / number
    x = start + 0.5 * (stop - start) * (1 - np.cos(phase))
    width = 0.5 * (stop - start) * np.sin(phase) * np.pi / number
    chord = np.sqrt(1 - x**2)
    low, high = (np.arcsin(np.clip(y / chord, -1, 1)) for y in (bottom, top))
    t = low[:, None] + (high - low)[:, None] * phase / np.pi
    y = chord[:, None] * np.sin(t)
    x, weight = (np.broadcast_to(v[:, None], t.shape) for v in (x, width * (high - low) / number))
    known = weight > 0
    return x[known] / scale + x_zero, y[known] / scale + y_zero, weight[known]


def mean_over(wcs, column, row, great_circles, number):
    """Return the mean of exact sums over the sky of a pixel, weighted by solid angle."""
    x, y, weight = places_in(wcs, column, row, number)
    lon, lat = wcs.wcs_pix2world(x, y, 0)
    known = np.isfinite(lon)
    assert weight[known].sum() > (1 - 1e-6) * weight.sum()
    exact, _ = great_circles(vectors_in_icrs(wcs, lon[known], lat[known]))
    return (exact * weight[known]).sum() / weight[known].sum()


def some(row, column, number):
    """Return rows and columns of so many of the pixels, taken at random."""
    chosen = np.random.default_rng(2).permutation(len(row))[:number]
    return row[chosen], column[chosen]


def assert_means(skymap, pixels, great_circles, number=16):
    """Hold values against the mean over pixels, to 1 %."""
    places = zip(*pixels, strict=True)
    expected = [mean_over(skymap.wcs, x, y, great_circles, number) for y, x in places]
    assert_within(per_sr(skymap)[pixels], expected, 0.01)


NARROW = {
    "CAR": (whole_sky("CAR", 9.0, pad=0), 0.35, 100_000),
    "CAR, off": (whole_sky("CAR", 9.0, off=(0.3, 0.2)), 0.35, 100_000),
    "SIN": (whole_sky("SIN", 3.0, off=(0.3, 0.2)), 1.0, 100_000),
}


@pytest.mark.parametrize("sky", NARROW)
def test_a_pixel_larger_than_the_kernel_has_the_mean_over_it(sky):
    """To 1 %, where the kernel's sigma is less than half of the root of its solid angle."""
    wcs, pixels, number = NARROW[sky]
    sigma = np.radians(pixels * wcs.wcs.cdelt[1])
    lon, lat = stars_everywhere(sigma, number * sigma**2)
    skymap = sky_map(lon, lat, wcs=wcs, kernel=Gaussian(sigma * u.rad), geometry="sphere")
    great_circles = GreatCircles(vectors(lon, lat), *gaussian(sigma))
    row, column = np.nonzero(sigma < 0.5 * np.sqrt(skymap.solid_angle.value))
    known = np.isfinite(shown(wcs, column, row)[0]) & (skymap.counts[row, column] >= 100)
    assert known.sum() >= 10
    assert_means(skymap, some(row[known], column[known], 24), great_circles)


@pytest.mark.parametrize("sky", ["AIT", "CAR, off", "MOL, oblique", "SIN, turned", "ZEA, turned"])
def test_a_pixel_with_its_centre_off_the_sky_has_the_mean_over_its_sky(sky):
    wcs = MAPS[sky] if sky in MAPS else whole_sky("CAR", 4.0, off=(0.3, 0.2))
    wcs = wcs.deepcopy()
    wcs.wcs.pc = np.eye(2)
    sigma = np.radians(2 * wcs.wcs.cdelt[1])
    lon, lat = stars_everywhere(sigma, 150)
    skymap = sky_map(lon, lat, wcs=wcs, kernel=Gaussian(sigma * u.rad))
    great_circles = GreatCircles(vectors(lon, lat), *gaussian(sigma))
    row, column = np.nonzero(~skymap.mask)
    lost = ~np.isfinite(shown(wcs, column, row)[0])
    lost &= skymap.solid_angle.value[row, column] > 0.05 * np.radians(wcs.wcs.cdelt[1]) ** 2
    assert lost.sum() >= 10
    assert_means(skymap, some(row[lost], column[lost], 20), great_circles, number=32)


# --- solid angles --------------------------------------------------------------------------------

CODES = ["AIT", "MOL", "CAR", "CEA", "SFL", "PAR", "ZEA", "ARC", "HPX", "SIN", "TSC", "BON", "COE"]
# Edges of pixels at the poles and where longitudes are cut, centres there, and neither; with and
# without more pixels around.
LAYOUTS = {
    "edges": {"pad": 0},
    "slivers": {"off": (0.003, 0.002), "pad": 1},
    "centres": {"off": (0.5, 0.5), "pad": 1},
    "neither": {"off": (0.3, 0.2), "pad": 5},
    "oblique": {"off": (0.15, -0.4), "pad": 2, "center": (40, 50)},
}


def empty_map(code, step, layout):
    """Return the map of a sky without points."""
    return sky_map([], [], wcs=whole_sky(code, step, **LAYOUTS[layout]))


@pytest.mark.parametrize(
    ("code", "step", "layout"),
    [
        *itertools.product(CODES, [10.0], LAYOUTS),
        *itertools.product(CODES, [3.0], ["edges", "neither"]),
        *itertools.product(CODES, [1.0], ["oblique"]),
    ],
)
def test_solid_angles_add_up_to_the_sky_without_any_points(code, step, layout):
    """To 1e-3, and so do they for half of the sky on a SIN."""
    area = empty_map(code, step, layout).solid_angle.to_value(u.sr)
    assert_within(area.sum(), 2 * np.pi if code == "SIN" else 4 * np.pi, 1e-3)


def cut_pixels(skymap):
    """Return rows and columns of pixels whose centre is on the sky, but not all of them."""
    row, column = np.nonzero(~skymap.mask)
    row, column = row[:, None], column[:, None]
    step = np.linspace(-0.5, 0.5, 5) * (1 - 1e-6)
    dx, dy = (v.ravel() for v in np.meshgrid(step, step))
    x, y = column + dx, row + dy
    known = np.isfinite(shown(skymap.wcs, x.ravel(), y.ravel())[0]).reshape(x.shape)
    centre = known[:, len(dx) // 2]
    cut = centre & ~known.all(axis=1)
    return row[cut, 0], column[cut, 0]


@pytest.mark.parametrize(
    ("code", "step", "layout"),
    [
        *itertools.product(CODES, [10.0], ["neither"]),
        *itertools.product(CODES, [3.0], ["oblique"]),
        *itertools.product(["AIT", "ZEA", "SIN", "HPX"], [1.0], ["edges", "oblique"]),
    ],
)
def test_pixels_that_the_edge_cuts_have_the_solid_angle_of_their_sky(code, step, layout):
    """To 1 % in the median and 3 % at worst, of those with their centre on the sky."""
    skymap = empty_map(code, step, layout)
    row, column = cut_pixels(skymap)
    assert len(row) >= 10
    # Those at the limb of a SIN are the hardest, and cheap.
    pixels = some(row, column, len(row) if code == "SIN" else 16)
    places = zip(*pixels, strict=True)
    expected = [places_in(skymap.wcs, x, y, 50)[2].sum() for y, x in places]
    assert_within(skymap.solid_angle.to_value(u.sr)[pixels], expected, 0.03, median=0.01)


# --- which pixels there are ----------------------------------------------------------------------


def points_at_edges(wcs):
    """Return points (deg, in the map's frame) all over the sky, and beside its edges on a map."""
    rng = np.random.default_rng(4)
    lon, lat = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    ny, nx = wcs.array_shape
    x, y = (rng.uniform(-0.5, n - 0.5, 10_000) for n in (nx, ny))
    known = np.isfinite(shown(wcs, x, y)[0])
    # Between a place that has sky and one that has none, bisection finds the edge.
    number = min(known.sum(), (~known).sum(), 1000)
    inside, outside = (np.stack([x[k][:number], y[k][:number]]) for k in (known, ~known))
    for _ in range(35):
        middle = 0.5 * (inside + outside)
        is_sky = np.isfinite(shown(wcs, *middle)[0])
        inside, outside = np.where(is_sky, middle, inside), np.where(is_sky, outside, middle)
    edge_lon, edge_lat = shown(wcs, *inside)
    return np.append(lon, edge_lon), np.append(lat, edge_lat)


@pytest.mark.parametrize(
    ("code", "layout", "kernel"),
    [
        *itertools.product(CODES, ["slivers"], [None]),
        *(
            pytest.param(code, layout, None, marks=pytest.mark.slow)
            for code, layout in itertools.product(CODES, ["edges", "neither"])
        ),
        *itertools.product(["AIT", "CAR", "ZEA", "SIN"], ["slivers"], [12 * u.deg]),
    ],
)
def test_which_pixels_there_are_depends_on_no_point(code, layout, kernel):
    """Those with a solid angle are there, the same with points at the very edges as with none."""
    wcs = whole_sky(code, 6.0, **LAYOUTS[layout])
    empty = sky_map([], [], wcs=wcs, kernel=kernel)
    full = sky_map(*points_at_edges(wcs), wcs=wcs, kernel=kernel)
    for skymap in (empty, full):
        np.testing.assert_array_equal(skymap.solid_angle.value > 0, ~skymap.mask)
        np.testing.assert_array_equal(np.isfinite(skymap.data), ~skymap.mask)
    assert not (full.mask & (full.counts > 0)).any()
    np.testing.assert_array_equal(empty.mask, full.mask)
    np.testing.assert_array_equal(empty.solid_angle.value, full.solid_angle.value)


@pytest.mark.parametrize("layout", ["slivers", "oblique"])
@pytest.mark.parametrize("code", CODES)
def test_a_pixel_is_there_if_any_of_it_shows_sky(code, layout):
    """All that have sky at one of many places are; and none that has none, unless a sliver."""
    wcs = whole_sky(code, 6.0, **LAYOUTS[layout])
    skymap = sky_map([], [], wcs=wcs)
    row, column = np.indices(skymap.data.shape)
    step = np.linspace(-0.5, 0.5, 11) * (1 - 1e-6)
    dx, dy = (v.ravel() for v in np.meshgrid(step, step))
    kept = np.maximum(np.abs(dx), np.abs(dy)) > 0.49  # on its sides, and some within
    kept[::7] = True
    dx, dy = dx[kept], dy[kept]
    x, y = (v[..., None] + d for v, d in ((column, dx), (row, dy)))
    known = np.isfinite(shown(wcs, x.ravel(), y.ravel())[0]).reshape(x.shape).any(axis=-1)
    assert not (known & skymap.mask).any()
    sliver = np.median(skymap.solid_angle.value[known]) / 100
    assert (skymap.solid_angle.value[~known] < sliver).all()


@pytest.mark.parametrize(("code", "middle"), [*((code, 180.0) for code in CODES), ("CAR", 83.1)])
def test_points_at_the_very_edge_of_the_sky_are_in_pixels_that_are_there(code, middle):
    """At the poles and where longitudes are cut, though pixels without any sky begin there, too."""
    wcs = whole_sky(code, 6.0, pad=1, center=(middle, 0.0))
    along, around = np.linspace(-90, 90, 181), np.linspace(0, 360, 181)
    lon = np.concatenate([np.full(181, middle + 180), np.full(181, middle - 180), around, around])
    lat = np.concatenate([along, along, np.full(181, 90.0), np.full(181, -90.0)])
    empty, full = sky_map([], [], wcs=wcs), sky_map(lon % 360, lat, wcs=wcs)
    assert not (full.mask & (full.counts > 0)).any()
    np.testing.assert_array_equal(empty.mask, full.mask)
    assert full.counts.sum() == full.meta["inside"]
    if code != "SIN":
        assert full.meta["inside"] == len(lon)


def plate_carree(width, height, bins):
    """Return the solid angles (sr) of a region in few pixels, and those between parallels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---CAR", "DEC--CAR"
    wcs.wcs.crpix = 0.5 * (width + 1), 0.5 * (height + 1)
    wcs.wcs.cdelt = -1, 1
    wcs.pixel_shape = width, height
    areas = sky_map([], [], wcs=wcs, bins=bins).solid_angle.value
    edges = np.radians(np.linspace(-0.5 * height, 0.5 * height, bins[1] + 1))
    return areas, np.radians(width) / bins[0] * np.diff(np.sin(edges))[:, np.newaxis]


@pytest.mark.parametrize(
    ("width", "height", "bins"),
    [(360, 180, (12, 1)), (360, 180, (8, 18)), (340, 180, (1, 6)), (350, 170, (1, 1))],
)
def test_pixels_as_wide_as_the_sky_have_their_solid_angle(width, height, bins):
    areas, exact = plate_carree(width, height, bins)
    np.testing.assert_allclose(areas, np.broadcast_to(exact, areas.shape), rtol=1e-3)


def test_a_notch_of_the_sky_that_begins_beyond_the_map_is_no_sky():
    wcs = whole_sky("HPX", 3.423, center=(180.0, 0.0))
    wcs.wcs.crpix = 81.187, 16.292
    wcs.pixel_shape = 129, 94
    areas = sky_map([], [], wcs=wcs).solid_angle.value
    row, column = np.indices(areas.shape)
    places = np.linspace(-0.49, 0.49, 7)
    x = column[..., np.newaxis, np.newaxis] + places
    y = row[..., np.newaxis, np.newaxis] + places[:, np.newaxis]
    x, y = np.broadcast_arrays(x, y)
    fraction = np.isfinite(shown(wcs, x, y)[0]).mean(axis=(2, 3))
    assert ((fraction == 0).any(axis=1))[0]
    np.testing.assert_allclose(areas / areas.max(), fraction, atol=0.15)
