"""Compares a plan on a GPU with transformers on the same machine, on synthetic weights of Qwen3-0.6B's exact shape.

Usage: compare.py BIN_DIR WORK_DIR PLAN...

WORK_DIR holds the checkpoint (Qwen3-0.6B's shape is written by qwen-synth when there is none; put it on a memory-backed file
system). For each plan:
logits of a 600-token prompt and of 64 greedy steps, teacher-forced, against transformers in float32 with TF32 off; the error
of transformers' own bfloat16 run on the same weights stands beside it. Then 100 repeated runs while another process keeps
the GPU busy must give the same bits. Needs torch and transformers; prints one table and exits with 1 if a bound is missed.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

PROMPT, STEPS = 600, 64
F32_BOUND = 1e-4


def run(*words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {result.returncode}: {result.stdout[-500:]}{result.stderr[-2000:]}")
    return result


def reference(folder, ids, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").cuda().eval()
    with torch.no_grad():
        logits = model(torch.tensor([ids], device="cuda")).logits[0].float().cpu()
    del model
    torch.cuda.empty_cache()
    return logits


def relative(got, want):
    return (torch.linalg.norm(got - want) / torch.linalg.norm(want)).item()


def determinism(binary, work, plan, ids):
    """100 runs beside a process that multiplies matrices; every file of logits must be the same."""
    noise = "import torch\na=torch.randn(4096,4096,device='cuda')\nwhile True:\n  a=(a@a).clamp(-1,1)\n  torch.cuda.synchronize()"
    busy = subprocess.Popen([sys.executable, "-c", noise])
    try:
        files = [work / f"again{i}.safetensors" for i in range(100)]
        cases = [{"input_ids": ids[:24], "max_new_tokens": 8, "ignore_eos": True, "logits": str(f)} for f in files]
        (work / "cases.json").write_text(json.dumps(cases))
        run(binary / "qwenrt", plan, "--weights", work, "--cases", work / "cases.json", "--quiet")
        hashes = {hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        for f in files:
            f.unlink()
    finally:
        busy.kill()
    return len(hashes)


def main():
    binary, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if not (work / "config.json").exists():
        run(binary / "qwen-synth", "--preset", "qwen3-0.6b", "-o", work)
    generator = torch.Generator().manual_seed(7)
    vocab = json.loads((work / "config.json").read_text())["vocab_size"]
    ids = torch.randint(0, vocab, (PROMPT,), generator=generator).tolist()
    (work / "ids.json").write_text(json.dumps(ids))
    failed = False
    for plan in map(pathlib.Path, sys.argv[3:]):
        out = work / "logits.safetensors"
        result = run(binary / "qwenrt", plan, "--weights", work, "--input-ids", f"@{work}/ids.json", "--max-new-tokens", STEPS,
                     "--ignore-eos", "--print-ids", "--logits", out, "--stats", "--quiet")
        new = json.loads(result.stdout.splitlines()[-1])
        got = load_file(out)
        # Row i of the reference belongs to position i; the prompt's last row gave the first new token.
        everything = ids + new[:-1]
        want = reference(work, everything, torch.float32)
        half = reference(work, everything, torch.bfloat16)
        mine = torch.cat([got["logits"], got["step_logits"][1:] if got["step_logits"].shape[0] == STEPS else got["step_logits"]])
        mine = mine[: want.shape[0]]
        error, per_row = relative(mine, want), max(relative(a, b) for a, b in zip(mine, want))
        bf16 = relative(half, want)
        agree = sum(int(t) == int(w) for t, w in zip(new, want[PROMPT - 1 :].argmax(-1)))
        bound = F32_BOUND if "f32" in plan.name else bf16 / 2
        failed |= not error <= bound
        print(f"{plan.name}: relative L2 of logits {error:.2e} (worst position {per_row:.2e}), bound {bound:.2e}; "
              f"transformers bf16 {bf16:.2e}; greedy tokens equal to float32 argmax {agree}/{STEPS}", flush=True)
        print(result.stderr.strip(), flush=True)
        out.unlink()
        different = determinism(binary, work, plan, ids)
        failed |= different != 1
        print(f"{plan.name}: {different} different results in 100 runs beside other work on the GPU", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
