"""WCSs, and a catalogue whose map cannot be mistaken when it is turned or mirrored."""

import numpy as np
from astropy import units as u
from astropy.wcs import WCS

from mpl_skyheat.sky.grid import native_grid
from mpl_skyheat.sky.planes import plane_of_wcs, view_of_shape


def make_wcs(code="TAN", *, shape=(30, 20), center=(83.0, -5.0), cdelt=(-0.1, 0.1), axes="RADEC"):
    """Return a WCS of ``shape`` (nx, ny) pixels with its reference in the middle."""
    prefixes = {
        "RADEC": ("RA---", "DEC--"),
        "DECRA": ("DEC--", "RA---"),
        "GLON": ("GLON-", "GLAT-"),
        "ELON": ("ELON-", "ELAT-"),
    }[axes]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [prefix + code for prefix in prefixes]
    wcs.wcs.crval = center
    wcs.wcs.crpix = [(n + 1) / 2 for n in shape]
    wcs.wcs.cdelt = cdelt
    wcs.pixel_shape = shape
    return wcs


def plane_and_grid(wcs, shape=None):
    """Return the plane of a WCS, and its own pixels."""
    return plane_of_wcs(wcs), native_grid(view_of_shape(wcs, shape))


def letter_f(wcs):
    """Return positions that draw a letter F, upright to the pixels' x and y, one point a pixel."""
    nx, ny = wcs.pixel_shape
    left, bottom, top = nx // 4, ny // 5, 4 * ny // 5
    stem = [(left, y) for y in range(bottom, top + 1)]
    arm = [(x, top) for x in range(left, 3 * nx // 4)]
    short = [(x, (bottom + top) // 2) for x in range(left, nx // 2)]
    x, y = np.array(stem + arm + short).T
    return wcs.pixel_to_world_values(x + 0.1, y - 0.2)


def number_of_colours(picture):
    """Return how many colours a picture (ny, nx, 3 or 4; 0 … 1) has."""
    levels = np.round(255 * picture).astype(np.int64)
    return len(np.unique(levels @ 256 ** np.arange(picture.shape[2])))


def healpix_numbers(ra, dec, order=29):
    """Return the numbers of the HEALPix cells (nested) of positions (deg), by astropy_healpix."""
    from astropy_healpix import HEALPix

    cells = HEALPix(2**order, order="nested")
    return np.asarray(cells.lonlat_to_healpix(ra * u.deg, dec * u.deg), np.int64)


def write_hats(
    root, columns, *, names=("ra", "dec"), most=2000, row_group_size=500, suffix=".parquet", **more
):
    """Write a HATS catalogue of columns by name, with at most so many rows in a partition.

    ``names`` are those of its positions, and ``more`` are properties. Return the rows' order in it,
    and the cells (order, pixel) of its partitions.
    """
    import pyarrow as pa
    from pyarrow import parquet

    number = healpix_numbers(*(columns[name] for name in names))
    in_order = np.argsort(number, kind="stable")
    number = number[in_order]
    table = pa.table({"_healpix_29": number} | {k: v[in_order] for k, v in columns.items()})
    left, cells = [(0, pixel) for pixel in range(12)], []
    while left:
        order, pixel = left.pop(0)
        shift = 2 * (29 - order)
        start, stop = np.searchsorted(number, [pixel << shift, (pixel + 1) << shift])
        if stop - start > most:
            left += [(order + 1, 4 * pixel + k) for k in range(4)]
        elif stop > start:
            folder = root / "dataset" / f"Norder={order}" / f"Dir={pixel // 10000 * 10000}"
            path = folder / f"Npix={pixel}{suffix if suffix != '/' else '/part0.parquet'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = table.slice(start, stop - start)
            parquet.write_table(rows, path, row_group_size=row_group_size)
            cells.append((order, pixel))
    parquet.write_metadata(table.schema, root / "dataset" / "_common_metadata")
    lines = ["Norder,Npix", *(f"{order},{pixel}" for order, pixel in cells)]
    (root / "partition_info.csv").write_text("\n".join(lines) + "\n")
    known = {
        "obs_collection": root.name, "dataproduct_type": "object", "hats_nrows": len(number),
        "hats_col_ra": names[0], "hats_col_dec": names[1], "hats_npix_suffix": suffix,
        "hats_col_healpix": "_healpix_29", "hats_col_healpix_order": 29,
    } | more  # fmt: skip
    lines = [f"{key}={value}" for key, value in known.items() if value is not None]
    (root / "hats.properties").write_text("#HATS catalog\n" + "\n".join(lines) + "\n")
    return in_order, cells
