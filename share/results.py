"""Results of a sweep in Python (numpy, h5py; pandas for points()). Import it with PYTHONPATH=share, or copy it.

    from results import Sweep
    sweep = Sweep("results/demo.h5")
    frame = sweep.points()                               # one row per point, in the order of the sweep file
    sweep.array(frame["point"][0], "sampling/iterations")
    pixels, labels = sweep.images(frame["point"][0])     # (N, H, W, 3) uint8; (N) int64 or None
"""
import json

import h5py
import numpy


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


class Sweep:
    def __init__(self, path):
        self.path = path
        with h5py.File(path) as file:
            rows = file["points"][:]
            order = [_text(point) for point in file["order"][:]] if "order" in file else []
            self.units = {_text(row["name"]): _text(row["unit"]) for row in file["columns"][:]}
        place = {point: i for i, point in enumerate(order)}
        rows = rows[sorted(range(len(rows)), key=lambda i: place.get(_text(rows[i]["point"]), i))]
        self.columns = {}  # name -> list of values; None where a value is absent
        for name in rows.dtype.names:
            if "has_" + name in rows.dtype.names:
                there = rows["has_" + name]
                self.columns[name] = [int(v) if has else None for v, has in zip(rows[name], there)]
            elif rows.dtype[name].kind == "f":
                self.columns[name] = [None if numpy.isnan(v) else float(v) for v in rows[name]]
            elif rows.dtype[name].kind in "SO":
                self.columns[name] = [_text(v) or None for v in rows[name]]

    def points(self):
        """A DataFrame without columns that no point has."""
        import pandas
        frame = pandas.DataFrame(self.columns).dropna(axis="columns", how="all")
        whole = [name for name in frame if all(type(v) in (int, type(None)) for v in self.columns[name])]
        return frame.astype({name: "Int64" for name in whole})

    def _job(self, file, point):
        if point not in self.columns["point"]:
            raise ValueError(f"{self.path} has no point {point!r}: points() lists the IDs")
        return file["jobs"][self.columns["job"][self.columns["point"].index(point)]]

    def settings(self, point):
        """The job as it was run: settings, model, hashes of files."""
        with h5py.File(self.path) as file:
            return json.loads(self._job(file, point)["job.json"][()])

    def arrays(self, point):
        """Path -> (shape, meaning), of this point or of its whole job."""
        found = {}

        def visit(group, prefix):  # visititems() leaves out links to the files of jobs
            for name in group:
                path = prefix + name
                item = self._item(group, name)
                if isinstance(item, h5py.Group):
                    visit(item, path + "/")
                elif _text(item.attrs.get("point", "")) in ("", point):
                    found[path] = item.shape, _text(item.attrs.get("meaning", ""))
        with h5py.File(self.path) as file:
            visit(self._job(file, point), "")
        return found

    def _item(self, group, path):
        try:
            return group[path]
        except (KeyError, OSError):
            link = group.get(path, getlink=True)
            if not isinstance(link, h5py.ExternalLink):
                raise
            raise FileNotFoundError(f"{self.path} has {path} in {link.filename}, which cannot be read: keep the folder of results "
                                    "beside the record, or write a whole one with `analyze bundle IN OUT`") from None

    def array(self, point, path):
        with h5py.File(self.path) as file:
            values = self._item(self._job(file, point), path)[()]
        return numpy.array([_text(v) for v in values]) if values.dtype.kind in "SO" else values

    def images(self, point):
        """Final images of `sample`, else the first ones of `evaluate` before self-denoising; None without any."""
        paths = self.arrays(point)
        for path in ("images/final/" + point, "images/before_denoising"):
            if path in paths:
                pixels = (numpy.clip(self.array(point, path), -1, 1) + numpy.float32(1)) / 2 * 255
                labels = self.array(point, "images/labels") if "images/labels" in paths else None
                return numpy.nan_to_num(pixels).astype(numpy.uint8).transpose(0, 2, 3, 1), labels
        return None, None
