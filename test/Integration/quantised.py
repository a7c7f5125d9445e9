"""Quantised weights through the real commands: qwen-export, qwenc --weights-format, qwen-pack, qwenrt.

Usage: quantised.py BIN_DIR WORK_DIR SUITE [TARGET]      with SUITE one of the functions in SUITES

On lavapipe with the validation layers by default; with a TARGET (nvidia-h200) on a GPU, without them.
"""

import array
import json
import pathlib
import random
import struct
import sys

import safetensors
from golden import GOLDEN, SOURCE, Suite, golden_cases

CHAT = SOURCE / "models" / "tiny-qwen3-chat"
MIXTURE = GOLDEN / "tiny-qwen3-moe"
Q4_AGREEMENT = 0.95  # of the reference's tokens, on a model of 2.4 million parameters
# The same of a mixture with random weights, whose logits lie closer together and whose router sees what was rounded.
MIXTURE_AGREEMENT = {"q8": 0.9, "q4": 0.4}


def packed_plan(suite, checkpoint, name, weights, *options):
    """A plan in a folder of its own, with the packed weights beside it."""
    folder = suite.work / name
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.packed"):
        old.unlink()
    plan = suite.plan(checkpoint, f"{name}/plan", "--weights-format", weights, *options)
    if weights != "bf16":
        suite.command(suite.bin / "qwen-pack", plan, "-o", folder / "weights.packed", "--quiet")
    return plan


def q8_chats(suite):
    """Eight bits change no token of any chat."""
    golden = json.loads((CHAT / "golden" / "golden.json").read_text())
    plan = packed_plan(suite, CHAT, "q8", "q8", "--target", suite.target)
    cases = [{"prompt": c["rendered"], "raw": True, "max_new_tokens": golden["max_new_tokens"]} for c in golden["cases"]]
    results = suite.run(plan, cases)
    suite.check(len(results) == 12, f"{len(results)} chats, expected 12")
    for want, got in zip(golden["cases"], results):
        suite.check(got.get("ids") == want["output_ids"], f"chat {want['messages'][-1]['content']!r}: {got}")


def agreement(suite, plan, weights, references, least):
    """How often a plan chooses the reference's token when it is fed the reference's text: pairs of prompt and continuation."""
    cases = []
    for i, (prompt, continuation) in enumerate(references):
        path = str(suite.work / f"{weights}-{i}.safetensors")
        cases.append({"input_ids": prompt + continuation[:-1], "max_new_tokens": 1, "logits": path})
    suite.run(plan, cases)
    agreed = total = 0
    for case, (prompt, continuation) in zip(cases, references):
        (_, vocab), logits = safetensors.read(case["logits"])["logits"]
        first = len(prompt) - 1
        for step, token in enumerate(continuation):
            row = logits[(first + step) * vocab : (first + step + 1) * vocab]
            agreed += max(range(vocab), key=row.__getitem__) == token
            total += 1
    print(f"{weights}: {agreed} of {total} tokens agree with the reference ({agreed / total:.1%})")
    suite.check(agreed >= least * total, f"{weights} agrees on {agreed} of {total} tokens")


def q4_agreement(suite):
    """Four bits on a trained model."""
    golden = json.loads((CHAT / "golden" / "golden.json").read_text())
    plan = packed_plan(suite, CHAT, "q4", "q4", "--target", suite.target)
    agreement(suite, plan, "q4", [(c["input_ids"], c["output_ids"]) for c in golden["cases"]], Q4_AGREEMENT)


def mixture_agreement(suite):
    """Both formats on a mixture of experts, whose matrices are packed as stacks."""
    _, goldens = golden_cases(suite, "golden", MIXTURE.name)
    references = [(list(g["input_ids"][1]), list(g["greedy_ids"][1])) for g in goldens]
    for weights, least in MIXTURE_AGREEMENT.items():
        plan = packed_plan(suite, MIXTURE, f"mixture-{weights}", weights, "--target", suite.target)
        agreement(suite, plan, weights, references, least)


def bf16(value):
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    assert bits & 0xFFFF == 0
    return bits >> 16


def exact_checkpoint(folder, weights, experts=0):
    """One layer of odd shape whose matrices the format holds exactly: small integers times a power of two, in each block of 32
    the one that fixes the scale. Input rows are longer than one stage of the matrix-vector kernel, no width fits a tile. With
    experts, the inputs of three that are added up are."""
    hidden, middle, heads, kv, dim, vocab = 96, 1056 if experts else 4128, 3, 1, 32, 101
    most, unit = (127, 2.0**-10) if weights == "q8" else (8, 2.0**-6)
    values = random.Random(weights)

    def matrix(rows, columns):
        numbers = array.array("H")
        bits = [bf16(i * unit) for i in range(-most, most)]
        for _ in range(rows * columns // 32):
            block = values.choices(bits, k=32)
            block[values.randrange(32)] = bits[0]
            numbers.extend(block)
        return ("BF16", [rows, columns], numbers)

    def vector(width, value):
        return ("BF16", [width], array.array("H", [bf16(value)] * width))

    layer = "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": matrix(vocab, hidden),
        layer + "input_layernorm.weight": vector(hidden, 1.0),
        layer + "self_attn.q_proj.weight": matrix(heads * dim, hidden),
        layer + "self_attn.k_proj.weight": matrix(kv * dim, hidden),
        layer + "self_attn.v_proj.weight": matrix(kv * dim, hidden),
        layer + "self_attn.o_proj.weight": matrix(hidden, heads * dim),
        layer + "self_attn.q_norm.weight": vector(dim, 1.0),
        layer + "self_attn.k_norm.weight": vector(dim, 1.0),
        layer + "post_attention_layernorm.weight": vector(hidden, 1.0),
        "model.norm.weight": vector(hidden, 1.0),
        "lm_head.weight": matrix(vocab, hidden),
    }
    for mlp in [f"mlp.experts.{e}." for e in range(experts)] or ["mlp."]:
        tensors[layer + mlp + "gate_proj.weight"] = matrix(middle, hidden)
        tensors[layer + mlp + "up_proj.weight"] = matrix(middle, hidden)
        tensors[layer + mlp + "down_proj.weight"] = matrix(hidden, middle)
    if experts:
        tensors[layer + "mlp.gate.weight"] = matrix(experts, hidden)
    folder.mkdir(exist_ok=True)
    safetensors.write(folder / "model.safetensors", tensors)
    config = json.loads(((MIXTURE if experts else CHAT) / "config.json").read_text())
    if experts:
        config.update(moe_intermediate_size=middle, num_experts=experts, num_experts_per_tok=3)
    config.update(hidden_size=hidden, intermediate_size=middle, num_attention_heads=heads, num_key_value_heads=kv, head_dim=dim,
                  num_hidden_layers=1, vocab_size=vocab, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1)
    (folder / "config.json").write_text(json.dumps(config))


def exact_kernels(suite, experts=0):
    """Where a format loses nothing, its kernels give what those of bf16 give: one row and many, any subgroup size."""
    prompt = [i * 37 % 101 for i in range(70)]
    for weights in ("q8", "q4"):
        checkpoint = suite.work / f"exact-{weights}"
        exact_checkpoint(checkpoint, weights, experts)
        for tag, options in suite.variants.items():
            found = {}
            for form in ("bf16", weights):
                plan = packed_plan(suite, checkpoint, f"{tag}-{weights}-as-{form}", form, *options)
                path = suite.work / f"{tag}-{weights}-as-{form}.safetensors"
                force = [5, 6, 7, 8]
                suite.run(plan, [{"input_ids": prompt, "force_ids": force, "ignore_eos": True, "logits": str(path)}])
                found[form] = safetensors.read(path)
            for name in ("logits", "step_logits"):
                error = safetensors.relative_l2(found[weights][name][1], found["bf16"][name][1])
                print(f"{tag}: {weights} {name} differ from bf16 by {error:.2e}")
                suite.check(error <= 1e-5, f"{tag}: {weights} {name} differ from bf16 by {error:.2e}")


def exact_experts(suite):
    """The same of a mixture, with the least workgroup memory that Vulkan allows: only bf16 stages the inputs of three experts at
    once there."""
    profile = suite.work / "small.json"
    profile.write_text(json.dumps({"base": suite.target, "max_shared_bytes": 16384}))
    suite.variants["target"] = ("--target", profile)
    exact_kernels(suite, experts=5)


def refusals(suite, checkpoint=CHAT):
    """No file, a foreign one, a cut one: exit status 1 and one line that says what to do."""
    plan = packed_plan(suite, checkpoint, "chat", "q8", "--target", suite.target)
    foreign = packed_plan(suite, GOLDEN / "tiny-qwen3", "foreign", "q8", "--target", suite.target).parent / "weights.packed"
    other = packed_plan(suite, checkpoint, "other", "q4", "--target", suite.target).parent / "weights.packed"
    own = plan.parent / "weights.packed"
    cut = suite.work / "cut.packed"
    cut.write_bytes(own.read_bytes()[:-1])
    away = suite.work / "away.packed"
    own.rename(away)
    tool = (suite.bin / "qwenrt", plan, "--allow-cpu", "--prompt", "Hello!", "--max-new-tokens", "1")
    for weights, message in (
        ((), "found no packed weights of this plan in "),
        ((foreign,), "was packed from checkpoint "),
        ((other,), "was packed for another plan of this checkpoint"),
        ((cut,), "it is cut or longer than it says"),
        ((checkpoint / "config.json",), "names no checkpoint, expected a file written by qwen-pack"),
        ((GOLDEN / "tiny-qwen3", away), "give the checkpoint that the plan was compiled for"),
    ):
        result = suite.command(*tool, *(word for path in weights for word in ("--weights", path)), status=1)
        lines = result.stderr.splitlines()
        suite.check(len(lines) == 1 and message in lines[0], f"{weights}: {lines}")
    suite.command(*tool, "--weights", away)
    suite.command(*tool, "--weights", away, "--weights", checkpoint)
    result = suite.command(*tool, "--weights", away, "--weights", away, status=2)
    suite.check("--weights given for two files" in result.stderr, f"two files: {result.stderr}")
    result = suite.command(*tool, "--weights", checkpoint, "--weights", checkpoint, status=2)
    suite.check("--weights given for two folders" in result.stderr, f"two folders: {result.stderr}")


def mixture_refusals(suite):
    """The same of a mixture."""
    refusals(suite, MIXTURE)


SUITES = {f.__name__: f for f in (q8_chats, q4_agreement, exact_kernels, refusals, mixture_agreement, exact_experts, mixture_refusals)}


class GpuSuite(Suite):
    """The same without --validate, whose layers GPU machines often lack."""

    def run(self, plan, cases):
        path = self.work / "cases.json"
        path.write_text(json.dumps(cases))
        result = self.command(self.bin / "qwenrt", plan, "--cases", path)
        return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    target = sys.argv[4] if len(sys.argv) > 4 else ""
    suite = (GpuSuite if target else Suite)(bin_dir, work, name)
    suite.target = target or "lavapipe"
    suite.variants = {"target": ("--target", suite.target)}
    if not target:
        suite.variants["generic"] = ()
    SUITES[name](suite)
    print(f"{name}: {'ok' if not suite.failures else str(suite.failures) + ' failures'}")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
