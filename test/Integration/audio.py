"""The encoder of sound through the real commands, stage by stage: qwen-export, qwenc --expose, qwenrt --entry on lavapipe.

Usage: audio.py BIN_DIR WORK_DIR SUITE [TARGET]       with SUITE one of the functions in SUITES

With a target (nvidia-h200) the plans run on a GPU, with the bound of bf16 operands. The suite published_shape needs one. For a
GPU machine without a compiler, the suite prepare leaves what goldens and published_shape need in WORK_DIR.
"""

import array
import json
import pathlib
import random
import sys

import audio_reference
import safetensors
from golden import GOLDEN, Suite

MODEL = GOLDEN / "tiny-qwen3-omni"
GPU = pathlib.Path(__file__).parent.parent / "Gpu"
BOUND = 1e-4  # relative L2 of an f32 encoder
NARROW_BOUND = 1.5e-2  # of one with bf16 operands: twice what transformers itself differs by in bf16
CHUNK_FRAMES, WINDOW_CHUNKS = 100, 2  # of the golden model
STAGES = ("conv_out", "layers.0.output", "layers.1.output")


def halved(columns):
    return (columns - 1) // 2 + 1


def chunks_of(frames, size=CHUNK_FRAMES):
    return [min(size, frames - first) for first in range(0, frames, size)]


def tokens_of(frames):
    return halved(halved(halved(frames)))


def appended_taps(taps, columns, input_columns, base):
    """For each column of a result, the columns of an input of `input_columns` columns from `base` on, or -1."""
    for column in range(columns):
        for tap in (2 * column - 1, 2 * column, 2 * column + 1):
            taps.append(base + tap if 0 <= tap < input_columns else -1)


def tables(clips, chunk_frames, window_chunks):
    """The inputs of the encoder beside the features, for clips of so many frames (plan.fbs, AudioEncoder)."""
    width = min(chunk_frames, max(clips))  # every chunk is padded to the longest
    taps = [array.array("i") for _ in range(3)]
    times, segments = array.array("i"), array.array("i")
    base = 0
    for frames in clips:
        window = []  # tokens of each window
        for index, chunk in enumerate(chunks_of(frames, chunk_frames)):
            appended_taps(taps[0], halved(width), chunk, base)
            appended_taps(taps[1], halved(halved(width)), halved(width), len(taps[0]) // 3 - halved(width))
            columns = halved(halved(width))
            appended_taps(taps[2], tokens_of(chunk), columns, len(taps[1]) // 3 - columns)
            times.extend(range(tokens_of(chunk)))
            if index % window_chunks == 0:
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


def run(suite, plan, clips, features, shape=(CHUNK_FRAMES, WINDOW_CHUNKS), options=()):
    inputs, outputs = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
    outputs.unlink(missing_ok=True)
    rows = sum(clips)
    tensors = {"features": ("F32", [rows, len(features) // rows], features), **tables(clips, *shape)}
    safetensors.write(inputs, tensors)
    device = () if suite.target else ("--allow-cpu", "--validate")
    words = ("--entry", "audio.encoder", "--inputs", inputs, "--outputs", outputs)
    suite.command(suite.bin / "qwenrt", plan, *device, *words, *options)
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
    suite.check(same and error <= suite.bound, f"{where}: {name} differs by {error:.2e}, {len(values)} values for {len(want)}")


def encoder_plan(suite, tag, *options, checkpoint=MODEL):
    model, plan = suite.work / f"{tag}.json", suite.work / f"{tag}.fb"
    if plan.exists() and not (suite.bin / "qwenc").exists():
        return plan  # by prepare
    suite.command(suite.bin / "qwen-export", checkpoint, "--components", "audio", "-o", model)
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


def golden_variants(suite):
    expose = [word for stage in STAGES for word in ("--expose", f"audio.{stage}")]
    return {**suite.variants, **{f"{tag}-exposed": (*options, *expose) for tag, options in suite.variants.items()}}


def goldens(suite):
    """Three clips alone, stage by stage, and two in one call; with and without values exposed."""
    features = safetensors.read(MODEL / "golden" / "audio_features.safetensors")
    wanted = safetensors.read(MODEL / "golden" / "audio_encoder.safetensors")
    for tag, options in golden_variants(suite).items():
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


SHAPES = {
    # Channels, bins and widths that no vector load divides; biases that cannot lie side by side; a short rest of the window.
    "odd": {"num_mel_bins": 7, "downsample_hidden_size": 5, "d_model": 12, "encoder_attention_heads": 3, "encoder_ffn_dim": 9,
            "output_dim": 10, "n_window": 7, "n_window_infer": 30},
    # One channel between the convolutions, one bin, chunks of two frames, each its own window.
    "least": {"num_mel_bins": 1, "downsample_hidden_size": 1, "d_model": 4, "encoder_attention_heads": 1, "encoder_ffn_dim": 1,
              "output_dim": 1, "n_window": 1, "n_window_infer": 2},
    # Channels of which four, but not eight, lie together.
    "fours": {"num_mel_bins": 12, "downsample_hidden_size": 12, "d_model": 16, "encoder_attention_heads": 2,
              "encoder_ffn_dim": 24, "output_dim": 8, "n_window": 5, "n_window_infer": 20},
}


def synthesize(suite, tag):
    audio = {"encoder_layers": 2, **SHAPES[tag]}
    path, folder = suite.work / f"{tag}.config.json", suite.work / tag
    architecture = {"architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe"}
    path.write_text(json.dumps({**architecture, "thinker_config": {"audio_config": audio}}))
    suite.command(suite.bin / "qwen-synth", "--config", path, "--seed", "3", "-o", folder)
    return folder, audio


def odd_shapes(suite):
    """Shapes that the published model does not have, against plain Python: one clip of one frame, and several clips."""
    for tag in SHAPES:
        folder, config = synthesize(suite, tag)
        reference, bins, chunk = audio_reference.Reference(folder, config), config["num_mel_bins"], 2 * config["n_window"]
        numbers = random.Random(11)
        calls = [[[[numbers.uniform(-1, 1) for _ in range(bins)] for _ in range(frames)] for frames in clips]
                 for clips in ((1,), (chunk - 1,), (3 * chunk + 1, 2, 2 * chunk))]
        wanted = [reference.rows(clips) for clips in calls]
        for variant, options in suite.variants.items():
            plan = encoder_plan(suite, f"{tag}-{variant}", *options, checkpoint=folder)
            for clips, want in zip(calls, wanted):
                counts = [len(clip) for clip in clips]
                features = array.array("f", (v for clip in clips for frame in clip for v in frame))
                got = run(suite, plan, counts, features, (chunk, config["n_window_infer"] // chunk))
                compare(suite, f"{tag} on {variant}, clips of {counts}", got, "rows", want, config["output_dim"])


def published_plans(suite, *synthesis):
    """A plan with bf16 operands and one in f32 of the encoder of the published model."""
    folder = suite.work / "published"
    if not (folder / "model.safetensors").exists():
        suite.command(suite.bin / "qwen-synth", "--preset", "qwen3-omni-audio", *synthesis, "-o", folder)
    targets = {"published-narrow": suite.target, "published-f32": GPU / "h200-f32.json"}
    return {tag: encoder_plan(suite, tag, "--target", target, checkpoint=folder) for tag, target in targets.items()}


def published_shape(suite):
    """30 seconds and a rest through random weights of the published shape, with bf16 operands and in f32."""
    numbers = random.Random(5)
    counts = [3000, 137]
    features = array.array("f", (numbers.uniform(-1, 1) for _ in range(128 * sum(counts))))
    rows = {}
    for tag, plan in published_plans(suite).items():
        rows[tag] = run(suite, plan, counts, features, (100, 8), ("--profile", suite.work / f"{tag}.trace.json"))
    exact = rows["published-f32"]["rows"][1]
    compare(suite, "published shape", rows["published-narrow"], "rows", exact, 2048)


def prepare(suite):
    for tag, options in golden_variants(suite).items():
        encoder_plan(suite, tag, *options)
    published_plans(suite, "--sparse")
    # A plan knows files by their headers, which random weights have too.
    (suite.work / "published" / "model.safetensors").unlink()


SUITES = {function.__name__: function for function in (goldens, odd_shapes, published_shape, prepare)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    target = sys.argv[4] if len(sys.argv) > 4 else ""
    suite = Suite(bin_dir, work, "audio-gpu" if target else f"audio-{name}")
    suite.target = target
    suite.bound = NARROW_BOUND if suite.target else BOUND
    suite.variants = {"lavapipe": ("--target", "lavapipe"), "generic": ()}
    if suite.target:
        suite.variants = {"target": ("--target", suite.target)}
    SUITES[name](suite)
    print(f"{name}: {suite.failures} failures")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
