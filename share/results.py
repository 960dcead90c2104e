"""Results of a sweep in Python: Sweep("results/demo.h5").points(). Import it with PYTHONPATH=share, or copy it."""
import json
import h5py
import numpy


def _plain(value):
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, numpy.generic) else value


class Sweep:
    def __init__(self, path):
        self.path = path
        with h5py.File(path) as file:
            rows = file["points"][:]
            order = {_plain(point): i for i, point in enumerate(file["order"][:] if "order" in file else [])}
            self.units = {_plain(row["name"]): _plain(row["unit"]) for row in file["columns"][:]}
        rows = rows[sorted(range(len(rows)), key=lambda i: order.get(_plain(rows[i]["point"]), i))]
        self.columns = {}  # name -> list of values; None where a value is absent
        for name in rows.dtype.names:
            if not name.startswith("has_"):
                there = rows["has_" + name] if "has_" + name in rows.dtype.names else rows[name] == rows[name]  # NaN: absent
                self.columns[name] = [_plain(v) if has and _plain(v) != "" else None for v, has in zip(rows[name], there)]

    def points(self):
        """A DataFrame, a row per point in the order of the sweep file, without columns that no point has."""
        import pandas
        frame = pandas.DataFrame(self.columns).dropna(axis="columns", how="all")
        return frame.astype({name: "Int64" for name in frame if {type(v) for v in self.columns[name]} <= {int, type(None)}})

    def _job(self, file, point):
        if point not in self.columns["point"]:
            raise ValueError(f"{self.path} has no point {point!r}: points() lists the IDs")
        return file["jobs"][self.columns["job"][self.columns["point"].index(point)]]

    def job(self, point):
        """The point's job as it was run: model, hashes of files, settings, its points."""
        with h5py.File(self.path) as file:
            return json.loads(self._job(file, point)["job.json"][()])

    def settings(self, point):
        """All settings of the point, by their names in the sweep file."""
        job = self.job(point)
        return {**job["settings"], **next(own for own in job["points"] if own["id"] == point).get("settings", {})}

    def arrays(self, point):
        """Path -> (shape, meaning), of this point or of its whole job."""
        def found(group, prefix):  # visititems() leaves out links to the files of jobs
            for name in group:
                item = self._item(group, name)
                if isinstance(item, h5py.Group):
                    yield from found(item, prefix + name + "/")
                elif _plain(item.attrs.get("point", "")) in ("", point):
                    yield prefix + name, (item.shape, _plain(item.attrs.get("meaning", "")))
        with h5py.File(self.path) as file:
            return dict(found(self._job(file, point), ""))

    def _item(self, group, path):
        try:
            return group[path]
        except (KeyError, OSError):
            if isinstance(link := group.get(path, getlink=True), h5py.ExternalLink):
                raise FileNotFoundError(f"{link.filename} is absent, where {self.path} has {path}: put it back") from None
            raise

    def array(self, point, path):
        with h5py.File(self.path) as file:
            values = self._item(self._job(file, point), path)[()]
        return numpy.array([_plain(v) for v in values]) if values.dtype.kind in "SO" else values

    def images(self, point):
        """Final images of `sample`, else the first of `evaluate` before self-denoising: (N, H, W, 3) uint8, with labels: (N) int64."""
        paths = self.arrays(point)
        for path in ("images/final/" + point, "images/before_denoising"):
            if path in paths:
                pixels = (numpy.clip(self.array(point, path), -1, 1) + numpy.float32(1)) / 2 * 255
                labels = self.array(point, "images/labels") if "images/labels" in paths else None
                return numpy.nan_to_num(pixels).astype(numpy.uint8).transpose(0, 2, 3, 1), labels
        return None, None
