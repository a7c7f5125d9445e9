"""Golden tests of the text models through the real commands: qwen-export, qwenc, qwenrt on lavapipe.

Usage: golden.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

Each suite exports one checkpoint, compiles it in one or more ways and runs all its cases in one qwenrt process per plan, with
the validation layers on. A failure names the suite, the plan and the case; the exit status is the number of failures.
"""

import array
import json
import pathlib
import resource
import subprocess
import sys

import safetensors

HERE = pathlib.Path(__file__).parent
SOURCE = HERE.parent.parent
GOLDEN = HERE / "golden"
BOUND = 1e-4  # relative L2 of logits in f32 plans


CPU_LIMIT_S = 600  # several times what the longest command takes


def limit_cpu():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))


class Suite:
    def __init__(self, bin_dir, work, name):
        self.bin, self.work, self.name, self.failures = bin_dir, work / name, name, 0
        self.work.mkdir(parents=True, exist_ok=True)

    def check(self, condition, what):
        if not condition:
            self.failures += 1
            print(f"FAILED {self.name}: {what}")

    def command(self, *words, status=0):
        # Computing is bounded, not waiting: other work on the machine must not fail a test. CTest bounds the waiting.
        result = subprocess.run([str(w) for w in words], capture_output=True, text=True, preexec_fn=limit_cpu)
        if result.returncode != status:
            self.check(False, f"{words[0].name} ended with {result.returncode}, expected {status}: {result.stderr.strip()[:600]}")
        return result

    def plan(self, checkpoint, name, *options):
        model, plan = self.work / f"{name}.json", self.work / f"{name}.fb"
        self.command(self.bin / "qwen-export", checkpoint, "-o", model)
        self.command(self.bin / "qwenc", model, "-o", plan, *options)
        return plan

    def run(self, plan, cases, *options):
        """One process for all cases; returns one result per case."""
        path = self.work / "cases.json"
        path.write_text(json.dumps(cases))
        result = self.command(self.bin / "qwenrt", plan, "--allow-cpu", "--validate", "--cases", path, *options)
        lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        self.check(len(lines) == len(cases), f"{plan.name}: {len(lines)} results for {len(cases)} cases: {result.stderr[:600]}")
        return lines


def golden_cases(suite, tag):
    """The cases of tiny-qwen3 and the golden tensors of each."""
    cases, wanted = [], []
    for name in ("main", "prompt_1", "prompt_5", "prompt_100"):
        tensors = safetensors.read(GOLDEN / "tiny-qwen3" / "golden" / f"{name}.safetensors")
        cases.append(
            {
                "name": name,
                "input_ids": list(tensors["input_ids"][1]),
                "max_new_tokens": len(tensors["greedy_ids"][1]),
                "ignore_eos": True,
                "logits": str(suite.work / f"{tag}-{name}.logits.safetensors"),
            }
        )
        wanted.append(tensors)
    return cases, wanted


def compare_golden(suite, tag, cases, wanted, results):
    for case, tensors, result in zip(cases, wanted, results):
        where = f"{tag}: {case['name']}"
        if "error" in result:
            suite.check(False, f"{where}: {result['error']}")
            continue
        suite.check(result["ids"] == list(tensors["greedy_ids"][1]), f"{where}: greedy ids {result['ids']}")
        got = safetensors.read(case["logits"])
        vocab = tensors["logits"][0][1]
        flat_got, flat_want = got["logits"][1], tensors["logits"][1]
        suite.check(got["logits"][0] == tensors["logits"][0], f"{where}: logits have shape {got['logits'][0]}")
        for row in range(tensors["logits"][0][0]):
            part = slice(row * vocab, (row + 1) * vocab)
            error = safetensors.relative_l2(flat_got[part], flat_want[part])
            suite.check(error <= BOUND, f"{where}: logits at position {row} differ by {error:.2e}")
        if "greedy_logits_first8" in tensors:
            want = tensors["greedy_logits_first8"][1]
            error = safetensors.relative_l2(got["step_logits"][1][: len(want)], want)
            suite.check(error <= BOUND, f"{where}: logits of the first steps differ by {error:.2e}")


def tiny_qwen3(suite):
    """Every prompt length against the goldens; prompts longer than a chunk; generation across the chunk size."""
    for tag, options in {
        "lavapipe": ("--target", "lavapipe"),
        "generic": (),
        "chunk16": ("--target", "lavapipe", "--prefill-chunk", "16"),
        "chunk1": ("--target", "lavapipe", "--prefill-chunk", "1", "--max-context", "160"),
    }.items():
        plan = suite.plan(GOLDEN / "tiny-qwen3", tag, *options)
        cases, wanted = golden_cases(suite, tag)
        compare_golden(suite, tag, cases, wanted, suite.run(plan, cases))


def tiny_qwen3_sharded(suite):
    """Three shards and a redundant lm_head give the same tokens and logits."""
    plan = suite.plan(GOLDEN / "tiny-qwen3-sharded", "sharded", "--target", "lavapipe")
    cases, wanted = golden_cases(suite, "sharded")
    compare_golden(suite, "sharded", cases, wanted, suite.run(plan, cases, "--upload", "staging"))


def context_limit(suite):
    """At the end of the context generation stops and says so; a prompt over the context is refused."""
    tensors = safetensors.read(GOLDEN / "tiny-qwen3" / "golden" / "main.safetensors")
    prompt, greedy = list(tensors["input_ids"][1]), list(tensors["greedy_ids"][1])
    plan = suite.plan(GOLDEN / "tiny-qwen3", "context48", "--target", "lavapipe", "--max-context", "48")
    cases = [
        {"name": "fills", "input_ids": prompt, "max_new_tokens": 48, "ignore_eos": True},
        {"name": "exact", "input_ids": prompt + greedy[:11], "max_new_tokens": 5, "ignore_eos": True},
    ]
    fills, exact = suite.run(plan, cases)
    # 37 positions of prompt and 11 of generated tokens fit; the token sampled at the last position needs none.
    suite.check(fills.get("ids") == greedy[:12], f"a full context gave {fills}")
    suite.check(fills.get("finish") == "context", f"finish is {fills.get('finish')}")
    suite.check(exact.get("ids") == greedy[11:12], f"a prompt as long as the context gave {exact}")
    result = suite.command(
        suite.bin / "qwenrt", plan, "--allow-cpu", "--input-ids", json.dumps(prompt + greedy[:12]), status=1
    )
    suite.check("prompt has 49 tokens, expected at most the context of 48" in result.stderr, f"a prompt over the context: {result.stderr}")


def tiny_chat(suite):
    """The embedded model: prompts through tokenizer and chat template, exact text; logits of three cases."""
    folder = SOURCE / "models" / "tiny-qwen3-chat"
    golden = json.loads((folder / "golden" / "golden.json").read_text())
    tensors = safetensors.read(folder / "golden" / "golden.safetensors")
    plan = suite.plan(folder, "chat", "--target", "lavapipe")
    cases = []
    for i, case in enumerate(golden["cases"]):
        cases.append({"name": str(i), "prompt": case["rendered"], "raw": True, "max_new_tokens": golden["max_new_tokens"]})
        if case.get("logits"):
            cases[-1]["logits"] = str(suite.work / f"chat-{i}.logits.safetensors")
    # A single user turn also goes through the chat template of the plan.
    single = [c for c in golden["cases"] if len(c["messages"]) == 1]
    templated = [
        {"prompt": c["messages"][0]["content"], "max_new_tokens": golden["max_new_tokens"]} for c in single
    ]
    results = suite.run(plan, cases + templated)
    for want, got in zip(golden["cases"] + single, results):
        where = f"chat {want['messages'][-1]['content']!r}"
        suite.check(got.get("ids") == want["output_ids"], f"{where}: ids {got}")
        suite.check(got.get("text") == want["output_text"], f"{where}: text {got.get('text')!r}")
        suite.check(got.get("prompt_tokens") == len(want["input_ids"]), f"{where}: {got.get('prompt_tokens')} prompt tokens")
    for i, case in enumerate(golden["cases"]):
        if case.get("logits"):
            want = tensors[case["logits"]][1]
            got = safetensors.read(cases[i]["logits"])["logits"][1]
            error = safetensors.relative_l2(got[: len(want)], want)
            suite.check(len(got) == len(want) and error <= BOUND, f"chat {i}: logits differ by {error:.2e}")


def determinism(suite):
    """100 runs of one prompt give the same bits."""
    plan = suite.plan(SOURCE / "models" / "tiny-qwen3-chat", "determinism", "--target", "lavapipe")
    paths = [suite.work / f"again{i}.safetensors" for i in range(100)]
    results = suite.run(plan, [{"prompt": "Hello!", "max_new_tokens": 6, "logits": str(path)} for path in paths])
    logits = {path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    suite.check(len(logits) == 1, f"{len(logits)} different logits in 100 runs")
    suite.check(len({json.dumps(r.get("ids")) for r in results}) == 1, "different tokens in 100 runs")


def sampling(suite):
    """A seed fixes the answer, seeds differ, and the narrowest settings are greedy. The model is sure of itself: only a high
    temperature makes it waver."""
    plan = suite.plan(SOURCE / "models" / "tiny-qwen3-chat", "sampling", "--target", "lavapipe")
    story = {"prompt": "Tell me a story about a fox.", "max_new_tokens": 8}
    hot = dict(story, temperature=8.0)
    cases = [story, dict(hot, top_k=1), dict(hot, top_p=0.001)]
    cases += [dict(hot, top_k=50, top_p=0.99, seed=seed) for seed in (1, 1, 2, 3, 4)]
    greedy, one, nucleus, *seeds = [json.dumps(r.get("ids")) for r in suite.run(plan, cases)]
    suite.check(one == greedy, f"top-k 1 gave {one}, greedy {greedy}")
    suite.check(nucleus == greedy, f"top-p 0.001 gave {nucleus}, greedy {greedy}")
    suite.check(seeds[0] == seeds[1], "one seed gave two answers")
    suite.check(len(set(seeds)) > 2, f"four seeds gave {len(set(seeds))} answers")


def sampling_defaults(suite):
    """Checkpoint settings without top_k mean what they mean to transformers: the 50 best."""
    folder = suite.work / "checkpoint"
    folder.mkdir(exist_ok=True)
    for path in (SOURCE / "models" / "tiny-qwen3-chat").iterdir():
        if path.is_file() and path.name != "generation_config.json" and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    (folder / "generation_config.json").write_text('{"do_sample": true, "temperature": 40.0, "eos_token_id": [1064, 1062]}')
    plan = suite.plan(folder, "defaults", "--target", "lavapipe")

    def ids(*options):
        command = (suite.bin / "qwenrt", plan, "--allow-cpu", "--prompt", "Hello!", "--print-ids", "--seed", "3", "--max-new-tokens", "12")
        return suite.command(*command, "--ignore-eos", *options).stdout

    said, fifty, all_tokens = ids("--sampling", "checkpoint"), ids("--temperature", "40", "--top-k", "50"), ids("--temperature", "40")
    suite.check(said == fifty, f"the checkpoint's settings gave {said}, top-k 50 gave {fifty}")
    suite.check(said != all_tokens, "top-k 50 gave what all tokens give: the check sees nothing")


def sampling_ranks(suite):
    """The repetition penalty and top-k against the ranks computed from the logits of the same tokens."""
    plan = suite.plan(SOURCE / "models" / "tiny-qwen3-chat", "ranks", "--target", "lavapipe", "--prefill-chunk", "16")
    prompt = [1063, 268, 198, 318, 270, 220, 16, 22, 347, 220, 17, 20, 30, 1064, 198, 1063, 267, 198]  # What is 17 plus 25?
    settings = [{"repetition_penalty": p} for p in (1.3, 2.0, 0.5)] + [{"temperature": 9.0, "top_k": 3, "seed": s} for s in range(3)]
    results = suite.run(plan, [dict(s, input_ids=prompt, max_new_tokens=8, ignore_eos=True) for s in settings])
    ids = [r["ids"] for r in results]
    paths = [str(suite.work / f"forced{i}.safetensors") for i in range(len(settings))]
    suite.run(plan, [{"input_ids": prompt, "force_ids": got, "logits": path} for got, path in zip(ids, paths)])
    ranks = set()
    for setting, got, path in zip(settings, ids, paths):
        (_, vocab), logits = safetensors.read(path)["step_logits"]
        penalty, history = setting.get("repetition_penalty", 1.0), list(prompt)
        for step, token in enumerate(got):
            row = list(logits[step * vocab : (step + 1) * vocab])
            for seen in set(history):
                row[seen] = row[seen] / penalty if row[seen] > 0 else row[seen] * penalty
            rank = sum(value > row[token] for value in row)
            suite.check(rank < setting.get("top_k", 1), f"{setting}: token {token} of step {step} has rank {rank}")
            ranks.add(rank)
            history.append(token)
    suite.check(ids[0] != ids[1], "repetition penalties of 1.3 and 2 gave the same tokens")
    suite.check(ranks == {0, 1, 2}, f"top-k 3 at a high temperature gave only the ranks {ranks}")


def entries(suite):
    """Entries by hand give what a run gives; 16-bit caches give the same tokens."""
    chat = SOURCE / "models" / "tiny-qwen3-chat"
    plan = suite.plan(chat, "entries", "--target", "lavapipe")
    prompt = [1063, 268, 198, 318, 270, 220, 16, 22]
    tool, work = (suite.bin / "qwenrt", plan, "--allow-cpu"), suite.work
    suite.command(*tool, "--input-ids", json.dumps(prompt), "--max-new-tokens", "1", "--logits", work / "run.st", "--print-ids")
    safetensors.write(work / "ids.st", {"input_ids": ("I64", [len(prompt)], array.array("q", prompt))})
    suite.command(*tool, "--entry", "prefill", "--inputs", work / "ids.st", "--outputs", work / "hidden.st")
    shape, hidden = safetensors.read(work / "hidden.st")["hidden"]
    safetensors.write(work / "head.st", {"hidden": ("F32", shape, hidden)})
    suite.command(*tool, "--entry", "logits", "--inputs", work / "head.st", "--outputs", work / "logits.st")
    suite.check(safetensors.read(work / "logits.st")["logits"] == safetensors.read(work / "run.st")["logits"], "logits by hand differ")
    for kv in ("f16", "bf16"):
        plan = suite.plan(chat, kv, "--target", "lavapipe", "--kv-format", kv)
        result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--prompt", "What is 17 plus 25?")
        suite.check(result.stdout == "17 plus 25 is 42.\n", f"{kv} cache: {result.stdout!r}")


SUITES = {
    f.__name__: f
    for f in (tiny_qwen3, tiny_qwen3_sharded, context_limit, tiny_chat, determinism, sampling, sampling_defaults, sampling_ranks, entries)
}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = Suite(bin_dir, work, name)
    SUITES[name](suite)
    print(f"{name}: {'ok' if not suite.failures else str(suite.failures) + ' failures'}")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
