"""Compiles plans of Qwen3-0.6B's exact shape, of one layer of Qwen3-Omni's thinker with its experts, and of its encoder of
sound, for the Radeon 8060S with RADV, on its null device, and predicts a frame of Qwen3-Omni's speech.

Usage: gfx1151.py BIN_DIR TOOLS_DIR WORK_DIR

RADV is unpacked aside by tools/fetch-radv; nothing is executed, so no GPU is needed. Fails if a kernel does not compile,
spills registers or uses scratch memory, if RADV does not report the numbers the table is for, or if a matrix-vector product
of the amd-gfx1151 plan does not keep several 16-byte loads per lane in flight, or if its products or attention of many rows
do not become matrix instructions: this driver is the judge of kernels that the installed spirv-val does not know.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

# Options of qwen-synth, options of qwen-export.
MODELS = {"qwen3-0.6b": ([], []), "qwen3-omni-thinker": (["--layers", "1"], []),
          "qwen3-omni-audio": (["--layers", "1"], ["--components", "audio"]),
          "qwen3-omni-vision": (["--layers", "1"], ["--components", "vision"]),
          "qwen3-omni-speech": (["--layers", "1"], ["--components", "talker"]),
          "qwen3-omni-code2wav": ([], ["--components", "code2wav"])}
TARGETS = {"amd-gfx1151": ("amd-gfx1151", "bf16"), "generic": ("generic", "bf16"), "amd-gfx1151-q8": ("amd-gfx1151", "q8"), "amd-gfx1151-q4": ("amd-gfx1151", "q4")}
NEEDED = ["VGPRs", "SGPRs", "Spilled VGPRs", "Spilled SGPRs", "LDS size", "Scratch size", "Subgroups per SIMD", "Code size",
          "VALU", "VMEM", "SMEM", "Inverse Throughput", "Latency"]
# ACO's own listing and LLVM's disassembly spell it differently.
WIDE_LOAD = re.compile(r"global_load_(dwordx4|b128)")
LEAST_WIDE_LOADS = 4  # the input's own is one; the rest are weights
LEAST_OF_NARROW = 3  # products of 1024 and fewer columns have no more


def run(*words, env=None):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=env)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {result.returncode}\n{result.stdout}{result.stderr[-4000:]}")
    return result.stdout


def radv_environment(folder):
    library = json.loads((folder / "radeon_icd.json").read_text())["ICD"]["library_path"]
    manifest = str(folder / "radeon_icd.json")
    return dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(library), VK_DRIVER_FILES=manifest, VK_ICD_FILENAMES=manifest,
                RADV_FORCE_FAMILY="gfx1151")


def make_plans(tools, work):
    for model, (options, export_options) in MODELS.items():
        checkpoint, graph = work / model, work / f"{model}.json"
        if not (checkpoint / "config.json").exists():
            run(tools / "qwen-synth", "--preset", model, *options, "--sparse", "-o", checkpoint)
        run(tools / "qwen-export", checkpoint, *export_options, "-o", graph)
        for name, (target, weights) in TARGETS.items():
            plan = work / f"{model}-{name}.fb"
            run(tools / "qwenc", graph, "-o", plan, "--target", target, "--weights-format", weights)
            yield model, name, plan


def check_statistics(target, kernels):
    if not kernels:
        sys.exit(f"{target}: the plan has no kernels, expected some")
    for kernel in kernels:
        missing = [name for name in NEEDED if name not in kernel["statistics"]]
        if missing:
            sys.exit(f"{target}: {kernel['name']} has no {', '.join(missing)}, expected RADV to report them")


def check_experts(target, kernels):
    for part in ("route_e128_top8", "group_experts_e128", "experts128x8", "experts128_sum8", "weighted_sum_n2048"):
        if not any(part in kernel["name"] for kernel in kernels):
            sys.exit(f"{target}: found no kernel with {part} in its name, expected the plan of a mixture to have one")


def check_weight_loads(kernels, isa):
    products = [kernel["name"] for kernel in kernels if kernel["name"].startswith("gemv_")]
    if not products:
        sys.exit("found no gemv_ kernel, expected the plan's matrix-vector products to be named so")
    for name in products:
        columns = int(re.search(r"_k(\d+)", name)[1])
        least = LEAST_WIDE_LOADS if columns > 1024 else LEAST_OF_NARROW
        loads = len(WIDE_LOAD.findall((isa / f"{name}.s").read_text()))
        if loads < least:
            sys.exit(f"{name} has {loads} 16-byte loads, expected at least {least}, see {isa / name}.s")


def check_matrices(kernels, isa, *prefixes):
    names = [kernel["name"] for kernel in kernels if kernel["name"].startswith(prefixes)]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            sys.exit(f"found no {prefix} kernel, expected one where the profile has f16 matrices")
    for name in names:
        if "v_wmma_f32_16x16x16_f16" not in (isa / f"{name}.s").read_text():
            sys.exit(f"{name} has no matrix instruction, expected v_wmma_f32_16x16x16_f16, see {isa / name}.s")


def predict_speech(tools, scripts, work, environment):
    """A frame of speech at the published size; fails where one of its dispatches is estimated at half a second."""
    run(sys.executable, "-B", scripts / "benchmark/omni.py", "prepare", tools, work, "--target", "amd-gfx1151")
    text = run(scripts / "qwen-kernel-stats/predict.py", tools, work / "plan.fb", "--speech", "16", env=environment)
    print(text)
    for part in ("`talker.decode_greedy` | 1 |", "`predictor.begin` | 1 |", "`predictor.decode_greedy` | 15 |", "`code2wav.decode` | 1/16 |"):
        if part not in text:
            sys.exit(f"found no {part} in the prediction, expected the parts of a frame")


def main():
    tools, scripts, work = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
    run(scripts / "fetch-radv", work / "radv")
    environment = radv_environment(work / "radv")
    for model, target, plan in make_plans(tools, work):
        stats = [tools / "qwen-kernel-stats", plan, "--device", "gfx1151"]
        print(run(*stats, env=environment))
        isa = work / f"{model}-{target}-isa"
        kernels = json.loads(run(*stats, "--json", "--isa", isa, env=environment))["kernels"]
        check_statistics(target, kernels)
        if model == "qwen3-omni-thinker":
            check_experts(target, kernels)
        if target.startswith("amd-gfx1151") and model not in ("qwen3-omni-code2wav", "qwen3-omni-speech"):  # waveforms and codes stay f32
            attention = ("attention_matrix_",) if model.startswith(("qwen3-0.6b", "qwen3-omni-thinker")) else ()
            check_matrices(kernels, isa, "gemm_matrix_scaled_", *attention)
        if model in ("qwen3-omni-audio", "qwen3-omni-vision", "qwen3-omni-code2wav"):  # all products are of many rows
            continue
        if target == "amd-gfx1151":
            check_weight_loads(kernels, isa)
        if target.startswith("amd-gfx1151"):
            # Fails where one dispatch is estimated at half a second.
            entry = "talker.decode_greedy" if model == "qwen3-omni-speech" else "decode_greedy"
            print(run(scripts / "qwen-kernel-stats/predict.py", tools, plan, "--entry", entry, env=environment))
    predict_speech(tools, scripts, work / "omni", environment)


if __name__ == "__main__":
    main()
