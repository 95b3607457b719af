"""Kernels as JSON that makes an equal kernel again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.smoothing.adaptive import Adaptive
from mpl_skyheat.smoothing.kernel_base import KernelSum
from mpl_skyheat.smoothing.kernels import (
    Annulus,
    ArrayKernel,
    Epanechnikov,
    Gaussian,
    Moffat,
    TopHat,
)
from mpl_skyheat.smoothing.row_gaussian import RowGaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]

# Kernels by name, with the arguments that make them.
ARGUMENTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Gaussian": (Gaussian, ("sigma",)),
    "TopHat": (TopHat, ("radius",)),
    "Epanechnikov": (Epanechnikov, ("radius",)),
    "Moffat": (Moffat, ("fwhm", "beta")),
    "Annulus": (Annulus, ("inner", "outer")),
    "Adaptive": (Adaptive, ("n_points", "narrowest", "widest", "mode")),
}


def kernel_to_json(kernel: Any, arrays: Arrays) -> Any:
    """The JSON of a kernel, whose arrays are appended to ``arrays``."""
    if kernel is None:
        return None
    if isinstance(kernel, KernelSum):
        return {"sum": [[factor, kernel_to_json(k, arrays)] for factor, k in kernel.terms]}
    if isinstance(kernel, ArrayKernel):
        arrays.append(kernel.raster(np.eye(2)))
        return {"array": len(arrays)}
    if isinstance(kernel, RowGaussian):
        widths = kernel.widths
        if not isinstance(widths, str):
            arrays.append(widths.value)
            widths = [len(arrays), str(widths.unit)]
        return {"rows": widths, "fwhm": kernel.is_fwhm}
    name = type(kernel).__name__
    made_by, arguments = ARGUMENTS.get(name, (None, ()))
    if type(kernel) is not made_by:
        raise ValueError(
            f"kernel must be one of {', '.join(ARGUMENTS)}, an array or a sum of them, for a map "
            f"to be written; got {kernel!r:.60}"
        )
    given = {argument: getattr(kernel, argument) for argument in arguments}
    return {
        "name": name,
        **{k: [v.value, str(v.unit)] if isinstance(v, u.Quantity) else v for k, v in given.items()},
    }


def kernel_of_json(found: Any, arrays: Arrays) -> Any:
    """The kernel of `kernel_to_json`."""
    if found is None:
        return None
    if "sum" in found:
        return KernelSum(tuple((c, kernel_of_json(k, arrays)) for c, k in found["sum"]))
    if "array" in found:
        return ArrayKernel(arrays[found["array"] - 1], is_normalised=True)
    if "rows" in found:
        widths = found["rows"]
        if not isinstance(widths, str):
            widths = arrays[widths[0] - 1] << u.Unit(widths[1])
        return RowGaussian(widths, is_fwhm=found["fwhm"])
    made_by, arguments = ARGUMENTS[found["name"]]
    given = {argument: found[argument] for argument in arguments}
    return made_by(**{k: u.Quantity(*v) if isinstance(v, list) else v for k, v in given.items()})
