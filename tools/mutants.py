"""Plant faults in a copy of the package, one at a time: a named test must find each.

Run as ``python tools/mutants.py`` (``make mutants``), with names of mutants for some of them. Who
changes a line that is planted in is told that it is not there any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# Mutants that are tried at a time.
TOGETHER = 2


class Mutant(NamedTuple):
    """A fault: text of a module that is replaced, and the test that must fail with it."""

    module: str
    text: str
    fault: str
    test: str


MUTANTS = {
    "half a pixel": Mutant(
        "sky/wrapped_wcs.py",
        "axis.place(np.asarray(p) + 0.5)",
        "axis.place(np.asarray(p))",
        "test_counts.py::test_the_pixels_of_new_bins_are_where_the_maps_wcs_says",
    ),
    "a flip": Mutant(
        "plotting/projections.py",
        "x = -np.radians(",
        "x = np.radians(",
        "test_axes_kinds.py::test_the_frame_and_the_centre_of_geographic_axes_can_be_chosen",
    ),
    "cos δ": Mutant(
        "plotting/labels.py",
        "ax.set_aspect(1 / cosine)",
        "ax.set_aspect(cosine)",
        "test_axes_kinds.py::test_plain_axes_show_the_sky_in_degrees",
    ),
    "0h": Mutant(
        "plotting/projections.py",
        "np.asarray((lon - center + 180) % 360 - 180 + center)",
        "np.asarray(lon)",
        "test_edge_of_sky.py::test_axes_without_a_wcs_hold_the_edges_of_the_sky",
    ),
    "transposition": Mutant(
        "sky/grid.py",
        "rows * self.x.count + columns",
        "columns * self.y.count + rows",
        "test_counts.py::test_counts_are_astropys_for_every_orientation_distortion_and_frame",
    ),
    "frames ignored": Mutant(
        "sky/planes.py",
        "lon, lat = change_frame(lon, lat, frame, plane.frame)",
        "pass",
        "test_counts.py::test_counts_are_astropys_for_catalogues_in_every_frame",
    ),
    "wrong Ω": Mutant(
        "sky/solid_angles.py",
        "2 * np.arctan2(triple, 1 + sum(dots))",
        "2.004 * np.arctan2(triple, 1 + sum(dots))",
        "test_grid.py::test_car_pixels_have_the_area_between_two_meridians_and_two_parallels",
    ),
    "pixels that the edge of the sky cuts": Mutant(
        "sky/solid_angles.py",
        "near_edge[row[is_cut], column[is_cut]] = True",
        "near_edge[row[is_cut], column[is_cut]] = False",
        "test_grid.py::test_the_pixels_of_the_whole_sky_sum_to_4_pi",
    ),
    "sources that are not left out": Mutant(
        "maps/own_share.py",
        "share = term.factor * find(term.kernel)",
        "share = 0.0 * find(term.kernel)",
        "test_contours.py::test_the_region_holds_as_large_a_fraction_of_new_sources",
    ),
    "no sky across the edge of the sky": Mutant(
        "maps/surface.py",
        "for _ in range(ROUNDS):",
        "for _ in range(0):",
        "test_contours.py::test_contours_go_on_at_the_other_side_of_the_map",
    ),
    "contours half a pixel off": Mutant(
        "plotting/contour_sets.py",
        "corner + (places + 0.5) * sides",
        "corner + places * sides",
        "test_contour_sets.py::test_the_contours_of_an_image_are_those_of_its_map",
    ),
    "a margin on one side only": Mutant(
        "sky/grid.py",
        "self.count + 2 * margin, self.first - margin",
        "self.count + 2 * margin, self.first",
        "test_smoothing.py::test_a_source_outside_the_view_has_its_gaussian_inside",
    ),
    "wrong K": Mutant(
        "smoothing/kernel_base.py",
        "2 * math.pi * weight * profile.sum()",
        "2.02 * math.pi * weight * profile.sum()",
        "test_sphere.py::test_a_gaussian_is_right_everywhere_on_the_sky",
    ),
    "wrong K²": Mutant(
        "smoothing/kernel_base.py",
        "first.density(r, width) * second.density(r, width)",
        "first.density(r, width) * second.profile(r)",
        "test_field.py::test_squares_are_smoothed_with_the_square_of_the_kernel",
    ),
    "α of the whole map": Mutant(
        "maps/background.py",
        "alpha = ratio(under.solid_angle, around.solid_angle)",
        "alpha = np.full(n_on.shape, np.nanmedian(ratio(under.solid_angle, around.solid_angle)))",
        "test_significance.py::test_it_is_a_unit_normal_beside_a_mask",
    ),
    "no mid-p": Mutant(
        "maps/significance.py",
        "tail = beyond + 0.5 * own",
        "tail = beyond + own",
        "test_significance.py::test_significances_are_those_that_are_published",
    ),
    "peaks on both sides of 0h": Mutant(
        "maps/peaks.py",
        "is_true = ~_is_lower_than_beyond(sky_map, plane, rows, columns)",
        "is_true = np.ones(len(rows), bool)",
        "test_peaks.py::test_a_slope_across_0h_is_no_peak",
    ),
    "means for values": Mutant(
        "smoothing/pixels.py",
        "kernel.resolution_length < NARROW",
        "kernel.resolution_length < 9 * NARROW",
        "test_sphere.py::test_a_gaussian_is_right_everywhere_on_the_sky",
    ),
    "another offset": Mutant(
        "counting/channels.py",
        "2 * shift * sums[first]",
        "shift * sums[first]",
        "test_sums.py::test_parts_add_up_about_the_first_offset",
    ),
    "a last bit": Mutant(
        "sky/shipping.py",
        '"crpix", "crval", "cdelt", "lonpole"',
        '"crpix", "cdelt", "lonpole"',
        "test_geometry.py::test_positions_arrive_equal_to_the_bit",
    ),
    "0h between pixels": Mutant(
        "maps/interpolation.py",
        "np.arange(left, right) % nx",
        "np.arange(left, right).clip(0, nx - 1)",
        "test_artist.py::test_values_between_pixels_go_on_across_0h_and_the_poles",
    ),
    "a last bit in a file": Mutant(
        "sky/wcs_json.py",
        'return {"hex": float(value).hex()}',
        'return {"hex": float(f"{value:.15g}").hex()}',
        "test_files_of_maps.py::test_a_map_comes_back_equal_to_the_bit",
    ),
    "points at the edge of the sky": Mutant(
        "sky/sky_edge.py",
        "(beyond <= SLACK)",
        "(beyond <= -SLACK)",
        "test_edge_of_sky.py::test_at_a_pole_where_longitudes_are_cut_points_are_snapped_to_both",
    ),
    "the ½ of gathered points": Mutant(
        "maps/adaptive.py",
        "np.full(self._n.shape, 0.5)",
        "np.full(self._n.shape, 0.0)",
        "test_adaptive.py::test_gather_is_unbiased",
    ),
    "scales by all of the sky": Mutant(
        "smoothing/adaptive.py",
        "number = _over(s1, e1) * area / float((raster**2).sum())",
        "number = s1 / float((raster**2).sum())",
        "test_adaptive.py::test_what_was_observed_is_divided_out_scale_by_scale",
    ),
    "rows of all scales": Mutant(
        "counting/spreading.py",
        "np.where(kept, self.bins, 0.0)",
        "self.bins",
        "test_adaptive.py::test_scatter_keeps_the_number_of_points_on_the_sphere",
    ),
    "shares by width": Mutant(
        "smoothing/row_gaussian.py",
        "share = ((sigma / width_of(number)) ** 2 - 1) / GROWTH",
        "share = ((sigma / width_of(number)) - 1) / (2**0.125 - 1)",
        "test_row_widths.py::test_widths_are_shared_between_rungs_so_that_their_squares_are_kept",
    ),
    "squares of shares": Mutant(
        "counting/channels.py",
        "[] if shares is None else [shares]",
        "[] if shares is None else [shares ** max(self.w_power, 1)]",
        "test_row_widths.py::test_maps_are_sums_of_each_rows_own_gaussian",
    ),
    "boxes across 0h": Mutant(
        "sky/reach.py",
        "past = (lon - west) % (2 * np.pi)",
        "past = lon - west",
        "test_reach.py::test_nothing_that_counts_is_out_of_reach",
    ),
    "what is in reach, turned the other way": Mutant(
        "sky/reach.py",
        "centres = centres @ rotation.T",
        "centres = centres @ rotation",
        "test_reach.py::test_nothing_that_counts_is_out_of_reach",
    ),
    "cells without their size": Mutant(
        "sky/reach.py",
        "self.caps.radii + cell_radius(int(some))",
        "self.caps.radii",
        "test_reach.py::test_nothing_that_counts_is_out_of_reach",
    ),
    "rows that are skipped and not counted": Mutant(
        "counting/sums.py",
        'self.rows["skipped"] += chunk.skipped',
        'self.rows["skipped"] += 0',
        "test_past_memory.py::test_every_form_makes_the_map_of_rows_in_memory",
    ),
    "rows numbered from the first that is read": Mutant(
        "catalogue/parquet.py",
        "first = run.first",
        "first = 0",
        "test_past_memory.py::test_a_bad_row_after_row_groups_that_are_skipped_has_its_number_in_"
        "the_file",
    ),
}


def failures(package: Path, tests: list[str]) -> bool:
    """Tell whether any of some tests fails with a package."""
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):  # no test was found, or could be collected
        raise SystemExit(f"{' '.join(tests)}: pytest says\n{done.stdout}{done.stderr}")
    return done.returncode == 1


def copy_of_package(folder: Path) -> Path:
    """Copy the package into a folder, without compiled code; return the folder."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mpl_skyheat", folder / "mpl_skyheat", ignore=ignored)
    return folder


def survives(name: str) -> bool:
    """Plant a fault; tell whether its test passes all the same."""
    mutant = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = copy_of_package(Path(folder)) / "mpl_skyheat" / mutant.module
        source = path.read_text(encoding="utf-8")
        if source.count(mutant.text) != 1:
            raise SystemExit(f"{name}: {mutant.module} has {mutant.text!r} not just once")
        path.write_text(source.replace(mutant.text, mutant.fault), encoding="utf-8")
        lives = not failures(Path(folder), [f"tests/{mutant.test}"])
    print(f"{'SURVIVES' if lives else 'killed'}: {name} ({mutant.test})", flush=True)
    return lives


def main() -> int:
    """Try the mutants that are named, or all; return 1 if one survives."""
    names = sys.argv[1:] or list(MUTANTS)
    tests = sorted({f"tests/{MUTANTS[name].test}" for name in names})
    with tempfile.TemporaryDirectory() as folder:
        if failures(copy_of_package(Path(folder)), tests):
            raise SystemExit("the tests must pass without a fault; see make test")
    with ThreadPoolExecutor(TOGETHER) as pool:
        alive = [
            name for name, lives in zip(names, pool.map(survives, names), strict=True) if lives
        ]
    print(f"{len(names) - len(alive)} passed, {len(alive)} failed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
