"""Random calls of the public functions: each is made from a seed and a number alone."""

import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import signature
from random import Random
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import (
    FK5,
    BarycentricMeanEcliptic,
    SkyCoord,
    UnitSphericalRepresentation,
)
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import wcs_to_celestial_frame
from test_counts import NATIVE_LATITUDE, PROJECTIONS

import mpl_skyheat as sh

SYSTEMS = [
    ("RA---", "DEC--", {"RADESYS": "ICRS"}),
    ("RA---", "DEC--", {"RADESYS": "FK5", "EQUINOX": 2000.0}),
    ("RA---", "DEC--", {"RADESYS": "FK4", "EQUINOX": 1950.0}),
    ("GLON-", "GLAT-", {}),
    ("ELON-", "ELAT-", {}),
]
FRAMES = ["icrs", "fk5", "fk4", "galactic", "barycentricmeanecliptic", FK5(equinox="J1975")]
NAMES = {"galactic": ("l", "b"), "barycentricmeanecliptic": ("elon", "elat")}
GEO = ["mollweide", "aitoff", "hammer", "lambert"]

# Options that take the same values everywhere.
OF_MAP = {
    "statistic": ["density", "count"],
    "boundary": ["sky", "fill", "wrap", "reflect"],
    "geometry": ["auto", "plane", "sphere"],
    "unit": ["arcmin-2", u.sr**-1],
    "label": ["stars", "$x^2$ é"],
    "min_count": [0, 1, 2.5],
    "threads": [1, 2, 3],
}
OF_IMAGE = {
    "colorbar": [True, "left", "top", {"location": "bottom"}],
    "norm": ["log", "sqrt", "asinh", "linear"],
    "cmap": ["gray", "viridis_r"],
    "vmax": [1.0, 1e5, 1e-300],
    "alpha": [0.0, 0.5],
    "interpolation": ["nearest", "bilinear"],
    "zorder": [-1, 3],
}
OF_SUBPLOT = {
    "projection": ["TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX"],
    "map_frame": FRAMES,
    "center": [(0, 90), (359.9, -45.0), SkyCoord(10, 20, unit="deg", frame="galactic")],
}

OF_VALUES = ["mean", "sum", "std", "median", "min", "max"]

# Values that an argument must refuse by its name.
BAD = {
    "kernel": [0 * u.deg, -1 * u.pix, "2", 2.0, "2 kg", np.ones((2, 3)), np.ones(3)],
    "bins": [0, -3, 2.5, "a", (1, 2, 3), (0, 1), np.nan],
    "pixel_size": [0 * u.deg, "x", np.inf * u.deg, [1, 2] * u.deg],
    "statistic": ["average", 3],
    "values": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "rv", ["a", "b"]],
    "min_count": [-1, "3", np.nan, True],
    "boundary": ["edge", None, 0],
    "geometry": ["ball", None, 2],
    "unit": ["kg", 3, "nonsense"],
    "threads": [0, -1, 1.5, "2", True],
    "frame": ["nonsense", 3],
    "weights": [[-1.0], "flux", [[1.0, 2.0]], ["a", "b"], -1.0],
    "shape": [(0, 3), (3,), 3, (2.5, 3), "ab"],
    "wcs": [3, "wcs", WCS(naxis=2), WCS(naxis=3)],
    "colorbar": ["middle", {"location": 3}],
    "center": ["a", np.nan, [1, 2, 3]],
    "norm": ["nonsense"],
    "cmap": ["nonsense"],
    "vmin": [3 * u.kg],
    "interpolation": ["nonsense"],
    "alpha": ["a"],
    "projection": ["XYZ", 3],
    "radius": [0 * u.deg, 200 * u.deg, 3, "x"],
    "map_frame": ["nonsense", 3, "altaz"],
    "position": ["a", (1, 2), (1, 2, 3)],
    "figure": [3],
}


def arguments_of(function: str) -> set[str]:
    """The names of the arguments that a function takes."""
    more = [*OF_IMAGE, "vmin"] if function == "sky_heatmap" else []
    return {*signature(getattr(sh, function)).parameters, *more}


class Draw(Random):
    """Random choices; ``rng`` makes arrays."""

    def __init__(self, seed: int, number: int) -> None:
        super().__init__(f"{seed} {number}")
        self.rng = np.random.default_rng([seed, number])

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def log(self, low: float, high: float) -> float:
        return float(np.exp(self.uniform(np.log(low), np.log(high))))

    def some(self, options: dict[str, list[Any]], probability: float) -> dict[str, Any]:
        return {k: self.choice(v) for k, v in options.items() if self.chance(probability)}


@dataclass
class Call:
    """A call: its function, its arguments, and what the judge must know of them."""

    function: str
    # "wcs", "flat", "plain", or a projection of matplotlib.
    axes: str = ""
    wcs: WCS | None = None
    shape: tuple[int, int] = (1, 1)
    points: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    # Arguments of `subplot`, on which the map is drawn with the options.
    layout: dict[str, Any] = field(default_factory=dict)
    is_compiled: bool = False
    # The argument with a value that must be refused.
    planted: str = ""
    # Positions (deg, or x and y; NaN where one is missing), in a frame, weights and values.
    lon: Any = None
    lat: Any = None
    frame: Any = None
    weights: Any = None
    values: Any = None
    # Whether the kernel ends before the map does, around each point.
    is_within: bool = False

    @property
    def has_size(self) -> bool:
        """Whether the map's size does not follow from the points."""
        return bool(self.wcs) and (self.wcs.pixel_shape is not None or "shape" in self.options)

    def __str__(self) -> str:
        with np.printoptions(threshold=20, edgeitems=4):
            given = {"axes": self.axes, "points": self.points} | self.layout | self.options
            if self.wcs:
                given["wcs"] = dict(self.wcs.to_header(relax=True)), self.wcs.pixel_shape
            lines = [f"    {name} = {value!r}" for name, value in given.items()]
        what = f"{self.function} of {self.lon.size} points, is_compiled={self.is_compiled}, by"
        return "\n".join([what, *lines])


@np.errstate(invalid="ignore")
def make_call(seed: int, number: int) -> Call:
    """Make the call with a number."""
    draw = Draw(seed, number)
    call = Call(draw.choice(["sky_map", "sky_map", "sky_heatmap", "sky_heatmap", "subplot"]))
    call.is_compiled = draw.chance(1 / 3)
    call.shape = int(draw.log(1, 301)), int(draw.log(1, 301))
    if call.function != "subplot":
        others = ["flat"] if call.function == "sky_map" else ["plain", "plain", "flat", *GEO]
        call.axes = draw.choice(others) if draw.chance(0.3) else "wcs"
    if call.axes == "wcs":
        call.wcs = draw_wcs(draw, call.shape)
        if draw.chance(0.1):
            call.wcs = whole_sky(draw)
            call.shape = call.wcs.array_shape
    if call.axes == "wcs" and call.function == "sky_map":
        call.options["wcs"] = call.wcs
        if draw.chance(0.3 if call.has_size else 0.9):
            call.options["shape"] = call.shape
    if draw.chance(0.15):
        call.planted = draw.choice([k for k in BAD if k in arguments_of(call.function)])
    width = draw_points(draw, call)
    if not call.planted:  # else others may be refused before it
        draw_options(draw, call, width)
    dress_points(draw, call)
    if call.planted:
        target = call.layout if call.function == "subplot" else call.options
        target[call.planted] = draw.choice(BAD[call.planted])
    return call


def draw_wcs(draw: Draw, shape: tuple[int, int]) -> WCS:
    """A FITS WCS that astropy accepts."""
    (ny, nx), wcs = shape, None
    while wcs is None:
        code, step = draw.choice([*PROJECTIONS, "TAN", "TAN"]), draw.log(1e-5, 12)
        i, j = (1, 2) if draw.chance(0.85) else (2, 1)  # the axes of longitude and latitude
        lon, lat, header = draw.choice(SYSTEMS)
        at = 0.0, NATIVE_LATITUDE.get(code, 0.0)
        if draw.chance(0.7):
            at = draw.choice([0.0, 83.0, 180, 359.9]), draw.choice([0.0, 21.0, -60, 89.9, 90, -90])
        off = draw.choice([0.0, 0.0, 0.5, 30.0]) * draw.rng.normal(size=2)
        header = {f"CTYPE{i}": lon + code, f"CTYPE{j}": lat + code} | header
        header |= {f"CRVAL{i}": at[0], f"CDELT{i}": draw.choice([-1, -1, 1]) * step}
        header |= {f"CRVAL{j}": at[1], f"CDELT{j}": draw.choice([1, 0.7]) * step}
        header |= {"CRPIX1": (nx + 1) / 2 + off[0], "CRPIX2": (ny + 1) / 2 + off[1]}
        header |= {k.replace("PV2", f"PV{j}"): v for k, v in PROJECTIONS[code].items()}
        header |= draw.some({"LONPOLE": [0.0, 30.0, 180.0]}, 0.3)
        if draw.chance(0.3):
            cos, sin = np.cos(turn := draw.uniform(0, 6)), np.sin(turn)
            header |= {"PC1_1": cos, "PC1_2": -sin, "PC2_1": sin, "PC2_2": cos}
        with suppress(ValueError, FITSFixedWarning), warnings.catch_warnings():
            warnings.simplefilter("error")  # there is no such projection
            (made := WCS(header)).wcs.set()
            wcs = made
    wcs.pixel_shape = (nx, ny) if draw.chance(0.5) else None
    return wcs


def whole_sky(draw: Draw) -> WCS:
    """A WCS on which the edges of the sky are edges of pixels."""
    n = draw.choice([1, 2, 18, 45])
    header = {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL1": draw.choice([0.0, 83, 180])}
    header |= {"CDELT1": -180 / n, "CDELT2": 180 / n, "CRPIX1": n + 0.5, "CRPIX2": n / 2 + 0.5}
    return WCS(header | {"NAXIS1": 2 * n, "NAXIS2": n})


def draw_points(draw: Draw, call: Call) -> float:
    """Set positions and weights; return the width (deg) of the region that they are in."""
    rng, (ny, nx), wcs = draw.rng, call.shape, call.wcs
    call.frame = None if call.axes == "flat" else draw.choice(FRAMES)
    width, middle = draw.log(1e-6, 180), (rng.uniform(0, 360), rng.uniform(-90, 90))
    width = width if wcs is None else float(np.abs(wcs.wcs.cdelt).mean() * max(nx, ny))
    n = 2 if call.planted else draw.choice([0, 1, 2, *(int(draw.log(3, 3000)) for _ in "ab")])

    def around(x: Any, y: Any) -> Any:
        if wcs is None:
            lat = middle[1] + (y / ny - 0.5) * width
            return middle[0] + (x / nx - 0.5) * width, np.clip(lat, -90, 90)
        world = wcs.pixel_to_world_values(x, y)
        lon, lat = world[wcs.wcs.lng], world[wcs.wcs.lat]
        sky = SkyCoord(lon, lat, unit="deg", frame=frame_of(wcs)).transform_to(call.frame)
        return sky.spherical.lon.deg, sky.spherical.lat.deg

    x, y = rng.uniform(-0.2, 1.2, n) * nx, rng.uniform(-0.2, 1.2, n) * ny
    lon, lat = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    hairs = rng.choice([0, 0, 0, 1e-13, 1e-9, 1e-7, 1e-5], n) * rng.choice([-1, 1], n)
    edges = np.round(x) + 0.5 + hairs, np.round(y) + 0.5
    parts = [
        around(x, y),
        around(np.where(x < y, x, edges[0]), np.where(x > y, y, edges[1])),
        around(x[:1].repeat(n), y[:1].repeat(n)),
        np.add(around(x, y), [360 * rng.integers(-2, 3, n), 0 * x]),
        (lon, lat),
        (lon, np.clip(np.sign(lat) * 90 + hairs, -90, 90)),
        (np.round(lon / 90) * 90 + hairs, lat),
    ]
    call.lon, call.lat = np.hstack(
        draw.choices(parts, [3, 5, 1, 1, 1, 1, 1], k=draw.choice([1, 2, 3]))
    )
    call.is_within = call.has_size and min(nx, ny) > 20 and draw.chance(0.3)
    if call.is_within:
        call.lon, call.lat = around(nx * rng.uniform(0.4, 0.6, n), ny * rng.uniform(0.4, 0.6, n))
    elif draw.chance(0.2) and not call.planted:
        for values in (call.lon, call.lat):
            bad = rng.random(values.size) < 0.1
            values[bad] = rng.choice([np.nan, np.inf, -np.inf], bad.sum())
    if draw.chance(0.3):
        size = call.lon.size
        lost = np.where(rng.random(size) < 0.2, np.nan, draw.log(1e-30, 1e30))
        call.weights = draw.choice([rng.random(size), rng.integers(0, 5, size), 0.0 * lost, lost])
    return width


def draw_options(draw: Draw, call: Call, width: float) -> None:
    """Set options, of which ``width`` (deg) gives the scale."""
    options, is_flat = call.options, call.axes == "flat"
    if call.function != "sky_map":
        options |= draw.some(OF_IMAGE, 0.2)
    if call.axes in GEO:
        options |= draw.some({"center": [0, 180 * u.deg, 266.4, -720.5]}, 0.5)
    if call.function == "subplot":
        radii = [180 * u.deg, draw.log(1e-4, 180) * u.deg, draw.log(1, 80) * u.deg]
        call.layout = draw.some(OF_SUBPLOT, 0.4) | draw.some({"radius": radii}, 0.6)
    if call.is_within:
        options["kernel"] = draw.log(0.1, min(call.shape) * 0.4 / 5) * u.pix
        options |= {"boundary": "fill", "statistic": "count"}
        return
    options |= draw.some(OF_MAP, 0.15)
    if draw.chance(0.25):
        size = call.lon.size
        call.values = draw.rng.normal(draw.choice([0.0, 1e9, -3.0]), draw.log(1e-9, 1e9), size)
        call.values[draw.rng.random(size) < draw.choice([0.0, 0.1])] = np.nan
        options |= {"statistic": draw.choice(OF_VALUES)}
        options.pop("unit", None)
    if draw.chance(0.6):
        options["kernel"] = draw_kernel(draw, call, is_flat=is_flat, width=width)
    if draw.chance(0.15):
        options |= {"coverage": draw_coverage(draw, call, width), "boundary": "sky"}
        options |= draw.some({"min_coverage": [0.0, 0.2, 1.0]}, 0.5)
    if draw.chance(0.25):
        options["bins"] = draw.choice([1, 7, (int(draw.log(1, 300)), int(draw.log(1, 300)))])
    elif draw.chance(0.25):
        shown = width if call.wcs else 180
        if call.axes in ("plain", "flat"):
            known = np.isfinite(call.lon + call.lat)
            places = np.stack([call.lon, call.lat])[:, known]
            shown = (np.ptp(places, axis=1).max() if known.any() else 0.0) or 1.0
        size = 1e-9 if draw.chance(0.05) else min(draw.log(0.004, 2) * shown, 90)
        options["pixel_size"] = size if is_flat else size * u.deg


def draw_kernel(draw: Draw, call: Call, *, is_flat: bool, width: float) -> Any:
    """A kernel from 1e-6 arcsec to 180 deg, or in pixels."""
    angle = draw.log(1e-6 / 3600, 180)
    angle = angle if draw.chance(0.3) else draw.log(0.002, 1) * min(width, 180)
    size = draw.log(0.01, 50) * u.pix if is_flat or draw.chance(0.3) else angle * u.deg
    kinds = [size, f"{size.value} {size.unit}", sh.Gaussian(fwhm=size), sh.TopHat(size)]
    kinds += [sh.Epanechnikov(size), sh.Moffat(size, draw.choice([1.5, 2.5, 4.765]))]
    kinds += [sh.Annulus(draw.log(0.01, 0.99) * size, size), sh.Gaussian(size) - sh.TopHat(size)]
    kinds += [draw.rng.random((draw.choice([1, 3, 9]), draw.choice([1, 5])))]
    widest, mode = draw.choice([1, 3, 30]) * size, draw.choice(["scatter", "gather"])
    kinds += [sh.Adaptive(draw.choice([1, 25]), narrowest=size, widest=widest, mode=mode)]
    kinds += [sh.Gaussian(size * draw.rng.uniform(0.3, 3, call.lon.size))]
    return draw.choice(kinds)


def draw_coverage(draw: Draw, call: Call, width: float) -> Any:
    """A function, an array or both: caps around some place, fractions, all or nothing."""
    known = np.isfinite(call.lon + call.lat)
    at = 0.0, 0.0
    if known.any():
        at = call.lon[known][0] % 360, float(np.clip(call.lat[known][0], -90, 90))
    radius = draw.log(0.05, 2) * min(width, 90)
    if call.axes == "flat":
        # (An array has the map's shape, which is not known here: most are refused.)
        return draw.rng.random(call.shape)

    def cap(coord: Any) -> Any:
        centre = coord.frame.realize_frame(UnitSphericalRepresentation(*at * u.deg))
        return coord.separation(SkyCoord(centre)) < radius * u.deg

    def outside(coord: Any) -> Any:
        return ~cap(coord)

    def fractions(coord: Any) -> Any:
        return 0.5 + 0.5 * np.sin(coord.spherical.lat.rad * 40)

    def nothing(coord: Any) -> Any:
        return np.zeros(len(coord))

    return draw.choice([cap, outside, fractions, [outside, fractions], nothing])


def dress_points(draw: Draw, call: Call) -> None:
    """Set the arguments that hold the positions, in one of their forms."""
    lon, lat, weights = call.lon, call.lat, call.weights
    call.points, call.options["frame"] = (lon, lat), "flat" if call.frame is None else call.frame
    names = NAMES.get(getattr(call.frame, "name", call.frame), ("ra", "dec"))
    forms = ["arrays"]
    if call.axes != "flat":
        forms += ["lists", "quantities", "SkyCoord", "table", "masked", "float32"]
    if call.has_size and not call.planted and call.values is None:
        forms.append("chunks")
    form = draw.choice(forms)
    if form == "lists":
        call.points = lon.tolist(), lat.tolist()
    elif form == "quantities":
        unit = draw.choice([u.deg, u.rad, u.hourangle])
        call.points = (lon * u.deg).to(unit), (lat * u.deg).to(unit)
        call.lon, call.lat = (v.to_value(u.deg) for v in call.points)
    elif form == "SkyCoord":
        call.lon, call.lat = (np.where(np.isfinite(lon + lat), v, np.nan) for v in (lon, lat))
        call.points = (SkyCoord(call.lon, call.lat, unit="deg", frame=call.frame),)
    elif form == "table":
        call.points = draw.choice([(), names])
        call.options["data"] = draw.choice([dict, Table])({names[0]: lon, names[1]: lat})
    elif form == "masked":
        mask = draw.rng.random(lon.size) < 0.2
        call.points, call.lon = (np.ma.array(lon, mask=mask), lat), np.where(mask, np.nan, lon)
    elif form == "float32":
        call.points = lon.astype("f4"), lat.astype("f4")
        call.lon, call.lat = (v.astype(float) for v in call.points)
    elif form == "chunks":
        columns = (lon, lat) if weights is None else (lon, lat, weights)
        call.points = (iter([tuple(c[:9] for c in columns), tuple(c[9:] for c in columns)]),)
        return
    if weights is not None:
        call.options["weights"] = weights * draw.choice([1, 1, u.Jy])
    if call.values is not None:
        call.options["values"] = call.values * draw.choice([1, 1, u.mag, u.km / u.s])


def frame_of(wcs: WCS) -> Any:
    """The frame of a WCS's positions; astropy takes ecliptic ones for ICRS."""
    is_ecliptic = "ELON" in "".join(wcs.wcs.ctype)
    return BarycentricMeanEcliptic(equinox="J2000") if is_ecliptic else wcs_to_celestial_frame(wcs)
