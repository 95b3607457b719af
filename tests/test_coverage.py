"""What was observed: every form of ``coverage``, and the values of maps beside its edge."""

import gzip
import json
import pickle
from functools import cache

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import NDData
from astropy.table import Table
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import (
    Annulus,
    Gaussian,
    Randoms,
    SkyHeatmapWarning,
    TopHat,
    sky_heatmap,
    sky_map,
    subplot,
)
from mpl_skyheat.coverage import observed as observed_module
from mpl_skyheat.coverage import sky_regions
from mpl_skyheat.coverage.files import read_coverage
from mpl_skyheat.coverage.observed import observed_sky
from mpl_skyheat.coverage.parsing import find_coverage
from mpl_skyheat.coverage.sampling import Cells
from mpl_skyheat.sky import kept as kept_module
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import native_grid
from mpl_skyheat.sky.planes import plane_of_wcs, view_of_shape
from mpl_skyheat.smoothing.field import PlaneField, SphereField

SQUARE_DEG = (np.pi / 180) ** 2
CENTRE = SkyCoord(50.2, 30.1, unit="deg")
GEOMETRIES = ["plane", "sphere"]


def field(pixels=100, side=0.04, **kwargs):
    """A WCS of 4 deg around (50, 30)."""
    return make_wcs(shape=(pixels, pixels), center=(50, 30), cdelt=(-side, side), **kwargs)


def uniform(number, rng):
    """Uniform points around the field, and their density per square degree."""
    ra = rng.uniform(46, 54, number)
    sine = rng.uniform(*np.sin(np.radians([27, 33])), number)
    sky = np.radians(8) * np.ptp(np.sin(np.radians([27, 33])))
    return (ra, np.degrees(np.arcsin(sine))), number / sky * SQUARE_DEG


def in_circle(coord):
    return coord.separation(CENTRE) < 1 * u.deg


def fractions_of(coverage, wcs, frame=None):
    """The observed fractions of a WCS's pixels, and their solid angles (deg²)."""
    plane = plane_of_wcs(wcs)
    geometry = MapGeometry(plane, native_grid(view_of_shape(wcs)))
    found = observed_sky(geometry, find_coverage(coverage).coverage, frame or plane.frame)
    return found.pixels.fractions, geometry.solid_angles / SQUARE_DEG


def finely(inside, wcs, number=24):
    """The fractions of pixels of which a function says what is inside, by many places."""
    nx, ny = wcs.pixel_shape
    along = (np.arange(number) + 0.5) / number - 0.5
    total = np.zeros((ny, nx))
    y, x = np.mgrid[:ny, :nx]
    for dy in along:
        for dx in along:
            total += inside(wcs.pixel_to_world(x + dx, y + dy))
    return total / number**2


# Forms


def image_of_circle():
    wcs = make_wcs(shape=(400, 400), center=(50.3, 30.2), cdelt=(-0.01, 0.01))
    y, x = np.mgrid[:400, :400]
    return in_circle(wcs.pixel_to_world(x, y)).astype(np.float32), wcs


def regions_of_circle():
    regions = pytest.importorskip("regions")
    return regions.CircleSkyRegion(CENTRE, 1 * u.deg)


def cells_in_circle(healpix):
    """The pixels of a HEALPix with their centre in the circle."""
    near = healpix.cone_search_lonlat(CENTRE.ra, CENTRE.dec, 1.2 * u.deg)
    return near[in_circle(SkyCoord(*healpix.healpix_to_lonlat(near)))]


@cache
def moc_of_circle():
    mocpy = pytest.importorskip("mocpy")
    # (`from_cone` takes all cells that the cone touches.)
    cells = cells_in_circle(healpix_of(order=11))
    return mocpy.MOC.from_healpix_cells(cells, np.full(len(cells), 11, np.uint8), 11)


def healpix_of(order, kind="nested", frame="icrs"):
    package = pytest.importorskip("astropy_healpix")
    return package.HEALPix(2**order, kind, frame=frame)


@cache
def healpix_of_circle(kind="nested", frame="icrs"):
    healpix = healpix_of(9, kind, frame)
    return in_circle(healpix.healpix_to_skycoord(np.arange(healpix.npix)).icrs), healpix


@cache
def healsparse_of_circle():
    package = pytest.importorskip("healsparse")
    sparse = package.HealSparseMap.make_empty(32, 1024, np.float32)
    cells = cells_in_circle(healpix_of(10))
    sparse.update_values_pix(cells, np.ones(len(cells), np.float32))
    return sparse


FORMS = {
    "function": lambda: in_circle,
    "fractions": lambda: lambda coord: in_circle(coord).astype(np.float32),
    "image": image_of_circle,
    "NDData": lambda: NDData(image_of_circle()[0], wcs=image_of_circle()[1]),
    "HDU": lambda: fits.ImageHDU(image_of_circle()[0], image_of_circle()[1].to_header()),
    "header": lambda: (image_of_circle()[0], image_of_circle()[1].to_header()),
    "region": regions_of_circle,
    "MOC": moc_of_circle,
    "HEALPix": healpix_of_circle,
    "Galactic HEALPix": lambda: healpix_of_circle("ring", "galactic"),
    "healsparse": healsparse_of_circle,
    "list": lambda: [in_circle, lambda coord: coord.icrs.dec.deg > 0],
}


@pytest.mark.parametrize("axes", ["RADEC", pytest.param("GLON", marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_observed_fraction_of_pixels(form, axes):
    centre = (50, 30) if axes == "RADEC" else (157.56, -22.55)
    wcs = make_wcs(shape=(70, 70), center=centre, cdelt=(-0.04, 0.04), axes=axes)
    coverage = FORMS[form]()
    found, area = fractions_of(coverage, wcs)
    expected = finely(lambda coord: in_circle(coord.icrs), wcs)
    # Of images and HEALPix maps, the edge runs along pixels.
    is_exact = form in ("function", "fractions", "region", "list")
    assert np.abs(found - expected).max() < (0.06 if is_exact else 1.1)
    assert np.abs(found - expected).mean() < (0.002 if is_exact else 0.03)
    cap = 2 * np.pi * (1 - np.cos(np.radians(1))) / SQUARE_DEG
    assert (found * area).sum() == pytest.approx(cap, rel=5e-4 if is_exact else 1e-2)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_which_rows_count(form, geometry):
    points, _ = uniform(20_000, np.random.default_rng(3))
    made = sky_map(
        *points, wcs=field(), kernel="12 arcmin", coverage=FORMS[form](), geometry=geometry
    )
    everything = sky_map(*points, wcs=field())
    expected = int(in_circle(SkyCoord(*points, unit="deg")).sum())
    assert abs(made.meta["inside"] - expected) < 0.02 * expected
    assert made.meta["unseen"] == everything.meta["inside"] - made.meta["inside"]
    assert made.meta["read"] == 20_000
    np.testing.assert_array_equal(made.counts > 0, (everything.counts > 0) & (made.counts > 0))
    assert not made.counts[made.coverage == 0].any()
    assert made.mask[made.coverage == 0].all()


def test_an_array_is_the_coverage_of_its_pixels():
    wcs = field()
    points, _ = uniform(50_000, np.random.default_rng(3))
    array = np.zeros((100, 100))
    array[20:70, 30:80] = 0.25
    for geometry in GEOMETRIES:
        made = sky_map(*points, wcs=wcs, kernel="6 arcmin", coverage=array, geometry=geometry)
        np.testing.assert_array_equal(made.coverage, array)
        plain = sky_map(*points, wcs=wcs)
        np.testing.assert_array_equal(made.counts, np.where(array > 0, plain.counts, 0))
    flat = sky_map(np.arange(10.0), np.arange(10.0), frame="flat", bins=(5, 5), coverage=np.eye(5))
    np.testing.assert_array_equal(flat.mask, np.eye(5) == 0)
    np.testing.assert_allclose(np.diag(flat.data), 10 / 5 / flat.solid_angle.value[0, 0])


def test_what_is_smaller_than_a_pixel_is_found():
    """Holes of regions and MOCs, of a tenth of a pixel's width."""
    regions = pytest.importorskip("regions")
    wcs = field(pixels=20, side=0.2)
    rng = np.random.default_rng(5)
    places = SkyCoord(rng.uniform(48.5, 51.5, 60), rng.uniform(28.5, 31.5, 60), unit="deg")
    radius = 1.2 * u.arcmin
    holes = [regions.CircleSkyRegion(place, radius, meta={"include": False}) for place in places]
    found, area = fractions_of(regions.Regions(holes), wcs)
    expected = len(places) * np.pi * radius.to_value(u.deg) ** 2
    cut = (found < 1).sum()
    assert 40 < cut <= 60
    # Of 8 × 8 places in a pixel, a hole holds 0.6 in the mean.
    assert ((1 - found) * area).sum() == pytest.approx(expected, abs=4 * 0.04 / 64 * np.sqrt(cut))
    mocpy = pytest.importorskip("mocpy")
    moc = mocpy.MOC.from_cones(
        places.ra, places.dec, radius=radius, max_depth=14, union_strategy="small_cones"
    )
    expected = moc.sky_fraction * 4 * np.pi / SQUARE_DEG
    found, area = fractions_of(moc.complement(), wcs)
    assert 40 < (found < 1).sum() < 75
    assert ((1 - found) * area).sum() == pytest.approx(expected, abs=4 * 0.04 / 64 * np.sqrt(cut))


def test_a_function_is_asked_as_finely_on_the_lattice_as_on_the_pixels():
    """Holes of four pixels under a kernel of 30, whose lattice has bins of 12."""
    regions = pytest.importorskip("regions")
    rng = np.random.default_rng(5)
    holes = SkyCoord(rng.uniform(46, 54, 60), rng.uniform(26, 34, 60), unit="deg")
    centres, radius = holes.cartesian.xyz.value, 0.1 * u.deg

    def observed(coord):
        return (coord.cartesian.xyz.value.T @ centres).max(axis=1) < np.cos(radius)

    points, _ = uniform(20_000, rng)
    circles = [regions.CircleSkyRegion(h, radius, meta={"include": False}) for h in holes]
    asked, exact = (
        sky_map(
            *points, wcs=field(80, 0.05), kernel="1.5 deg", coverage=coverage, geometry="sphere"
        )
        for coverage in (observed, regions.Regions(circles))
    )
    np.testing.assert_allclose(asked.data, exact.data, rtol=1e-4)


def test_pixels_whose_centre_is_off_the_sky_are_looked_at_finely():
    """At the rim of an SFL, under cells of a HEALPix map that are wider than ten pixels."""
    wcs = make_wcs("SFL", shape=(120, 60), center=(0, 0), cdelt=(-3, 3))
    healpix = healpix_of(2, "ring")
    values = np.random.default_rng(7).uniform(size=healpix.npix) > 0.5
    found, _ = fractions_of((values, healpix), wcs)
    x, y = np.meshgrid(np.arange(120), np.arange(60))
    beside = np.argwhere(np.isnan(wcs.pixel_to_world_values(x, y)[0]) & (found >= 0))
    along = (np.arange(16) + 0.5) / 16 - 0.5
    number = 0
    for row, column in beside:
        lon, lat = wcs.pixel_to_world_values(*np.meshgrid(column + along, row + along))
        sky = np.isfinite(lon)
        if sky.mean() < 0.15:
            continue
        cells = healpix.lonlat_to_healpix(lon[sky] * u.deg, lat[sky] * u.deg)
        assert found[row, column] == pytest.approx(values[cells].mean(), abs=0.3)
        number += 1
    assert number > 20


def test_regions_are_on_the_sphere():
    """Areas of all shapes, also wide ones, at a pole and across 0h."""
    regions = pytest.importorskip("regions")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crpix = (
        ["RA---CAR", "DEC--CAR"],
        [-0.5, 0.5],
        [360.5, 180.5],
    )
    wcs.pixel_shape = 720, 360

    def area_of(*shapes):
        fractions, area = fractions_of(regions.Regions(list(shapes)), wcs)
        return (fractions * area).sum()

    def cap(radius):
        return 2 * np.pi * (1 - np.cos(np.radians(radius))) / SQUARE_DEG

    for ra, dec in ((0, 0), (180, 40), (10, 88), (200, -90)):
        centre = SkyCoord(ra, dec, unit="deg")
        circle = regions.CircleSkyRegion(centre, 10 * u.deg)
        assert area_of(circle) == pytest.approx(cap(10), rel=2e-3)
        ring = regions.CircleAnnulusSkyRegion(centre, 5 * u.deg, 10 * u.deg)
        assert area_of(ring) == pytest.approx(cap(10) - cap(5), rel=3e-3)
        hole = regions.CircleSkyRegion(centre, 5 * u.deg, meta={"include": False})
        assert area_of(circle, hole) == pytest.approx(cap(10) - cap(5), rel=3e-3)
        assert area_of(hole) == pytest.approx(cap(180) - cap(5), rel=1e-3)
    # An octant is a triangle of great circles; so is one beside it.
    octant = regions.PolygonSkyRegion(SkyCoord([0, 90, 0], [0, 0, 90], unit="deg"))
    assert area_of(octant) == pytest.approx(cap(180) / 8, rel=1e-3)
    ellipse = regions.EllipseSkyRegion(SkyCoord(0, 0, unit="deg"), 8 * u.deg, 4 * u.deg, 30 * u.deg)
    assert area_of(ellipse) == pytest.approx(np.pi * 8, rel=1e-2)
    box = regions.RectangleSkyRegion(SkyCoord(0, 0, unit="deg"), 8 * u.deg, 4 * u.deg, 30 * u.deg)
    assert area_of(box) == pytest.approx(32, rel=1e-2)
    # Turned, as in regions: the width points 30 deg north of east... of west on the sky.
    inside, _ = fractions_of(regions.Regions([box]), wcs)
    pixel = regions.RectangleSkyRegion.to_pixel(box, field_at_origin())
    at = SkyCoord([3, -3, 3, -3], [1.7, 1.7, -1.7, -1.7], unit="deg")
    expected = pixel.contains(regions.PixCoord(*field_at_origin().world_to_pixel(at)))
    x, y = np.round(wcs.world_to_pixel(at)).astype(int)
    np.testing.assert_array_equal(inside[y, x] > 0.5, expected)


def test_edges_of_regions_are_where_they_are_looked_for():
    """What is certain within a radius is so at places within it, for every shape."""
    regions = pytest.importorskip("regions")
    rng = np.random.default_rng(2)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False) * u.rad
    pole, origin = SkyCoord(200, 89, unit="deg"), SkyCoord(359.9, 60, unit="deg")
    star = pole.directional_offset_by(turn, (2 + 1.5 * np.cos(5 * turn)) * u.deg)
    small, wide = 1 * u.deg, 4 * u.deg
    for shape, centre in (
        (regions.PolygonSkyRegion(star), pole),
        (regions.PolygonSkyRegion(star[[0, 0, *range(40), 39]]), pole),
        (regions.EllipseSkyRegion(origin, wide, 0.5 * u.deg, 33 * u.deg), origin),
        (regions.RectangleSkyRegion(origin, wide, small, 70 * u.deg), origin),
        (regions.EllipseAnnulusSkyRegion(origin, small, wide, small, wide), origin),
        (regions.CircleAnnulusSkyRegion(pole, small, wide), pole),
    ):
        coverage = find_coverage(shape).coverage
        around = rng.uniform(0, 360, 800) * u.deg
        places = centre.directional_offset_by(around, 5 * np.sqrt(rng.uniform(size=800)) * u.deg)
        for radius in (0.05, 0.5):
            told = coverage.certain(places.ra.deg, places.dec.deg, np.full(800, np.radians(radius)))
            sure = np.isfinite(told)
            assert 0.4 < sure.mean() < 1
            for _ in range(30):
                near = places.directional_offset_by(
                    rng.uniform(0, 360, 800) * u.deg, radius * rng.uniform(size=800) * u.deg
                )
                found = coverage.fractions(near.ra.deg, near.dec.deg)
                np.testing.assert_array_equal(found[sure], told[sure])


def test_sides_of_polygons_are_compared_with_pixels_near_them(monkeypatch):
    regions = pytest.importorskip("regions")
    turn = np.linspace(0, 2 * np.pi, 1000, endpoint=False) * u.rad
    polygon = regions.PolygonSkyRegion(CENTRE.directional_offset_by(turn, 1 * u.deg))
    numbers = []
    separation = sky_regions.separation

    def counted(a, b):
        numbers.append(np.broadcast(a, b).size // 3)
        return separation(a, b)

    monkeypatch.setattr(sky_regions, "separation", counted)
    found, area = fractions_of(polygon, field(200, 0.02))
    assert (found * area).sum() == pytest.approx(np.pi, rel=2e-3)
    # Each side of all pixels: 4e7.
    assert sum(numbers) < 4e6


def field_at_origin():
    return make_wcs(shape=(100, 100), center=(0, 0), cdelt=(-0.1, 0.1))


# Values beside the edge


def mask_of(kind):
    """A coverage with a straight edge, a hole and a ragged edge."""

    def observed(coord):
        ra, dec = coord.ra.deg, coord.dec.deg
        ragged = dec < 31.2 + 0.15 * np.sign(np.sin(60 * ra))
        hole = coord.separation(SkyCoord(49.2, 29.5, unit="deg")) > 0.25 * u.deg
        return (ra < 50.31) & ragged & hole

    return observed if kind == "ragged" else lambda coord: coord.ra.deg < 50.31


@pytest.mark.parametrize("kernel", [Gaussian("9 arcmin"), TopHat("15 arcmin")], ids=repr)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_exposure_is_the_kernels_sum_over_what_was_observed(geometry, kernel):
    """Against a sum over places on a fine grid, by great circles."""
    wcs = field(pixels=50, side=0.08)
    made = sky_map(
        [50.0], [30.0], wcs=wcs, kernel=kernel, coverage=mask_of("ragged"), geometry=geometry,
        unit="sr-1", min_coverage=0.0,
    )  # fmt: skip
    full = sky_map([50.0], [30.0], wcs=wcs, kernel=kernel, geometry=geometry, unit="sr-1")
    ra, dec = np.meshgrid(np.arange(46, 54, 0.01) + 0.005, np.arange(26.5, 33.5, 0.01) + 0.005)
    places = SkyCoord(ra.ravel(), dec.ravel(), unit="deg")
    seen = mask_of("ragged")(places)
    area = np.cos(places.dec.rad) * np.radians(0.01) ** 2
    near = (full.data > 0.05 * np.nanmax(full.data)) & ~made.mask
    rows, columns = (index[::3] for index in np.nonzero(near))
    assert len(rows) > 8
    # (The edge of a top-hat of three pixels is where pixels end.)
    within = 0.03 if kernel.has_steps else 0.012
    for row, column in zip(rows, columns, strict=True):
        pixel = wcs.pixel_to_world(column, row)
        distance = pixel.separation(places).rad
        weights = area * kernel.density(distance, 0.0) if kernel.has_steps else None
        if weights is None:
            weights = area * kernel.density(distance, np.radians(0.05))
        expected = weights[seen].sum() / weights.sum()
        assert full.data[row, column] / made.data[row, column] == pytest.approx(
            expected, abs=within
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["straight", "ragged"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_uniform_sky_is_flat_up_to_the_edge_and_its_scatter_is_as_told(geometry, kind):
    rng = np.random.default_rng(8)
    wcs, kernel, skies = field(), Gaussian("6 arcmin"), 60
    maps, told = [], []
    for _ in range(skies):
        points, density = uniform(60_000, rng)
        made = sky_map(
            *points, wcs=wcs, kernel=kernel, coverage=mask_of(kind), geometry=geometry,
            unit="deg-2", min_coverage=0.2,
        )  # fmt: skip
        maps.append(made.data / density - 1)
        told.append(made.uncertainty.array / density)
    seen = ~made.mask
    at_edge = seen & (made.coverage < 1)
    assert at_edge.sum() > 80
    maps = np.array(maps)
    means = np.array([image[at_edge].mean() for image in maps])
    bias, error = means.mean(), means.std() / np.sqrt(skies)
    assert abs(bias) < (0.005 if geometry == "plane" else 0.01) + 3 * error
    scatter = np.sqrt((maps[:, seen] ** 2).mean())
    assert np.sqrt((np.array(told)[:, seen] ** 2).mean()) == pytest.approx(scatter, rel=0.03)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_uniform_sky_is_flat_beside_the_edge(geometry):
    points, density = uniform(400_000, np.random.default_rng(2))
    made = sky_map(
        *points, wcs=field(), kernel="9 arcmin", coverage=mask_of("ragged"), geometry=geometry
    )
    pulls = (made.data - density) / made.uncertainty.array
    at_edge = ~made.mask & (made.coverage < 1)
    assert np.abs(pulls[~made.mask]).max() < 5
    assert np.mean(made.data[at_edge]) == pytest.approx(density, rel=0.02)
    # The recipe, in which what was not observed counts as empty, droops to half at the edge.
    kept = mask_of("ragged")(SkyCoord(*points, unit="deg"))
    recipe = sky_map(*(p[kept] for p in points), wcs=field(), kernel="9 arcmin", geometry=geometry)
    assert np.mean(recipe.data[at_edge]) < 0.75 * density


@pytest.mark.parametrize("kernel", [None, Gaussian("9 arcmin")], ids=repr)
def test_every_statistic_has_the_coverage(kernel):
    rng = np.random.default_rng(2)
    points, density = uniform(200_000, rng)
    values, weights = rng.normal(3, 1, 200_000), rng.uniform(1, 2, 200_000)
    options = {"wcs": field(), "coverage": in_circle, "kernel": kernel, "min_coverage": 0.0}
    seen = in_circle(SkyCoord(*points, unit="deg"))
    for statistic in ("density", "count", "sum", "mean", "std", "median", "min", "max"):
        if kernel is not None and statistic in ("median", "min", "max"):
            continue
        if statistic in ("density", "count"):
            made = sky_map(*points, statistic=statistic, weights=weights, **options)
        else:
            made = sky_map(*points, statistic=statistic, values=values, **options)
        assert made.mask[made.coverage == 0].all()
        # (Rows are unseen in pixels of which the edge of the coverage cuts off next to nothing.)
        assert seen.sum() - 30 < made.meta["inside"] <= seen.sum()
        observed = made.coverage * made.solid_angle.to_value(u.deg**2)
        if statistic == "density":
            assert np.nanmedian(made.data) == pytest.approx(1.5 * density, rel=0.03)
            assert made.mean().value == pytest.approx(1.5 * density, rel=0.03)
        elif statistic == "count":
            assert made.sum().value == pytest.approx(weights[seen].sum(), rel=0.02)
            ratio = made.data / observed / (1.5 * density)
            assert np.nanmedian(ratio[made.coverage == 1]) == pytest.approx(1, rel=0.03)
        elif statistic == "sum":
            assert made.sum().value == pytest.approx(values[seen].sum(), rel=0.02)
        elif statistic == "mean":
            assert np.nanmedian(made.data) == pytest.approx(3, abs=0.1)
        if statistic in ("density", "count", "sum"):
            np.testing.assert_array_equal(made.mask, made.coverage == 0)


def test_partly_observed_pixels_have_the_density_of_what_was_observed():
    points, density = uniform(400_000, np.random.default_rng(2))
    made = sky_map(*points, wcs=field(), coverage=in_circle)
    partly = (made.coverage > 0.3) & (made.coverage < 0.7)
    assert partly.sum() > 20
    assert np.mean(made.data[partly]) == pytest.approx(density, rel=0.1)
    seen, counts = (
        (made.coverage * made.solid_angle.to_value(u.deg**2))[partly],
        made.counts[partly],
    )
    np.testing.assert_allclose(made.data[partly], counts / seen)
    np.testing.assert_allclose(made.uncertainty.array[partly], np.sqrt(counts) / seen)


def test_pixels_of_which_the_kernel_sees_too_little_are_masked():
    points, _ = uniform(50_000, np.random.default_rng(2))
    options = {"wcs": field(), "coverage": mask_of("straight")}
    masked = []
    for least in (0.0, 0.2, 0.5, 0.9):
        made = sky_map(*points, kernel="12 arcmin", min_coverage=least, **options)
        assert made.meta["mincover"] == least
        masked.append(int(made.mask.sum()))
    assert masked[0] == (made.coverage == 0).sum()
    assert masked[0] <= masked[1] <= masked[2] < masked[3]
    # At a straight edge, the kernel sees half: nearly all observed pixels are kept.
    assert masked[2] - masked[0] < 0.02 * (made.coverage > 0).sum()
    # Every term of a difference sees enough.
    narrow, wide = Gaussian("6 arcmin"), Gaussian("30 arcmin")
    both = sky_map(*points, kernel=narrow - wide, min_coverage=0.6, **options)
    parts = [sky_map(*points, kernel=k, min_coverage=0.6, **options) for k in (narrow, wide)]
    np.testing.assert_array_equal(both.mask, parts[0].mask | parts[1].mask)
    plain = sky_map(*points, min_coverage=0.9, **options)
    np.testing.assert_array_equal(plain.mask, plain.coverage == 0)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_full_coverage_is_as_none(geometry):
    points, _ = uniform(30_000, np.random.default_rng(2))
    options = {"wcs": field(), "kernel": "12 arcmin", "geometry": geometry}
    plain = sky_map(*points, **options)
    full = sky_map(*points, coverage=lambda coord: np.ones(len(coord)), **options)
    np.testing.assert_allclose(full.data, plain.data, rtol=1e-12)
    np.testing.assert_allclose(full.uncertainty.array, plain.uncertainty.array, rtol=1e-12)
    np.testing.assert_array_equal(full.coverage, 1.0)
    assert plain.coverage is None
    assert full.meta["unseen"] == 0


@pytest.mark.parametrize("code", ["AIT", "MOL", "CAR", "ZEA", "HPX"])
def test_the_whole_sky(code):
    """A footprint with the Galactic plane cut out, in every projection, up to rims and poles."""
    shape = (180, 180) if code == "ZEA" else (240, 120)
    side = 360 / np.pi / 90 if code == "ZEA" else 1.7
    wcs = make_wcs(code, shape=shape, center=(0, 0), cdelt=(-side, side), axes="GLON")
    rng = np.random.default_rng(6)
    lon, lat = rng.uniform(0, 360, 200_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 200_000)))
    density = 200_000 / (4 * np.pi) * SQUARE_DEG

    def footprint(coord):
        return (np.abs(coord.galactic.b.deg) > 10) & (coord.icrs.dec.deg > -30)

    made = sky_map(lon, lat, wcs=wcs, kernel=Gaussian("4 deg"), coverage=footprint)
    pulls = (made.data - density) / made.uncertainty.array
    assert np.abs(pulls[~made.mask]).max() < 5
    assert made.mean().value == pytest.approx(density, rel=0.01)
    sky = made.solid_angle.value > 0
    assert made.mask[sky & (made.coverage == 0)].all()
    seen = (made.coverage * made.solid_angle.to_value(u.sr)).sum() / (4 * np.pi)
    exact = footprint(SkyCoord(lon, lat, unit="deg")).mean()
    assert seen == pytest.approx(exact, abs=0.004)
    # Where the sky is, it is either masked as unobserved or has a value.
    assert not np.isnan(made.data[sky & (made.coverage == 1)]).mean() > 0.05


# Random points


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_random_points_stand_for_the_coverage(geometry):
    rng = np.random.default_rng(4)
    points, density = uniform(40_000, rng)
    randoms, ten_times = uniform(400_000, rng)
    seen, observed = (mask_of("ragged")(SkyCoord(*p, unit="deg")) for p in (points, randoms))
    stars = [p[seen] for p in points]
    many = [p[observed] for p in randoms]
    coverage = Randoms(*many, density=ten_times / u.deg**2)
    made = sky_map(
        *stars, wcs=field(), kernel="12 arcmin", coverage=coverage, geometry=geometry, unit="deg-2"
    )
    exact = sky_map(
        *stars, wcs=field(), kernel="12 arcmin", coverage=mask_of("ragged"), geometry=geometry,
        unit="deg-2",
    )  # fmt: skip
    both = ~(made.mask | exact.mask)
    assert both.sum() > 0.95 * (~exact.mask).sum()
    np.testing.assert_allclose(made.data[both], exact.data[both], rtol=0.1)
    assert np.mean(made.data[both]) == pytest.approx(np.mean(exact.data[both]), rel=1e-2)
    # The randoms' scatter adds a tenth to the variance.
    ratio = np.mean(made.uncertainty.array[both] ** 2) / np.mean(exact.uncertainty.array[both] ** 2)
    assert ratio == pytest.approx(1.1, abs=0.03)
    assert made.meta["unseen"] == 0
    assert made.coverage[both].max() == pytest.approx(1, abs=0.1)
    # Weights of one half each, at half the density; and with a mask of its own.
    half = Randoms(*many, weights=np.full(len(many[0]), 0.5), density=0.5 * ten_times / u.deg**2)
    other = sky_map(
        *stars, wcs=field(), kernel="12 arcmin", coverage=half, geometry=geometry, unit="deg-2"
    )
    np.testing.assert_allclose(other.data, made.data, rtol=1e-9)
    np.testing.assert_allclose(other.uncertainty.array, made.uncertainty.array, rtol=1e-6)
    masked = sky_map(
        *stars, wcs=field(), kernel="12 arcmin", coverage=[coverage, in_circle], geometry=geometry
    )
    assert (
        masked.mask[
            ~in_circle(masked.wcs.pixel_to_world(*np.meshgrid(*2 * [np.arange(100)])))
        ].mean()
        > 0.97
    )
    assert np.nanmean(masked.data) == pytest.approx(density, rel=0.03)


def test_a_density_of_random_points_that_is_far_off_is_warned_of():
    points, density = uniform(20_000, np.random.default_rng(4))
    options = {"wcs": field(), "kernel": "12 arcmin", "min_coverage": 0.0}
    for factor in (0.1, 10.0):
        coverage = Randoms(*points, density=factor * density / u.deg**2)
        with pytest.warns(SkyHeatmapWarning, match="times as dense as their density says"):
            sky_map(*points, coverage=coverage, **options)


def test_a_coverage_of_nothing_is_warned_of():
    with pytest.warns(SkyHeatmapWarning, match="nothing was observed"):
        sky_map([50.0], [30.0], wcs=field(), coverage=np.zeros((100, 100)))


def test_all_of_a_map_is_kept_where_all_that_the_kernel_sees_was_observed():
    points, _ = uniform(20_000, np.random.default_rng(4))
    for geometry in GEOMETRIES:
        made = sky_map(
            *points, wcs=field(), kernel="6 arcmin", coverage=lambda coord: coord.dec.deg > 29,
            min_coverage=1.0, geometry=geometry,
        )  # fmt: skip
        assert not made.mask[45:].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel", [Gaussian("12 arcmin"), Annulus("6 arcmin", "18 arcmin")], ids=repr
)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_errors_have_the_scatter_of_random_points(geometry, kernel):
    rng = np.random.default_rng(14)
    maps, told = [], []
    for _ in range(60):
        points, density = uniform(10_000, rng)
        randoms, their = uniform(20_000, rng)
        coverage = Randoms(*randoms, density=their / u.deg**2)
        made = sky_map(
            *points, wcs=field(), kernel=kernel, coverage=coverage, geometry=geometry, unit="deg-2"
        )
        maps.append(made.data / density)
        told.append(made.uncertainty.array / density)
    scatter = np.sqrt(np.nanmean(np.var(maps, axis=0, ddof=1)))
    assert np.sqrt(np.nanmean(np.square(told))) == pytest.approx(scatter, rel=0.04)


# Rows, totals, and what goes along


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_compiled_code_and_chunks_see_the_same_rows(geometry, monkeypatch):
    points, _ = uniform(60_000, np.random.default_rng(2))
    options = {"wcs": field(), "kernel": "12 arcmin", "coverage": in_circle, "geometry": geometry}
    plain = sky_map(*points, **options)
    chunks = ((points[0][i : i + 7000], points[1][i : i + 7000]) for i in range(0, 60_000, 7000))
    made = sky_map(chunks, **options)
    monkeypatch.setattr("mpl_skyheat.compute.loader.FIRST", 1)
    compiled = sky_map(*points, threads=2, **options)
    for other in (made, compiled):
        np.testing.assert_array_equal(other.counts, plain.counts)
        np.testing.assert_allclose(other.data, plain.data, rtol=1e-9)
        for name in ("read", "unseen", "inside", "outside", "dropped"):
            assert other.meta[name] == plain.meta[name]


def test_fractions_may_be_percents():
    points, _ = uniform(20_000, np.random.default_rng(3))
    half, wcs = np.full((100, 100), 50.0), field()
    for coverage in (
        half * u.percent,
        NDData(half, unit=u.percent, wcs=wcs),
        lambda coord: np.full(len(coord), 50.0) * u.percent,
    ):
        made = sky_map(*points, wcs=wcs, coverage=coverage)
        np.testing.assert_allclose(made.coverage, 0.5)
    for coverage in (half * u.s, NDData(half, unit=u.s, wcs=wcs)):
        with pytest.raises(ValueError, match=r"^coverage must be fractions of 0 to 1, without a u"):
            sky_map(*points, wcs=wcs, coverage=coverage)


@pytest.mark.parametrize("middle", [0.0, 1e4])
def test_arrays_in_a_list_are_multiplied(middle):
    x = np.arange(10.0) + middle
    parts = [np.eye(5), np.full((5, 5), 0.5)]
    made = sky_map(x, x, frame="flat", bins=5, coverage=parts)
    np.testing.assert_array_equal(made.coverage, 0.5 * np.eye(5))
    assert made.meta["inside"] == 10
    with pytest.raises(ValueError, match=r"^coverage must have arrays of one shape, the map's"):
        sky_map(x, x, frame="flat", bins=5, coverage=[np.eye(5), np.eye(4)])


def test_healsparse_maps_may_be_of_integers():
    package = pytest.importorskip("healsparse")
    sparse = package.HealSparseMap.make_empty(32, 512, np.int32)
    seen, _ = healpix_of_circle()
    sparse.update_values_pix(np.flatnonzero(seen), np.ones(seen.sum(), np.int32))
    found, area = fractions_of(sparse, field())
    assert (found * area).sum() == pytest.approx(np.pi, rel=1e-2)


def test_points_where_nothing_was_observed_are_no_mistake_of_units():
    points, _ = uniform(1000, np.random.default_rng(3))
    far = np.zeros((100, 100))
    far[:3] = 1
    with pytest.warns(SkyHeatmapWarning, match=r"^none of the \d+ points on the map is where cov"):
        sky_map(*(p[points[1] > 29] for p in points), wcs=field(), coverage=far)


def test_a_function_is_asked_in_the_frame_of_the_points():
    frames = []

    def observed(coord):
        frames.append(coord.frame.name)
        return np.ones(len(coord), bool)

    points = SkyCoord([50.0], [30.0], unit="deg").galactic
    made = sky_map(points, wcs=field(), coverage=observed)
    assert set(frames) == {"galactic"}
    assert made.meta["inside"] == 1


def test_totals_are_those_of_the_rows():
    rng = np.random.default_rng(2)
    points, _ = uniform(50_000, rng)
    values, weights = rng.normal(3, 1, 50_000) * u.mag, rng.uniform(1, 2, 50_000) * u.Jy
    inside = sky_map(*points, wcs=field()).counts.sum()
    seen = in_circle(SkyCoord(*points, unit="deg"))
    options = {"wcs": field(), "kernel": "12 arcmin", "coverage": in_circle}
    total, error = sky_map(*points, wcs=field(), kernel="12 arcmin").total()
    assert (total.value, error.value) == (inside, np.sqrt(inside))
    total, error = sky_map(*points, weights=weights, **options).to("mJy / arcmin2").total()
    assert total.to_value(u.Jy) == pytest.approx(weights[seen].sum().value)
    assert error.to_value(u.Jy) == pytest.approx(np.sqrt((weights[seen] ** 2).sum().value))
    total, error = sky_map(*points, values=values, statistic="sum", **options).total()
    assert total.to_value(u.mag) == pytest.approx(values[seen].sum().value)
    assert error.to_value(u.mag) == pytest.approx(np.sqrt((values[seen] ** 2).sum().value))
    made = sky_map(*points, statistic="count", **options)
    wide = sky_map(*points, wcs=field())
    x, y = np.meshgrid(np.arange(100), np.arange(100))
    centres = in_circle(wide.wcs.pixel_to_world(x, y))
    assert wide.total(in_circle)[0].value == wide.counts[centres].sum()
    assert wide.total(centres)[0].value == wide.counts[centres].sum()
    assert wide.total([in_circle, np.ones((100, 100))])[0].value == wide.counts[centres].sum()
    assert wide.total(regions_of_circle())[0].value == wide.counts[centres].sum()
    assert made.total(lambda coord: coord.dec.deg > 30)[0].value < made.total()[0].value
    assert made[10:60, 10:60].total()[0].value == made.counts[10:60, 10:60].sum()
    for bad in (
        sky_map(*points, values=values, **options),
        made - made,
        sky_map(*points, values=values, statistic="std", **options),
    ):
        with pytest.raises(
            TypeError, match=r"^total is of densities, counts, significances and sums .* got"
        ):
            bad.total()
    with pytest.raises(ValueError, match=r"^region must have the map's shape, \(100, 100\)"):
        made.total(np.ones((3, 3)))


def test_totals_of_significances_are_those_of_rows_in_the_frame_of_the_points():
    points, _ = uniform(5_000, np.random.default_rng(2))
    galactic = CENTRE.galactic
    middle = (galactic.l.deg, galactic.b.deg)
    wcs = make_wcs(shape=(40, 40), center=middle, axes="GLON", cdelt=(-0.1, 0.1))
    background, weights = Annulus("30 arcmin", "1 deg"), np.full(5_000, 2.0) * u.Jy
    options = {"wcs": wcs, "kernel": "6 arcmin", "background": background}
    plain = sky_map(*points, statistic="significance", **options)
    weighted = sky_map(*points, statistic="lima", weights=weights, **options)
    north = plain.total(lambda coord: coord.dec.deg > 30)[0]
    assert 0 < north < plain.total()[0]
    assert plain.total()[0].value == plain.counts.sum()
    total, error = weighted.total()
    assert total == 2 * plain.counts.sum() * u.Jy
    assert error.to_value(u.Jy) == pytest.approx(2 * np.sqrt(plain.counts.sum()))


def test_the_coverage_goes_along_with_a_map():
    points, _ = uniform(20_000, np.random.default_rng(2))
    made = sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=in_circle)
    part = made[10:40, 20:70]
    np.testing.assert_array_equal(part.coverage, made.coverage[10:40, 20:70])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).coverage, made.coverage)
    np.testing.assert_array_equal(made.to("arcmin-2").coverage, made.coverage)


def test_the_coverage_is_sampled_once_for_maps_of_the_same_pixels(monkeypatch):
    observed_module._kept.clear()
    asked = []
    sampled = Cells.sampled

    def counting(self, *args):
        asked.append(self)
        return sampled(self, *args)

    monkeypatch.setattr(Cells, "sampled", counting)
    points, _ = uniform(2000, np.random.default_rng(2))
    array, wcs = image_of_circle()
    first = sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=(array, wcs))
    again = sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=(array.copy(), wcs))
    assert len(asked) == 1
    np.testing.assert_array_equal(again.data, first.data)
    array[:] = 1 - array
    other = sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=(array, wcs))
    assert len(asked) == 2
    assert not np.allclose(other.coverage, first.coverage)
    for _ in range(2):
        sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=regions_of_circle())
    assert len(asked) == 3
    # Of a function, nobody knows what it will say.
    for _ in range(2):
        sky_map(*points, wcs=field(), kernel="12 arcmin", coverage=in_circle)
    assert len(asked) == 5


# Pictures


@pytest.mark.parametrize("projection", ["wcs", "mollweide", "plain"])
def test_what_was_not_observed_is_not_drawn(projection):
    figure = Figure()
    points, _ = uniform(20_000, np.random.default_rng(2))
    kwargs = {"wcs": {"projection": field()}, "mollweide": {"projection": "mollweide"}, "plain": {}}
    ax = figure.add_subplot(**kwargs[projection])
    if projection == "plain":
        ax.set_xlim(52, 48)
        ax.set_ylim(28, 32)
    size, kernel = "6 arcmin", "15 arcmin"
    if projection == "mollweide":
        size, kernel = "20 arcmin", "30 arcmin"
    heat = sky_heatmap(ax, *points, coverage=in_circle, pixel_size=size, kernel=kernel)
    drawn = np.ma.getmaskarray(heat.get_array())
    assert drawn[heat.sky_map.coverage == 0].all()
    assert not drawn[heat.sky_map.coverage == 1].all()
    assert np.isnan(heat.value_at(53, 30).value)
    assert heat.value_at(50.2, 30.1).value > 0
    # A single row in a sliver of a pixel is no reason to scale all colours to it.
    assert heat.get_clim()[1] < 2 * np.nanmedian(heat.sky_map.data)


# Files


def write_files(folder):
    """Files of the circle, by name."""
    array, wcs = image_of_circle()
    fits.PrimaryHDU(array, wcs.to_header()).writeto(folder / "image.fits")
    moc = moc_of_circle()
    moc.save(str(folder / "moc.fits"), format="fits")
    (folder / "moc.json").write_text(json.dumps(moc.serialize("json")))
    regions_of_circle().write(str(folder / "circle.reg"))
    for kind, frame in (("nested", "icrs"), ("ring", "galactic")):
        values, healpix = healpix_of_circle(kind, frame)
        table = Table({"SEEN": values.astype(np.float32)})
        table.meta |= {"PIXTYPE": "HEALPIX", "ORDERING": kind.upper(), "NSIDE": healpix.nside}
        table.meta |= {"COORDSYS": "G" if frame == "galactic" else "C", "INDXSCHM": "IMPLICIT"}
        table.write(folder / f"{kind}.fits")
    seen = np.flatnonzero(values)
    table = Table({"PIXEL": seen, "SEEN": np.ones(len(seen))}, meta=table.meta)
    table.meta["INDXSCHM"] = "EXPLICIT"
    table.write(folder / "partial.fits")


def test_files_say_what_was_observed(tmp_path):
    pytest.importorskip("regions")
    write_files(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 7
    for path in files:
        found, area = fractions_of(path, field())
        assert (found * area).sum() == pytest.approx(np.pi, rel=2e-2), path
        name, _ = fractions_of(str(path), field())
        np.testing.assert_array_equal(name, found)


def test_files_that_others_cannot_read_as_they_are(tmp_path):
    """A compressed MOC; and an image with one channel, whose WCS has a third axis."""
    moc_of_circle().save(str(tmp_path / "moc.fits"), format="fits")
    compressed = tmp_path / "compressed.fits.gz"
    compressed.write_bytes(gzip.compress((tmp_path / "moc.fits").read_bytes()))
    array, wcs = image_of_circle()
    header = wcs.to_header()
    header.update({"WCSAXES": 3, "CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 1e9, "CRPIX3": 1})
    fits.PrimaryHDU(array[np.newaxis], header).writeto(tmp_path / "channel.fits")
    for path in (compressed, tmp_path / "channel.fits"):
        found, area = fractions_of(path, field())
        assert (found * area).sum() == pytest.approx(np.pi, rel=2e-2)


def test_a_file_of_healpy_says_what_was_observed(tmp_path):
    healpy = pytest.importorskip("healpy")
    values, _healpix = healpix_of_circle("ring", "galactic")
    values = np.where(values, 1.0, healpy.UNSEEN)
    healpy.write_map(tmp_path / "map.fits", values, coord="G", dtype=np.float64)
    found, area = fractions_of(tmp_path / "map.fits", field())
    assert (found * area).sum() == pytest.approx(np.pi, rel=2e-2)


def test_files_that_say_nothing_are_refused(tmp_path):
    (tmp_path / "no.fits").write_bytes(b"SIMPLE  = nothing")
    Table({"a": [1]}).write(tmp_path / "table.fits")
    (tmp_path / "no.json").write_text("{}x")
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "no.reg").write_text("# nothing")
    for name in ("no.fits", "table.fits", "no.json", "other.json", "no.reg"):
        with pytest.raises(
            (ValueError, ImportError), match=r"^coverage (cannot be read from|is a)"
        ):
            read_coverage(tmp_path / name)
    with pytest.raises(ValueError, match=r"^coverage must be a file whose name ends in"):
        read_coverage(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"^coverage must be a file that is there"):
        read_coverage(tmp_path / "a.fits")
    with pytest.raises(ValueError, match=r"on this machine"):
        read_coverage("https://example.org/a.fits")


# Bad input


@pytest.mark.parametrize(
    ("coverage", "error", "message"),
    [
        (3, TypeError, "coverage must be a function of a SkyCoord, an array"),
        (object, TypeError, "coverage must be a function of a SkyCoord, an array"),
        (np.ones(5), ValueError, r"coverage must be an array of the map's shape"),
        (np.ones((5, 5)), ValueError, r"coverage must have the map's shape, \(100, 100\)"),
        (np.full((100, 100), 2.0), ValueError, "coverage must be fractions of 0 to 1; got 2"),
        (np.full((100, 100), "a"), TypeError, "coverage must be numbers of 0 to 1, or bool"),
        ([], ValueError, "coverage must have one Randoms at most, and no empty list"),
        (lambda _: 0.5, ValueError, "coverage must be a function that returns one fraction"),
        (
            lambda coord: np.full(len(coord), 7.0), ValueError,
            "what the function coverage returns must be fractions of 0 to 1; got 7",
        ),
        (NDData(np.ones((3, 3))), ValueError, "coverage must be an image with a WCS"),
        ((np.ones((2, 3, 4)), field()), ValueError, "coverage must be an image of two axes"),
        ("nothing.fits", FileNotFoundError, "coverage must be a file that is there"),
    ],
)  # fmt: skip
def test_bad_coverages_are_named(coverage, error, message):
    with pytest.raises(error, match=f"^{message}"):
        sky_map([50.0], [30.0], wcs=field(), kernel="12 arcmin", coverage=coverage)


def test_coverage_and_other_arguments():
    randoms = Randoms([50.0], [30.0], density=1 / u.deg**2)
    points = ([50.0], [30.0])

    def refused(error, message, **options):
        with pytest.raises(error, match=message):
            sky_map(*points, wcs=field(), **options)

    for boundary in ("fill", "wrap", "reflect"):
        refused(
            ValueError, "^boundary must be 'sky' with coverage", coverage=in_circle,
            kernel="2 pix", boundary=boundary,
        )  # fmt: skip
    refused(ValueError, "^kernel must be given with coverage=Randoms", coverage=randoms)
    for options in ({"statistic": "count"}, {"statistic": "sum", "values": [1.0]}):
        refused(
            ValueError, "^statistic must not be 'count' or 'sum' with coverage=Randoms",
            coverage=randoms, kernel="2 arcmin", **options,
        )  # fmt: skip
    refused(ValueError, "^coverage must have one Randoms at most", coverage=[randoms, randoms])
    for bad in (-0.1, 1.1, "half", True, None, np.nan):
        if bad is not None:
            refused(ValueError, "^min_coverage must be a fraction of 0 to 1", min_coverage=bad)
    with pytest.raises(
        TypeError, match=r"^coverage must be an array of the map's shape with frame"
    ):
        sky_map([1.0], [1.0], frame="flat", coverage=in_circle)
    with pytest.raises(TypeError, match=r"^coverage must be an array with frame='flat'"):
        sky_map([1.0], [1.0], frame="flat", kernel="2 pix", coverage=randoms)
    for density in (3, -1 / u.deg**2, 3 * u.deg, np.inf / u.sr, "many"):
        with pytest.raises(ValueError, match=r"^density must be"):
            Randoms([50.0], [30.0], density=density)


def test_bad_regions_are_named():
    regions = pytest.importorskip("regions")
    circle = regions_of_circle()
    whole = SkyCoord([0, 120, 240], [0, 0, 0], unit="deg")
    for region, error, message in (
        (regions.PointSkyRegion(CENTRE), TypeError, "sky regions that have an area"),
        (circle | circle, TypeError, "sky regions that have an area"),
        (regions.CirclePixelRegion(regions.PixCoord(3, 3), 2), TypeError, "sky regions that have"),
        ([circle, circle], TypeError, r"Regions\(\[\.\.\.\]\) for the union"),
        (regions.PolygonSkyRegion(whole), ValueError, "polygons of less than 80 deg"),
        (
            regions.EllipseSkyRegion(CENTRE, 30 * u.deg, 3 * u.deg), ValueError,
            "no EllipseSkyRegion beyond 10 deg",
        ),
    ):  # fmt: skip
        with pytest.raises(error, match=f"^coverage must (be|be of|have) {message}"):
            sky_map([50.0], [30.0], wcs=field(), coverage=region)


def test_the_command_takes_a_file(tmp_path):
    from mpl_skyheat.__main__ import main

    array, wcs = image_of_circle()
    fits.PrimaryHDU(array, wcs.to_header()).writeto(tmp_path / "seen.fits")
    points, density = uniform(20_000, np.random.default_rng(2))
    Table(dict(zip(("ra", "dec"), points, strict=True))).write(tmp_path / "stars.fits")
    out = tmp_path / "map.fits"
    arguments = [str(tmp_path / "stars.fits"), "-o", str(out), "--kernel", "12arcmin"]
    arguments += ["--coverage", str(tmp_path / "seen.fits"), "--min-coverage", "0.3"]
    assert main([*arguments, "--center", "50.2 30.1", "--radius", "2deg"]) == 0
    values = fits.getdata(out)
    assert 0.1 < np.isfinite(values).mean() < 0.4
    assert np.nanmean(values) == pytest.approx(density, rel=0.05)


def test_axes_that_fit_a_catalogue_take_it():
    points, _ = uniform(5000, np.random.default_rng(2))
    ax = subplot(
        *points,
        figure=Figure(),
    )
    heat = ax.sky_heatmap(*points, coverage=regions_of_circle(), kernel="12 arcmin", colorbar=True)
    assert heat.sky_map.coverage is not None


def test_a_healsparse_map_of_integers_is_0_where_it_has_no_value():
    package = pytest.importorskip("healsparse")
    sparse = package.HealSparseMap.make_empty(32, 512, np.int16)
    sparse.update_values_pix(np.arange(10), np.ones(10, np.int16))
    lon, lat = sparse.valid_pixels_pos(lonlat=True)
    found = find_coverage(sparse).coverage.fractions(np.append(lon, 200.0), np.append(lat, -50.0))
    assert found.tolist() == [1.0] * 10 + [0.0]


def test_large_coverages_are_not_kept(monkeypatch):
    observed_module._kept.clear()
    points, _ = uniform(200, np.random.default_rng(2))
    for coverage in (healpix_of_circle(), image_of_circle(), [image_of_circle()]):
        monkeypatch.setattr(kept_module, "LARGEST_KEPT", 10 * coverage_bytes(coverage))
        sky_map(*points, wcs=field(20, 0.2), coverage=coverage)
        assert len(observed_module._kept._things) == 1
        monkeypatch.setattr(kept_module, "LARGEST_KEPT", coverage_bytes(coverage))
        observed_module._kept.clear()
        sky_map(*points, wcs=field(20, 0.2), coverage=coverage)
        assert not observed_module._kept._things


def coverage_bytes(coverage):
    return find_coverage(coverage).coverage.nbytes


@pytest.mark.parametrize("by_randoms", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_what_a_kernel_sees_is_found_once(monkeypatch, geometry, by_randoms):
    found = []
    points, _ = uniform(2_000, np.random.default_rng(2))
    if by_randoms:
        coverage, name = Randoms(*points, density=100 / u.deg**2), "smoothed"
    else:
        coverage = in_circle  # Of functions, nothing is kept for the next map.
        name = "_observed_exposure" if geometry == "sphere" else "smoothed"
    kind = SphereField if geometry == "sphere" else PlaneField
    find = getattr(kind, name)

    def counting(self, *args):
        if len(args) == 1 or self.sums.observed is None or args[0] == "exposure":
            found.append(args[0] if isinstance(args[0], str) else "exposure")
        return find(self, *args)

    monkeypatch.setattr(kind, name, counting)
    options = {"wcs": field(30, 0.1), "kernel": Gaussian("23 arcmin"), "geometry": geometry}
    made = sky_map(*points, coverage=coverage, **options)
    assert made.uncertainty is not None
    assert made.own_share is not None
    # Of random points, and of the points: values, and values of squares for errors.
    assert found.count("n") == 5 if by_randoms else found.count("exposure") == 1


def test_a_coverage_with_no_point_on_the_map_is_warned_of():
    with pytest.warns(SkyHeatmapWarning, match=r"^none of the 2 points on the map is where cover"):
        made = sky_map([50, 51], [29, 29], wcs=field(), coverage=lambda coord: coord.dec.deg > 31)
    assert made.meta["unseen"] == 2
