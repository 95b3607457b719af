"""Build the sdist and the wheel, and use the wheel as a new user would.

Run as ``python tools/check_wheel.py`` (``make wheel``). The wheel is installed without extras into
a fresh virtual environment, on a PATH without a compiler, away from the checkout; there it runs the
README's first snippet, the ``skyheat`` command and compiled code. ``--keep DIST`` copies the
files that passed into a folder.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Licences, as the metadata name them: of the code, and of the catalogue.
LICENCES = ("LICENSE", "mpl_skyheat/data/LICENSE-tycho2.txt")

# Environment variables that could bring the checkout, or caches and settings of the user, in.
FOREIGN = re.compile("PYTHON|VIRTUAL_ENV|CONDA|MPL|NUMBA|XDG_|C(C|XX)$|C(PP)?FLAGS$")

# Smallest and largest size (bytes) of a drawing with something on it.
SIZES = (10_000, 2_000_000)

# Runs after the README's snippet, in the same process: prints what main() compares.
AFTERWARDS = """
print(mpl_skyheat.__version__)
print(mpl_skyheat.__file__)
print(heat.value_at(SkyCoord("3h47m +24d07m")).to_value("deg-2"))
"""

# From 3 million points on, maps are made by code that numba compiles: without a C compiler.
COMPILED = """
import sys
import numpy as np
import mpl_skyheat
from astropy.wcs import WCS

wcs = WCS({"CTYPE1": "RA---TAN", "CRVAL1": 56.75, "CRPIX1": 100.5, "CDELT1": -0.025, "NAXIS1": 200,
           "CTYPE2": "DEC--TAN", "CRVAL2": 24.12, "CRPIX2": 100.5, "CDELT2": 0.025, "NAXIS2": 200})
rng = np.random.default_rng(1)
ra, dec = rng.uniform(55.75, 57.75, 3_000_000), rng.uniform(23.12, 25.12, 3_000_000)
sky = mpl_skyheat.sky_map(ra, dec, wcs=wcs)
assert "mpl_skyheat.compute.numba_tiles" in sys.modules
assert sky.counts.sum() == sky.meta["inside"] == 3_000_000
"""


def main() -> None:
    """Build, check, install and draw; the first thing that is wrong ends it with a message."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", metavar="DIST", type=Path, help="folder for the checked files")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the folder is removed
    with tempfile.TemporaryDirectory(prefix="check-wheel-") as folder:
        sdist, wheel = build(Path(folder, "dist"))
        check_contents(sdist, wheel)
        version = check_metadata(wheel)
        python, environment = install(wheel, Path(folder, "venv"))
        draw(python, environment, Path(folder, "new user"), version)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            for file in (sdist, wheel):
                shutil.copy(file, keep)


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and of it the wheel."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, quiet=True)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(folder.iterdir()))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """Check that the sdist is the repository, and the wheel the package with its licences."""
    tracked = set(run("git", "ls-files", "-z", cwd=ROOT).split("\0")) - {""}
    with tarfile.open(sdist) as archive:
        files = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    compare(f"{sdist.name} and the files in git", files - {"PKG-INFO"}, tracked)

    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    expected = {name for name in tracked if name.startswith("mpl_skyheat/")}
    assert {"mpl_skyheat/py.typed", "mpl_skyheat/data/tycho2_bright.fits.gz"} <= expected
    expected |= {f"{info}/licenses/{name}" for name in LICENCES}
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    compare(f"{wheel.name} and the package in git", names, expected)
    for file, count in ((sdist, len(files)), (wheel, len(names))):
        print(f"{file.name}: {count} files, {file.stat().st_size / 1e6:.1f} MB")


def compare(what: str, got: set[str], expected: set[str]) -> None:
    """End with the differences of two sets of files."""
    lines = [f"  not in git, or not to be packed: {name}" for name in sorted(got - expected)]
    lines += [f"  missing: {name}" for name in sorted(expected - got)]
    if lines:
        sys.exit("\n".join([f"{what} differ:", *lines]))


def check_metadata(wheel: Path) -> str:
    """Check the wheel's metadata, and return the version."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata.get_all("License-File") == list(LICENCES), metadata.get_all("License-File")
    readme = metadata.get_payload()
    links = re.findall(r"\]\((?![a-z]+:|#)([^)]*)\)", readme)
    urls = metadata.get_all("Project-URL", [])
    if links and any(url.startswith("Repository,") for url in urls):
        sys.exit(f"the description for PyPI has relative links: {', '.join(links)}")
    return metadata["Version"]


def install(wheel: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """Install the wheel and its dependencies; return the interpreter and its environment."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    environment = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    environment["PATH"] = str(programs)
    for compiler in ("cc", "gcc", "clang"):
        assert shutil.which(compiler, path=environment["PATH"]) is None
    pip = [programs / "python", "-I", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--only-binary", ":all:", wheel, env=environment)
    run(*pip, "check", env=environment)
    return programs / "python", environment


def draw(python: Path, environment: dict[str, str], home: Path, version: str) -> None:
    """Run the README's first snippet, the command and compiled code in an empty home."""
    home.mkdir()
    environment = {**environment, "HOME": str(home), "MPLBACKEND": "agg"}
    strictly = (python, "-I", "-W", "error", "-c")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```", readme, flags=re.DOTALL)[1]
    printed = run(*strictly, snippet + AFTERWARDS, cwd=home, env=environment).splitlines()
    assert printed[0] == version, printed
    assert Path(printed[1]).is_relative_to(python.parents[1]), printed
    assert round(float(printed[2])) == 63, printed  # the README's "about 63"
    check_file(home / "pleiades.pdf", b"%PDF-")

    skyheat = python.with_name("skyheat")
    assert run(skyheat, "--help", cwd=home, env=environment).startswith("usage: skyheat")
    run(skyheat, "-o", "x.png", cwd=home, env=environment)
    check_file(home / "x.png", b"\x89PNG")

    run(*strictly, COMPILED, cwd=home, env=environment)
    print("the README's first snippet, skyheat and compiled code run in a fresh environment")


def check_file(path: Path, signature: bytes) -> None:
    """Check the type and the size of a drawing."""
    content = path.read_bytes()
    if not (content.startswith(signature) and SIZES[0] < len(content) < SIZES[1]):
        sys.exit(f"{path.name} is no drawing: {len(content)} bytes, from {content[:8]!r} on")
    print(f"{path.name}: {len(content) / 1e3:.0f} kB")


def run(*command: object, quiet: bool = False, **options: object) -> str:
    """Run a command and return what it prints; end with its output if it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
        **options,
    )
    if result.returncode:
        sys.exit(f"{result.stdout}\nexit status {result.returncode}: {result.args}")
    return result.stdout


if __name__ == "__main__":
    main()
