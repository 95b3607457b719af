"""`Randoms`: random points that fill what was observed, in place of a coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.reading import read_points


class Randoms:
    """Random points that a survey would have observed, to be given as ``coverage``.

    Where a survey comes with randoms and no footprint, they say what it has observed. Ten times as
    many as sources, or more: the density is biased by 1/n, n the number of randoms under the
    kernel. Standard errors take their scatter in.

    Random points do not say of a position whether it was observed: sources where there are no
    randoms count, and make a bright rim. Cut the catalogue as the randoms were, or give a list of
    both, ``coverage=[randoms, footprint]``.

    Parameters
    ----------
    *points, data, frame
        Positions, as in `sky_heatmap`.
    density : `~astropy.units.Quantity`
        Randoms (or sum of their weights) per unit solid angle where all is observed, such as
        ``2500 / u.deg**2``.
    weights : array-like or str, optional
        The observed fraction that each stands for, or the name of a column.

    Raises
    ------
    TypeError, ValueError
        If the density is none, or the points are of no accepted form.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from mpl_skyheat import Randoms
    >>> rng = np.random.default_rng(1)
    >>> randoms = Randoms(rng.uniform(0, 10, 1000), rng.uniform(-5, 5, 1000),
    ...                   density=10 / u.deg**2)
    """

    def __init__(
        self,
        *points: Any,
        density: u.Quantity,
        data: Any = None,
        frame: Any = "icrs",
        weights: Any = None,
    ) -> None:
        try:
            self.density = u.Quantity(density)
            per_sr = float(self.density.to_value(u.sr**-1))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"density must be per solid angle, such as 2500/u.deg**2; got {density!r:.60}"
            ) from error
        if not (np.isfinite(per_sr) and per_sr > 0):
            raise ValueError(f"density must be positive and finite; got {density}")
        self.per_sr = per_sr
        self.catalogue = read_points(points, data, frame, weights)
        if self.catalogue.frame is None:
            raise TypeError("frame must be one of the sky for Randoms; got 'flat'")

    def __repr__(self) -> str:
        return f"<Randoms of {self.density}>"
