"""The same catalogue drawn by gammapy, ligo.skymap, skyproj and mpl_skyheat, each by its defaults.

The stars that come with the package, all over the sky, at about a degree; each package counts,
smooths and draws by the means that it has. (ligo.skymap and skyproj draw HEALPix maps, which are
counted by hand.)

Run as ``python examples/beside_the_peers.py [FILE]``.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

import mpl_skyheat

NSIDE = 64  # pixels of 0.9 deg


def healpix_density(stars):
    """Return stars / deg² in HEALPix pixels (ring order, ICRS)."""
    import healpy

    pixels = healpy.ang2pix(NSIDE, stars.ra.deg, stars.dec.deg, lonlat=True)
    counts = np.bincount(pixels, minlength=12 * NSIDE**2)
    return counts / healpy.nside2pixarea(NSIDE, degrees=True)


def draw_gammapy(stars):
    """Count on gammapy's map, smooth and draw it."""
    from gammapy.maps import Map

    sky = Map.create(proj="AIT", binsz=1, frame="icrs")
    sky.fill_by_coord({"skycoord": stars})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sky.smooth(1 * u.deg).plot(add_cbar=True)


def draw_ligo_skymap(stars):
    """Draw a HEALPix map on the Axes of ligo.skymap."""
    import ligo.skymap.plot  # noqa: F401  (it registers the projections)

    ax = plt.axes(projection="astro hours mollweide")
    plt.colorbar(ax.imshow_hpx(healpix_density(stars)))


def draw_skyproj(stars):
    """Draw a HEALPix map on the Axes of skyproj."""
    import skyproj

    sky = skyproj.MollweideSkyproj()
    sky.draw_hpxmap(healpix_density(stars))
    sky.draw_colorbar()


def draw_mpl_skyheat(stars):
    """Draw the catalogue."""
    ax = mpl_skyheat.subplot(stars, projection="MOL")
    ax.sky_heatmap(stars, kernel=1 * u.deg, label="stars", colorbar="bottom")


PACKAGES = {
    "gammapy": draw_gammapy,
    "ligo.skymap": draw_ligo_skymap,
    "skyproj": draw_skyproj,
    "mpl_skyheat": draw_mpl_skyheat,
}


def picture(draw, stars, path):
    """Return what a package draws in a figure of its own, as an image."""
    plt.close("all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw(stars)
        plt.gcf().savefig(path, dpi=150, bbox_inches="tight")
    plt.close("all")
    return plt.imread(path)


def main(path="beside_the_peers.png"):
    """Draw the figure."""
    table = mpl_skyheat.datasets.bright_stars()
    stars = SkyCoord(table["RA"], table["DEC"])
    pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in PACKAGES.items():
            try:
                pictures[name] = picture(draw, stars, Path(folder) / "picture.png")
            except ImportError as error:
                print(f"without {name}: {error}")
    figure, panels = plt.subplots(2, 2, figsize=(10, 6.6), layout="constrained")
    for ax in panels.flat:
        ax.axis("off")
    for ax, (name, image) in zip(panels.flat, pictures.items(), strict=False):
        ax.imshow(image, interpolation="antialiased")
        ax.set_title(name)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
