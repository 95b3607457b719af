"""What README and the site say is so: snippets run, files are there, numbers were measured."""

import ast
import doctest
import importlib
import io
import logging
import pkgutil
import re
import shlex
import tokenize
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from astropy import units as u

import mpl_skyheat
from mpl_skyheat.__main__ import OPTIONS, main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = sorted((DOCS / "gallery").glob("*.py"))
LANGUAGES = "python", "pycon", "sh", "text"


def name_of(path):
    return path.name


def text_of(path):
    return path.read_text(encoding="utf-8")


def snippets(page):
    """Return the language and the text of all blocks of code, in order."""
    found = re.findall(r"^```(.*?)\n(.*?)^```$", text_of(page), flags=re.DOTALL | re.MULTILINE)
    blocks = [(language, text) for language, text in found if not language.startswith("{")]
    assert all(language in LANGUAGES for language, _ in blocks)
    return blocks


def run_page(page, names):
    """Run the Python of a page, block after block, with the same names; return their number."""
    checker = doctest.DocTestRunner()
    number = 0
    for language, snippet in snippets(page):
        if language == "python":
            exec(compile(snippet, page.name, "exec"), names)
        elif language == "pycon":
            test = doctest.DocTestParser().get_doctest(snippet, names, page.name, str(page), 0)
            test.globs = names  # a doctest has a copy
            report = io.StringIO()
            failed = checker.run(test, out=report.write, clear_globs=False).failed
            assert failed == 0, report.getvalue()
        number += language in ("python", "pycon")
    return number


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")
    logging.getLogger("mpl_skyheat").setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Return the file that the commands of all pages read."""
    path = tmp_path_factory.mktemp("stars") / "catalogue.fits"
    mpl_skyheat.datasets.bright_stars().write(path)
    return path


def assert_drawn(*paths):
    for path in paths:
        assert path.stat().st_size > 10_000


# Snippets


def test_all_python_is_on_pages_whose_numbers_are_looked_at():
    with_python = {
        page.name for page in PAGES if {"python", "pycon"} & {kind for kind, _ in snippets(page)}
    }
    assert with_python == {
        *("README.md", "guide.md", "how.md", "large.md", "live.md", "past_memory.md"),
        *("numbers.md", "traps.md", "tutorial.md"),
    }


def test_the_readme_runs(in_folder):
    names = {}
    assert run_page(ROOT / "README.md", names) == 1
    assert (in_folder / "pleiades.pdf").read_bytes().startswith(b"%PDF")
    heat = names["heat"]
    assert heat.value_at(names["SkyCoord"]("3h47m +24d07m")).to_value(u.deg**-2) == pytest.approx(
        63, abs=0.5
    )
    assert "stars / $\\mathrm{deg^{2}}$" in [ax.get_ylabel() for ax in heat.figure.axes]


def test_the_guide_runs(in_folder):
    pytest.importorskip("mocpy")
    names = {}
    assert run_page(DOCS / "guide.md", names) == 20
    assert (in_folder / "pleiades.pdf").read_bytes().startswith(b"%PDF")
    assert names["heat"].sky_map.meta["geometry"] == "sphere"
    assert "stars / $\\mathrm{deg^{2}}$" in [ax.get_xlabel() for ax in names["heat"].figure.axes]
    assert_drawn(in_folder / "sky.png", in_folder / "field.png")
    coord = names["SkyCoord"]("3h47m +24d07m")
    assert names["sky"].value_at(coord).to_value(u.deg**-2) == pytest.approx(63, abs=0.5)
    assert (in_folder / "pleiades.fits").is_file()
    meta = names["sky"].meta
    assert meta["dropped"] + meta["inside"] + meta["outside"] == meta["read"] == 329_198


def test_the_tutorial_runs(in_folder):
    names = {}
    assert run_page(DOCS / "tutorial.md", names) == 8
    drawn = [path.name for path in in_folder.glob("*.png")]
    assert {f"tutorial_{name}" for name in drawn} == {
        path.name for path in (DOCS / "figures").glob("tutorial_*.png")
    }
    assert_drawn(*in_folder.glob("*.png"))
    sky, coord = names["sky"], names["SkyCoord"]
    assert sky.value_at(coord("2h19m +57d08m")).value == pytest.approx(166, abs=0.5)
    assert sky.value_at(coord("2h27m +58d")).value == pytest.approx(30, abs=0.5)
    assert (sky.unit, sky.data.shape, sky.counts.sum()) == (u.deg**-2, (241, 241), 390)
    assert names["heat"].sky_map.meta["geometry"] == "sphere"
    assert (in_folder / "whole_sky.fits").is_file()


@pytest.mark.usefixtures("in_folder")
def test_the_page_of_large_catalogues_runs():
    names = {}
    assert run_page(DOCS / "large.md", names) == 2
    assert names["sky"].meta["read"] == 329_198


def test_the_page_of_live_maps_runs(in_folder):
    names = {}
    assert run_page(DOCS / "live.md", names) == 1
    assert (in_folder / "pleiades.pdf").read_bytes().startswith(b"%PDF")
    assert names["heat"].live is not None


@pytest.mark.usefixtures("in_folder")
def test_the_page_of_catalogues_past_memory_runs():
    pytest.importorskip("pyarrow")
    pytest.importorskip("dask")
    names = {}
    assert run_page(DOCS / "past_memory.md", names) == 6
    dec = names["stars"]["DEC"].value
    assert names["north"].meta["read"] == (dec > 24).sum()
    assert 100 < names["north"].meta["inside"] < 270


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize("page", ["how.md", "numbers.md", "traps.md"])
def test_the_numbers_of_a_page_are_what_its_code_prints(page):
    assert run_page(DOCS / page, {}) > 3


@pytest.mark.parametrize("page", [p for p in PAGES if "sh" in dict(snippets(p))], ids=name_of)
def test_the_commands_of_a_page_run(page, in_folder, catalogue):
    (in_folder / "catalogue.fits").symlink_to(catalogue)
    text = "".join(snippet for language, snippet in snippets(page) if language == "sh")
    for line in text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program != "skyheat":
            assert program == "make" or [program, *arguments] == ["pip", "install", "."]
            continue
        assert main(arguments) == 0
        assert_drawn(in_folder / arguments[arguments.index("-o") + 1])


def test_the_page_of_the_command_has_all_options():
    for option in OPTIONS:
        assert re.search(rf"{option.flag}\b", text_of(DOCS / "command.md")), option.flag


def test_the_targets_of_make_that_pages_name_are_there():
    text = "".join(map(text_of, [*PAGES, ROOT / "CONTRIBUTING.md"]))
    targets = re.findall(r"(?:^|`)make ([a-z][a-z -]*[a-z])", text, flags=re.MULTILINE)
    names = {name for target in targets for name in target.split()}
    assert {"figure", "test", "docs", "benchmark"} <= names
    for name in names:
        assert re.search(rf"^{name}:", text_of(ROOT / "Makefile"), flags=re.MULTILINE), name


# Links and tables


def headings(page):
    """Return the anchors of a page's headings, as GitHub and myst-parser make them."""
    found = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_the_files_that_a_page_links_to_are_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_page_is_in_the_table_of_contents():
    contents = re.search(r"```\{toctree\}\n(.*?)```", text_of(DOCS / "index.md"), re.DOTALL)[1]
    pages = set(re.findall(r"<(.+)>", contents))
    assert pages == {"auto_gallery/index"} | {p.stem for p in DOCS.glob("*.md")} - {"index"}


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) < 120


def test_the_table_of_the_readme_is_the_benchmarks():
    readme = text_of(ROOT / "README.md")
    table = readme.partition("<!-- benchmarks/recipe.py -->")[2].partition("<!-- end -->")[0]
    ratios = [float(ratio) for ratio in re.findall(r"([\d.]+) ×", table.partition("\n| 10")[2])]
    assert len(ratios) == 10
    assert min(ratios) >= 1  # "as fast as the recipe or faster"


def test_the_readme_and_the_site_compare_alike():
    head = "| | mpl_skyheat | gammapy"
    tables = [
        text_of(page).partition(head)[2].partition("\n\n")[0]
        for page in (ROOT / "README.md", DOCS / "comparison.md")
    ]
    assert tables[0] == tables[1] != ""


# The gallery, which `make docs` runs


def lines_of_code(text):
    """Return the number of lines that are neither blank, comments, nor the docstring."""
    aside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in aside:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines) - ast.parse(text).body[0].end_lineno


def test_the_gallery_has_twelve_examples_or_more():
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_is_short_and_says_what_to_learn(example):
    text = text_of(example)
    assert lines_of_code(text) < 25
    title, line, said = ast.get_docstring(ast.parse(text)).split("\n", 2)
    assert line == "=" * len(title)
    assert 1 <= len(re.findall(r"[.:](?=\s|$)", said)) <= 5
    assert set(re.findall(r"\bmpl_skyheat\.(\w+)", text)) <= set(mpl_skyheat.__all__)
    assert text.endswith("plt.show()\n")


# Docstrings


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages(mpl_skyheat.__path__, "mpl_skyheat.")]
)
def test_the_examples_of_the_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
