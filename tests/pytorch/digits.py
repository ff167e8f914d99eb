"""The 1,797 handwritten digits of 8x8 pixels (UCI, CC BY 4.0) and the pixel table."""

import numpy as np
from sklearn.datasets import load_digits

TRAINING_IMAGES = 1437


def load():
    """Bytes 0..16 [1797, 1, 8, 8] and classes [1797], in the order of scikit-learn's `load_digits`."""
    bunch = load_digits()
    return bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)


def mean_and_deviation(images):
    """Mean and (population) standard deviation of byte / 255 per channel, rounded to f32."""
    scaled = images.astype(np.float64) / 255
    return scaled.mean((0, 2, 3)).astype(np.float32), scaled.std((0, 2, 3)).astype(np.float32)


def pixel_table(mean, deviation):
    """`(byte / 255 - mean) / deviation` as f32 [channels, 256], every operation rounded to f32."""
    scaled = np.arange(256, dtype=np.float32) / np.float32(255)
    mean, deviation = np.asarray(mean, np.float32), np.asarray(deviation, np.float32)
    table = (scaled[None, :] - mean[:, None]) / deviation[:, None]
    assert table.dtype == np.float32
    return table


def normalize(images, table):
    """Images [n, channels, height, width] of bytes through the table, still f32."""
    channels = np.arange(images.shape[1])[None, :, None, None]
    return table[channels, images]
