"""The encoder of images and videos through the real commands, stage by stage: qwen-export, qwenc --expose, qwenrt --entry on lavapipe.

Usage: vision.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES
"""

import array
import math
import pathlib
import sys

import safetensors
from golden import GOLDEN, Suite

MODEL = GOLDEN / "tiny-qwen3-omni"
BOUND = 1e-4  # relative L2 of an f32 encoder
MERGE, SIDE, PATCH_VALUES = 2, 16, 1536  # of the model
WIDTH, HIDDEN, LAST = 144, 128, "vision.blocks.3.output"
MEDIA = ("image0", "image1", "image2", "video")


def patches_of(grid):
    """Row and column of each patch, in the order of merged tokens, frame by frame."""
    frames, height, width = grid
    order = [
        (y + dy, x + dx)
        for y in range(0, height, MERGE)
        for x in range(0, width, MERGE)
        for dy in range(MERGE)
        for dx in range(MERGE)
    ]
    return order * frames


def corners(index, extent):
    """The cells along one side that share the position of a patch, and their weights: the ends of both grids meet."""
    at = index * (SIDE - 1) / max(extent - 1, 1)
    first = math.floor(at)
    return ((first, 1 - (at - first)), (min(first + 1, SIDE - 1), at - first))


def tables(grids):
    """The inputs of the encoder beside the patches (plan.fbs, VisionEncoder)."""
    cells, weights = array.array("i"), array.array("f")
    places, segments = array.array("i"), array.array("i")
    for grid in grids:
        frames, height, width = grid
        first = len(places) // 2
        for index, (y, x) in enumerate(patches_of(grid)):
            for row, row_weight in corners(y, height):
                for column, column_weight in corners(x, width):
                    cells.append(row * SIDE + column)
                    weights.append(row_weight * column_weight)
            places.extend((y, x))
            frame = first + index // (height * width) * height * width
            segments.extend((frame, frame + height * width))
    rows = len(places) // 2
    return {
        "cells": ("I32", [rows, 4], cells),
        "cell_weights": ("F32", [rows, 4], weights),
        "places": ("I32", [rows, 2], places),
        "segments": ("I32", [rows, 2], segments),
    }


def run(suite, plan, grids, pixels):
    inputs, outputs = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
    outputs.unlink(missing_ok=True)
    patches = {"patches": ("F32", [len(pixels) // PATCH_VALUES, PATCH_VALUES], pixels)}
    safetensors.write(inputs, {**patches, **tables(grids)})
    words = ("--allow-cpu", "--validate", "--entry", "vision.encoder", "--inputs", inputs, "--outputs", outputs)
    suite.command(suite.bin / "qwenrt", plan, *words)
    return safetensors.read(outputs) if outputs.exists() else {}


def compare(suite, where, got, name, want, width):
    if name not in got:
        suite.check(False, f"{where}: no output {name} among {sorted(got)}")
        return
    shape, values = got[name]
    suite.check(shape == [len(want) // width, width], f"{where}: {name} has shape {shape}")
    error = safetensors.relative_l2(values, want) if len(values) == len(want) else 1
    suite.check(error <= BOUND, f"{where}: {name} differs by {error:.2e}")


def encoder_plan(suite, tag, *options):
    model, plan = suite.work / f"{tag}.json", suite.work / f"{tag}.fb"
    suite.command(suite.bin / "qwen-export", MODEL, "--components", "vision", "-o", model)
    suite.command(suite.bin / "qwenc", model, "-o", plan, *options)
    return plan


STAGES = {"patch_embed": "vision.patch_embed", "block_0": "vision.blocks.0.output", "last_block": LAST}
RESULTS = {"merged": "rows", "deepstack_0": "deepstack.0", "deepstack_1": "deepstack.1"}


def joined(wanted, key):
    rows = array.array("f")
    for name in MEDIA:
        rows.extend(wanted[f"{name}.{key}"][1])
    return rows


def goldens(suite):
    """Three images and a video: all in one run, and one by one with stages exposed."""
    wanted = safetensors.read(MODEL / "golden" / "vision.safetensors")
    grids = {name: list(wanted[f"{name}.grid_thw"][1]) for name in MEDIA}
    for tag, options in {"lavapipe": ("--target", "lavapipe"), "generic": ()}.items():
        plan = encoder_plan(suite, tag, *options)
        got = run(suite, plan, list(grids.values()), joined(wanted, "pixel_values"))
        for key, value in RESULTS.items():
            compare(suite, tag, got, value, joined(wanted, key), HIDDEN)
    expose = [word for stage in STAGES.values() for word in ("--expose", stage)]
    plan = encoder_plan(suite, "exposed", "--target", "lavapipe", *expose)
    for name in MEDIA:
        got = run(suite, plan, [grids[name]], wanted[f"{name}.pixel_values"][1])
        for key, value in {**STAGES, **RESULTS}.items():
            if f"{name}.{key}" in wanted:
                compare(suite, name, got, value, wanted[f"{name}.{key}"][1], WIDTH if key in STAGES else HIDDEN)


def small_limit(suite):
    """A plan for few pixels holds what fits and refuses what does not."""
    wanted = safetensors.read(MODEL / "golden" / "vision.safetensors")
    plan = encoder_plan(suite, "small", "--target", "lavapipe", "--max-image-pixels", str(64 * 96))
    grid, pixels = list(wanted["image2.grid_thw"][1]), wanted["image2.pixel_values"][1]
    compare(suite, "small", run(suite, plan, [grid], pixels), "rows", wanted["image2.merged"][1], HIDDEN)
    inputs = suite.work / "large.safetensors"
    pixels = wanted["image0.pixel_values"][1]
    patches = {"patches": ("F32", [len(pixels) // PATCH_VALUES, PATCH_VALUES], pixels)}
    safetensors.write(inputs, {**patches, **tables([list(wanted["image0.grid_thw"][1])])})
    words = ("--allow-cpu", "--entry", "vision.encoder", "--inputs", inputs, "--outputs", suite.work / "none.safetensors")
    refused = suite.command(suite.bin / "qwenrt", plan, *words, status=1)
    suite.check("expected f32[4*V<=24,1536]" in refused.stderr, f"refusal says {refused.stderr.strip()}")


SUITES = {f.__name__: f for f in (goldens, small_limit)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
    suite = Suite(bin_dir, work, f"vision-{name}")
    SUITES[name](suite)
    print(f"{suite.name}: {suite.failures} failures")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
