"""The encoder of sound through the real commands, stage by stage: qwen-export, qwenc --expose, qwenrt --entry on lavapipe.

Usage: audio.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES
"""

import array
import pathlib
import sys

import safetensors
from golden import GOLDEN, Suite

MODEL = GOLDEN / "tiny-qwen3-omni"
BOUND = 1e-4  # relative L2 of an f32 encoder
MEL_BINS, CHUNK_FRAMES, WINDOW_CHUNKS = 128, 100, 2  # of the model
STAGES = ("conv_out", "layers.0.output", "layers.1.output")


def halved(columns):
    return (columns - 1) // 2 + 1


def chunks_of(frames):
    return [min(CHUNK_FRAMES, frames - first) for first in range(0, frames, CHUNK_FRAMES)]


def tokens_of(frames):
    return halved(halved(halved(frames)))


def appended_taps(taps, columns, input_columns, base):
    """For each column of a result, the columns of an input of `input_columns` columns from `base` on, or -1."""
    for column in range(columns):
        for tap in (2 * column - 1, 2 * column, 2 * column + 1):
            taps.append(base + tap if 0 <= tap < input_columns else -1)


def tables(clips):
    """The inputs of the encoder beside the features, for clips of so many frames (plan.fbs, AudioEncoder)."""
    width = min(CHUNK_FRAMES, max(clips))  # every chunk is padded to the longest
    taps = [array.array("i") for _ in range(3)]
    times, segments = array.array("i"), array.array("i")
    base = 0
    for frames in clips:
        window = []  # tokens of each window
        for index, chunk in enumerate(chunks_of(frames)):
            appended_taps(taps[0], halved(width), chunk, base)
            appended_taps(taps[1], halved(halved(width)), halved(width), len(taps[0]) // 3 - halved(width))
            columns = halved(halved(width))
            appended_taps(taps[2], tokens_of(chunk), columns, len(taps[1]) // 3 - columns)
            times.extend(range(tokens_of(chunk)))
            if index % WINDOW_CHUNKS == 0:
                window.append(0)
            window[-1] += tokens_of(chunk)
            base += chunk
        for tokens in window:
            first = len(segments) // 2
            segments.extend([first, first + tokens] * tokens)
    result = {f"taps_{i + 1}": ("I32", [len(t) // 3, 3], t) for i, t in enumerate(taps)}
    return {**result, "times": ("I32", [len(times)], times), "segments": ("I32", [len(times), 2], segments)}


def frames_first(shape, mel):
    """[bins, frames] as [frames, bins]."""
    bins, frames = shape
    return array.array("f", (mel[b * frames + t] for t in range(frames) for b in range(bins)))


def run(suite, plan, clips, features):
    inputs, outputs = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
    outputs.unlink(missing_ok=True)
    rows = len(features) // MEL_BINS
    safetensors.write(inputs, {"features": ("F32", [rows, MEL_BINS], features), **tables(clips)})
    words = ("--allow-cpu", "--validate", "--entry", "audio.encoder", "--inputs", inputs, "--outputs", outputs)
    suite.command(suite.bin / "qwenrt", plan, *words)
    return safetensors.read(outputs) if outputs.exists() else {}


def compare(suite, where, got, name, want, width):
    """`want` has the rows of tokens one after the other, or [chunks, 13, width] with padding behind the last ones."""
    if name not in got:
        suite.check(False, f"{where}: no output {name} among {sorted(got)}")
        return
    shape, values = got[name]
    suite.check(shape[1:] == [width], f"{where}: {name} has shape {shape}")
    same = len(values) == len(want)
    error = safetensors.relative_l2(values, want) if same else 1
    suite.check(same and error <= BOUND, f"{where}: {name} differs by {error:.2e}, {len(values)} values for {len(want)}")


def encoder_plan(suite, tag, *options):
    model, plan = suite.work / f"{tag}.json", suite.work / f"{tag}.fb"
    suite.command(suite.bin / "qwen-export", MODEL, "--components", "audio", "-o", model)
    suite.command(suite.bin / "qwenc", model, "-o", plan, *options)
    return plan


def valid_rows(shape, values, frames):
    """The rows of tokens of [chunks, columns, width]."""
    _, columns, width = shape
    rows = array.array("f")
    for index, chunk in enumerate(chunks_of(frames)):
        first = index * columns * width
        rows.extend(values[first : first + tokens_of(chunk) * width])
    return rows


def goldens(suite):
    """Three clips alone, stage by stage, and two in one call; with and without values exposed."""
    features = safetensors.read(MODEL / "golden" / "audio_features.safetensors")
    wanted = safetensors.read(MODEL / "golden" / "audio_encoder.safetensors")
    expose = [word for stage in STAGES for word in ("--expose", f"audio.{stage}")]
    for tag, options in {
        "lavapipe": ("--target", "lavapipe"),
        "generic": (),
        "lavapipe-exposed": ("--target", "lavapipe", *expose),
        "generic-exposed": tuple(expose),
    }.items():
        plan = encoder_plan(suite, tag, *options)
        for clip in range(3):
            shape, values = features[f"clip{clip}.input_features"]
            got = run(suite, plan, [shape[1]], frames_first(shape, values))
            where = f"{tag}, clip {clip}"
            compare(suite, where, got, "rows", wanted[f"clip{clip}.output"][1], 128)
            if "exposed" not in tag:
                continue
            stem = valid_rows(*wanted[f"clip{clip}.conv_out"], shape[1])
            compare(suite, where, got, "audio.conv_out", stem, 64)
            for layer in range(2):
                compare(suite, where, got, f"audio.layers.{layer}.output", wanted[f"clip{clip}.layer_{layer}"][1], 64)
        # In one call, the shorter clip has the frames that the mask of the batch leaves it.
        (clips, bins, longest), batch = features["batch01.input_features"]
        mask = features["batch01.attention_mask"][1]
        mel, counts = array.array("f"), []
        for clip in range(clips):
            valid = sum(mask[clip * longest : (clip + 1) * longest])
            part = batch[clip * bins * longest : (clip + 1) * bins * longest]
            mel.extend(frames_first([bins, longest], part)[: valid * bins])
            counts.append(valid)
        got = run(suite, plan, counts, mel)
        compare(suite, f"{tag}, two clips", got, "rows", wanted["batch01.output"][1], 128)


SUITES = {function.__name__: function for function in (goldens,)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = Suite(bin_dir, work, f"audio-{name}")
    SUITES[name](suite)
    print(f"{name}: {suite.failures} failures")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
