#!/usr/bin/env bash
# trackers_test.sh ANALYZE RECORD SOURCE: what docs/python.md tells users of Weights & Biases, TensorBoard and MLflow to type works with
# the real packages, without network, and leaves what each of them reads. 77: the packages are not here (third_party/trackers.txt).
set -euo pipefail

analyze=$1 record=$2 source=$3
export PYTHONPATH=$source/share:$source/.deps/trackers
python=${TARFLOW_PYTHON:-python3}
if ! "$python" -c 'import h5py, mlflow, pandas, PIL, tensorboardX, wandb' 2>/dev/null; then
  echo "skipped: no h5py, mlflow, pandas, pillow, tensorboardX and wandb (third_party/trackers.txt)"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/results"
cp "$record" "$folder/results/demo.h5"
cd "$folder"
export HOME=$folder WANDB_MODE=offline WANDB_SILENT=true MLFLOW_TRACKING_URI=file:$folder/mlruns MLFLOW_ALLOW_FILE_STORE=true
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1
awk '/^```python tracker$/ { file = sprintf("recipe%d.py", ++n); next } /^```$/ { file = "" } file { print > file }' \
  "$source/docs/python.md"
sed -n '/^```python$/,/^```$/{/^```/d;p}' "$source/docs/python.md" >results_page.py
for script in results_page.py recipe1.py recipe2.py recipe3.py; do
  echo "== $script"
  [[ -s $script ]] || { echo "docs/python.md has no such block" && exit 1; }
  (($(wc -l <"$script") <= 15)) || { echo "longer than a dozen lines" && exit 1; }
  # As many points as make the test quick.
  sed -i 's/\.to_dict("records")/.to_dict("records")[:4]/' "$script"
  "$python" "$script"
done
"$analyze" export results/demo.h5 --out points.csv
"$python" - <<'PYTHON'
import glob, json, pathlib
import mlflow, pandas
from results import Sweep
from tensorboardX.proto import event_pb2

sweep = Sweep("results/demo.h5")
frame = sweep.points()
assert not any(name.startswith("has_") for name in frame)
exported = pandas.read_csv("points.csv")
assert set(frame["point"]) == set(exported["point"]) and len(frame) == len(exported)
ours, theirs = frame.set_index("point").sort_index(), exported.set_index("point").sort_index()
for name in ("distance", "total_seconds", "cfg"):
    assert (((ours[name] - theirs[name]).abs() <= 1e-12 * ours[name].abs()) | (ours[name].isna() & theirs[name].isna())).all(), name
rows = frame.query("experiment == 'evaluate'", engine="python").to_dict("records")[:4]

assert len(glob.glob("wandb/offline-run-*/*.wandb")) == 4

runs = mlflow.search_runs(experiment_names=["tarflow"]).set_index("params.strategy")
assert {"params.self_denoising_lr", "params.num_images", "params.extractor"} <= set(runs), list(runs)
assert len(runs) == 4 and abs(runs["metrics.distance"].sum() - sum(row["distance"] for row in rows)) < 1e-9

found = {}
for row in rows:
    [path] = glob.glob(f"tensorboard/{row['point']}/events*")
    data = pathlib.Path(path).read_bytes()
    while data:  # length, its checksum, the event, its checksum
        size = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12:12 + size])
        data = data[16 + size:]
        for value in event.summary.value:
            if value.tag == "distance":
                found[row["point"]] = value.simple_value
assert all(abs(found[row["point"]] - row["distance"]) < 1e-6 for row in rows), found
print("Weights & Biases, TensorBoard and MLflow hold", len(rows), "points")
PYTHON
