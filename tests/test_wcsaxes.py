"""Sky positions land where the Axes' own transform puts a marker, on every kind of WCSAxes."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, BarycentricMeanEcliptic, Galactic, SkyCoord
from astropy.utils import iers
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mpl_skyheat import sky_heatmap

DPI = 64
CLUMP = 400

# A field of 2.4 deg x 1.6 deg; what is placed in it is away from its centre and its diagonals.
FIELD = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.1,
    "CRVAL2": 42.2,
    "CRPIX1": 33.3,
    "CRPIX2": 17.7,
    "CDELT1": -0.04,
    "CDELT2": 0.04,
    "NAXIS1": 60,
    "NAXIS2": 40,
}
COS, SIN = np.cos(np.radians(33)), np.sin(np.radians(33))
PC = {"PC1_1": COS, "PC1_2": -SIN, "PC2_1": SIN, "PC2_2": COS}
CD = {"CD1_1": -0.04 * COS, "CD1_2": 0.05 * SIN, "CD2_1": 0.04 * SIN, "CD2_2": 0.05 * COS}
SIP = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 2,
    "B_ORDER": 2,
    "A_2_0": 2e-3,
    "A_1_1": -1e-3,
    "B_0_2": -2e-3,
    "B_1_1": 1e-3,
}
TPV = {
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "PV1_1": 1.0,
    "PV1_4": 0.05,
    "PV1_7": 0.01,
    "PV2_1": 1.0,
    "PV2_5": -0.05,
}
DEC_FIRST = {
    "CTYPE1": "DEC--TAN",
    "CTYPE2": "RA---TAN",
    "CRVAL1": 42.2,
    "CRVAL2": 150.1,
    "CDELT1": 0.04,
    "CDELT2": -0.04,
}
SKY = {"CRVAL1": 0, "CRVAL2": 0, "CRPIX1": 36.5, "CRPIX2": 18.5, "CDELT1": -5, "CDELT2": 5}
SKY |= {"NAXIS1": 72, "NAXIS2": 36}


def without_cdelt(header):
    return {key: value for key, value in header.items() if not key.startswith("CDELT")}


def celestial(prefixes, code="TAN", **keywords):
    return {"CTYPE1": prefixes[0] + code, "CTYPE2": prefixes[1] + code} | keywords


EQUATORIAL, GALACTIC, ECLIPTIC = ("RA---", "DEC--"), ("GLON-", "GLAT-"), ("ELON-", "ELAT-")

# The header, and where on the sky the clump is (deg, ICRS).
FIELDS = {
    "plain": (FIELD, (150.7, 42.7)),
    "PC": (FIELD | PC, (150.3, 42.7)),
    "CD": (without_cdelt(FIELD) | CD, (150.3, 42.7)),
    "flipped parity": (FIELD | {"CDELT1": 0.04}, (150.7, 42.7)),
    "upside down": (FIELD | {"CDELT2": -0.04}, (150.7, 42.4)),
    "unequal scales": (FIELD | {"CDELT1": -0.03, "CDELT2": 0.05}, (150.5, 42.8)),
    "SIP": (FIELD | SIP, (150.9, 42.7)),
    "SIP, CD": (without_cdelt(FIELD) | SIP | CD, (150.3, 42.7)),
    "TPV": (without_cdelt(FIELD) | TPV | CD, (150.3, 42.7)),
    "FK5 of 1975": (FIELD | {"RADESYS": "FK5", "EQUINOX": 1975.0}, (150.9, 42.5)),
    "FK4": (FIELD | {"RADESYS": "FK4", "EQUINOX": 1950.0}, (151.1, 42.3)),
    "Galactic": (FIELD | celestial(GALACTIC, CRVAL1=177.6, CRVAL2=52.5), (150.7, 42.4)),
    "on the pole": (FIELD | {"CRVAL2": 90.0}, (110.0, 89.4)),
    "across 0h": (FIELD | {"CRVAL1": 0.0}, (0.7, 42.7)),
    "whole sky, CAR": (SKY | celestial(EQUATORIAL, "CAR"), (50.0, 31.0)),
    "whole sky, AIT": (SKY | celestial(EQUATORIAL, "AIT"), (310.0, 31.0)),
    "whole sky, MOL": (SKY | celestial(EQUATORIAL, "MOL"), (50.0, -31.0)),
    "whole sky, MOL, Galactic": (SKY | celestial(GALACTIC, "MOL"), (83.0, -5.0)),
    "whole sky, AIT, centred on 6h": (SKY | celestial(EQUATORIAL, "AIT", CRVAL1=90), (50.0, 31.0)),
}


def make_axes(projection, **kwargs):
    """Return an Axes that shows nothing but what is drawn in it."""
    ax = Figure(figsize=(5, 5), dpi=DPI).add_subplot(projection=projection, **kwargs)
    for helper in ax.coords:
        helper.set_ticks_visible(False)
        helper.set_ticklabel_visible(False)
        helper.set_axislabel("")
    return ax


def marked(ax, lon, lat, system):
    """Return where in the Axes' pixels a marker is that somebody puts at ``lon``, ``lat``."""
    marker = ax.scatter(lon, lat, transform=ax.get_transform(system), visible=False)
    there = marker.get_offset_transform() - ax.transData
    return there.transform(np.asarray(marker.get_offsets(), float))


def catalogue(clump, width, n=600):
    """Return a clump of ``CLUMP`` points and others around it, in its frame, not on the far side.

    The others are on both sides of it and beyond a field of this width.
    """
    rng = np.random.default_rng(5)
    angle, distance = rng.uniform(0, 360, n), width * np.sqrt(rng.uniform(0.01, 1, n))
    around = clump.directional_offset_by(angle * u.deg, distance * u.deg)
    lon, lat = around.spherical.lon.deg, around.spherical.lat.deg
    point = clump.spherical
    return (
        np.append(np.full(CLUMP, point.lon.deg), lon),
        np.append(np.full(CLUMP, point.lat.deg), lat),
    )


def peak(heat):
    """Return the centre of the fullest pixel in the Axes' pixels, and half the pixel's sides."""
    values = np.ma.filled(heat.get_array(), -1)
    row, column = np.unravel_index(values.argmax(), values.shape)
    left, right, bottom, top = heat.get_extent()
    step = np.array([right - left, top - bottom]) / values.shape[::-1]
    return np.array([left, bottom]) + (np.array([column, row]) + 0.5) * step, np.abs(step) / 2


def painted(ax, heat):
    """Return where on the figure the fullest pixel is drawn, in device pixels from below."""
    heat.set(cmap="gray_r", clim=(0.6 * CLUMP, 0.9 * CLUMP), interpolation="nearest")
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    box = ax.get_window_extent()
    # Inside the frame, which is black, too.
    rows = np.s_[rgba.shape[0] - int(box.y1) + 3 : rgba.shape[0] - int(box.y0) - 3]
    columns = np.s_[int(box.x0) + 3 : int(box.x1) - 3]
    row, column = np.nonzero(rgba[rows, columns, 0] < 50)
    assert row.size, "the clump must be seen"
    return np.array(
        [column.mean() + columns.start + 0.5, rgba.shape[0] - row.mean() - rows.start - 0.5]
    )


def check_heatmap(ax, points, world, system="world", **kwargs):
    """Draw a heatmap of points, and hold it against markers at ``world`` of a system of the Axes.

    The first ``CLUMP`` points are one; its pixel must be the fullest, and be drawn there.
    """
    heat = sky_heatmap(ax, *points, statistic="count", **kwargs)
    limits = ax.get_xlim(), ax.get_ylim()
    markers = marked(ax, *world, system)
    ax.set(xlim=limits[0], ylim=limits[1])
    centre, half = peak(heat)
    assert (np.abs(markers[0] - centre) <= half + 1e-3).all()

    # The map's own WCS agrees, there and back.
    clump = (coordinate[0] for coordinate in points)
    assert heat.value_at(*clump) == heat.get_array().max()
    row, column = np.unravel_index(np.ma.argmax(heat.get_array()), heat.get_array().shape)
    wcs = heat.sky_map.wcs
    back = wcs.world_to_pixel(wcs.pixel_to_world(column, row))
    np.testing.assert_allclose(back, (column, row), atol=1e-3)

    left, right, bottom, top = heat.get_extent()
    x, y = markers.T
    inside = (x >= left) & (x < right) & (y >= bottom) & (y < top)
    assert inside.sum() > CLUMP
    assert np.nansum(heat.sky_map.data) == inside.sum()  # (the array has the flecks at a rim, too)
    assert heat.sky_map.meta["outside"] == len(x) - inside.sum()

    scale = np.abs(ax.transData.transform(centre + half) - ax.transData.transform(centre - half))
    seen = painted(ax, heat)
    assert (np.abs(seen - ax.transData.transform(centre)) <= 1).all()
    assert (np.abs(seen - ax.transData.transform(markers[0])) <= scale / 2 + 1).all()
    return heat


GRIDS = [{}, {"bins": (23, 17)}]
GRID_NAMES = ["native pixels", "bins"]


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
@pytest.mark.parametrize("name", FIELDS)
def test_positions_land_on_their_markers(name, grid):
    header, position = FIELDS[name]
    clump = SkyCoord(*position, unit="deg")
    width = 60 if name.startswith("whole sky") else 1
    lon, lat = catalogue(clump, width)
    wcs = WCS(header)
    ax = make_axes(wcs)
    heat = check_heatmap(ax, (lon, lat), (lon, lat), "icrs", **grid)
    nx, ny = header["NAXIS1"], header["NAXIS2"]
    assert heat.get_extent() == pytest.approx([-0.5, nx - 0.5, -0.5, ny - 0.5])
    assert ax.get_xlim() == pytest.approx((-0.5, nx - 0.5))
    assert ax.get_ylim() == pytest.approx((-0.5, ny - 0.5))


NEAR = SkyCoord(150.7, 42.5, unit="deg")


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
@pytest.mark.parametrize("rotation", [{}, PC], ids=["upright", "PC"])
def test_positions_land_on_their_markers_with_declination_first(rotation, grid):
    lon, lat = catalogue(NEAR, 1)
    ax = make_axes(WCS(FIELD | DEC_FIRST | rotation))
    check_heatmap(ax, (lon, lat), (lat, lon), **grid)
    assert ax.get_xlim() == pytest.approx((-0.5, 59.5))


@pytest.mark.parametrize("prefixes", [ECLIPTIC, ECLIPTIC[::-1]], ids=["", "latitude first"])
@pytest.mark.parametrize(
    ("keywords", "equinox"),
    [({}, "J2000"), ({"EQUINOX": 2015.5}, "J2015.5"), ({"RADESYS": "ICRS"}, "J2000")],
    ids=str,
)
def test_positions_land_on_their_markers_on_ecliptic_axes(prefixes, keywords, equinox):
    step = -1 if prefixes == ECLIPTIC else 1
    centre = dict(zip(("CRVAL1", "CRVAL2"), (140.0, 28.0)[::-step], strict=True))
    wcs = WCS(FIELD | celestial(prefixes) | centre | keywords)
    clump = SkyCoord(140.4, 28.4, unit="deg", frame=BarycentricMeanEcliptic(equinox=equinox))
    world = catalogue(clump, 1)
    stars = SkyCoord(*world, unit="deg", frame=clump.frame).icrs
    check_heatmap(make_axes(wcs), (stars,), world[::-step])


CUBE = FIELD | {"NAXIS": 3, "NAXIS3": 5, "WCSAXES": 3, "CTYPE3": "FREQ", "CRVAL3": 1e9}
CUBE |= {"CRPIX3": 1.0, "CDELT3": 1e6, "CUNIT3": "Hz", "RADESYS": "ICRS"}


# The header, the order in which its axes are taken (1-based), and the slices.
CUBES = {
    "sky, frequency": (CUBE, [1, 2, 3], ("x", "y", 2)),
    "sky, frequency, rotated": (CUBE | PC, [1, 2, 3], ("x", "y", 2)),
    "sky, frequency, y first": (CUBE, [1, 2, 3], ("y", "x", 2)),
    "sky, frequency, y first, rotated": (CUBE | PC, [1, 2, 3], ("y", "x", 2)),
    "Dec, RA, frequency": (CUBE, [2, 1, 3], ("x", "y", 2)),
    "frequency, Dec, RA": (CUBE, [3, 2, 1], (2, "x", "y")),
    "frequency, Dec, RA, y first": (CUBE | PC, [3, 2, 1], (2, "y", "x")),
    "RA, frequency, Dec": (CUBE, [1, 3, 2], ("x", 2, "y")),
    "RA, frequency, Dec, y first": (CUBE, [1, 3, 2], ("y", 2, "x")),
}


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
@pytest.mark.parametrize("name", CUBES)
def test_positions_land_on_their_markers_in_a_slice_of_a_cube(name, grid):
    header, order, slices = CUBES[name]
    wcs = WCS(header).sub(order)
    lon, lat = catalogue(NEAR, 1)
    ax = make_axes(wcs, slices=slices)
    # A marker's world coordinates keep the order of the WCS, whichever the pixels' is.
    world = (lon, lat) if order.index(1) < order.index(2) else (lat, lon)
    check_heatmap(ax, (lon, lat), world, **grid)
    nx, ny = (wcs.pixel_shape[slices.index(axis)] for axis in "xy")
    assert ax.get_xlim() == pytest.approx((-0.5, nx - 0.5))
    assert ax.get_ylim() == pytest.approx((-0.5, ny - 0.5))


def make_gwcs(frame, shape=None):
    gwcs = pytest.importorskip("gwcs")
    from astropy.modeling import models
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(-32.3) & models.Shift(-16.7))
        | (models.Scale(-0.04) & models.Scale(0.04))
        | models.Rotation2D(33)
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(150.1, 42.2, 180)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=frame, unit=(u.deg, u.deg))
    wcs = gwcs.WCS([(detector, to_sky), (sky, None)])
    if shape is not None:
        wcs.bounding_box = tuple((-0.5, n - 0.5) for n in shape)
    return wcs


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
@pytest.mark.parametrize("frame", [ICRS(), Galactic()], ids=["ICRS", "Galactic"])
def test_positions_land_on_their_markers_on_a_gwcs(frame, grid):
    ax = make_axes(make_gwcs(frame, (60, 40)))
    clump = SkyCoord(150.5, 42.6, unit="deg", frame=frame)
    world = catalogue(clump, 1)
    check_heatmap(ax, (SkyCoord(*world, unit="deg", frame=frame).icrs,), world, **grid)
    assert ax.get_xlim() == pytest.approx((-0.5, 59.5))
    assert ax.get_ylim() == pytest.approx((-0.5, 39.5))


@pytest.mark.parametrize("make", [lambda: make_gwcs(ICRS()), lambda: WCS(FIELD).celestial])
def test_positions_land_on_their_markers_on_a_wcs_without_shape(make):
    wcs = make()
    wcs.pixel_shape = None
    lon, lat = catalogue(NEAR, 1)
    heat = check_heatmap(make_axes(wcs), (lon, lat), (lon, lat))
    assert heat.sky_map.meta["outside"] == 0


@pytest.fixture(scope="module")
def ligo_skymap():
    """Register the projections of ligo.skymap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("ligo.skymap.plot")


LIGO = {
    "astro hours mollweide": ({}, (85, -37)),
    "astro degrees aitoff": ({"center": "120d 0d"}, (85, 37)),
    "astro zoom": ({"center": "83d -5d", "radius": "5 deg", "rotate": "30 deg"}, (85, -6)),
    "astro globe": ({"center": "83d -5d"}, (110, 20)),
    "galactic degrees mollweide": ({}, (85, -37)),
    "galactic globe": ({"center": "83d -5d", "rotate": "30 deg"}, (110, 20)),
    "geo mollweide": ({"obstime": "2015-09-14T09:50:45"}, (-100, 37)),
    "geo hours aitoff": ({"obstime": "2015-09-14T09:50:45"}, (-100, 37)),
    "geo globe": ({"obstime": "2015-09-14T09:50:45", "center": "-119d 46d"}, (-90, 30)),
    "geo zoom": (
        {"obstime": "2015-09-14T09:50:45", "center": "-119d 46d", "radius": "5 deg"},
        (-117, 45),
    ),
}


@pytest.mark.usefixtures("ligo_skymap")
@pytest.mark.slow
@pytest.mark.parametrize("in_icrs", [False, True], ids=["its own frame", "ICRS"])
@pytest.mark.parametrize("name", LIGO)
def test_positions_land_on_their_markers_on_the_axes_of_ligo_skymap(name, in_icrs):
    kwargs, position = LIGO[name]
    ax = make_axes(name, **kwargs)
    limits = ax.get_xlim(), ax.get_ylim()
    own = wcs_to_celestial_frame(ax.wcs)
    world = catalogue(SkyCoord(*position, unit="deg", frame=own), 5 if "zoom" in name else 50)
    stars, system = SkyCoord(*world, unit="deg", frame=own), "world"
    # ITRS looks the Earth's rotation up.
    with iers.conf.set_temp("auto_download", False):
        if in_icrs:
            stars = stars.icrs
            world, system = (stars.ra.deg, stars.dec.deg), "icrs"
        check_heatmap(ax, (stars,), world, system, bins=(60, 40))
    assert (ax.get_xlim(), ax.get_ylim()) == limits


@pytest.mark.parametrize("code", ["AIT", "MOL", "TAN"])
def test_positions_land_on_their_markers_in_an_elliptical_frame(code):
    wcs = WCS(SKY | celestial(EQUATORIAL, code))
    ax = make_axes(wcs, frame_class=EllipticalFrame)
    world = catalogue(SkyCoord(30, 21, unit="deg"), 25)
    check_heatmap(ax, world, world)
    assert ax.get_xlim() == pytest.approx((-0.5, 71.5))


VIEWS = {
    "zoomed": ((5.2, 41.7), (12.1, 37.3)),
    "wider than the image": ((-20.5, 79.5), (-10, 60)),
    "x inverted": ((59.5, -0.5), (-0.5, 39.5)),
    "y inverted": ((-0.5, 59.5), (39.5, -0.5)),
    "both inverted and zoomed": ((41.7, 5.2), (37.3, 12.1)),
}


@pytest.mark.parametrize("grid", [{}, {"bins": (23, 17)}, {"pixel_size": 7 * u.arcmin}], ids=str)
@pytest.mark.parametrize("has_image", [False, True], ids=["empty", "over an image"])
@pytest.mark.parametrize("view", VIEWS)
def test_positions_land_on_their_markers_in_a_view_that_stays(view, has_image, grid):
    x, y = VIEWS[view]
    ax = make_axes(WCS(FIELD | PC))
    if has_image:
        ax.imshow(np.zeros((40, 60)), origin="lower", cmap="gray_r", vmin=0, vmax=1)
    ax.set(xlim=x, ylim=y)
    world = catalogue(SkyCoord(150.1, 42.5, unit="deg"), 1)
    heat = sky_heatmap(ax, *world, statistic="count", **grid)
    assert (ax.get_xlim(), ax.get_ylim()) == (x, y)
    left, right, bottom, top = heat.get_extent()
    _, half = peak(heat)
    # The map covers the view, and goes beyond it by less than a pixel.
    beyond = [min(x) - left, right - max(x), min(y) - bottom, top - max(y)]
    assert min(beyond) > -1e-9
    assert max(beyond[:2]) < 2 * half[0]
    assert max(beyond[2:]) < 2 * half[1]
    heat.remove()
    check_heatmap(ax, world, world, **grid)


IMAGES = {"plain": FIELD, "PC": FIELD | PC, "SIP": FIELD | SIP, "Dec first": FIELD | DEC_FIRST}


@pytest.mark.parametrize("name", IMAGES)
def test_a_heatmap_over_an_image_fits_it_to_the_pixel(name):
    wcs = WCS(IMAGES[name])
    lon, lat = catalogue(NEAR, 1)
    x, y = wcs.world_to_pixel_values(*((lat, lon) if name == "Dec first" else (lon, lat)))
    counts, _, _ = np.histogram2d(y, x, bins=(40, 60), range=[(-0.5, 39.5), (-0.5, 59.5)])
    ax = make_axes(wcs)
    image = ax.imshow(counts, origin="lower")
    heat = sky_heatmap(ax, lon, lat, statistic="count")
    assert list(heat.get_extent()) == list(image.get_extent())
    np.testing.assert_array_equal(heat.get_array(), image.get_array())


def test_a_heatmap_is_drawn_as_the_image_of_the_same_counts():
    wcs = WCS(FIELD | PC)
    lon, lat = catalogue(NEAR, 1)
    x, y = wcs.world_to_pixel_values(lon, lat)
    counts, _, _ = np.histogram2d(y, x, bins=(40, 60), range=[(-0.5, 39.5), (-0.5, 59.5)])
    drawn = []
    for draw in (
        lambda ax: ax.imshow(counts, origin="lower", interpolation="nearest", vmin=0, vmax=3),
        lambda ax: sky_heatmap(
            ax, lon, lat, statistic="count", interpolation="nearest", vmin=0, vmax=3
        ),
    ):
        ax = make_axes(wcs)
        draw(ax)
        canvas = FigureCanvasAgg(ax.figure)
        canvas.draw()
        drawn.append(np.array(canvas.buffer_rgba()))
    assert len(np.unique(drawn[0])) > 5
    np.testing.assert_array_equal(*drawn)
