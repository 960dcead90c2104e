#!/usr/bin/env python3
"""torch-fidelity's Inception-v3 against ours: images a second on one device, and their ratio.

    python inception_bench.py BIN/bench_extractor [--batch 128] [--side 256] [--weights FILE]

Needs torch and torch-fidelity; without --weights random ones are made. Both get the same weights,
random uint8 images that lie on the device already, and the same precision: float32 with TF32
switched off, and tf32.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "metrics" / "fixtures"))
import make_inception  # noqa: E402
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: E402


def images_per_second(net, images, seconds=3.0):
    with torch.no_grad():
        for _ in range(3):
            net(images)[0].sum().item()
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            net(images)[0].sum().item()
            done += len(images)
        return done / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--weights")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        weights = options.weights
        if not weights:
            make_inception.make_network(pathlib.Path(folder))
            weights = str(pathlib.Path(folder) / "inception_formula.pth")
        net = FeatureExtractorInceptionV3("inception", ["2048"],
                                          feature_extractor_weights_path=weights).to(device)
        shape = (options.batch, 3, options.side, options.side)
        images = torch.randint(256, shape, dtype=torch.uint8, device=device)
        for precision in ["float32", "tf32"] if device.type == "cuda" else ["float32"]:
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
            theirs = images_per_second(net, images)
            answer = subprocess.run(
                [options.program, weights, str(options.batch), str(options.side), precision],
                check=True, capture_output=True, text=True).stdout
            ours = json.loads(answer)["images_per_second"]
            print(f"{device.type} {precision}, batch {options.batch}, {options.side} pixels: "
                  f"torch-fidelity {theirs:.1f}, ours {ours:.1f} images/s, "
                  f"ratio {ours / theirs:.2f}", flush=True)


if __name__ == "__main__":
    main()
