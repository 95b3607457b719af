"""A geometry is pickled, and arrives in another process equal to the bit."""

import pickle

import numpy as np
import pytest
from astropy.coordinates import ICRS
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from helpers import make_wcs
from matplotlib.figure import Figure
from test_counts import FIELD_SHAPE, FIELDS
from test_counts import make_wcs as wcs_of_header

import mpl_skyheat
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.plotting.axes_planes import view_of_axes
from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
from mpl_skyheat.sky.grid import grid_of_bins, native_grid
from mpl_skyheat.sky.planes import FlatPlane, celestial_plane, plane_of_wcs, view_of_shape
from mpl_skyheat.sky.shipping import ShippingError


def lookup_table():
    """Return a WCS whose pixels are moved by a table."""
    wcs = make_wcs()
    table = np.random.default_rng(1).normal(0, 0.3, (8, 9)).astype(np.float32)
    wcs.cpdis1 = DistortionLookupTable(table, (1.0, 1.0), (1.0, 1.0), (4.0, 3.0))
    wcs.det2im2 = DistortionLookupTable(table[::-1].copy(), (1.0, 2.0), (1.0, 1.0), (4.0, 3.0))
    return wcs


def cube_slice():
    """Return one image of a cube whose velocity axis comes first."""
    cube = WCS(naxis=3)
    cube.wcs.ctype = "VELO", "RA---TAN", "DEC--TAN"
    cube.wcs.crval, cube.wcs.crpix, cube.wcs.cdelt = (1e3, 83, -5), (1, 15.5, 10.5), (10, -0.1, 0.1)
    cube.wcs.cunit = "m/s", "deg", "deg"
    cube.pixel_shape = 5, 30, 20
    return SlicedLowLevelWCS(cube, (slice(None), slice(None), 0))


def odd_numbers():
    """Return a WCS with numbers that cards, of 20 characters, do not hold."""
    wcs = make_wcs()
    wcs.wcs.cd = np.array([[-1 / 30, 1e-3 / 7], [1e-3 / 3, 1 / 31]])
    wcs.wcs.crval = 83 + 1 / 3e9, -5 - 1 / 7e8
    return wcs


WCSS = {name: (lambda header=header: wcs_of_header(header)) for name, header in FIELDS.items()} | {
    "latitude first": lambda: make_wcs(axes="DECRA"),
    "ecliptic": lambda: make_wcs("AIT", axes="ELON"),
    "lookup table": lookup_table,
    "slice": cube_slice,
    "odd numbers": odd_numbers,
}


def geometry_of(wcs, shape=FIELD_SHAPE):
    plane = plane_of_wcs(wcs)
    return MapGeometry(plane, native_grid(view_of_shape(wcs, shape)), (3, 5))


def dated_tpv():
    """Return a TPV of an image, with what most headers of images have."""
    header = fits.Header()
    header.update({"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "CRVAL1": 83.0, "CRVAL2": -5.0})
    header.update({"CRPIX1": 15.5, "CRPIX2": 10.5, "CD1_1": -0.1, "CD2_2": 0.1, "PV1_1": 1.0})
    header.update({"PV1_4": 1e-3, "PV2_1": 1.0, "PV2_4": 2e-3, "SPECSYS": "BARYCENT"})
    header.update({"MJD-OBS": 58849.0, "DATE-OBS": "2020-01-01T00:00:00.000", "CNAME1": "ra"})
    return WCS(header)


WCSS["dated TPV"] = dated_tpv


@pytest.mark.parametrize("name", WCSS)
def test_positions_arrive_equal_to_the_bit(name):
    geometry = geometry_of(WCSS[name]())
    arrived = pickle.loads(pickle.dumps(geometry))
    assert arrived == geometry
    assert arrived.plane.frame.is_equivalent_frame(geometry.plane.frame)
    # On the edges of pixels, too, where the last bit decides.
    edges = np.arange(-0.5, 30.0, 0.5)
    x, y = (v.ravel() for v in np.meshgrid(edges, edges))
    sky = geometry.plane.to_sky(x, y)
    np.testing.assert_array_equal(arrived.plane.to_sky(x, y), sky)
    there = geometry.plane.to_plane(*sky)
    np.testing.assert_array_equal(arrived.plane.to_plane(*sky), there)
    for ours, theirs in zip(geometry.wide.index(*there), arrived.wide.index(*there), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # astropy's own pickle is not what is looked at here.
    assert (arrived.plane.is_smooth, arrived.plane.is_equal_area) == (
        geometry.plane.is_smooth,
        geometry.plane.is_equal_area,
    )


def test_a_gwcs_arrives_equal_to_the_bit():
    pytest.importorskip("gwcs")
    from test_edge_of_sky import field_gwcs

    geometry = geometry_of(field_gwcs(0.0), (40, 40))
    arrived = pickle.loads(pickle.dumps(geometry))
    assert arrived == geometry
    x, y = np.random.default_rng(1).uniform(0, 39, (2, 500))
    sky = geometry.plane.to_sky(x, y)
    np.testing.assert_array_equal(arrived.plane.to_sky(x, y), sky)
    np.testing.assert_array_equal(arrived.plane.to_plane(*sky), geometry.plane.to_plane(*sky))


@pytest.mark.parametrize("name", ["mollweide", "aitoff", "hammer", "lambert", "rectilinear"])
def test_planes_of_axes_without_a_wcs_arrive(name):
    ax = Figure().add_subplot(projection=name)
    shown = view_of_axes(ax, read_catalogue(([10.0], [20.0])), ICRS(), None)
    geometry = MapGeometry(shown.plane, grid_of_bins(shown.view.filled((0, 9, 0, 9)), 30, 20))
    arrived = pickle.loads(pickle.dumps(geometry))
    assert arrived == geometry
    lon, lat = np.random.default_rng(1).uniform(-90, 90, (2, 500))
    np.testing.assert_array_equal(
        arrived.plane.to_plane(lon, lat), geometry.plane.to_plane(lon, lat)
    )
    assert len(pickle.dumps(geometry)) < 20_000  # and none of the figure with it


def test_planes_of_cartopy_arrive():
    crs = pytest.importorskip("cartopy.crs")
    ax = Figure().add_subplot(projection=crs.Robinson(central_longitude=30))
    ax.set_global()
    shown = view_of_axes(ax, read_catalogue(([10.0], [20.0])), ICRS(), None)
    arrived = pickle.loads(pickle.dumps(shown.plane))
    lon, lat = np.random.default_rng(1).uniform(-90, 90, (2, 500))
    np.testing.assert_array_equal(arrived.to_plane(lon, lat), shown.plane.to_plane(lon, lat))
    assert arrived == shown.plane


def test_a_lattice_arrives():
    plane = plane_of_wcs(make_wcs("AIT", shape=(60, 30), cdelt=(-6, 6)))
    grid = native_grid(view_of_shape(plane.wcs, (30, 60)))
    sphere = SphereLattice.covering(plane, grid, (29.5, 14.5), 0.02, 0.3, (1, 3))
    geometry = MapGeometry(plane, grid, sphere=sphere)
    arrived = pickle.loads(pickle.dumps(geometry))
    assert arrived == geometry
    np.testing.assert_array_equal(arrived.sphere.turn, sphere.turn)
    assert arrived.sphere.lattice == sphere.lattice
    other = SphereLattice.covering(plane, grid, (29.5, 14.5), 0.015, 0.3, (1, 3))
    assert MapGeometry(plane, grid, sphere=other) != geometry


def test_a_geometry_is_made_without_data_and_small_when_sent():
    geometry = geometry_of(make_wcs("TAN", shape=(1000, 1000)), (1000, 1000))
    assert geometry.solid_angles.shape == (1000, 1000)
    assert len(pickle.dumps(geometry)) < 5000  # without the solid angles
    assert geometry.wide_solid_angles is geometry.wide_solid_angles  # made once


def test_geometries_that_differ_in_the_last_bit_differ():
    geometry = geometry_of(odd_numbers())
    assert geometry == geometry_of(odd_numbers())
    for change in ("crval", "crpix", "cd"):
        other = odd_numbers()
        value = np.array(getattr(other.wcs, change))
        value.flat[0] = np.nextafter(value.flat[0], np.inf)
        setattr(other.wcs, change, value)
        assert geometry_of(other) != geometry, change
    fk5 = odd_numbers()
    fk5.wcs.radesys = "FK5"
    assert geometry_of(fk5) != geometry
    assert MapGeometry(geometry.plane, geometry.grid, (3, 4)) != geometry
    assert MapGeometry(geometry.plane, geometry.grid.grown(1, 0), (3, 5)) != geometry
    assert MapGeometry(FlatPlane(), geometry.grid, (3, 5)) != geometry


def test_what_does_not_arrive_is_refused():
    plane = plane_of_wcs(make_wcs())

    class Local:
        to_plane = to_sky = staticmethod(lambda lon, lat: (lon, lat))

    from mpl_skyheat.sky.planes import ProjectedPlane

    with pytest.raises(ShippingError, match="cannot be sent to another process"):
        pickle.dumps(ProjectedPlane(Local(), ICRS()))
    assert celestial_plane(plane.wcs, header=plane.wcs) == plane


def test_maps_hold_what_can_be_sent():
    m = mpl_skyheat.sky_map([83.0], [-5.0], wcs=make_wcs(), kernel="0.2 deg")
    assert pickle.loads(pickle.dumps(m.data)).shape == m.data.shape
