#!/usr/bin/env bash
# torch_fidelity_test.sh BIN SOURCE: the distance that `evaluate` measures is the one that torch-fidelity measures on the images that
# `save_images` wrote, by the same Inception weights; and an .npz of the same images is read by NumPy in the layout of the ADM suite.
# 77: no Python with torch-fidelity is here (TARFLOW_PYTHON names one).
set -euo pipefail

bin=$1 source=$2
python=${TARFLOW_PYTHON:-python3}
if ! "$python" -c 'import torch_fidelity' 2>/dev/null; then
  echo "skipped: no Python with torch-fidelity (TARFLOW_PYTHON)"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Weights by formula: those of the FID are published by others and are not here.
"$python" - "$source" <<'PYTHON'
import pathlib, sys
sys.path.insert(0, sys.argv[1] + "/tests/metrics/fixtures")
import make_inception
make_inception.make_network(pathlib.Path("."))
PYTHON
mkdir real
n=0
while read -r file; do cp "$file" "real/$((n++)).${file##*.}"; done < <(find "$source/sweeps/assets/cifar10" -type f | sort | awk 'NR % 20 == 0')
cat >sweep.yaml <<YAML
models: {demo: {checkpoint: $source/sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth}}
defaults: {model: demo, strategy: For, num_images: 48, chunk: 16, self_denoising_lr: 1}
experiments:
  - evaluate:
      extractor: inception_formula.pth
      reference: real
      kept_features: 0
      save_images: png
  - sample: {save_images: npz}
YAML
"$bin/run_sweep" sweep.yaml --cluster none >log 2>&1 || { cat log; exit 1; }
PYTHONPATH=$source/share "$python" - <<'PYTHON'
import csv
import numpy, torch_fidelity
from PIL import Image
from results import Sweep

sweep = Sweep("results/sweep.h5")
rows = {row["experiment"]: row for row in sweep.points().to_dict("records")}
png = "results/" + rows["evaluate"]["saved_images"]
ours = rows["evaluate"]["distance"]
theirs = torch_fidelity.calculate_metrics(
    input1=png, input2="real", fid=True, cuda=False, batch_size=48, verbose=False,
    samples_find_deep=True, rng_seed=0, feature_extractor="inception-v3-compat",
    feature_extractor_weights_path="inception_formula.pth", cache=False)["frechet_inception_distance"]
print(f"distance: ours {ours:.6f}, torch-fidelity {theirs:.6f}")
assert abs(ours - theirs) <= 1e-3 * abs(theirs) + 1e-6

adm = numpy.load("results/" + rows["sample"]["saved_images"])
assert adm["arr_0"].dtype == numpy.uint8 and adm["arr_0"].shape == (48, 32, 32, 3)
assert adm["arr_1"].shape == (48,) and adm["arr_1"].dtype == numpy.int64
with open(png + "/labels.csv") as file:
    labels = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
for i in range(48):
    name = f"{i:06}.png"
    assert (numpy.asarray(Image.open(f"{png}/{name}")) == adm["arr_0"][i]).all(), name
    assert labels[name] == adm["arr_1"][i]
pixels, classes = sweep.images(rows["sample"]["point"])
assert (pixels == adm["arr_0"]).all() and (classes == adm["arr_1"]).all()
print("PNG, npz and the record hold the same images")
PYTHON
