"""The artist puts the map where the numbers say: orientation, extent, clipping, by image.

Figures without text, whose Axes and bins lie on whole device pixels and whose colour limits are
fixed, are the same on every supported matplotlib.
"""

import math
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from astropy.wcs import WCS
from helpers import letter_f, make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import sky_contour, sky_heatmap, sky_line

DPI = 64
compare = pytest.mark.mpl_image_compare(tolerance=0.5, savefig_kwargs={"dpi": DPI})


def aligned_axes(width, height, **kwargs):
    """Return an Axes of width x height device pixels, with nothing around it drawn.

    The figure's sides are powers of two, so that the Axes' are whole pixels to the last bit.
    """
    across, up = (2 ** math.ceil(math.log2(side + 32)) for side in (width, height))
    figure = Figure(figsize=(across / DPI, up / DPI), dpi=DPI)
    ax = figure.add_axes((16 / across, 16 / up, width / across, height / up), **kwargs)
    if hasattr(ax, "coords"):
        for helper in ax.coords:
            helper.set_ticks_visible(False)
            helper.set_ticklabel_visible(False)
            helper.set_axislabel("")
    else:
        ax.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    return ax


def draw_f(wcs, scale=8, **kwargs):
    """Draw the letter F of a WCS on its own Axes, ``scale`` device pixels a map pixel."""
    nx, ny = wcs.pixel_shape
    ax = aligned_axes(nx * scale, ny * scale, projection=wcs)
    sky_heatmap(ax, *letter_f(wcs), statistic="count", vmin=0, vmax=1.5, **kwargs)
    return ax.figure


@compare
def test_north_is_up_and_east_left(field):
    ax = aligned_axes(240, 160, projection=field)
    # A row of stars to the east of a single one, which has another to its north.
    ra, dec = [83, 83.5, 84.0, 84.5, 83], [-5, -5, -5, -5, -4.5]
    sky_heatmap(ax, ra, dec, statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_pixels_of_the_wcs(field):
    return draw_f(field)


@compare
def test_rotated_wcs(field):
    field.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]
    ax = aligned_axes(240, 160, projection=field)
    # To the north of the centre, and half as far to the east.
    offsets = np.linspace(0, 0.8, 9)
    ra = np.append(np.full(9, 83.0), 83 + offsets[:5])
    sky_heatmap(ax, ra, np.append(-5 + offsets, np.full(5, -5.0)), statistic="count", vmax=2)
    return ax.figure


@compare
def test_east_right_where_the_wcs_says_so():
    ax = aligned_axes(240, 160, projection=make_wcs(cdelt=(0.1, 0.1)))
    ra, dec = [83.03, 83.53, 84.03, 84.53, 83.03], [-5, -5, -5, -5, -4.5]
    sky_heatmap(ax, ra, dec, statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_declination_first():
    wcs = make_wcs(axes="DECRA", center=(-5.0, 83.0), cdelt=(0.1, -0.1))
    ax = aligned_axes(240, 160, projection=wcs)
    ra, dec = [83.03, 83.53, 84.03, 83.03], [-5.03, -5.03, -5.03, -4.53]
    sky_heatmap(ax, ra, dec, statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_slice_of_a_cube_with_axes_swapped():
    cube = WCS(naxis=3)
    cube.wcs.ctype = ["RA---TAN", "DEC--TAN", "FREQ"]
    cube.wcs.crval, cube.wcs.crpix = [83.0, -5.0, 1e9], [15.5, 10.5, 1.0]
    cube.wcs.cdelt, cube.pixel_shape = [-0.1, 0.1, 1e6], (30, 20, 5)
    ax = aligned_axes(160, 240, projection=cube, slices=("y", "x", 2))
    sky_heatmap(ax, *letter_f(make_wcs()), statistic="count", vmin=0, vmax=1.5)
    return ax.figure


@compare
def test_on_top_of_an_image_to_the_pixel(field):
    ax = aligned_axes(240, 160, projection=field)
    checks = np.indices((20, 30)).sum(axis=0) % 2
    ax.imshow(checks, cmap="gray", origin="lower", interpolation="nearest")
    sky_heatmap(ax, *letter_f(field), cmap="autumn", norm="log", statistic="count", vmin=0.5)
    return ax.figure


@compare
def test_finer_bins_than_the_image_below(field):
    ax = aligned_axes(240, 160, projection=field)
    ax.imshow(np.zeros((20, 30)), cmap="gray", origin="lower")
    sky_heatmap(ax, *letter_f(field), bins=(60, 40), statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_zoomed_axes_maps_what_is_in_view(field):
    ax = aligned_axes(240, 160, projection=field)
    ax.set_xlim(4.5, 19.5)
    ax.set_ylim(7.5, 17.5)
    sky_heatmap(ax, *letter_f(field), statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_overhang_of_large_pixels_is_clipped(field):
    ax = aligned_axes(240, 160, projection=field)
    ax.set_xlim(-0.5, 29.5)
    ax.set_ylim(-0.5, 19.5)
    sky_heatmap(ax, *letter_f(field), pixel_size=0.4 * u.deg, statistic="count", vmin=0, vmax=9)
    return ax.figure


@compare
def test_smoothed_flat_to_the_edge(field):
    ax = aligned_axes(240, 160, projection=field)
    x, y = np.meshgrid(np.arange(-40, 70), np.arange(-40, 60))
    ra, dec = field.pixel_to_world_values(x.ravel(), y.ravel())
    ra, dec = np.append(ra, np.full(40, 83.5)), np.append(dec, np.full(40, -4.5))
    sky_heatmap(ax, ra, dec, kernel=0.2 * u.deg, unit="deg-2", vmin=0, vmax=250)
    return ax.figure


@compare
def test_whole_sky_in_an_ellipse_is_masked_off_the_sky():
    wcs = make_wcs("MOL", shape=(72, 36), center=(0, 0), cdelt=(-4.5, 4.5), axes="GLON")
    ax = aligned_axes(288, 144, projection=wcs, frame_class=EllipticalFrame)
    lon, lat = np.meshgrid(np.arange(3, 180, 6), np.arange(3, 90, 6))  # north, and east of zero
    ax.set_facecolor("red")
    sky_heatmap(ax, lon.ravel(), lat.ravel(), frame="galactic", statistic="count", vmin=0, vmax=3)
    return ax.figure


@compare
def test_hemisphere_is_masked_off_the_sky():
    wcs = make_wcs("SIN", shape=(60, 60), center=(0, 30), cdelt=(-2, 2))
    ax = aligned_axes(180, 180, projection=wcs)
    ax.set_facecolor("red")
    ra, dec = np.meshgrid(np.arange(2.5, 360, 5), np.arange(0.5, 90, 5))
    sky_heatmap(ax, ra.ravel(), dec.ravel(), statistic="count", vmin=0, vmax=3)
    return ax.figure


@compare
def test_field_across_zero_hours():
    wcs = make_wcs("CAR", center=(0, 0), shape=(30, 20))
    ra, _ = letter_f(wcs)
    assert ra.min() < 1
    assert ra.max() > 359
    return draw_f(wcs)


@compare
def test_counts_smaller_than_a_device_pixel_are_averaged():
    wcs = make_wcs(shape=(600, 400), cdelt=(-0.005, 0.005))
    ax = aligned_axes(150, 100, projection=wcs)
    x, y = np.meshgrid(np.arange(0, 600, 8), np.arange(0, 200, 2))
    ra, dec = wcs.pixel_to_world_values(x.ravel(), y.ravel())
    sky_heatmap(ax, ra, dec, statistic="count", vmin=0, vmax=0.2)
    return ax.figure


@compare
def test_cartesian_points_on_an_inverted_axes():
    ax = aligned_axes(160, 80)
    ax.set(xlim=(0, 20), ylim=(10, 0))
    x = np.array([1, 2, 3, 4, 1, 1, 1]) + 0.4
    y = np.array([1, 1, 1, 1, 2, 3, 8]) + 0.3
    sky_heatmap(ax, x, y, frame="flat", bins=(20, 10), statistic="count", vmin=0, vmax=1)
    return ax.figure


@compare
def test_colorbar_is_as_tall_as_the_axes():
    ax = aligned_axes(200, 160, projection=make_wcs(shape=(25, 20)))
    heat = sky_heatmap(ax, *letter_f(make_wcs(shape=(25, 20))), statistic="count", vmax=1)
    heat.add_colorbar(label="", ticks=[])
    return ax.figure


# Markers, placed by the means of each kind of Axes, in the one bin that has more than one point.

# At 0h, beside the pole, at the rim of most maps, and in between.
PLACES = ([0.5, 70, 177, 300, 40], [12, 84, -20, -50, 35])


def draw_marked(ax, bins, mark, **kwargs):
    """Draw five clumps among scattered points, and a red square in the middle of each."""
    ra, dec = (np.repeat(p, 6) for p in PLACES)
    lon, lat = np.meshgrid(np.arange(5, 360, 10), np.arange(-85, 90, 10))
    ra, dec = np.append(ra, lon), np.append(dec, lat)
    sky_heatmap(ax, ra, dec, bins=bins, statistic="count", vmin=0, vmax=6, **kwargs)
    mark(*PLACES)
    return ax.figure


SQUARE = {"s": 9, "marker": "s", "color": "red", "linewidth": 0, "zorder": 5}


@compare
@pytest.mark.parametrize("name", ["mollweide", "aitoff", "hammer", "lambert"])
def test_markers_on_geographic_axes(name):
    bins = (24, 24) if name == "lambert" else (36, 18)
    ax = aligned_axes(8 * bins[0], 8 * bins[1], projection=name)
    ax.tick_params(labelbottom=False, labelleft=False)

    def mark(ra, dec):
        lon = (np.array(ra) + 180) % 360 - 180
        ax.scatter(-np.radians(lon), np.radians(dec), **SQUARE)

    return draw_marked(ax, bins, mark)


@compare
def test_markers_on_plain_axes():
    ax = aligned_axes(288, 144)
    ax.set(xlim=(180, -180), ylim=(-90, 90))

    def mark(ra, dec):
        ax.scatter((np.array(ra) + 180) % 360 - 180, dec, **SQUARE)

    return draw_marked(ax, (36, 18), mark)


@compare
def test_markers_on_axes_of_cartopy():
    crs = pytest.importorskip("cartopy.crs")
    ax = aligned_axes(288, 144, projection=crs.Mollweide(central_longitude=60))

    def mark(ra, dec):
        ax.scatter(ra, dec, transform=crs.PlateCarree(), **SQUARE)

    return draw_marked(ax, (36, 18), mark)


@compare
def test_markers_on_axes_of_skyproj():
    skyproj = pytest.importorskip("skyproj")
    figure = aligned_axes(288, 144).figure
    (blank,) = figure.axes
    left, bottom, right, top = blank.get_position().extents
    figure.subplots_adjust(left=left, bottom=bottom, right=right, top=top)
    blank.remove()
    ax = skyproj.MollweideSkyproj(ax=figure.add_subplot(), lon_0=60, gridlines=False).ax

    def mark(ra, dec):
        ax.plot(ra, dec, "s", color="red", markersize=3, markeredgewidth=0, zorder=5)

    ax.set(xlabel="", ylabel="")
    return draw_marked(ax, (36, 18), mark)


@compare
def test_markers_on_axes_of_ligo_skymap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("ligo.skymap.plot")
    ax = aligned_axes(288, 144, projection="astro degrees mollweide", center="60d 0d")

    def mark(ra, dec):
        ax.scatter(ra, dec, transform=ax.get_transform("world"), **SQUARE)

    return draw_marked(ax, (36, 18), mark)


@compare
def test_contours_over_an_image_on_a_rotated_wcs(field):
    field.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]
    ax = aligned_axes(240, 160, projection=field)
    ax.imshow(np.indices((20, 30)).sum(axis=0) % 2, cmap="gray", vmax=3, origin="lower")
    # A row of stars to the east of the centre, and one to the north of its end.
    ra, dec = [83, 83.25, 83.5, 83.75, 83.75], [-5, -5, -5, -5, -4.6]
    lines = sky_contour(ax, ra, dec, kernel="0.12 deg", levels=[3, 9], colors=["C1", "w"])
    lines.set_linewidth(2)
    return ax.figure


@compare
def test_what_was_not_observed_is_not_drawn(field):
    """A footprint to the west of a line and beside a disc, in pixels with rows in a chequer."""
    ax = aligned_axes(240, 160, projection=field)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(30), np.arange(20)))
    ra, dec = field.wcs_pix2world(x[(x + y) % 2 == 0], y[(x + y) % 2 == 0], 0)

    def observed(coord):
        in_disc = np.hypot(coord.ra.deg - 82.6, coord.dec.deg + 5.2) < 0.3
        return (coord.ra.deg < 83.82) & ~in_disc

    sky_heatmap(ax, ra, dec, statistic="count", vmin=0, vmax=1, coverage=observed)
    return ax.figure


@compare
def test_contours_are_cut_at_the_rim_of_the_sky():
    wcs = make_wcs("MOL", shape=(82, 42), center=(0.0, 0.0), cdelt=(-4.0, 4.0))
    ax = aligned_axes(328, 168, projection=wcs)
    points = [178, 178, 20, 90], [20, 8, -40, 85]
    kernel = {"kernel": "8 deg", "geometry": "sphere"}
    sky_contour(ax, *points, levels=[2e-4, 1e-3], filled=True, colors=["C0"], **kernel)
    sky_contour(ax, *points, levels=[2e-4, 1e-3], colors=["k", "r"], linewidths=1.5, **kernel)
    return ax.figure


@compare
def test_a_line_and_the_kernel_on_the_whole_sky():
    """A line is cut where the map is, and a round kernel slanted as the sky is near the rim."""
    wcs = make_wcs("MOL", shape=(82, 42), center=(0.0, 0.0), cdelt=(-4.0, 4.0))
    ax = aligned_axes(328, 168, projection=wcs)
    heat = sky_heatmap(ax, [0.0, 120.0], [0.0, 30.0], kernel="8 deg", vmin=0, vmax=5e-3)
    tilted = SkyCoord(
        [0, 120, 240, 0], 0, unit="deg", frame=SkyOffsetFrame(origin=SkyCoord(40, 50, unit="deg"))
    )
    sky_line(ax, tilted, color="w", linewidth=2)
    heat.add_kernel(color="r", fill=False, linewidth=2)
    return ax.figure


@compare
def test_values_fade_into_the_axes(field):
    """Blue and red in the middle, where there are many, and nothing of them in the corners."""
    ax = aligned_axes(240, 160, projection=field)
    ax.set_facecolor("0.8")
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(6, 23, 60), np.linspace(4, 15, 40)))
    many = np.hypot(x - 14.5, y - 9.5) < 5 + (np.arange(x.size) % 7 == 0) * 3
    ra, dec = field.wcs_pix2world(x[many], y[many], 0)
    given = {"values": x[many] - 14.5, "kernel": "0.1 deg", "alpha": "density"}
    sky_heatmap(ax, ra, dec, cmap="coolwarm", vmin=-6, vmax=6, **given)
    return ax.figure


@compare
def test_flat_to_the_edge_of_the_survey():
    """As ``test_smoothed_flat_to_the_edge``, of a ring around the Galactic pole of a whole sky."""
    wcs = make_wcs("AIT", shape=(65, 33), center=(0, 0), cdelt=(-5.5, 5.5), axes="GLON")
    ax = aligned_axes(65 * 4, 33 * 4, projection=wcs, frame_class=EllipticalFrame)
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(0, 360, 400_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 400_000)))

    def observed(coord):
        return (np.abs(coord.galactic.b.deg) > 15) & (coord.icrs.dec.deg > -40)

    sky_heatmap(
        ax, lon, lat, frame="galactic", kernel=10 * u.deg, coverage=observed, vmin=0, vmax=20,
        unit="deg-2", interpolation="nearest",
    )  # fmt: skip
    return ax.figure
