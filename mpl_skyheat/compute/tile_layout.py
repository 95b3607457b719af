"""Numbers that the tiles of the sky and the compiled code that reads them agree on.

Without numba: whoever makes tiles needs them before compiled code is loaded.
"""

from __future__ import annotations

# Kinds of a tile that is not cut: it has a polynomial, is off the map, has not been made yet, or is
# left to the exact route, as a polynomial is a little off (ROUGH) or more than that (TORN).
LEAF = -1
OUTSIDE = -2
UNMADE = -3
ROUGH = -4
TORN = -5

# Pixel of a point that is off the map, and of one that the exact route must be asked of.
OFF = -1
ASK = -2

# Pixel of a row that has no position.
LOST = -3

# Total degree of a tile's polynomials for x and y, and of their drafts: low terms with a bound on
# what the others add, which decide all points but those near the edge of a pixel.
DEGREE = 13
DRAFT_DEGREE = 5

# Points nearer than this (pixels) to an edge of a pixel are left to the exact route.
EDGE = 1e-5

# The numbers that compiled code has, too. (numba compiles a module anew when its file changes, but
# not when a module that it imports does: that one has them written out.)
SHARED = {
    "LEAF": LEAF,
    "OUTSIDE": OUTSIDE,
    "OFF": OFF,
    "ASK": ASK,
    "DEGREE": DEGREE,
    "DRAFT_DEGREE": DRAFT_DEGREE,
    "EDGE": EDGE,
}
