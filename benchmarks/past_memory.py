"""Measure Parquet files larger than memory, beside pyarrow's own read of the same two columns.

What is compared is CPU time, of all threads; each job is a process of its own, whose second turn
counts, and whose peak of memory (of Linux) is that of all it has loaded. The files are generated:
positions all over the sky in catalogue order, compressed as surveys publish them.

Run as ``python benchmarks/past_memory.py``; with ``--write`` the table in benchmarks/README.md is
written anew, with ``--quick`` there are fewer rows. ``--rows`` is their number, by default 10⁸,
which take 2.5 GB in the folder of temporary files.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from timing import PEAK_MEMORY, output_of, output_of_file, parser_of, power, write_table

MANY, QUICK_MANY = 10**8, 10**6
FILE = 4 * 10**6  # rows of a file, which workers hold as a whole
HATS_FILES = 5  # number of these files whose rows are a HATS catalogue, too
GROUP = 2**20  # rows of a row group

# Most CPU time beside pyarrow's, and most memory (MiB).
MOST = {"counts": 3.0, "smoothed": 4.5}
MOST_MEMORY = 1024

END = """
print(1e9 * spent / {rows}, peak_memory())
"""
READ = """
import time
from pathlib import Path
from pyarrow import parquet
for turn in range(2):
    start, rows = time.process_time(), 0
    for path in sorted(Path({folder!r}).iterdir()):
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows += file.read_row_group(group, columns=["ra", "dec"]).num_rows
    spent = time.process_time() - start
assert rows == {rows}
"""
MAP = """
import time
from pathlib import Path
import numpy as np
from astropy.wcs import WCS
from pyarrow import parquet
from mpl_skyheat import sky_map
wcs = WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.crpix = ["GLON-AIT", "GLAT-AIT"], [720.5, 360.5]
wcs.wcs.cdelt, wcs.pixel_shape = [-0.25, 0.25], [1440, 720]
for turn in range(2):
    start = time.process_time()
    sky = sky_map(data={folder!r}, wcs=wcs, kernel={kernel!r})
    spent = time.process_time() - start
assert sky.meta["read"] == sky.meta["inside"] == sky.counts.sum() == {rows}
"""
CHECK = """
first = min(Path({folder!r}).iterdir())
table = parquet.read_table(first, columns=["ra", "dec"])
ours, theirs = (sky_map(data=data, wcs=wcs, kernel={kernel!r}) for data in (first, table))
assert np.array_equal(ours.counts, theirs.counts)
assert np.nanmax(np.abs(ours.data - theirs.data)) <= 1e-12 * np.nanmax(theirs.data)
"""
WORKERS = """
import time
import numpy as np
from astropy.wcs import WCS
from distributed import Client, LocalCluster
from mpl_skyheat import sky_map
wcs = WCS(naxis=2)
wcs.wcs.ctype, wcs.wcs.crpix = ["GLON-AIT", "GLAT-AIT"], [720.5, 360.5]
wcs.wcs.cdelt, wcs.pixel_shape = [-0.25, 0.25], [1440, 720]

def spent_by(client):
    return time.process_time() + sum(client.run(time.process_time).values())

if __name__ == "__main__":
    options = dict(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        {opening}
        for turn in range(2):
            start = spent_by(client)
            {job}
            spent = spent_by(client) - start
        most = max(peak_memory(), *client.run(peak_memory).values())
    print(1e9 * spent / {rows}, most)
"""
OPEN = {
    "dask": """import dask.dataframe as dd
        frame = dd.read_parquet({folder!r}, columns=["ra", "dec"])""",
    "lsdb": """import lsdb
        frame = lsdb.open_catalog({folder!r}, columns=["ra", "dec"])""",
}
# A slice of a DataFrame keeps all of its partition in memory, a copy does not.
JUST_READ = "assert len(frame.map_partitions(lambda part: part.iloc[:1].copy()).compute())"
HEALPIX = """import dask, healpy
            def counted(part):
                pixels = healpy.ang2pix(256, part.ra, part.dec, lonlat=True)
                return np.bincount(pixels, minlength=12 * 256**2)
            parts = [dask.delayed(counted)(part) for part in frame.to_delayed()]
            assert dask.delayed(sum)(parts).compute().sum() == {rows}"""
DATASHADER = """import datashader
            canvas = datashader.Canvas(1440, 720, (0, 360), (-90, 90))
            assert canvas.points(frame, "ra", "dec").sum() == {rows}"""
WITH_WORKERS = """sky = sky_map(data=frame, wcs=wcs, kernel={kernel!r})
            assert sky.meta["read"] == sky.meta["inside"] == sky.counts.sum() == {rows}"""
PLOT_DENSITY = """import matplotlib
            matplotlib.use("agg")
            figure, _ = frame.hc_structure.plot_density()
            figure.canvas.draw()"""
# By title: the job, a kernel, and a kind of `MOST` or the package of a peer that it needs.
OURS = {
    "counts by these": (WITH_WORKERS, None, "counts"),
    "the same, σ = 1°": (WITH_WORKERS, "1 deg", "smoothed"),
}
PEERS = {
    "dask": {
        "HEALPix counts of 0.23° by healpy, in the same partitions": (HEALPIX, None, "healpy"),
        "datashader with dask, ra and dec as x and y": (DATASHADER, None, "datashader"),
    },
    "lsdb": {
        "HEALPix counts of 0.23° by healpy, in lsdb's partitions": (HEALPIX, None, "healpy"),
        "lsdb's `plot_density`, of counts in the catalogue": (PLOT_DENSITY, None, "lsdb"),
    },
}


def write_files(folder, rows):
    """Write files of positions all over the sky, by bands of declination."""
    import pyarrow as pa
    from pyarrow import parquet

    number = max(rows // FILE, 1)
    edges = np.linspace(-1, 1, number + 1)
    for i in range(number):
        rng, size = np.random.default_rng(i), rows // number
        ra = rng.uniform(0, 360, size)
        dec = np.degrees(np.arcsin(rng.uniform(*edges[i : i + 2], size)))
        order = np.lexsort((ra // 0.25, dec // 0.25))
        columns = {"ra": ra[order], "dec": dec[order], "mag": rng.uniform(10, 20, size)}
        path = f"{folder}/{i:03}.parquet"
        parquet.write_table(pa.table(columns), path, compression="zstd", row_group_size=GROUP)


def write_hats(folder, root):
    """Write the rows of the first files as a HATS catalogue, by lsdb's own means."""
    import lsdb
    from pyarrow import parquet

    rows = parquet.read_table(sorted(Path(folder).iterdir())[:HATS_FILES]).to_pandas()
    lsdb.from_dataframe(rows, margin_threshold=None).write_catalog(root, as_collection=False)
    return len(rows)


def in_one_process(folder, rows, *, quick):
    """Return the table's rows of maps by one process, beside pyarrow's own read."""
    jobs = {
        "pyarrow's read of two columns": (READ + END, None, ""),
        "counts, all-sky Galactic AIT of 0.25°": (MAP + END + CHECK, None, "counts"),
        "the same, σ = 1° on the sphere": (MAP + END + CHECK, "1 deg", "smoothed"),
    }

    def run(job, kernel):
        return output_of(PEAK_MEMORY + job.format(folder=folder, rows=rows, kernel=kernel))

    return measure(jobs, run, quick=quick)


def with_workers(engine, folder, rows, *, quick):
    """Return the table's rows of maps by two workers, beside the same workers only reading."""
    read = {f"{engine}'s read of two columns, two workers": (JUST_READ, None, "")}

    def run(job, kernel):
        opening = OPEN[engine].format(folder=str(folder))
        job = job.format(rows=rows, kernel=kernel)
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            # (Worker processes import the script that starts them.)
            file.write(PEAK_MEMORY + WORKERS.format(opening=opening, rows=rows, job=job))
            file.flush()
            return output_of_file(file.name)

    return measure(read | OURS | PEERS[engine], run, quick=quick)


def measure(jobs, run, *, quick):
    """Run jobs; return rows of the table, with CPU time beside that of the first."""
    table, base = [], None
    for title, (job, kernel, kind) in jobs.items():
        if kind and kind not in MOST and find_spec(kind) is None:
            print(f"no {kind}: left out")
            continue
        spent, peak = map(float, run(job, kernel)[-2:])
        base = base or spent
        table.append(f"| {title} | {spent:.0f} ns | {spent / base:.1f} × | {peak:.0f} MiB |")
        print(table[-1], flush=True)
        if kind in MOST and not quick:
            assert spent <= MOST[kind] * base
            assert peak <= MOST_MEMORY
    return table


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, help="rows of all files together")
    options = parser.parse_args()
    rows, quick = options.rows or (QUICK_MANY if options.quick else MANY), options.quick
    head = f"| {power(rows)} rows, in files of {power(min(rows, FILE))}"
    table = [f"{head} | CPU a row | beside the read | peak of memory |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        write_files(folder, rows)
        table += in_one_process(folder, rows, quick=quick)
        if find_spec("distributed") is None:
            print("no distributed: workers are left out")
        else:
            table += with_workers("dask", folder, rows, quick=quick)
        if find_spec("distributed") and find_spec("lsdb"):
            root = Path(elsewhere) / "catalogue"
            number = write_hats(folder, root)
            table.append(f"| **{power(number)} of these, as a HATS catalogue** | | | |")
            table += with_workers("lsdb", root, number, quick=quick)
    if options.write:
        write_table(Path(__file__).name, "\n".join(table))


if __name__ == "__main__":
    main()
