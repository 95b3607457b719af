"""Places on projections with several faces, of which wcslib gets a row wrong."""

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from helpers import make_wcs

from mpl_skyheat import sky_map
from mpl_skyheat.sky.planes import plane_of_wcs


@pytest.mark.parametrize("code", ["TSC", "CSC", "QSC", "HPX", "HPX-SIP"])
@pytest.mark.parametrize("form", ["RADEC", "DECRA", "slice"])
def test_places_in_a_row_on_faces_are_where_each_is_alone(code, form):
    """Of a whole row, wcslib takes all after the first on another face for others, or NaN."""
    axes = "RADEC" if form == "slice" else form
    wcs = make_wcs(code, shape=(360, 360), cdelt=(-1, 1), axes=axes)
    plane = plane_of_wcs(SlicedLowLevelWCS(wcs, np.s_[::1, 1:]) if form == "slice" else wcs)
    far = np.linspace(0, 359, 47)
    for y in np.linspace(5, 355, 19):
        for row in ((far, y + 0 * far), (y + 0 * far, far)):
            alone = np.concatenate(
                [plane.to_sky(*place[:, np.newaxis]) for place in np.transpose(row)], axis=1
            )
            np.testing.assert_array_equal(plane.to_sky(*row), alone)


def test_pixels_of_an_angle_are_of_that_size_on_the_lower_face_of_a_cube():
    wcs = make_wcs("TSC", shape=(20, 20), center=(0, 0), cdelt=(-1, 1))
    wcs.wcs.crpix = 15.5, 80.5  # degrees of the plane: 5 and 70 off the middle of the sky
    found = sky_map([], [], wcs=wcs, pixel_size=2 * u.deg)
    side = np.sqrt(found.solid_angle[4:-4, 4:-4].to_value(u.deg**2))
    np.testing.assert_allclose(side, 2, rtol=0.15)
