"""A map's values as Quantities and arrays: all of them, and their largest, least, sum and mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Reductions:
    """The values of a `SkyMap` that are not masked, for numpy and astropy."""

    data: Any
    mask: Any
    unit: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The values without their unit, NaN where masked, as for ``plt.imshow``."""
        del copy  # `quantity` is always a copy.
        return np.asarray(self.quantity.value, dtype=dtype)

    @property
    def quantity(self) -> u.Quantity:
        """The values with their unit, NaN where masked, for numpy and astropy."""
        return u.Quantity(self.data, self.unit)

    def max(self, **numpy: None) -> u.Quantity:
        """The largest value, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).max()

    def min(self, **numpy: None) -> u.Quantity:
        """The smallest value, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).min()

    def sum(self, **numpy: None) -> u.Quantity:
        """The sum of the values, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).sum()

    def mean(self, **numpy: None) -> u.Quantity:
        """The mean over the observed sky, a scalar Quantity; NaN if all of it is masked.

        Values are weighed by the solid angle of their pixels and its fraction that was observed,
        ``solid_angle`` and ``coverage`` where the map has them, so that ``m / m.mean() - 1`` is the
        contrast.
        """
        values = self._unmasked(numpy)
        weights = np.ones(values.shape)
        for name in ("solid_angle", "coverage"):
            share = getattr(self, name)
            if share is not None and not self.mask.all():
                weights *= np.asarray(share)[~self.mask]
        return (weights * values).sum() / weights.sum()

    def _unmasked(self, numpy: dict[str, Any]) -> u.Quantity:
        """The values that are not masked, or one NaN; no argument of numpy's functions is taken."""
        for name, value in numpy.items():
            if value is not None:
                raise TypeError(
                    f"{name} must be left out, as a SkyMap is reduced over its pixels; got "
                    f"{value!r:.60}: take .quantity, as in np.nanmax(m.quantity, axis=0)"
                )
        values = self.data[~self.mask]
        return u.Quantity(values if len(values) else [np.nan], self.unit)
