"""Odd shapes against transformers: sizes that are no multiple of anything, many and few heads, long rows, untied heads.

Usage: shapes.py prepare BIN_DIR FOLDER      compiles a plan of every shape for every target (no GPU, no weights' data)
       shapes.py compare BIN_DIR FOLDER      writes the weights, runs the plans on the GPU, compares with transformers

`prepare` needs qwen-synth, qwen-export and qwenc; `compare` needs qwen-synth, qwenrt, torch and transformers.
"""

import json
import pathlib
import random
import subprocess
import sys

# hidden, query heads, key heads, head dim, intermediate, vocabulary, layers, tied
SHAPES = [
    (100, 3, 1, 20, 60, 997, 2, False),
    (256, 8, 8, 32, 512, 1433, 2, True),
    (64, 16, 2, 128, 200, 611, 3, True),
    (1000, 4, 2, 64, 2500, 5003, 2, True),
    (5120, 4, 1, 128, 9000, 2049, 1, False),
    (74, 2, 2, 12, 50, 130, 4, True),
    (480, 6, 3, 80, 1000, 4100, 2, False),
    (2048, 32, 4, 128, 768, 3000, 1, False),
    (90, 5, 5, 8, 33, 300, 2, True),
    (192, 1, 1, 192, 384, 70000, 1, True),
    # Attention on matrices: one, two, five and seven query heads for a key head, dims of one and of several matrices.
    (128, 4, 4, 64, 256, 700, 2, True),
    (512, 16, 8, 128, 768, 1200, 2, True),
    (320, 10, 2, 64, 400, 900, 3, False),
    (224, 7, 1, 16, 300, 640, 2, True),
    (256, 12, 4, 112, 512, 800, 2, False),
]
FOLDER = pathlib.Path(__file__).parent
TARGETS = {"generic": "generic", "h200": "nvidia-h200", "f32": str(FOLDER / "h200-f32.json"),
           "bf16-cache": str(FOLDER / "h200-bf16-cache.json"),
           # One core: the largest tiles always look best.
           "large-tiles": str(FOLDER / "h200-large-tiles.json")}
BOUNDS = {"generic": 1e-4, "f32": 1e-4, "h200": 5e-2, "bf16-cache": 5e-2, "large-tiles": 5e-2}
CONTEXT, CHUNK = 800, 96
LENGTHS = (1, 7, 95, 96, 97, 300, 701)
STEPS = 24


def run(*words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr.strip()


def config(shape):
    hidden, heads, key_heads, dim, intermediate, vocabulary, layers, tied = shape
    return {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "attention_bias": False,
        "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": key_heads, "head_dim": dim,
        "intermediate_size": intermediate, "vocab_size": vocabulary, "num_hidden_layers": layers,
        "tie_word_embeddings": tied, "max_position_embeddings": 2048, "rope_theta": 1000000, "rms_norm_eps": 1e-6,
        "eos_token_id": 0, "bos_token_id": 0, "torch_dtype": "bfloat16",
    }


def name(shape):
    return "x".join(str(int(s)) for s in shape)


def prepare(binary, folder):
    for shape in SHAPES:
        work = folder / name(shape)
        work.mkdir(parents=True, exist_ok=True)
        (work / "config.json").write_text(json.dumps(config(shape)))
        checkpoint = work / "sparse"
        for words in (
            (binary / "qwen-synth", "--config", work / "config.json", "-o", checkpoint, "--sparse"),
            (binary / "qwen-export", checkpoint, "-o", work / "model.json"),
            *((binary / "qwenc", work / "model.json", "-o", work / f"{tag}.fb", "--target", target, "--max-context", CONTEXT,
               "--prefill-chunk", CHUNK) for tag, target in TARGETS.items()),
        ):
            status, _, error = run(*words)
            if status:
                print(f"{name(shape)}: {words[0].name}: {error}")
        for file in checkpoint.iterdir():
            file.unlink()
        checkpoint.rmdir()


def compare(binary, folder):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    torch.backends.cuda.matmul.allow_tf32 = False
    failed = 0
    for shape in SHAPES:
        work = folder / name(shape)
        checkpoint = pathlib.Path("/dev/shm/shapes") / name(shape)
        run(binary / "qwen-synth", "--config", work / "config.json", "-o", checkpoint)
        model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").cuda().eval()
        generator = random.Random(3)
        cases = [{"input_ids": [generator.randrange(shape[5]) for _ in range(length)], "max_new_tokens": STEPS,
                  "ignore_eos": True, "logits": str(checkpoint / f"{length}.safetensors")} for length in LENGTHS]
        (checkpoint / "cases.json").write_text(json.dumps(cases))
        for tag in TARGETS:
            plan = work / f"{tag}.fb"
            if not plan.exists():
                continue
            status, out, error = run(binary / "qwenrt", plan, "--weights", checkpoint, "--cases", checkpoint / "cases.json", "--quiet")
            if status:
                failed += 1
                print(f"FAILED {name(shape)} {tag}: {error}")
                continue
            worst, where = 0.0, None
            for case, line in zip(cases, out.splitlines()):
                ids = json.loads(line)["ids"]
                got = load_file(case["logits"])
                with torch.no_grad():
                    want = model(torch.tensor([case["input_ids"] + ids[:-1]], device="cuda")).logits[0].float().cpu()
                mine = torch.cat([got["logits"], got["step_logits"][1:]])
                for row, (a, b) in enumerate(zip(mine, want)):
                    error = (torch.linalg.norm(a - b) / torch.linalg.norm(b)).item()
                    if not error <= worst:
                        worst, where = error, (len(case["input_ids"]), row)
            bad = not worst <= BOUNDS[tag]
            failed += bad
            print(f"{'FAILED' if bad else 'ok'} {name(shape)} {tag}: worst position {worst:.2e} at {where}", flush=True)
    return failed


if __name__ == "__main__":
    mode, binary, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    sys.exit(min(100, (prepare if mode == "prepare" else compare)(binary, folder) or 0))
