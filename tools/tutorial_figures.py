"""Draw the figures of docs/tutorial.md: run its snippets, and keep the PNG files that they save."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import matplotlib as mpl

DOCS = Path(__file__).parents[1] / "docs"


def main():
    """Run the snippets in a folder of their own."""
    mpl.use("agg")
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    here, names = Path.cwd(), {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for snippet in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            exec(compile(snippet, "tutorial.md", "exec"), names)
        for drawn in Path(folder).glob("*.png"):
            shutil.copy(drawn, DOCS / "figures" / f"tutorial_{drawn.name}")
        os.chdir(here)


if __name__ == "__main__":
    main()
