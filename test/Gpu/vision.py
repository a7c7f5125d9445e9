"""The encoder of images on a GPU: an image of 1280 x 720 pixels through the published shape with synthetic weights.

Usage: vision.py prepare BIN_DIR FOLDER      compiles the plans (no GPU, no weights' data)
       vision.py compare BIN_DIR FOLDER      writes the weights, runs the plans on the GPU

`prepare` needs qwen-synth, qwen-export and qwenc; `compare` needs qwen-synth and qwenrt. The plan for matrix units is
compared with the plan of f32 products on the same GPU; the goldens of the tiny model are checked with both.
"""

import array
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "Integration"))
import safetensors
import vision

TARGETS = {"h200": "nvidia-h200", "f32": str(HERE / "h200-f32.json")}
BOUNDS = {"h200": 2e-2, "f32": 1e-4}
GRID = (1, 44, 80)  # 704 x 1280 pixels


def run(*words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {result.returncode}: {result.stderr[-2000:]}")
    return result.stdout + result.stderr


def prepare(binary, folder):
    folder.mkdir(parents=True, exist_ok=True)
    run(binary / "qwen-synth", "--preset", "qwen3-omni-vision", "--sparse", "-o", folder / "sparse")
    for model, checkpoint in {"real": folder / "sparse", "tiny": vision.MODEL}.items():
        run(binary / "qwen-export", checkpoint, "--components", "vision", "-o", folder / f"{model}.json")
        for tag, target in TARGETS.items():
            run(binary / "qwenc", folder / f"{model}.json", "-o", folder / f"{model}-{tag}.fb", "--target", target)
    for file in (folder / "sparse").iterdir():
        file.unlink()


def encode(binary, folder, plan, weights, grids, pixels, *options):
    inputs, outputs = folder / "inputs.safetensors", folder / "outputs.safetensors"
    patches = {"patches": ("F32", [len(pixels) // vision.PATCH_VALUES, vision.PATCH_VALUES], pixels)}
    safetensors.write(inputs, {**patches, **vision.tables(grids)})
    print(run(binary / "qwenrt", folder / f"{plan}.fb", "--weights", weights, "--entry", "vision.encoder", "--inputs", inputs,
              "--outputs", outputs, *options))
    return safetensors.read(outputs)


def compare(binary, folder):
    failures = 0

    def check(what, got, want, bound):
        nonlocal failures
        error = safetensors.relative_l2(got, want)
        failures += not error <= bound
        print(f"{what}: relative L2 {error:.2e}, bound {bound:.0e}{'' if error <= bound else ' FAILED'}")

    wanted = safetensors.read(vision.MODEL / "golden" / "vision.safetensors")
    grids = [list(wanted[f"{name}.grid_thw"][1]) for name in vision.MEDIA]
    for tag, bound in BOUNDS.items():
        got = encode(binary, folder, f"tiny-{tag}", vision.MODEL, grids, vision.joined(wanted, "pixel_values"))
        for key, name in vision.RESULTS.items():
            check(f"tiny {tag} {name}", got[name][1], vision.joined(wanted, key), bound)

    run(binary / "qwen-synth", "--preset", "qwen3-omni-vision", "--threads", 8, "-o", folder / "weights")
    random.seed(1)
    pixels = array.array("f", (random.uniform(-1, 1) for _ in range(GRID[1] * GRID[2] * vision.PATCH_VALUES)))
    vision.SIDE = 48  # of the published model
    want = encode(binary, folder, "real-f32", folder / "weights", [GRID], pixels)
    trace = folder / "trace.json"
    got = encode(binary, folder, "real-h200", folder / "weights", [GRID], pixels, "--profile", trace)
    for name in want:
        check(f"real {name}", got[name][1], want[name][1], BOUNDS["h200"])
    return failures


if __name__ == "__main__":
    binary, folder = pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
    sys.exit({"prepare": prepare, "compare": compare}[sys.argv[1]](binary, folder))
