"""Configuration of Sphinx; ``make docs`` builds the site into ``docs/_build/html``.

The theme and the docstrings' rules are those of astropy's affiliated packages
(``sphinx_astropy.conf.v2``), set here directly: of that module's extensions, this site needs few.
"""

import os
import warnings
from pathlib import Path

import matplotlib as mpl
from sphinx_gallery.sorting import FileNameSortKey

import mpl_skyheat

project = "mpl_skyheat"
author = "The mpl_skyheat developers"
copyright = author  # noqa: A001 (Sphinx's name for it, which is a builtin's, too)
release = version = mpl_skyheat.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery"]
templates_path = ["_templates"]
# `names` in docstrings are objects of Python, as in astropy's.
default_role = "py:obj"

# Links to the classes of astropy and matplotlib need their inventories, from the network: they are
# made where the site is published. Elsewhere the build needs no network, and these names are code.
if os.environ.get("READTHEDOCS") == "True" or os.environ.get("DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "astropy": ("https://docs.astropy.org/en/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
    }

# -- Pages ---------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]  # the sort key of the gallery is a class

# -- Reference -----------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more: shapes, units, what is accepted
autodoc_member_order = "groupwise"
# Methods of NDData and AxesImage are described in astropy's and matplotlib's documentation.
autodoc_inherit_docstrings = False
numpydoc_show_class_members = False

# -- Gallery -------------------------------------------------------------------------------------


def set_up_figures(*_):
    """Have every script begin with matplotlib's defaults, and fail on a warning of its own."""
    mpl.rcdefaults()
    mpl.use("agg")
    warnings.filterwarnings("error", module=r"__main__|mpl_skyheat")


sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": FileNameSortKey,
    "reset_modules": (set_up_figures,),
    "image_srcset": ["2x"],
    "thumbnail_size": (480, 336),
    "abort_on_example_error": True,
    "write_computation_times": False,
    "min_reported_time": 60,  # s
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "copyfile_regex": r"$^",
}

# -- HTML ----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "mpl_skyheat"
html_static_path = ["_static"]
html_css_files = ["skyheat.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "show_nav_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "use_edit_page_button": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without others below them have no navigation of a section, and more room for code.
html_sidebars = {page.stem: [] for page in Path(__file__).parent.glob("*.md")}
html_sidebars.pop("reference")
