#!/usr/bin/env python3
"""Write assets/digits.bin from scikit-learn's copy of the UCI handwritten digits.

usage: make_digits.py [OUT]          (needs scikit-learn: pip install scikit-learn)

A record is 1 label byte (0..9) and 64 pixel bytes (8 rows of 8, values 0..16); the 1,797 records stand in the order of
`sklearn.datasets.load_digits`, which is the order of the UCI file optdigits.tes.
"""
import os
import sys

from sklearn.datasets import load_digits


def main():
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "assets", "digits.bin")
    out = sys.argv[1] if len(sys.argv) > 1 else default
    digits = load_digits()
    pixels = digits.data.astype("uint8")
    if pixels.shape != (1797, 64) or (pixels != digits.data).any() or pixels.max() != 16:
        sys.exit("load_digits gave something else than 1,797 images of 64 pixels in 0..16")
    with open(out, "wb") as f:
        for label, image in zip(digits.target, pixels):
            f.write(bytes([label]) + image.tobytes())
    print(f"wrote {len(pixels)} images to {os.path.normpath(out)}")


if __name__ == "__main__":
    main()
