"""The shape of the package: which way its modules import, what they use, and its public face."""

import ast
import graphlib
import inspect
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, get_args

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import mpl_skyheat
from mpl_skyheat.maps.statistic_table import STATISTICS, StatisticName
from mpl_skyheat.plotting.colorbars import Side
from mpl_skyheat.plotting.colour_scale import NORMS, NormName
from mpl_skyheat.plotting.heatmap import SkyHeatmap
from mpl_skyheat.plotting.regions import Projection
from mpl_skyheat.smoothing.choice import Geometry
from mpl_skyheat.smoothing.plane import PAD_MODES, Boundary

FOLDER = Path(mpl_skyheat.__file__).parent
# Modules by name within the package: "sky/grid".
SOURCES = {
    str(path.relative_to(FOLDER).with_suffix("")): path for path in sorted(FOLDER.rglob("*.py"))
}

# Each room imports from itself and those before it only; what is at the top, from all of them.
LAYERS = (
    "compute", "sky", "catalogue", "coverage", "counting", "smoothing", "maps", "plotting",
)  # fmt: skip
TOP = ("_version", "datasets", "axes", "__init__", "__main__")

DRAWS = ("astropy.visualization", "matplotlib")
NUMBA = ("compute/numba_options", "compute/numba_tiles", "compute/numba_sphere")

# These cost time that not every script has use for: they are imported at first use.
LAZY = {"scipy", "pandas", "numba", "astropy.convolution", "astropy.visualization.wcsaxes"}
LAZY |= {"pyarrow", "fsspec", "dask", "distributed"}

# Tables of these are recognised by their classes; who has none does not load them.
NEVER = {"polars", "duckdb", "lsdb", "hats"}


class Import(NamedTuple):
    """A module that is imported, and whether for types only, and within a function."""

    name: str
    is_for_types: bool
    is_within: bool


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def find_imports(node, *, types=False, within=False):
    """Yield the imports below a node, by full name: those of names in a module, with the name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, types, within) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (Import(f"{child.module}.{a.name}", types, within) for a in child.names)
        elif is_type_checking(child):
            yield from find_imports(ast.Module(child.body, []), types=True, within=within)
            yield from find_imports(ast.Module(child.orelse, []), types=types, within=within)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from find_imports(child, types=types, within=within or is_function)


def parse(module):
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


def imports_of(module):
    return list(find_imports(parse(module)))


def own_module(name):
    """Return which module of the package a full name is in, None if in none."""
    package, _, rest = name.partition(".")
    if package != "mpl_skyheat":
        return None
    parts = rest.split(".")
    longest = max((n for n in (1, 2) if "/".join(parts[:n]) in SOURCES), default=0)
    return "/".join(parts[:longest]) if longest else "__init__"


def floor(module):
    """Return the number of the layer that a module is in."""
    room, _, rest = module.partition("/")
    return LAYERS.index(room) if rest else len(LAYERS)


def is_in(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


# The direction of imports


def test_every_module_is_in_a_room_or_at_the_top():
    rooms = {module.partition("/")[0] for module in SOURCES if "/" in module}
    assert rooms == set(LAYERS)
    assert {module for module in SOURCES if "/" not in module} == set(TOP)


@pytest.mark.parametrize("module", SOURCES)
def test_modules_import_from_their_own_layer_and_those_below(module):
    # Types, too: one must be read before the other can be understood.
    used = {own_module(found.name) for found in imports_of(module)} - {None, module}
    if floor(module) < len(LAYERS):
        assert all(floor(other) <= floor(module) for other in used)


def test_no_two_modules_need_each_other():
    uses = {
        module: {own_module(found.name) for found in imports_of(module)} - {None, module}
        for module in SOURCES
    }
    order = list(graphlib.TopologicalSorter(uses).static_order())  # raises CycleError
    assert set(order) == set(SOURCES)


def test_imports_are_found_wherever_they_are():
    source = (
        "import a, b.c\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import t\n"
        "else:\n    import e\ndef f():\n    if x:\n        from mpl_skyheat.grid import y\n"
        "class K:\n    async def g(self):\n        from mpl_skyheat import grid, sky_map\n"
    )
    found = {i.name: (i.is_for_types, i.is_within) for i in find_imports(ast.parse(source))}
    assert found == {
        "a": (False, False),
        "b.c": (False, False),
        "typing.TYPE_CHECKING": (False, False),
        "t": (True, False),
        "e": (False, False),
        "mpl_skyheat.grid.y": (False, True),
        "mpl_skyheat.grid": (False, True),
        "mpl_skyheat.sky_map": (False, True),
    }
    assert own_module("mpl_skyheat.sky.grid.View") == "sky/grid"
    assert own_module("mpl_skyheat.sky_map") == "__init__"
    assert own_module("numpy.mpl_skyheat") is None


def test_only_the_last_room_draws():
    drawing = {
        module
        for module in SOURCES
        for found in imports_of(module)
        if is_in(found.name, DRAWS) and not found.is_for_types
    }
    assert all(module.startswith("plotting/") or module in TOP for module in drawing)


# (The command is an application: it opens windows with pyplot, in functions of its own.)
@pytest.mark.parametrize("module", [name for name in SOURCES if name != "__main__"])
def test_nothing_imports_pyplot(module):
    tree = parse(module)
    assert not [found.name for found in find_imports(tree) if "pyplot" in found.name]
    # It may be looked up, by those who run after somebody else's import.
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = ("import_module", "__import__")
    assert not [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).endswith(names)
        and "mpl_skyheat." not in ast.unparse(call)
        and module != "compute/loader"
    ]


# Modules that are imported with tables of dask only, which is then there, and what they import.
OF_DASK = ("catalogue/clusters", "counting/workers")
DASK = ("dask", "distributed")


@pytest.mark.parametrize("module", SOURCES)
def test_what_is_slow_to_import_is_imported_at_first_use(module):
    at_once = [i.name for i in imports_of(module) if not (i.is_within or i.is_for_types)]
    # The compiled modules are imported themselves at first use.
    assert not [n for n in at_once if is_in(n, LAZY) and module not in (*NUMBA, "__main__")]
    assert not [
        found
        for found in imports_of(module)
        if is_in(found.name, NEVER) and not (module in OF_DASK and is_in(found.name, DASK))
    ]
    assert module in NUMBA or not [n for n in at_once if own_module(n) in NUMBA]


@pytest.mark.parametrize("module", SOURCES)
def test_warnings_are_of_the_class_of_the_package(module):
    calls = [node for node in ast.walk(parse(module)) if isinstance(node, ast.Call)]
    warned = [call.args[1] for call in calls if ast.unparse(call.func) == "warnings.warn"]
    assert {ast.unparse(category) for category in warned} <= {"SkyHeatmapWarning"}


# What an import brings along

SCRIPT = """
import json, sys

import mpl_skyheat
at_import = list(sys.modules)

from astropy.wcs import WCS
wcs = WCS(naxis=2)
wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
wcs.wcs.crval = 10, 20
wcs.wcs.cdelt = -0.1, 0.1
total = mpl_skyheat.sky_map([10, 10.2], [20, 20.1], wcs=wcs, shape=(9, 9), kernel="0.2 deg")
print(json.dumps({"import": at_import, "map": list(sys.modules)}))
"""


@pytest.fixture(scope="module")
def loaded():
    """Return the names of the modules that are loaded by an import, and after making a map."""
    environment = os.environ | {"MPLCONFIGDIR": mpl.get_cachedir()}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "name",
    [
        "matplotlib.pyplot",
        "scipy.fft",
        "scipy.ndimage",
        "astropy.table",
        "astropy.nddata",
        "astropy.convolution",
        "astropy.visualization.wcsaxes",
        "pandas",
        "polars",
        "pyarrow",
        "numba",
    ],
)
def test_the_import_brings_little_along(loaded, name):
    assert "matplotlib.axes" in loaded["import"]
    assert name not in loaded["import"]


def test_the_import_loads_what_registers_the_method_only(loaded):
    own = {name for name in loaded["import"] if name.startswith("mpl_skyheat")}
    assert own == {"mpl_skyheat", *(f"mpl_skyheat.{n}" for n in ("_version", "axes", "datasets"))}


@pytest.mark.parametrize(
    "name",
    [
        "matplotlib.pyplot",
        "astropy.visualization.wcsaxes",
        "mpl_skyheat.plotting",
    ],
)
def test_a_map_is_made_without_what_draws(loaded, name):
    assert "mpl_skyheat.maps.making" in loaded["map"]
    assert name not in loaded["map"]


# The public face

PUBLIC = {
    "Adaptive",
    "sky_heatmap",
    "sky_contour",
    "sky_line",
    "sky_rgb",
    "SkyContour",
    "sky_map",
    "SkyHeatmap",
    "SkyHeatmapWarning",
    "SkyMap",
    "compare",
    "Gaussian",
    "TopHat",
    "Randoms",
    "Epanechnikov",
    "Moffat",
    "Annulus",
    "datasets",
    "register",
    "subplot",
    "unregister",
    "__version__",
}


def test_the_public_names_are_those_of_the_design():
    assert sorted(mpl_skyheat.__all__) == sorted(PUBLIC)
    assert {*dir(mpl_skyheat)} >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_public_names_are_there_and_documented(name):
    value = getattr(mpl_skyheat, name)
    assert len(value.__doc__.strip().splitlines()[0]) > 20
    assert value.__name__.removeprefix("mpl_skyheat.") == name
    home = value if isinstance(value, ModuleType) else sys.modules[value.__module__]
    assert home.__name__.startswith("mpl_skyheat.")


def test_public_names_can_all_be_imported_at_once():
    names = {}
    exec("from mpl_skyheat import *", names)
    assert {*names} - {"__builtins__"} == PUBLIC


@pytest.mark.parametrize("cls", ["SkyHeatmap", "SkyMap", "SkyContour", "Gaussian", "Annulus"])
def test_public_methods_are_documented(cls):
    cls = getattr(mpl_skyheat, cls)
    methods = [value for name, value in vars(cls).items() if name[0] != "_" and callable(value)]
    assert not [method for method in methods if not inspect.getdoc(method)]


@pytest.mark.parametrize("name", ["heatmap", "_nothing", "__wrapped__", "kernel"])
def test_a_name_that_is_not_there_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"^module 'mpl_skyheat' has no attribute '{name}'$"):
        getattr(mpl_skyheat, name)


def test_the_types_and_the_catalogue_are_shipped():
    assert files("mpl_skyheat").joinpath("py.typed").is_file()
    names = {path.name for path in files("mpl_skyheat").joinpath("data").iterdir()}
    assert {"tycho2_bright.fits.gz", "LICENSE-tycho2.txt"} <= names


def test_words_that_an_argument_may_be_are_listed_once():
    assert get_args(StatisticName) == tuple(STATISTICS)
    assert get_args(Boundary) == ("sky", *PAD_MODES)
    assert {*NORMS} < {*get_args(NormName)}
    listed = " ".join(inspect.getdoc(mpl_skyheat.sky_heatmap).split())
    for words in (StatisticName, Boundary, Geometry):
        assert "{" + ", ".join(f'"{word}"' for word in get_args(words)) + "}" in listed
    for words, function in ((Projection, mpl_skyheat.subplot), (Side, SkyHeatmap.add_colorbar)):
        shown = "{" + ", ".join(f'"{word}"' for word in get_args(words)) + "}"
        assert shown in inspect.getdoc(function)


# Private names of others, which may change without notice

EXEMPT = {
    # NDSlicingMixin documents it as the hook for attributes that are to be sliced along.
    ("maps/sky_map", "super()._slice"),
}


def is_private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def private_uses(tree):
    """Yield the private attributes that are used of anything but self and cls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if ast.unparse(node.value) not in ("self", "cls"):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
            yield from (str(text) for text in texts if is_private(str(text)))


def test_private_uses_are_found():
    source = "self._a\ncls._a\nax._b\nself.ax._c\nx.__d__\ngetattr(ax, '_e')\nsuper()._f()"
    assert sorted(private_uses(ast.parse(source))) == ["_e", "ax._b", "self.ax._c", "super()._f"]


@pytest.mark.parametrize("module", SOURCES)
def test_private_names_of_others_are_left_alone(module):
    tree = parse(module)
    assert not [use for use in private_uses(tree) if (module, use) not in EXEMPT]
    # Names that types have need not be public.
    private = [
        found.name
        for found in find_imports(tree)
        if not found.is_for_types
        and own_module(found.name) is None
        and any(is_private(part) for part in found.name.split("."))
    ]
    assert not private


def test_exemptions_are_needed():
    assert {(m, use) for m in SOURCES for use in private_uses(parse(m))} >= EXEMPT


def test_the_private_names_of_the_artist_are_not_matplotlibs():
    own = {
        node.attr
        for node in ast.walk(parse("plotting/heatmap"))
        if isinstance(node, ast.Attribute) and is_private(node.attr)
    } | {name for name in vars(SkyHeatmap) if is_private(name)}
    image = AxesImage(Figure().add_subplot())
    assert "_values_to_scale" in own
    assert "_A" in vars(image)
    assert not own & {*dir(image)}
