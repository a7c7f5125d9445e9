"""A checkpoint whose weights and activations leave the range of f16, with the logits it had before.

Usage: extreme.py BIN_DIR WORK_DIR TARGET [OPTION OF QWENRT...]

Products come in pairs between which nothing else stands: what one multiplies by a power of two the other divides by it, which
changes no bit of the model in f32. Copies of the tiny golden model have such pairs of 2^18 to 2^90 on either side of range, in
weights, in activations, and in both. Compiled for TARGET (a name or a profile) each copy must give the logits of the model as
it was, and these must be the golden ones to within what the target's operands keep. Values of attention beyond the range of a
cache of f16 are lost, but must not become infinite.
"""

import array
import json
import pathlib
import shutil
import struct
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "Integration/golden/tiny-qwen3"
sys.path.insert(0, str(GOLDEN.parent.parent))
import safetensors

CASES = ("prompt_5", "prompt_100")
GOLDEN_BOUND = 5e-3   # relative L2: f16 operands keep 11 bits
CHANGED_BOUND = 1e-4  # f16 rounds the same at another scale; only the smallest elements of a row differ

ATTENTION = "model.layers.{}.self_attn.{}_proj.weight"
MLP = "model.layers.{}.mlp.{}_proj.weight"
NORM = "model.layers.{}.{}_layernorm.weight"

# Copy -> (tensor, by which power of two).
COPIES = {
    "large_activations": [(MLP.format(0, "up"), 18), (MLP.format(0, "down"), -18), (MLP.format(1, "up"), 90), (MLP.format(1, "down"), -90)],
    "small_activations": [(MLP.format(0, "up"), -30), (MLP.format(0, "down"), 30), (MLP.format(1, "up"), -80), (MLP.format(1, "down"), 80)],
    "large_norms": [(NORM.format(0, "input"), 60)] + [(ATTENTION.format(0, name), -60) for name in "qkv"]
                   + [(NORM.format(1, "post_attention"), 20)] + [(MLP.format(1, name), -20) for name in ("gate", "up")],
    "large_weights": [(NORM.format(0, "input"), -40)] + [(ATTENTION.format(0, name), 40) for name in "qkv"]
                     + [(NORM.format(1, "post_attention"), -90)] + [(MLP.format(1, name), 90) for name in ("gate", "up")],
}
LARGE_VALUES = [(ATTENTION.format(1, "v"), 20), (ATTENTION.format(1, "o"), -20)]
FINITE_BOUND = 10


def run(*words):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {result.returncode}: {result.stderr.strip()[:2000]}")
    return result.stdout


def scaled(bits, power):
    """The bf16 number of these bits times 2^power."""
    if bits & 0x7FFF == 0:
        return bits
    exponent = (bits >> 7 & 255) + power
    if not 0 < exponent < 255 or bits >> 7 & 255 == 0:
        sys.exit(f"2^{power} takes {bits:#06x} out of bf16, expected a smaller power")
    return bits & 0x807F | exponent << 7


def copy(folder, changes):
    """The golden model with \\p changes."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(GOLDEN, folder, ignore=shutil.ignore_patterns("golden"))
    data = bytearray((folder / "model.safetensors").read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for name, power in changes:
        begin, end = (8 + size + offset for offset in header[name]["data_offsets"])
        values = array.array("H")
        values.frombytes(bytes(data[begin:end]))
        data[begin:end] = array.array("H", [scaled(bits, power) for bits in values]).tobytes()
    (folder / "model.safetensors").write_bytes(data)


def plan_of(tools, folder, target):
    """The plan beside a checkpoint; made before, if the compiler is not here."""
    plan = folder.with_suffix(".fb")
    if (tools / "qwenc").exists():
        run(tools / "qwen-export", folder, "-o", folder.with_suffix(".json"))
        run(tools / "qwenc", folder.with_suffix(".json"), "-o", plan, "--target", target)
    return plan


def logits(tools, folder, plan, options):
    """Prompt -> logits of all its positions."""
    cases = [{"name": name, "input_ids": list(safetensors.read(GOLDEN / f"golden/{name}.safetensors")["input_ids"][1]),
              "max_new_tokens": 1, "logits": str(folder.with_name(f"{folder.name}-{name}.safetensors"))} for name in CASES]
    folder.with_suffix(".cases.json").write_text(json.dumps(cases))
    run(tools / "qwenrt", plan, "--weights", folder, "--cases", folder.with_suffix(".cases.json"), *options)
    return {case["name"]: safetensors.read(case["logits"])["logits"][1] for case in cases}


def main():
    tools, work, target, options = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
    work.mkdir(parents=True, exist_ok=True)
    failed = False

    def check(what, got, want, bound):
        nonlocal failed
        for name in CASES:
            error = safetensors.relative_l2(got[name], want[name])
            failed |= not error <= bound
            print(f"{what}, {name}: relative L2 {error:.1e}, bound {bound:.0e}")

    copy(work / "as_it_was", [])
    plan = plan_of(tools, work / "as_it_was", target)
    before = logits(tools, work / "as_it_was", plan, options)
    golden = {name: safetensors.read(GOLDEN / f"golden/{name}.safetensors")["logits"][1] for name in CASES}
    check("as it was, against the golden logits", before, golden, GOLDEN_BOUND)
    for name, changes in COPIES.items():
        copy(work / name, changes)
        check(name, logits(tools, work / name, plan, options), before, CHANGED_BOUND)
    copy(work / "large_values", LARGE_VALUES)
    check("large_values", logits(tools, work / "large_values", plan, options), before, FINITE_BOUND)
    sys.exit(failed)


if __name__ == "__main__":
    main()
