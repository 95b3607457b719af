"""What went wrong once: each test is a report of a user or a reviewer."""

import pickle
import threading

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mpl_skyheat import Annulus, Moffat, sky_heatmap, sky_map


@pytest.fixture
def distorted():
    """A field with SIP distortion."""
    wcs = make_wcs("TAN-SIP", shape=(60, 40), cdelt=(-0.05, 0.05))
    header = wcs.to_header()
    header.update(A_ORDER=2, B_ORDER=2, A_2_0=2e-4, B_0_2=-3e-4)
    header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP")
    wcs = WCS(header)
    wcs.pixel_shape = (60, 40)
    return wcs


# Points


def test_weights_in_an_angle_keep_their_unit(field):
    skymap = sky_map([83, 83], [-5, -5], weights=[5.0, 2.0] * u.mas, wcs=field, statistic="count")
    assert (skymap.data.sum(), skymap.unit) == (7, u.mas)


def test_weights_in_magnitudes_are_refused(field):
    with pytest.raises(TypeError, match=r"weights must have a linear unit; got 'mag'"):
        sky_map([83], [-5], weights=u.Magnitude([12.0]), wcs=field)


def test_masked_arrays_of_astropy_are_masked(field):
    ra = Masked([83.0, 83.1, 83.2], mask=[False, True, False])
    meta = sky_map(ra, [-5, -5, -5], wcs=field).meta
    assert (meta["inside"], meta["dropped"]) == (2, 1)


def test_values_at_masked_positions_are_unknown(field):
    skymap = sky_map([83], [-5], wcs=field)
    ra = np.ma.masked_greater([83.0, 83.1], 83.05)
    assert list(np.isnan(skymap.value_at(ra, [-5, -5]))) == [False, True]
    assert np.isfinite(skymap.value_at([83 * u.deg], [-5 * u.deg])).all()


@pytest.mark.parametrize("position", [("5h32m -5d",), (83,), (), (1, 2, 3)], ids=str)
def test_a_value_is_asked_for_with_a_position(field, position):
    with pytest.raises(TypeError, match="position must be one SkyCoord, or two numbers"):
        sky_map([83], [-5], wcs=field).value_at(*position)


# Grids


@pytest.mark.parametrize("options", [{"bins": 10}, {"pixel_size": "3 arcmin"}, {}], ids=str)
def test_bounds_that_come_from_the_points_hold_them_all(field, options):
    field.pixel_shape = None
    rng = np.random.default_rng(1)
    ra, dec = 83 + rng.uniform(-0.5, 0.5, 500), -5 + rng.uniform(-0.5, 0.5, 500)
    assert sky_map(ra, dec, wcs=field, **options).meta["outside"] == 0
    assert sky_map(ra[:2], dec[[0, 0]], wcs=field, **options).meta["outside"] == 0


def test_flat_pixels_hold_the_largest_x_and_y():
    skymap = sky_map(np.arange(11), np.arange(11), frame="flat", pixel_size=1, statistic="count")
    assert skymap.data.sum() == 11
    corners = sky_map([0, 1, 1], [0, 1, 1], frame="flat", bins=3, statistic="count")
    assert corners.value_at(1, 1) == 2


def test_all_sky_bounds_come_from_the_points_where_the_wcs_has_no_shape():
    wcs = make_wcs("AIT", axes="GLON", center=(0, 0), cdelt=(-1, 1))
    wcs.pixel_shape = None
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(0, 360, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))
    skymap = sky_map(lon, lat, frame="galactic", wcs=wcs)
    assert skymap.meta["outside"] == 0
    assert skymap.solid_angle.sum().value == pytest.approx(4 * np.pi, rel=0.03)


@pytest.mark.parametrize("center", [(180, 0), (0, 90)], ids=["seam", "pole"])
def test_a_view_centred_on_the_edge_of_the_sky_is_mapped(center):
    wcs = make_wcs("CAR", center=(0, 0), cdelt=(-0.5, 0.5))
    wcs.wcs.crpix = [15.5 + 2 * center[0], 10.5 - 2 * center[1]]
    lon, lat = np.full(20, float(center[0]) - 1), np.full(20, center[1] - 1.0)
    skymap = sky_map(lon, lat, wcs=wcs, kernel=1 * u.deg)
    assert skymap.meta["inside"] == 20


def test_one_bin_centred_beside_the_edge_of_the_sky_is_smoothed():
    wcs = make_wcs("SIN", shape=(100, 100), center=(83, -5), cdelt=(-1, 1))
    wcs.wcs.crpix = [50.5 - 56.4, 50.5]  # The sky ends at 57.3 pixels.
    with pytest.warns(AstropyUserWarning, match="too wide to be smoothed on the plane"):
        skymap = sky_map([40], [-5], wcs=wcs, bins=1, kernel=1 * u.pix)
    assert skymap.counts == 1
    assert skymap.data > 0


@pytest.mark.filterwarnings("ignore:the kernel is")
def test_half_of_the_sky_amid_one_bin_among_many_of_a_margin_has_its_area():
    wcs = make_wcs("SIN", shape=(200, 200), cdelt=(-1, 1))
    skymap = sky_map([83], [-5], wcs=wcs, bins=1, kernel=Moffat("10 deg", beta=1.5))
    assert skymap.solid_angle.sum().value == pytest.approx(2 * np.pi, rel=0.01)


def test_a_sliver_of_sky_whose_coverage_rounding_hides_is_not_nan():
    wcs = make_wcs("CAR", shape=(361, 181), center=(180, 0), cdelt=(-1, 1))
    wcs.wcs.crpix = [180.5, 90.5 + 1e-6]  # 1e-6 of a pixel at the south pole
    skymap = sky_map([83], [-5], wcs=wcs, kernel=0.12 * u.pix)
    assert np.array_equal(np.isfinite(skymap.data), skymap.solid_angle > 0)


def test_a_pixel_size_that_no_step_around_a_pole_spans_is_refused():
    wcs = make_wcs("CAR", center=(0, 0), cdelt=(-0.5, 0.5))
    wcs.wcs.crpix = [15.5, 10.5 - 180]
    with pytest.raises(ValueError, match=r"pixel_size must fit in at the centre .* give bins="):
        sky_map([0], [89], wcs=wcs, pixel_size="1 deg")


def test_the_limb_of_a_hemisphere_is_not_brighter_than_its_middle():
    wcs = make_wcs("SIN", shape=(120, 120), center=(40, 30), cdelt=(-1, 1))
    n = 400_000
    z = (np.arange(n) + 0.5) / n * 2 - 1
    lon, lat = (np.arange(n) * 137.50776405) % 360, np.degrees(np.arcsin(z))
    skymap = sky_map(lon, lat, wcs=wcs)
    total = skymap.solid_angle.sum().value
    assert total == pytest.approx(2 * np.pi, rel=1e-3)
    y, x = np.indices(skymap.data.shape) - 59.5
    limb = (np.hypot(x, y) > 0.97 * np.degrees(1)) & ~skymap.mask
    density = skymap.counts[limb].sum() / skymap.solid_angle.value[limb].sum()
    assert density == pytest.approx(n / (4 * np.pi), rel=0.01)


def test_several_threads_may_use_one_distorted_wcs(distorted):
    rng = np.random.default_rng(3)
    ra, dec = 83 + rng.uniform(-2, 2, 50_000), -5 + rng.uniform(-1.5, 1.5, 50_000)
    alone = sky_map(ra, dec, wcs=distorted).counts
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(sky_map(ra, dec, wcs=distorted).counts))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int((counts != alone).sum()) for counts in found] == [0, 0, 0, 0]


def test_maps_are_pickled(distorted, stars):
    for wcs in (make_wcs(), distorted):
        skymap = sky_map(*stars, wcs=wcs, pixel_size="8 arcmin")
        again = pickle.loads(pickle.dumps(skymap))
        np.testing.assert_array_equal(again.data, skymap.data)
        assert again.value_at(83, -5) == skymap.value_at(83, -5)


# Kernels


def test_an_angular_kernel_ends_at_its_reach(field):
    data = sky_map([83], [-5], wcs=field, kernel="0.1 deg").data
    assert data[data > 0].min() / data.max() > np.exp(-12.6)


@pytest.mark.parametrize(
    "kernel", [Annulus("0.1 arcsec", "0.2 arcsec"), Annulus("0.5 deg", "0.5001 deg")], ids=repr
)
@pytest.mark.filterwarnings("ignore:the kernel is .* pixels wide")
def test_a_ring_that_falls_between_samples_still_counts(field, kernel):
    smooth = sky_map([83.0], [-5.0], wcs=field, kernel=kernel, statistic="count").data
    assert smooth.sum() == pytest.approx(1, rel=1e-3)


def test_a_smoothed_logarithmic_scale_shows_three_decades(field, stars):
    heat = sky_heatmap(add_axes(field), *stars, kernel="0.1 deg", norm="log")
    assert heat.norm.vmax / heat.norm.vmin <= 1000
    counts = sky_heatmap(add_axes(field), *stars, norm="log", statistic="count")
    assert counts.norm.vmin == counts.sky_map.counts[counts.sky_map.counts > 0].min()


def test_a_smoothed_logarithmic_map_has_no_holes(field):
    heat = sky_heatmap(add_axes(field), [83], [-5], kernel="0.1 deg", norm="log")
    assert (heat.get_array() == 0).any()
    np.testing.assert_array_equal(heat.to_rgba(np.zeros(1))[0], heat.cmap(0.0))
    counts = sky_heatmap(add_axes(field), [83, 83, 83.5], [-5, -5, -5], norm="log")
    assert counts.to_rgba(np.zeros(1))[0, 3] == 0


# Maps


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_the_result_of_arithmetic_knows_the_frame_of_positions(stars, frame):
    wcs = make_wcs()
    coord = SkyCoord(83, -5, unit="deg").transform_to(frame)
    lon, lat = coord.spherical.lon.deg, coord.spherical.lat.deg
    points = SkyCoord(*stars, unit="deg").transform_to(frame)
    first = sky_map(points.spherical.lon, points.spherical.lat, wcs=wcs, frame=frame)
    for name in ("add", "subtract", "multiply", "divide"):
        result = getattr(first, name)(2.0 if name == "divide" else first)
        assert result.meta["frame"] == frame
        assert np.isfinite(result.value_at(lon, lat))


@pytest.mark.parametrize(
    "points",
    [(np.radians([83.0]), np.radians([-5.0])), ([-5.0], [83.0]), ([83 / 15], [-5.0])],
    ids=["radians", "swapped", "hours"],
)
def test_a_map_without_a_point_is_warned_of(field, points):
    text = r"none of the 1 points is on the map: the first of them is at ra=.*centre at ra=83,"
    with pytest.warns(AstropyUserWarning, match=text):
        sky_map(*points, wcs=field)


def test_a_whole_sky_in_radians_is_warned_of():
    rng = np.random.default_rng(4)
    lon, lat = rng.uniform(0, 2 * np.pi, 5000), np.arcsin(rng.uniform(-1, 1, 5000))
    whole = make_wcs("CAR", shape=(60, 30), center=(0.0, 0.0), cdelt=(-6, 6))
    kwargs = {"wcs": whole, "shape": (30, 60)}
    text = "positions are read as degrees, but look like those of the whole sky in radians: write"
    reused = np.stack([lon, lat])

    def chunks():
        yield [], []
        yield reused[0], reused[1]
        reused[:] = -1e9

    corners = np.float32([0, 2 * np.pi] * 50), np.float32([-0.5 * np.pi, 0.5 * np.pi, 0, 0, 0] * 20)
    for points in ((lon, lat), chunks(), corners):
        with pytest.warns(AstropyUserWarning, match=text):
            sky_map(*(points if isinstance(points, tuple) else (points,)), **kwargs)
    sky_map(lon * u.rad, lat * u.rad, **kwargs)
    # As small a part of the sky may be meant.
    sky_map(lon[lon < 3], lat[lon < 3], **kwargs)
    sky_map(lon * u.deg, lat * u.deg, **kwargs)
    sky_map([0, 2, 6.2], [0.5, -1.5, 1.5], **kwargs)
    sky_map(rng.uniform(-3, 3, 5000), rng.uniform(-1.5, 1.5, 5000), **kwargs)
    sky_map(lon, lat, wcs=make_wcs(center=(3.0, 0.0)), shape=(20, 30))


# Drawing


def test_colours_of_an_empty_map_begin_at_zero(field):
    heat = add_axes(field).sky_heatmap([], [], kernel="9 arcmin", colorbar=True)
    assert heat.get_clim() == (0, 1)
    assert add_axes(field).sky_heatmap([], [], vmin=-1, vmax=2).get_clim() == (-1, 2)


def add_axes(wcs, **kwargs):
    return Figure(**kwargs).add_subplot(projection=wcs)


def test_the_axes_stay_the_current_ones_beside_a_colorbar(field, stars):
    plt.figure()
    ax = plt.subplot(projection=field)
    ax.sky_heatmap(*stars, colorbar=True)
    assert plt.gca() is ax
    plt.close()


def test_later_artists_do_not_move_the_limits_to_the_overhang(field, stars):
    ax = add_axes(field)
    ax.imshow(np.zeros((20, 30)), origin="lower")
    ax.sky_heatmap(*stars, pixel_size="17 arcmin")
    ax.plot([15], [10])
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 29.5), (-0.5, 19.5))


def test_limits_of_0_to_1_that_are_set_are_kept(field, stars):
    ax = add_axes(field)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.sky_heatmap(*stars, bins=3)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))


def test_the_sky_is_not_stretched_on_axes_with_limits_or_points(field, stars):
    ax = add_axes(field)
    ax.set(xlim=(5, 15), ylim=(5, 15))
    ax.scatter([83], [-5], transform=ax.get_transform("icrs"))
    ax.sky_heatmap(*stars)
    assert ax.get_aspect() == 1


@pytest.mark.parametrize("colorbar", [{"foo": 1}, {"pad": 0.1}, {"orientation": "horizontal"}])
def test_a_colorbar_that_fails_leaves_nothing_behind(field, stars, colorbar):
    ax = add_axes(field)
    with pytest.raises(TypeError):
        ax.sky_heatmap(*stars, colorbar=colorbar)
    assert (len(ax.images), len(ax.figure.axes)) == (0, 1)


def test_a_colorbar_is_named_by_its_side(field, stars):
    ax = add_axes(field)
    ax.sky_heatmap(*stars, colorbar="left")
    ax.figure.draw_without_rendering()
    assert ax.figure.axes[1].get_position().x1 < ax.get_position().x0
    with pytest.raises(ValueError, match="colorbar must be one of 'right', "):
        ax.sky_heatmap(*stars, colorbar="middle")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pixelsize", "did you mean 'pixel_size'"),
        ("fwhm", r"take kernel=mpl_skyheat.Gaussian\(fwhm=...\)"),
        ("colourbar", "did you mean 'colorbar'"),
        ("gridsize", "did you mean 'bins'"),
        ("binsz", "did you mean 'pixel_size'"),
        ("bw", "did you mean 'kernel'"),
        ("opacity", "did you mean 'alpha'"),
        ("n_jobs", "did you mean 'threads'"),
        ("stat", "did you mean 'statistic'"),
        ("mincnt", "did you mean 'min_count'"),
        ("C", "did you mean 'values'"),
        ("reduce_C_function", "did you mean 'statistic'"),
        ("cmin", "did you mean 'min_count'"),
        ("npix", "did you mean 'bins'"),
        ("smooth", "did you mean 'kernel'"),
        ("workers", "did you mean 'threads'"),
        ("moc", "did you mean 'coverage'"),
        ("footprint", "did you mean 'coverage'"),
        ("randoms", "did you mean 'coverage'"),
        ("xyz", r"see help\(mpl_skyheat.sky_heatmap\)"),
    ],
)
def test_a_misspelt_keyword_is_answered(field, stars, name, hint):
    with pytest.raises(TypeError, match=f"sky_heatmap has no argument '{name}': {hint}"):
        add_axes(field).sky_heatmap(*stars, **{name: 1})


def test_limits_of_the_colours_may_be_quantities(field, stars):
    limit = 2 / u.arcmin**2
    heat = sky_heatmap(add_axes(field), *stars, unit="deg-2", vmin=0 * u.deg**-2, vmax=limit)
    assert heat.get_clim() == pytest.approx((0, 7200))
    with pytest.raises(ValueError, match=r"vmax must be in the map's unit, 1 / deg2; got 2\.0 Jy"):
        sky_heatmap(add_axes(field), *stars, unit="deg-2", vmax=2 * u.Jy)


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"weights": np.ones(3)}, r"weight / $\mathrm{deg^{2}}$"),
        ({"weights": np.ones(3), "statistic": "count"}, "weight per pixel"),
        (
            {"weights": np.ones(3) * u.Jy, "statistic": "count"},
            r"weight [$\mathrm{Jy}$] per pixel",
        ),
        ({"weights": np.ones(3) * u.Jy}, r"weight [$\mathrm{Jy\,deg^{-2}}$]"),
    ],
)
def test_the_label_of_weights_says_so(field, options, label):
    heat = sky_heatmap(add_axes(field), [83, 83.1, 83.2], [-5, -5, -5], **options)
    assert heat.colorbar_label == label


@pytest.mark.parametrize(("norm", "clim"), [(LogNorm(vmin=1), (1, 10)), (LogNorm(), (0.1, 1))])
def test_the_colours_of_an_empty_logarithmic_map_are_those_told(field, norm, clim):
    with pytest.warns(AstropyUserWarning, match=f"vmin={clim[0]:g}, vmax={clim[1]:g}"):
        heat = sky_heatmap(add_axes(field), [], [], norm=norm)
    assert heat.get_clim() == clim


@pytest.mark.parametrize("ax", [None, Figure()], ids=["None", "Figure"])
def test_what_is_no_axes_is_refused(ax):
    with pytest.raises(TypeError, match=r"ax must be an Axes, as in ax\.sky_heatmap"):
        sky_heatmap(ax, [1], [2])


def test_pixels_without_a_size_need_none_without_a_kernel():
    header = {"CRPIX1": -10.5, "CRPIX2": 8.8, "CDELT1": -0.0016, "CDELT2": 0.0016, "CRVAL1": 83.0}
    wcs = WCS({"CTYPE1": "RA---MOL", "CTYPE2": "DEC--MOL", "LONPOLE": 0.0, **header})
    heat = sky_heatmap(add_axes(wcs), [198.0, 70.0, 83.0], [-90.0, -90.0, -0.01])
    assert heat.sky_map.meta["inside"] == 3


def test_a_map_without_sky_has_no_rows_under_the_kernel():
    header = {"CRPIX1": -33.824, "CRPIX2": 32.529, "CDELT1": -4.043, "CDELT2": 2.8301}
    header |= {"CTYPE1": "ELON-QSC", "CTYPE2": "ELAT-QSC", "CRVAL2": 21.0, "LONPOLE": 0.0}
    size = {"pixel_size": 6.867 * u.deg, "kernel": "46.5 deg"}
    made = sky_map([], [], weights=[], wcs=WCS(header), shape=(51, 7), **size)
    assert made.solid_angle.max() == 0
    assert not (made.n_eff > 0).any()
