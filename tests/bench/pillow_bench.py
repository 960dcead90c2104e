"""What decoding and resizing cost in Pillow on one core: the twin of images_bench.cc.

    python pillow_bench.py make FOLDER [COUNT]         JPEG files of 256 to 512 pixels to measure with
    python pillow_bench.py links FOLDER [COUNT]        a million hard links to one file, in 1,000 classes
    python pillow_bench.py decode FOLDER [SIZE ...]    as `bench_images decode`
"""

import io
import os
import pathlib
import sys
import time

import numpy as np
import PIL
from PIL import Image, features

ROUNDS = 5  # the best counts: other work on the machine only adds


def make(folder, count):
    """Smooth noise of several scales, which JPEG packs about as photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for i in range(count):
        width, height = (int(n) for n in random.integers(256, 513, 2))
        total = np.zeros((height, width, 3))
        for cell in (4, 16, 64):
            noise = random.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
            total += np.asarray(Image.fromarray(noise).resize((width, height), Image.BICUBIC)) * cell
        total = (total - total.min()) / (total.max() - total.min()) * 255
        Image.fromarray(total.astype(np.uint8)).save(folder / f"{i:04}.jpg", quality=90)


def links(folder, count):
    """File systems allow some ten thousands of links to one file, so each class has its own."""
    image = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    each = -(-count // 1000)
    for label in range(1000):
        place = folder / f"n{label:08}"
        place.mkdir(parents=True, exist_ok=True)
        first = place / f"n{label:08}_{0:08}.JPEG"
        image.save(first)
        for i in range(1, min(each, count - label * each)):
            os.link(first, place / f"n{label:08}_{i:08}.JPEG")


def preprocess(image, size):
    """torchvision's Resize(size) and CenterCrop(size)."""
    width, height = image.size
    long = int(size * max(width, height) / min(width, height))
    target = (size, long) if width <= height else (long, size)
    image = image.resize(target, Image.BILINEAR)
    left, top = (int(round((side - size) / 2.0)) for side in target)
    return image.crop((left, top, left + size, top + size))


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def best_ms(items, action):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for item in items:
            action(item)
        best = min(best, time.thread_time() - start)
    return 1e3 * best / len(items)


def measure(folder, sizes):
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version_feature('libjpeg_turbo')}")
    files = [file.read_bytes() for file in sorted(folder.rglob("*.jpg"))]
    images = [decode(data) for data in files]
    print(f"decode {best_ms(files, decode):8.3f} ms an image")
    for size in sizes:
        resizing = best_ms(images, lambda image: preprocess(image, size))
        both = best_ms(files, lambda data: preprocess(decode(data), size))
        print(f"to {size:4} resize {resizing:8.3f} ms, both {both:8.3f} ms an image, {1e3 / both:7.1f} images/s")


def main():
    what, folder, rest = sys.argv[1], pathlib.Path(sys.argv[2]), [int(word) for word in sys.argv[3:]]
    if what == "make":
        make(folder, *(rest or [100]))
    elif what == "links":
        links(folder, *(rest or [1_000_000]))
    else:
        measure(folder, rest or [64, 128, 256])


if __name__ == "__main__":
    main()
