"""The benchmarks know the public face of the package only, and `make` and CI run all of them.

Nothing is timed here: `make benchmark-quick` looks at their answers.
"""

import importlib
import re
from pathlib import Path

import pytest

import mpl_skyheat

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
MODULES = sorted(FOLDER.glob("*.py"))
SCRIPTS = [path for path in MODULES if "__main__" in path.read_text(encoding="utf-8")]


def names_of(path):
    return path.name


@pytest.mark.parametrize("module", MODULES, ids=names_of)
def test_benchmarks_use_the_public_face_only(module):
    text = module.read_text(encoding="utf-8")  # and so the code that they start as processes
    assert not re.findall(r"(?:from|import) mpl_skyheat\.", text)
    imported = re.findall(r"from mpl_skyheat import (.+)", text)
    names = {name.strip() for line in imported for name in line.split(",")}
    names |= set(re.findall(r"\bmpl_skyheat\.(\w+)", text)) - {"__file__"}
    assert names <= set(mpl_skyheat.__all__)


def test_make_and_ci_run_all_benchmarks():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {path.name for path in SCRIPTS} == {
        *("recipe.py", "large.py", "live.py", "past_memory.py", "statistics_of_maps.py"),
    }
    for target, option in (("benchmark", "--write"), ("benchmark-quick", "--quick")):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)[1]
        for script in SCRIPTS:
            assert f"benchmarks/{script.name} {option}" in recipe
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    assert lines.index("make benchmark-quick") == lines.index("make test-oldest") + 1


def test_the_tables_of_all_benchmarks_have_their_place(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    tables = importlib.import_module("timing").TABLES
    assert set(tables) == {script.name for script in SCRIPTS}
    for script, page in tables.items():
        table = rf"<!-- benchmarks/{script} -->\n\|.*?<!-- end -->"
        assert re.search(table, page.read_text(encoding="utf-8"), re.DOTALL)
    listed = re.findall(r"\]\((\w+\.py)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert set(listed) == {path.name for path in MODULES}
