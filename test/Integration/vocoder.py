"""Golden tests of the vocoder through the real commands: qwen-export, qwenc, qwenrt --entry on lavapipe.

Usage: vocoder.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

The tiny model makes 192 samples of a frame. Every utterance is one process whose pushes follow one another on the same states.
"""

import array
import pathlib
import sys

import safetensors
from golden import GOLDEN, Suite, golden_tensors

BOUND = 1e-4
MODEL = GOLDEN / "tiny-qwen3-omni"
GROUPS, FRAME_SAMPLES, LOST, MAX_FRAMES = 4, 192, 66, 32
RATES, RATIOS = (4, 3, 2, 2), (2, 2)


def compile_plan(suite, name, *options):
    model, plan = suite.work / f"{name}.json", suite.work / f"{name}.fb"
    suite.command(suite.bin / "qwen-export", MODEL, "-o", model, "--components", "code2wav")
    suite.command(suite.bin / "qwenc", model, "-o", plan, "--max-context", "16", *options)
    return plan


def codes_of(name):
    (groups, frames), flat = golden_tensors("tiny-qwen3-omni", "code2wav")[name]
    return [[flat[g * frames + f] for g in range(groups)] for f in range(frames)]


def decode(suite, plan, utterances, *options):
    """`utterances` are lists of pushes, each a list of frames; returns the outputs of the pushes of each."""
    source, result = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
    result.unlink(missing_ok=True)
    count = sum(len(utterance) for utterance in utterances)
    # The tensors of one run are not numbered.
    prefixes = [f"{i}/" for i in range(count)] if count > 1 else [""]
    inputs, rest = {}, iter(prefixes)
    for utterance in utterances:
        first = 0
        for push in utterance:
            prefix, flat = next(rest), array.array("i", [code for frame in push for code in frame])
            inputs[f"{prefix}codes"] = ("I32", [len(push), GROUPS], flat)
            inputs[f"{prefix}first_frame"] = ("I32", [1], array.array("i", [first]))
            first += len(push)
    safetensors.write(source, inputs)
    entries = ",".join(["code2wav.decode"] * count)
    suite.command(
        suite.bin / "qwenrt", plan, "--allow-cpu", "--validate", "--entry", entries, "--inputs", source, "--outputs", result, *options
    )
    tensors = safetensors.read(result)
    runs = iter([{name[len(p) :]: tensor for name, tensor in tensors.items() if name.startswith(p)} for p in prefixes])
    return [[next(runs) for _ in utterance] for utterance in utterances]


def pushes(frames, size):
    return [frames[i : i + size] for i in range(0, len(frames), size)]


def samples_of(outputs):
    """The samples of an utterance, without those that stand for nothing."""
    flat = array.array("f")
    for output in outputs:
        flat.extend(output["samples"][1])
    return flat[LOST:]


def compare(suite, where, got, want, bound=BOUND):
    suite.check(len(got) == len(want), f"{where}: {len(got)} samples, expected {len(want)}")
    if len(got) == len(want):
        error = safetensors.relative_l2(got, want)
        suite.check(error <= bound, f"{where} differs by {error:.2e}")


def chunked(frames, size, context):
    """Chunks as the reference library cuts them, each an utterance of its own, and the frames of context before it."""
    start, result = 0, []
    while start < len(frames):
        end = min(start + size, len(frames))
        before = context if start > context else start
        result.append((frames[start - before : end], before))
        start = end
    return result


def decoded(suite):
    """Whole utterances, in pushes of any size, and cut into chunks as the reference library does."""
    tensors = golden_tensors("tiny-qwen3-omni", "code2wav")
    for target in ("lavapipe", "generic"):
        plan = compile_plan(suite, target, "--target", target)
        # One process for all: an utterance begins with frame 0, whatever the one before it left.
        cases, chunks = [], {}
        for frames in (12, 50):
            codes = codes_of(f"codes_{frames}")
            cases += [(frames, size, pushes(codes, size)) for size in (MAX_FRAMES, 1, 2, 3, 7)]
            chunks[frames] = chunked(codes, 20, 5)
        parts = [pushes(part, MAX_FRAMES) for frames in chunks for part, _ in chunks[frames]]
        results = decode(suite, plan, [case[2] for case in cases] + parts)
        for (frames, size, _), outputs in zip(cases, results):
            want = tensors[f"wav_{frames}"][1]
            compare(suite, f"{target}: {frames} frames in pushes of {size}", samples_of(outputs), want)
        rest = iter(results[len(cases) :])
        for frames in chunks:
            flat = array.array("f")
            for _, before in chunks[frames]:
                flat.extend(samples_of(next(rest))[before * FRAME_SAMPLES :])
            compare(suite, f"{target}: {frames} frames in chunks", flat, tensors[f"wav_chunked_{frames}"][1])


def stages(suite):
    """The values behind each module, which are rows of channels here, behind the rows that stand for nothing."""
    tensors = golden_tensors("tiny-qwen3-omni", "code2wav")
    names = {"pre_transformer": ("pre_transformer", 0)}
    for stage in range(2):
        names[f"upsample.{stage}.0"] = (f"upsample.{stage}.conv", 0)
        names[f"upsample.{stage}.1"] = (f"upsample.{stage}.output", 0)
    names["decoder.0"] = ("decoder.0", 0)
    lead = 0
    for block, rate in enumerate(RATES):
        lead = (lead + 1) * rate
        names[f"decoder.{block + 1}"] = (f"decoder.{block + 1}.block.4.output", lead)
    names["decoder.5"] = ("decoder.5", lead)
    names["decoder.6"] = ("decoder.6", lead)
    expose = [word for value, _ in names.values() for word in ("--expose", f"code2wav.{value}")]
    for target in ("lavapipe", "generic"):
        plan = compile_plan(suite, f"stages-{target}", "--target", target, *expose)
        [[output]] = decode(suite, plan, [[codes_of("codes_12")]])
        for golden, (value, lead) in names.items():
            (rows, channels), flat = output[f"code2wav.{value}"]
            got = flat[lead * channels :]
            want_shape, want = tensors[f"stages_12.{golden}"]
            if golden != "pre_transformer":
                got = array.array("f", [got[r * channels + c] for c in range(channels) for r in range(rows - lead)])
            suite.check(sorted(want_shape) == sorted([rows - lead, channels]), f"{golden} has {rows - lead} rows")
            compare(suite, f"{target}: {golden}", got, want)


def long(suite):
    """Utterances around the length at which the reference library begins another chunk: all pushes make the same samples."""
    plan = compile_plan(suite, "long", "--target", "lavapipe")
    frames = [[(7 * f + 3 * g * g + f * f) % 64 for g in range(GROUPS)] for f in range(301)]
    [whole, sevens] = decode(suite, plan, [pushes(frames, MAX_FRAMES), pushes(frames, 7)])
    want = samples_of(whole)
    compare(suite, "301 frames in pushes of 7", samples_of(sevens), want)
    for count in (1, 299, 300):
        [outputs] = decode(suite, plan, [pushes(frames[:count], 31)])
        compare(suite, f"{count} frames", samples_of(outputs), want[: count * FRAME_SAMPLES - LOST])
    loud = max(abs(sample) for sample in want)
    suite.check(0 < loud <= 1, f"samples reach {loud}")


SUITES = {function.__name__: function for function in (decoded, stages, long)}

if __name__ == "__main__":
    suite = Suite(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), f"vocoder-{sys.argv[3]}")
    SUITES[sys.argv[3]](suite)
    sys.exit(1 if suite.failures else 0)
