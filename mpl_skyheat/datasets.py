"""The catalogue that comes with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["bright_stars"]

# Value (mag) of what is missing in the file: TNULL, −32768, times TSCAL.
NULL = -32768 * 0.01


def bright_stars() -> Table:
    """Return the 329,198 stars of Tycho-2 brighter than VT = 10.

    Returns
    -------
    `~astropy.table.Table`
        Columns ``RA`` and ``DEC`` (deg, ICRS, epoch J2000, to 1 arcsec), ``VT`` and ``BT_VT``
        (mag, to 0.01; masked where missing). The catalogue is 99 % complete to this limit.

    Notes
    -----
    A quantised subset of Tycho-2 (Høg et al. 2000, A&A 355, L27), under the licence in
    ``data/LICENSE-tycho2.txt``.
    """
    from astropy.table import MaskedColumn, Table

    with as_file(files("mpl_skyheat") / "data" / "tycho2_bright.fits.gz") as path:
        stars = Table.read(path, format="fits")
    # Astropy does not mask the null values of integers that are scaled.
    colour = stars["BT_VT"]
    stars["BT_VT"] = MaskedColumn(colour, mask=np.ma.filled(colour, NULL) == NULL)
    return stars
