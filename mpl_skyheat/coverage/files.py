"""Files of what was observed: MOCs, sky regions, images, HEALPix maps."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from astropy.io import fits

from mpl_skyheat.compute.writing import FITS_ENDINGS

# Endings of the names of files, by what they hold.
REGIONS = (".reg", ".ds9", ".crtf")
JSON = (".json",)


def read_coverage(name: str | os.PathLike[str]) -> Any:
    """What a file says was observed, in one of the forms that are accepted in its place."""
    if "://" in str(name):
        raise ValueError(f"coverage must be a file on this machine; got {str(name)!r}: download it")
    path = Path(name).expanduser()
    ending = path.name.lower()
    if not ending.endswith((*REGIONS, *FITS_ENDINGS, *JSON)):
        raise ValueError(
            f"coverage must be a file whose name ends in .fits, .json (a MOC) or {REGIONS[0]} "
            f"(regions); got {os.fspath(name)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"coverage must be a file that is there; got {os.fspath(name)!r}")
    try:
        if ending.endswith(REGIONS):
            return _regions(path)
        return _moc(path, "json") if ending.endswith(JSON) else _of_fits(path)
    except ImportError:
        raise
    except Exception as error:  # readers of other packages raise errors of any class
        text = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"coverage cannot be read from {path}: {text}") from error


def _missing(package: str, error: ImportError) -> ImportError:
    return ImportError(
        f"coverage is a file that needs the package {package}: pip install mpl-skyheat[coverage] "
        f"({error})"
    )


def _moc(path: Path, kind: str) -> Any:
    try:
        from mocpy import MOC
    except ImportError as error:
        raise _missing("mocpy", error) from error
    with TemporaryDirectory() as folder:
        if path.name.lower().endswith(".gz"):  # mocpy reads none
            plain = Path(folder) / "moc"
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            path = plain
        found = MOC.load(str(path), format=kind)
    # Of JSON of any other content, mocpy makes an empty one.
    if found.empty():
        raise ValueError("there is no cell in its MOC")
    return found


def _regions(path: Path) -> Any:
    try:
        from regions import Regions
    except ImportError as error:
        raise _missing("regions", error) from error
    found = Regions.read(str(path))
    if not len(found):
        raise ValueError("there is no region in it")
    return found


def _of_fits(path: Path) -> Any:
    """The first table or image of a FITS file that says what was observed."""
    with fits.open(path) as hdus:
        for hdu in hdus:
            header = hdu.header
            if "MOCVERS" in header or header.get("ORDERING") == "NUNIQ":
                return _moc(path, "fits")
            if header.get("PIXTYPE") == "HEALPIX":
                return _healpix(hdu)
            if header.get("EXTNAME") == "REGION":
                return _regions(path)
            if hdu.is_image and hdu.data is not None and np.ndim(hdu.data) >= 2:
                return np.squeeze(hdu.data), header
    raise ValueError("it has no MOC, HEALPix map, regions or image")


def _healpix(hdu: Any) -> Any:
    """The first column of a HEALPix table, and its `astropy_healpix.HEALPix`."""
    header, table = hdu.header, hdu.data
    nside, names = int(header["NSIDE"]), list(table.names)
    frame = {"G": "galactic", "E": "barycentricmeanecliptic"}.get(header.get("COORDSYS"), "icrs")
    order = {"RING": "ring", "NESTED": "nested", "NEST": "nested"}[header.get("ORDERING", "RING")]
    try:
        from astropy_healpix import HEALPix
    except ImportError as error:
        raise _missing("astropy-healpix", error) from error
    healpix = HEALPix(nside, order, frame=frame)
    if header.get("INDXSCHM") == "EXPLICIT":
        values = np.zeros(healpix.npix)
        values[np.asarray(table[names[0]], int)] = table[names[1]]
        return values, healpix
    return np.asarray(table[names[0]]).ravel(), healpix
