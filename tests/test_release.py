"""The files that describe a release agree, and a tag that is not ready is refused."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

import mpl_skyheat

ROOT = Path(__file__).parents[1]
TAG = f"v{mpl_skyheat.__version__}"
REPOSITORY = "https://example.org/mpl_skyheat"


def load(name):
    spec = spec_from_file_location(Path(name).stem, ROOT / name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def zenodo():
    return json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))


@pytest.fixture
def ready(tmp_path):
    """Copies of the files of a release, in which all is ready for TAG."""
    names = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "mpl_skyheat/_version.py")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    pyproject, citation, changelog = (tmp_path / name for name in names[:3])
    if not replace(pyproject, "^Repository = .*", f'Repository = "{REPOSITORY}"'):
        table = f'[project.urls]\nRepository = "{REPOSITORY}"\n\n'
        replace(pyproject, r"^\[project.scripts\]$", rf"{table}\g<0>")
    replace(citation, r"^repository-code: .*\n", "")
    replace(citation, r"\Z", f"repository-code: {REPOSITORY}\n")
    replace(changelog, r"^## Unreleased\n(.|\n)*?(?=^## )", "")
    replace(changelog, r"\A(.|\n)*?(?=^## )", r"\g<0>## Unreleased\n\n")
    return tmp_path


def replace(path, pattern, text):
    content, count = re.subn(pattern, text, path.read_text("utf-8"), flags=re.MULTILINE)
    path.write_text(content, encoding="utf-8")
    return count


def test_the_citation_has_the_version_and_the_date_of_the_changelog(citation):
    assert citation["version"] == mpl_skyheat.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {citation['version']} ({citation['date-released']})\n" in changelog


def test_zenodo_and_the_citation_say_the_same(zenodo, citation):
    assert zenodo["title"] == citation["title"]
    assert zenodo["description"] == citation["abstract"]
    assert zenodo["creators"] == citation["authors"] == [{"name": "The mpl_skyheat developers"}]
    assert zenodo["license"] == citation["license"]
    assert zenodo["keywords"] == citation["keywords"]
    assert zenodo["upload_type"] == citation["type"] == "software"
    # Zenodo takes these from the release itself.
    assert not {"version", "publication_date", "doi"} & set(zenodo)


def test_the_package_and_the_citation_say_the_same(project, citation):
    assert project["authors"] == citation["authors"]
    assert project["keywords"] == citation["keywords"]
    assert citation["license"] in project["license"].split(" AND ")
    assert project.get("urls", {}).get("Repository") == citation.get("repository-code")


def test_a_tag_that_is_ready_has_no_faults(ready):
    assert load("tools/check_release.py").find_faults(TAG, ready) == []


@pytest.mark.parametrize(
    ("file", "pattern", "text", "fault"),
    [
        ("mpl_skyheat/_version.py", '".*"', '"9.9"', "_version.py has 9.9"),
        ("CITATION.cff", "^version: .*", "version: 9.9", "CITATION.cff has version 9.9"),
        ("CITATION.cff", "^date-released: .*", 'date-released: "2020-01-01"', r"\(2020-01-01\)"),
        ("CHANGELOG.md", "^## Unreleased$", "## Unreleased\n\n- More.", 'under "Unreleased"'),
        ("pyproject.toml", "^Repository = .*", "", "no Repository in"),
        ("CITATION.cff", "^repository-code: .*", "", "repository-code of CITATION.cff"),
    ],
)
def test_a_tag_that_is_not_ready_is_refused_with_the_reason(ready, file, pattern, text, fault):
    assert replace(ready / file, pattern, text) == 1
    faults = load("tools/check_release.py").find_faults(TAG, ready)
    assert any(re.search(fault, found) for found in faults), faults


def test_the_notes_of_a_release_are_its_section_of_the_changelog(ready):
    (ready / "tools").mkdir()
    script = shutil.copy(ROOT / "tools" / "check_release.py", ready / "tools")
    command = [sys.executable, "-X", "utf8", script, TAG]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    changelog = (ready / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {TAG[1:]} .*\n((?:(?!## ).*\n?)*)", changelog, flags=re.MULTILINE)[1]
    assert done.stdout.strip() == section.strip() != ""

    replace(ready / "CITATION.cff", "^version: .*", "version: 9.9")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{TAG} is not ready:\n- CITATION.cff has version 9.9")


def test_pypi_shows_the_readme_with_absolute_links():
    make_links_absolute = load("hatch_build.py").make_links_absolute
    text = "![A figure](docs/a.png) of [b](b.py), [c](https://c.org/c), [d](#d) and `x[0](y)`"
    assert make_links_absolute(text, REPOSITORY, "v1") == (
        f"![A figure]({REPOSITORY}/raw/v1/docs/a.png) of [b]({REPOSITORY}/blob/v1/b.py), "
        "[c](https://c.org/c), [d](#d) and `x[0](y)`"
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    changed = make_links_absolute(readme, REPOSITORY, "v1")
    links = re.findall(r"\]\(([^)]+)\)", changed)
    assert len(links) > 5
    assert all(link.startswith("https://") for link in links)
    snippets = re.compile("```.*?```", flags=re.DOTALL)
    assert snippets.findall(changed) == snippets.findall(readme)


def test_the_answers_for_affiliation_point_to_files_and_targets():
    page = (ROOT / "docs" / "affiliated.md").read_text(encoding="utf-8")
    cells = [row.split("|")[3] for row in page.splitlines() if row.startswith("|")]
    named = re.findall(r"`([^`]+)`", " ".join(cells))
    assert len(named) > 30
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in named:
        if name.startswith("make "):
            for target in name.split()[1:]:
                assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), name
        else:
            assert (ROOT / name).exists(), name
