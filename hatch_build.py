"""The README for PyPI's page of the package, which has no other file: its links are absolute."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


def make_links_absolute(text: str, repository: str, tag: str) -> str:
    """Return Markdown whose relative links lead into a repository on GitHub, at a tag."""
    relative = r"(?<![\w\]])(?P<text>\[[^\]]*\])\((?![a-z]+:|#)"
    text = re.sub(rf"!{relative}", rf"!\g<text>({repository}/raw/{tag}/", text)
    return re.sub(relative, rf"\g<text>({repository}/blob/{tag}/", text)


class ReadmeHook(MetadataHookInterface):
    """Fills in ``project.readme``; without a ``Repository`` in ``project.urls``, as the file is."""

    def update(self, metadata: dict) -> None:
        """Set the readme of the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        if repository:
            text = make_links_absolute(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
