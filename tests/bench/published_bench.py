#!/usr/bin/env python3
"""Our sampling beside the published Python's, in turns in one run, so that a noisy machine slows both.

    published_bench.py --published FOLDER --bench build/bin/bench_sampling [--rounds 3]

FOLDER is a checkout of the published GS-Jacobi code (GS_Jacobi_sampling.py); this Python must have torch. Prints the
best time of each case over the rounds and the ratio. Both run the demo's model, cfg 1, fp32, on all cores.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

CASES = {"sequential/64": (64, False), "gs_jacobi_7_8_4_4/64": (64, True),
         "sequential/1": (1, False), "gs_jacobi_7_8_4_4/1": (1, True)}
CHECKPOINT = pathlib.Path(__file__).parents[2] / "sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth"


def published_model(folder):
    sys.path.insert(0, str(folder))
    import GS_Jacobi_sampling
    import torch
    model = GS_Jacobi_sampling.Model(in_channels=3, img_size=32, patch_size=4, channels=128, num_blocks=8,
                                     layers_per_block=2, num_classes=10)
    model.load_state_dict(torch.load(CHECKPOINT, map_location="cpu"))
    return model.float().eval()


def published_seconds(model, images, segmented):
    import torch
    noise, labels = torch.randn(images, 64, 48), torch.randint(10, (images,))
    lists = dict(num_GS_list=[8] + [1] * 7, max_jacobi_list=[4] * 8, guess_list=[0] * 8) if segmented else \
        dict(num_GS_list=[0] * 8, max_jacobi_list=[1] * 8, guess_list=[0] * 8)
    with torch.no_grad():
        begin = time.perf_counter()
        model.reverse(noise, labels, guidance=1.0, annealed_guidance=True, **lists)
        return time.perf_counter() - begin


def our_seconds(program, case):
    out = subprocess.run([program, f"--benchmark_filter={case}/real_time$", "--benchmark_format=json",
                          "--benchmark_min_time=0.5"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]["real_time"] / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", required=True, type=pathlib.Path)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    model = published_model(args.published)
    print(f"{'case':24} {'published s':>12} {'here s':>10} {'ratio':>7}")
    for case, (images, segmented) in CASES.items():
        published_seconds(model, images, segmented)  # warm-up
        theirs, ours = [], []
        for _ in range(args.rounds):
            theirs.append(published_seconds(model, images, segmented))
            ours.append(our_seconds(args.bench, case))
        print(f"{case:24} {min(theirs):12.4f} {min(ours):10.4f} {min(theirs) / min(ours):7.2f}")


if __name__ == "__main__":
    main()
