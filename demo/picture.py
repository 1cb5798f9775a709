"""A picture of a stack: its maximum projection, with a bar that tells the scale."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ENLARGED = 3
BAR_UM = 10
DARKEST, BRIGHTEST = 10, 99.8
"""The percentiles of the projection that become black and white."""
GAMMA = 0.65
"""A dividing cell is far brighter than the others; below 1, these are lifted."""


def save_projection(stack: np.ndarray, pixel_um: float, file: Path) -> tuple[int, int]:
    """Write the maximum of a stack (Z, Y, X) over Z as a PNG; return its width and height."""
    flat = stack.max(axis=0).astype(float)
    low, high = np.percentile(flat, (DARKEST, BRIGHTEST))
    light = np.clip((flat - low) / (high - low), 0, 1) ** GAMMA
    grey = (light * 255).round().astype(np.uint8)
    small = Image.fromarray(grey)
    size = (small.width * ENLARGED, small.height * ENLARGED)
    image = small.resize(size, Image.Resampling.BICUBIC)
    _draw_bar(image, BAR_UM / pixel_um * ENLARGED)
    image.save(file)
    return size


def _draw_bar(image: Image.Image, length: float) -> None:
    draw = ImageDraw.Draw(image)
    right, bottom = image.width - 24, image.height - 24
    draw.rectangle((right - length, bottom - 6, right, bottom), fill=255)
    middle = right - length / 2
    # Pillow's own font has no µ.
    draw.text((middle, bottom - 12), f"{BAR_UM} um", fill=255, anchor="ms", font_size=20)
