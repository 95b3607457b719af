"""Plant faults in a copy of the package, one at a time: a named test must find each.

Run as ``python tools/mutants.py`` (``make mutants``), with names of mutants for some of them. Who
changes a line that is planted in is told that it is not there any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# Mutants that are tried at a time.
TOGETHER = 2


class Mutant(NamedTuple):
    """A fault: text of a module that is replaced, and the test that must fail with it."""

    module: str
    text: str
    fault: str
    test: str


MUTANTS = {
    "half a pixel": Mutant(
        "sky/grid_wcs.py",
        "pixel_number(axis, crpix - 1) + 1",
        "pixel_number(axis, crpix - 1) + 1.5",
        "test_properties.py",
    ),
}


def failures(package: Path, tests: list[str]) -> bool:
    """Tell whether any of some tests fails with a package."""
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):  # no test was found, or could be collected
        raise SystemExit(f"{' '.join(tests)}: pytest says\n{done.stdout}{done.stderr}")
    return done.returncode == 1


def copy_of_package(folder: Path) -> Path:
    """Copy the package into a folder, without compiled code; return the folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mpl_skyheat", folder / "mpl_skyheat", ignore=ignored)
    return folder


def survives(name: str) -> bool:
    """Plant a fault; tell whether its test passes all the same."""
    mutant = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = copy_of_package(Path(folder)) / "mpl_skyheat" / mutant.module
        source = path.read_text(encoding="utf-8")
        if source.count(mutant.text) != 1:
            raise SystemExit(f"{name}: {mutant.module} has {mutant.text!r} not just once")
        path.write_text(source.replace(mutant.text, mutant.fault), encoding="utf-8")
        lives = not failures(Path(folder), [f"tests/{mutant.test}"])
    print(f"{'SURVIVES' if lives else 'killed'}: {name} ({mutant.test})", flush=True)
    return lives


def main() -> int:
    """Try the mutants that are named, or all; return 1 if one survives."""
    names = sys.argv[1:] or list(MUTANTS)
    tests = sorted({f"tests/{MUTANTS[name].test}" for name in names})
    with tempfile.TemporaryDirectory() as folder:
        if failures(copy_of_package(Path(folder)), tests):
            raise SystemExit("the tests must pass without a fault; see make test")
    with ThreadPoolExecutor(TOGETHER) as pool:
        alive = [
            name for name, lives in zip(names, pool.map(survives, names), strict=True) if lives
        ]
    print(f"{len(names) - len(alive)} passed, {len(alive)} failed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
