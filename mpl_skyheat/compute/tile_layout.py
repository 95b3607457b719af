"""Numbers that the tiles of the sky share with the compiled code that reads them.

This module does not import numba, as tiles are made before compiled code is loaded.
"""

from __future__ import annotations

# Kinds of a tile that is not divided: it has a polynomial,
LEAF = -1
# is off the map,
OUTSIDE = -2
# has not been made yet,
UNMADE = -3
# or is left to the exact route, as its polynomial fails by a little
ROUGH = -4
# or by much.
TORN = -5

# Pixel index of a point that is off the map.
OFF = -1
# Pixel index of a point that is left to the exact route.
ASK = -2
# Pixel index of a row that has no position.
LOST = -3

# Total degree of a tile's polynomials for x and y.
DEGREE = 13

# Total degree of their drafts: the low terms, with a bound on the sum of the others, which are
# enough for all points that are not near the edge of a pixel.
DRAFT_DEGREE = 5

# Points nearer than this (pixels) to an edge of a pixel are left to the exact route.
EDGE = 1e-5
