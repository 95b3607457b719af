"""What the README says is so: its snippets run, its files are there, its numbers were measured."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from astropy import units as u

import mpl_skyheat
from mpl_skyheat.__main__ import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


def test_the_snippets_of_the_readme_run_one_after_the_other(in_folder):
    names = {}
    assert len(snippets("python")) == 6
    for snippet in snippets("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    assert (in_folder / "pleiades.pdf").read_bytes().startswith(b"%PDF")
    assert names["heat"].sky_map.meta["geometry"] == "sphere"
    assert "stars / $\\mathrm{deg^{2}}$" in [ax.get_xlabel() for ax in names["heat"].figure.axes]
    for drawn in ("sky.png", "field.png"):
        assert (in_folder / drawn).stat().st_size > 10_000
    coord = names["SkyCoord"]("3h47m +24d07m")
    assert names["sky"].value_at(coord).to_value(u.deg**-2) == pytest.approx(63, abs=0.5)
    assert (in_folder / "pleiades.fits").is_file()
    meta = names["sky"].meta
    assert meta["dropped"] + meta["inside"] + meta["outside"] == meta["read"] == 329_198


def test_the_command_of_the_readme_runs(in_folder):
    mpl_skyheat.datasets.bright_stars().write(in_folder / "catalogue.fits")
    (line,) = (line for line in "".join(snippets("sh")).splitlines() if line.startswith("skyheat"))
    program, *arguments = re.findall(r'"[^"]*"|\S+', line)
    assert program == "skyheat"
    assert main([argument.strip('"') for argument in arguments]) == 0
    assert (in_folder / "map.png").stat().st_size > 10_000


def test_the_commands_of_the_readme_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"\bmake ([\w-]+)", README + (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert {"figure", "test", "benchmark"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_files_that_the_readme_links_to_are_there():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    for link in links:
        assert (ROOT / link).is_file(), link


def test_the_table_of_the_readme_is_the_benchmarks():
    table = README.partition("<!-- benchmarks/recipe.py -->")[2].partition("<!-- end -->")[0]
    ratios = [float(ratio) for ratio in re.findall(r"([\d.]+) ×", table.partition("\n| 10")[2])]
    assert len(ratios) == 10
    assert min(ratios) >= 1  # "as fast as the recipe or faster"


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.iter_modules(mpl_skyheat.__path__, "mpl_skyheat.")]
)
def test_the_examples_of_the_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
