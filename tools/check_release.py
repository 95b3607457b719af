"""Check that a tag can be released, and print its section of the changelog.

Run as ``python tools/check_release.py v0.2.0``, as ``.github/workflows/release.yml`` does. All that
is not ready is listed, and the exit status is 1.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find_faults(tag: str, root: Path = ROOT) -> list[str]:
    """List what is not ready for the release of a tag."""
    faults = []
    version = read(root, "mpl_skyheat/_version.py", r'^__version__ = "(.*)"$')
    if tag != f"v{version}":
        faults.append(f"the tag is {tag}, but mpl_skyheat/_version.py has {version}")
    cited = read(root, "CITATION.cff", r"^version: (.*)$")
    if cited != version:
        faults.append(f"CITATION.cff has version {cited}, mpl_skyheat/_version.py has {version}")

    sections = read_changelog(root)
    date = read(root, "CITATION.cff", r'^date-released: "(.*)"$')
    if f"{version} ({date})" not in sections:
        faults.append(f'CHANGELOG.md has no "## {version} ({date})", the date of CITATION.cff')
    if sections.get("Unreleased"):
        faults.append('CHANGELOG.md has entries under "Unreleased"')

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    if repository is None:
        faults.append("pyproject.toml has no Repository in [project.urls]: PyPI shows no figures")
    if read(root, "CITATION.cff", r'^repository-code: "?(.*?)"?$') != repository:
        faults.append(f"repository-code of CITATION.cff is not the Repository {repository}")
    return faults


def read_changelog(root: Path) -> dict[str, str]:
    """Return the sections of CHANGELOG.md by their headings."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def read(root: Path, file: str, pattern: str) -> str | None:
    """Return what a pattern finds in a file, or None."""
    match = re.search(pattern, (root / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return match and match[1]


def main(tag: str) -> None:
    """Print the notes of a release, or end with all that is not ready."""
    faults = find_faults(tag)
    if faults:
        sys.exit("\n".join([f"{tag} is not ready:", *(f"- {fault}" for fault in faults)]))
    version = tag.removeprefix("v")
    (notes,) = (body for name, body in read_changelog(ROOT).items() if name.split()[0] == version)
    print(notes)


if __name__ == "__main__":
    main(*sys.argv[1:])
