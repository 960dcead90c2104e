#!/usr/bin/env bash
# python_test.sh ANALYZE RECORD SOURCE: what README and docs/records.md tell Python users to type works on a record, and reads the
# numbers that `analyze export` writes.
set -euo pipefail

analyze=$1 record=$2 source=$3
python=
for candidate in "${TARFLOW_PYTHON:-}" python3 /usr/bin/python3; do
  [[ -z $python && -n $candidate ]] && "$candidate" -c 'import h5py, pandas' 2>/dev/null && python=$candidate
done
if [[ -z $python ]]; then
  echo "skipped: no python3 has h5py and pandas (python3-h5py, python3-pandas)"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/results"
cp "$record" "$folder/results/demo.h5"
cd "$folder"
export PYTHONPATH=$source/share
blocks() { sed -n '/^```python$/,/^```$/{/^```/d;p}' "$1"; }
run_blocks() {
  for page in "$@"; do
    blocks "$source/$page" >block.py
    [[ -s block.py ]] || { echo "$page has no block of Python" && exit 1; }
    echo "== $page"
    "$python" block.py
  done
}
run_blocks README.md docs/records.md docs/python.md
"$analyze" export results/demo.h5 --out points.csv
{
  blocks "$source/docs/records.md"
  cat <<'PYTHON'
exported = pandas.read_csv("points.csv", float_precision="round_trip").set_index("point")
points = points.set_index("point")
assert len(exported) == len(points) > 0
columns = [name for name in points if not name.startswith("has_")]
assert sorted(columns) == sorted(exported.drop(columns="file")), "the columns differ"
for name in columns:
    theirs, ours = exported[name], points[name]
    if "has_" + name in points:
        ours = ours.where(points["has_" + name] == 1)
    if not pandas.api.types.is_numeric_dtype(ours):
        assert (theirs.fillna("").astype(str) == ours.astype(str)).all(), name
    else:
        assert theirs.astype(float).equals(ours.astype(float)), name
print(len(points), "points and", len(columns), "columns agree")
PYTHON
} >compare.py
"$python" compare.py
"$python" - <<'PYTHON'
import h5py, numpy
from results import Sweep

sweep = Sweep("results/demo.h5")
frame = sweep.points()
for row in frame.to_dict("records"):
    settings = sweep.settings(row["point"])
    for name in ("num_images", "seed", "cfg", "self_denoising_lr"):  # of the job, and of the point
        assert name not in settings or settings[name] == row[name], (name, settings)
    assert sweep.job(row["point"])["hash"] == row["job"]
evaluated = [str(sweep.settings(point)) for point in frame[frame["experiment"] == "evaluate"]["point"]]
assert len(set(evaluated)) == len(evaluated) > 0, "points of equal settings"
assert all(word in evaluated[0] for word in ("self_denoising_lr", "num_images", "strategy"))
with h5py.File("results/demo.h5", "r+") as file:
    rows = file["points"][:]
    rows["distance"] = numpy.nan
    file["points"][...] = rows
PYTHON
echo "== without a distance"
run_blocks README.md docs/python.md
