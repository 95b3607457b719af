"""What exact values in the pixels of a map add up to, where these are longer than the kernel.

Beside the poles of a MOL and towards the rim of a ZEA, pixels of equal area are narrow and long. A
source's exact density at their centres, times their solid angles, does not add up to the source:
where it is off by more than 1 %, no map on these pixels whose values are right to 1 % has a sum
that is right to 0.1 %. Prints, for some kernels, what it adds up to, and the map's own sums.
"""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from mpl_skyheat import sky_map

PLACES = 16  # along each side of a pixel whose centre is off the sky
# How many pixels a map has, and where it has long ones (deg).
MAPS = {"MOL": ((1302, 652), (0, 90)), "ZEA": ((918, 918), (180, 0))}
SIDE = 0.25  # deg


def whole_sky(code, size):
    """Return a Galactic WCS of the whole sky."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"GLON-{code}", f"GLAT-{code}"]
    wcs.wcs.crpix, wcs.wcs.cdelt = [0.5 * n + 0.5 for n in size], [-SIDE, SIDE]
    wcs.pixel_shape = size
    return wcs


def places(wcs, solid_angle):
    """Return where pixels have values, and their solid angles there.

    At their centres, or where these are off the sky, all over what they show.
    """
    y, x = np.nonzero(solid_angle > 0)
    lon, lat = wcs.wcs_pix2world(x, y, 0)
    lost = np.isnan(lon)
    offset = (np.arange(PLACES) + 0.5) / PLACES - 0.5
    finer = np.broadcast_arrays(x[lost, None, None] + offset, y[lost, None, None] + offset[:, None])
    finer_lon, finer_lat = wcs.wcs_pix2world(*(v.ravel() for v in finer), 0)
    finer_lon = finer_lon.reshape(finer[0].shape)
    found = np.isfinite(finer_lon)
    number = np.maximum(found.sum(axis=(1, 2)), 1)
    share = (solid_angle[y, x][lost] / number)[:, None, None] * found
    lon = np.concatenate([lon[~lost], finer_lon[found]])
    lat = np.concatenate([lat[~lost], finer_lat.reshape(found.shape)[found]])
    area = np.concatenate([solid_angle[y, x][~lost], share[found]])
    return SkyCoord(lon, lat, unit="deg", frame="galactic"), area


def main():
    print(f"pixels of {SIDE}°; sources within 4 σ of the pole of MOL, of the rim of ZEA")
    for code, (size, end) in MAPS.items():
        wcs = whole_sky(code, size)
        known = sky_map([], [], wcs=wcs, bins=size, frame="galactic")
        where, area = places(wcs, known.solid_angle.value)
        for pixels in (2, 4):
            sigma = pixels * SIDE * u.deg
            norm = 2 * np.pi * sigma.to_value(u.rad) ** 2  # (of a plane: 1e-4 off at most)
            rng, exact, ours = np.random.default_rng(3), [], []
            for _ in range(12):
                source = SkyCoord(*end, unit="deg", frame="galactic").directional_offset_by(
                    rng.uniform(0, 360) * u.deg, rng.uniform(0, 4) * sigma
                )
                separation = source.separation(where)
                kernel = np.exp(-0.5 * (separation / sigma).to_value(u.one) ** 2) / norm
                exact.append((kernel * area).sum())
                options = {"bins": size, "frame": "galactic", "statistic": "count"}
                lone = sky_map([source.l.deg], [source.b.deg], wcs=wcs, kernel=sigma, **options)
                ours.append(np.nansum(lone.data))
            assert np.abs(np.array(ours) - 1).max() < 1e-3
            print(
                f"{code}, σ of {pixels} pixels: exact values add up to {min(exact):.3f} … "
                f"{max(exact):.3f}, those of the map to {min(ours):.4f} … {max(ours):.4f}"
            )


if __name__ == "__main__":
    main()
