"""The shape of the package: which way its modules import, what they use, and its public face."""

import ast
import inspect
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import mpl_skyheat
from mpl_skyheat.artist import SkyHeatmap

FOLDER = Path(mpl_skyheat.__file__).parent
SOURCES = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}

# Each module imports from those before it only.
ORDER = (
    "_version",
    "datasets",
    "memory",
    "points",
    "grid",
    "compiling",
    "threads",
    "tiles",
    "compiled",
    "patches",
    "outlines",
    "skyedge",
    "fractions",
    "areas",
    "planes",
    "projection",
    "flatness",
    "binning",
    "kernels",
    "smoothing",
    "options",
    "geometry",
    "rings",
    "skypixels",
    "balancing",
    "sphere",
    "mollweide",
    "counting",
    "skymap",
    "mapmaking",
    "adapters",
    "beside",
    "artist",
    "axes",
    "views",
    "regions",
    "readable",
    "subplots",
    "__init__",
    "__main__",
)

# The flow of the design, which the order keeps.
FLOW = ("points", "planes", "projection", "binning", "smoothing", "skymap", "artist", "axes")

# What modules import at run time beyond the standard library and the package. Where nothing is
# said of a part of astropy, all of it that does not draw is meant.
IMPORTS = {
    "_version": set(),
    "__init__": set(),
    "datasets": {"astropy.table"},
    "points": {"numpy", "astropy", "pandas"},
    "grid": {"numpy"},
    "patches": {"numpy"},
    "outlines": {"numpy", "astropy.wcs"},
    "skyedge": {"numpy"},
    "fractions": {"numpy"},
    "areas": {"numpy"},
    "planes": {"numpy", "astropy"},
    "adapters": {"numpy", "astropy", "astropy.visualization.wcsaxes", "matplotlib.transforms"},
    "projection": {"numpy", "astropy.units", "astropy.coordinates"},
    "compiling": set(),
    "threads": {"numpy"},
    "tiles": {"numpy", "scipy"},
    "compiled": {"numpy", "numba"},
    "mollweide": {"numpy", "astropy.wcs"},
    "counting": {"numpy", "astropy"},
    "flatness": {"numpy"},
    "binning": {"numpy"},
    "kernels": {"numpy", "astropy.units", "astropy.convolution"},
    "smoothing": {"numpy", "scipy"},
    "options": {"numpy", "astropy"},
    "memory": set(),
    "geometry": {"numpy", "astropy"},
    "rings": {"numpy", "scipy"},
    "skypixels": {"numpy"},
    "balancing": {"numpy"},
    "sphere": {"numpy"},
    "skymap": {"numpy", "astropy"},
    "mapmaking": {"numpy", "astropy"},
    "beside": {"matplotlib"},
    "artist": {"numpy", "astropy", "matplotlib"},
    "axes": {"matplotlib"},
    "views": {"numpy", "astropy"},
    "regions": {"numpy", "astropy"},
    "readable": {"numpy", "matplotlib"},
    "subplots": {"numpy", "astropy", "astropy.visualization.wcsaxes", "matplotlib"},
    "__main__": {"numpy", "astropy", "astropy.visualization.wcsaxes", "matplotlib"},
}
DRAWS = ("astropy.visualization", "matplotlib")

# These cost time that not every script has use for: they are imported at first use.
LAZY = {"scipy", "pandas", "numba", "astropy.convolution", "astropy.visualization.wcsaxes"}


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
    return rest.split(".")[0] if rest.split(".")[0] in SOURCES else "__init__"


def is_in(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


# The direction of imports


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(IMPORTS) == sorted(SOURCES)
    assert not [path for path in FOLDER.rglob("*.py") if path.parent != FOLDER]
    assert sorted(FLOW, key=ORDER.index) == list(FLOW)


@pytest.mark.parametrize("module", SOURCES)
def test_modules_import_from_earlier_ones_only(module):
    # Types, too: one must be read before the other can be understood.
    used = {own_module(found.name) for found in imports_of(module)} - {None}
    assert used <= {*ORDER[: ORDER.index(module)]}


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
    assert [own_module(name) for name in list(found)[-3:]] == ["grid", "grid", "__init__"]
    assert own_module("numpy.mpl_skyheat") is None


@pytest.mark.parametrize("module", SOURCES)
def test_modules_use_what_the_design_lets_them(module):
    others = [
        found.name
        for found in imports_of(module)
        if not found.is_for_types
        and own_module(found.name) is None
        and not is_in(found.name, {*sys.stdlib_module_names})
    ]
    not_drawing = [name for name in others if not is_in(name, DRAWS)]
    drawing = [name for name in others if is_in(name, DRAWS)]
    assert not [name for name in not_drawing if not is_in(name, IMPORTS[module])]
    # "astropy" does not stand for the part of it that draws.
    assert not [name for name in drawing if not is_in(name, IMPORTS[module] - {"astropy"})]


def test_only_the_end_of_the_flow_draws():
    drawing = [module for module in ORDER if any(is_in(name, DRAWS) for name in IMPORTS[module])]
    assert drawing == ["adapters", "beside", "artist", "axes", "readable", "subplots", "__main__"]
    # An Axes, that exists already, is asked whether it is a WCSAxes.
    assert all(
        found.is_within or found.is_for_types
        for found in imports_of("adapters")
        if is_in(found.name, {"astropy.visualization"})
    )


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_imports_pyplot(module):
    tree = parse(module)
    assert not [found.name for found in find_imports(tree) if "pyplot" in found.name]
    # It may be looked up, by those who run after somebody else's import.
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = ("import_module", "__import__")
    assert not [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).endswith(names) and "mpl_skyheat." not in ast.unparse(call)
    ]


@pytest.mark.parametrize("module", SOURCES)
def test_what_is_slow_to_import_is_imported_at_first_use(module):
    at_once = [i.name for i in imports_of(module) if not (i.is_within or i.is_for_types)]
    # The compiled module is imported itself at first use.
    assert not [n for n in at_once if is_in(n, LAZY) and module not in ("compiled", "__main__")]
    assert not [n for n in at_once if own_module(n) == "compiled"]


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
        "mpl_skyheat.artist",
        "mpl_skyheat.beside",
        "mpl_skyheat.subplots",
    ],
)
def test_a_map_is_made_without_what_draws(loaded, name):
    assert "mpl_skyheat.mapmaking" in loaded["map"]
    assert name not in loaded["map"]


# The public face

PUBLIC = {
    "sky_heatmap",
    "sky_map",
    "SkyHeatmap",
    "SkyMap",
    "Gaussian",
    "TopHat",
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


@pytest.mark.parametrize("cls", ["SkyHeatmap", "SkyMap", "Gaussian", "TopHat", "Moffat", "Annulus"])
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


# Private names of others, which may change without notice

EXEMPT = {
    # NDSlicingMixin documents it as the hook for attributes that are to be sliced along.
    ("skymap", "super()._slice"),
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
        for node in ast.walk(parse("artist"))
        if isinstance(node, ast.Attribute) and is_private(node.attr)
    } | {name for name in vars(SkyHeatmap) if is_private(name)}
    image = AxesImage(Figure().add_subplot())
    assert "_scale_to_map" in own
    assert "_A" in vars(image)
    assert not own & {*dir(image)}
