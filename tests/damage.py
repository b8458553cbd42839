"""Random damage to a file, as disks, downloads and interrupted copies do it."""

import numpy as np


def flip(content, rng):
    where = rng.integers(len(content), size=rng.integers(1, 4))
    content[where] ^= rng.integers(1, 256, size=len(where), dtype="uint8")
    return content


def flip_near_an_end(content, rng):
    where = rng.choice([1, -1]) * rng.integers(1, min(3000, len(content)))
    content[where] ^= rng.integers(1, 256, dtype="uint8")
    return content


def cut(content, rng):
    return content[: rng.integers(len(content))]


def lose(content, rng):
    start = rng.integers(len(content))
    return np.delete(content, slice(start, start + rng.integers(1, 5000)))


def blank(content, rng):
    start = rng.integers(len(content))
    content[start : start + rng.integers(1, 5000)] = 0
    return content


def repeat(content, rng):
    start = rng.integers(len(content))
    return np.concatenate([content[:start], content[max(0, start - rng.integers(1, 5000)) :]])


def damaged(content, times):
    """Yield (seed and kind, damaged content) that many times, always the same; what came out unchanged is left out."""
    kinds = (flip, flip_near_an_end, cut, lose, blank, repeat)
    for seed in range(times):
        kind = kinds[seed % len(kinds)]
        changed = kind(np.frombuffer(content, "uint8").copy(), np.random.default_rng(seed)).tobytes()
        if changed != content:
            yield f"{kind.__name__}, seed {seed}", changed
