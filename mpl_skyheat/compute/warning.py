"""The class of the package's warnings."""

from astropy.utils.exceptions import AstropyUserWarning


class SkyHeatmapWarning(AstropyUserWarning):
    """A warning of a probable mistake, as of points that are all off the map.

    Every warning of the package is one of these, to be silenced, or made an error, with
    `warnings.filterwarnings`.
    """
