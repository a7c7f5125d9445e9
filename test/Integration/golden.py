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

import draws
import reference
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

    def command(self, *words, status=0, stdin=None):
        # Computing is bounded, not waiting: other work on the machine must not fail a test. CTest bounds the waiting.
        result = subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=stdin, preexec_fn=limit_cpu)
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


CASES = {
    "tiny-qwen3": ("main", "prompt_1", "prompt_5", "prompt_100"),
    "tiny-qwen3-moe": ("main", "prompt_1", "prompt_70"),
    "tiny-qwen3-omni": ("thinker_text", "thinker_multiturn", "thinker_text_long"),
}


def golden_tensors(model, name):
    return safetensors.read(GOLDEN / model / "golden" / f"{name}.safetensors")


def golden_cases(suite, tag, model="tiny-qwen3"):
    """The cases of a model and the golden tensors of each."""
    cases, wanted = [], []
    for name in CASES[model]:
        tensors = golden_tensors(model, name)
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
        # Of some cases the goldens hold only the last positions.
        (rows, vocab), flat_want = tensors["logits"] if "logits" in tensors else tensors["logits_last8"]
        flat_got = got["logits"][1][-rows * vocab :]
        expected = [len(case["input_ids"]), vocab]
        suite.check(got["logits"][0] == expected, f"{where}: logits have shape {got['logits'][0]}, expected {expected}")
        for row in range(rows):
            part = slice(row * vocab, (row + 1) * vocab)
            error = safetensors.relative_l2(flat_got[part], flat_want[part])
            position = expected[0] - rows + row
            suite.check(error <= BOUND, f"{where}: logits at position {position} differ by {error:.2e}")
        for steps in (name for name in tensors if name.startswith("greedy_logits_first")):
            want = tensors[steps][1]
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


def tiny_qwen3_moe(suite):
    """A mixture of experts: every prompt length, prompts longer than a chunk, chunks of one row."""
    for tag, options in {
        "lavapipe": ("--target", "lavapipe"),
        "generic": (),
        "chunk16": ("--target", "lavapipe", "--prefill-chunk", "16"),
        "chunk1": ("--target", "lavapipe", "--prefill-chunk", "1", "--max-context", "96"),
    }.items():
        plan = suite.plan(GOLDEN / "tiny-qwen3-moe", tag, *options)
        cases, wanted = golden_cases(suite, tag, "tiny-qwen3-moe")
        compare_golden(suite, tag, cases, wanted, suite.run(plan, cases))


def tiny_qwen3_omni(suite):
    """The thinker of an omni model on text: one turn, several turns, a long prompt."""
    for tag, options in {
        "lavapipe": ("--target", "lavapipe"),
        "generic": (),
        "chunk16": ("--target", "lavapipe", "--prefill-chunk", "16"),
    }.items():
        plan = suite.plan(GOLDEN / "tiny-qwen3-omni", tag, *options)
        cases, wanted = golden_cases(suite, tag, "tiny-qwen3-omni")
        compare_golden(suite, tag, cases, wanted, suite.run(plan, cases))


SHAPES = {
    # Widths that no vector load divides, a dense layer between, weights as they are.
    "odd": {"hidden_size": 10, "num_experts": 3, "moe_intermediate_size": 5, "mlp_only_layers": [1], "norm_topk_prob": False},
    "one_expert": {"hidden_size": 24, "num_experts": 1, "num_experts_per_tok": 1, "moe_intermediate_size": 3, "attention_bias": True},
    "all_chosen": {"hidden_size": 36, "num_experts": 9, "num_experts_per_tok": 9, "moe_intermediate_size": 40},
    # More experts than a workgroup has invocations, and every second layer dense.
    "many": {"hidden_size": 64, "num_experts": 300, "num_experts_per_tok": 8, "moe_intermediate_size": 12, "decoder_sparse_step": 2},
}


def synthesize(suite, tag, *options, **changes):
    """A checkpoint of one of SHAPES: its folder and its config."""
    config = {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "head_dim": 12,
        "intermediate_size": 7,
        "max_position_embeddings": 64,
        "num_attention_heads": 4,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "norm_topk_prob": True,
        "rope_theta": 10000,
        "tie_word_embeddings": True,
        "vocab_size": 37,
        **SHAPES[tag],
        **changes,
    }
    path, folder = suite.work / f"{tag}.config.json", suite.work / "-".join((tag, *options[:1], *changes))
    path.write_text(json.dumps(config))
    suite.command(suite.bin / "qwen-synth", "--config", path, *options, "-o", folder)
    return folder, config


def ties(suite):
    """Where all experts are alike, those of the lowest numbers are chosen, with equal weights: all weights are zero here."""
    folder, config = synthesize(suite, "many", "--sparse")
    count = config["num_experts_per_tok"]
    for target in ("lavapipe", "generic"):
        expose = ("--expose", "layers.1.experts", "--expose", "layers.1.expert_weights")
        plan = suite.plan(folder, f"ties-{target}", "--target", target, *expose)
        for entry, ids in (("prefill", [1, 2, 3]), ("decode_greedy", [1])):
            inputs, outputs = suite.work / "ties-ids.safetensors", suite.work / "ties.safetensors"
            safetensors.write(inputs, {"input_ids": ("I64", [len(ids)], array.array("q", ids))})
            suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", entry, "--inputs", inputs, "--outputs", outputs)
            got = safetensors.read(outputs)
            experts, weights = list(got["layers.1.experts"][1]), list(got["layers.1.expert_weights"][1])
            suite.check(experts == list(range(count)) * len(ids), f"{target} {entry}: of equal experts {experts} were chosen")
            suite.check(weights == [1 / count] * count * len(ids), f"{target} {entry}: their weights are {weights}")


def narrow_bias(suite):
    """Biases of query, key and value lie side by side in units of eight; the key's of one head of 12 does not."""
    folder, _ = synthesize(suite, "one_expert", "--seed", "6", num_key_value_heads=1)
    suite.command(suite.bin / "qwen-export", folder, "-o", suite.work / "narrow.json")
    refused = suite.command(suite.bin / "qwenc", suite.work / "narrow.json", "-o", suite.work / "narrow.fb", status=1)
    part = "'layers.0.k_proj': attention has a projection of 12 elements with a bias, expected a multiple of 8, export a checkpoint without attention_bias"
    suite.check(part in refused.stderr, f"a bias of 12 elements ended with {refused.stderr!r}")


def mixture_shapes(suite):
    """Mixtures of odd shapes against a decoder in Python: prompts of one row, of several chunks, and steps of the decoder."""
    ties(suite)
    narrow_bias(suite)
    for tag in SHAPES:
        folder, config = synthesize(suite, tag, "--seed", "5")
        decoder = reference.Reference(folder, config)
        for target in ("lavapipe", "generic"):
            plan = suite.plan(folder, f"{tag}-{target}", "--target", target, "--prefill-chunk", "8")
            prompts = [[5], [(7 * i + 3) % 37 for i in range(19)]]
            logits = str(suite.work / "logits{}.safetensors")
            cases = [
                {"input_ids": prompt, "max_new_tokens": 3, "ignore_eos": True, "logits": logits.format(i)}
                for i, prompt in enumerate(prompts)
            ]
            for case, result in zip(cases, suite.run(plan, cases)):
                where = f"{tag} on {target}, {len(case['input_ids'])} tokens"
                if "error" in result:
                    suite.check(False, f"{where}: {result['error']}")
                    continue
                want = decoder.logits(tuple(case["input_ids"] + result["ids"][:-1]))
                got = safetensors.read(case["logits"])
                # The first step's logits are those of the last position.
                flat = list(got["logits"][1][:-37]) + list(got["step_logits"][1])
                error = safetensors.relative_l2(flat, want)
                suite.check(len(flat) == len(want) and error <= BOUND, f"{where}: logits differ by {error:.2e}")


def exposed(suite):
    """Values of single stages: the residual stream behind each layer, the router's logits, choices and weights."""
    patterns = ("embeddings", "layers.*.output", "layers.*.router_logits", "layers.*.experts", "layers.*.expert_weights", "norm")
    options = [word for pattern in patterns for word in ("--expose", pattern)]
    for model, layers in (("tiny-qwen3-moe", 3), ("tiny-qwen3-omni", 4)):
        plan = suite.plan(GOLDEN / model, model, "--target", "lavapipe", "--prefill-chunk", "192", *options)
        listing = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "list").stdout
        suite.check("out layers.1.experts: i32[S<=192,4]" in listing, f"{model}: no experts in {listing}")
        suite.check("out layers.1.experts: i32[1,4]" in listing, f"{model}: no experts of decode in {listing}")
        for name in CASES[model]:
            compare_stages(suite, plan, f"{model} {name}", golden_tensors(model, name), layers)
        # Written out, the values do not change what is generated.
        cases, wanted = golden_cases(suite, model, model)
        compare_golden(suite, f"{model} exposed", cases[:1], wanted[:1], suite.run(plan, cases[:1]))


def compare_stages(suite, plan, where, tensors, layers):
    inputs, outputs = suite.work / "ids.safetensors", suite.work / "stages.safetensors"
    rows, ids = tensors["input_ids"]
    safetensors.write(inputs, {"input_ids": ("I64", rows, ids)})
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "prefill", "--inputs", inputs, "--outputs", outputs)
    got = safetensors.read(outputs)
    suite.check(got["hidden"] == got[f"layers.{layers - 1}.output"], f"{where}: the last layer's output is not the result")

    def compare(name, part, want):
        error = safetensors.relative_l2(part, want)
        suite.check(error <= BOUND, f"{where}: {name} differs by {error:.2e}")

    for layer in range(layers):
        for value, golden in (("router_logits", "router_logits"), ("expert_weights", "router_weights")):
            if golden in tensors:
                name, part = f"layers.{layer}.{value}", got[f"layers.{layer}.{value}"][1]
                compare(name, part, tensors[golden][1][layer * len(part) : (layer + 1) * len(part)])
        experts = got[f"layers.{layer}.experts"]
        suite.check(experts[0] == [rows[0], 4], f"{where}: experts of layer {layer} have shape {experts[0]}")
        part = slice(layer * len(experts[1]), (layer + 1) * len(experts[1]))
        want = list(tensors["router_experts"][1][part])
        suite.check(list(experts[1]) == want, f"{where}: experts of layer {layer} are {list(experts[1])}, expected {want}")
        if f"hidden_after_layer_{layer}" in tensors:
            name = f"layers.{layer}.output"
            compare(name, got[name][1], tensors[f"hidden_after_layer_{layer}"][1])
    if rows == [1]:  # a step of the decoder computes the same values in other kernels
        safetensors.write(inputs, {"input_ids": ("I64", rows, ids)})
        suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "decode_greedy", "--inputs", inputs, "--outputs", outputs)
        step = safetensors.read(outputs)
        for name in got:
            if name.endswith(".experts"):
                suite.check(step[name] == got[name], f"{where}: {name} of decode are {list(step[name][1])}")
            elif name != "hidden":
                compare(f"{name} of decode", step[name][1], got[name][1])
        compare("logits of decode", step["logits"][1], tensors["logits"][1])
    # accept_hidden is what an omni model's talker reads.
    for name, golden in (("embeddings", "embeddings"), ("embeddings", "inputs_embeds"), ("layers.2.output", "accept_hidden")):
        if golden in tensors:
            compare(name, got[name][1], tensors[golden][1])
    # The head, on the last rows alone: its norm and its logits.
    vocab, width = tensors["logits" if "logits" in tensors else "logits_last8"][0][-1], got["hidden"][0][1]
    last = min(8, rows[0])
    safetensors.write(inputs, {"hidden": ("F32", [last, width], got["hidden"][1][-last * width :])})
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "logits", "--inputs", inputs, "--outputs", outputs)
    head = safetensors.read(outputs)
    for name, golden, size in (
        ("norm", "final_norm", last * width),
        ("norm", "hidden_last8", last * width),  # its last part is behind the norm
        ("logits", "logits", last * vocab),
        ("logits", "logits_last8", last * vocab),
    ):
        if golden in tensors:
            compare(name, head[name][1], tensors[golden][1][-size:])
    if "hidden_last8" in tensors:  # the embeddings, then the layers' outputs up to the last but one
        size = last * width
        for layer in range(layers - 1):
            name = f"layers.{layer}.output"
            compare(name, got[name][1][-size:], tensors["hidden_last8"][1][(layer + 1) * size : (layer + 2) * size])


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


def determinism_moe(suite):
    """20 runs of a mixture give the same bits, in whatever order its choices were sorted."""
    plan = suite.plan(GOLDEN / "tiny-qwen3-moe", "determinism", "--target", "lavapipe", "--prefill-chunk", "96")
    ids = list(golden_tensors("tiny-qwen3-moe", "prompt_70")["input_ids"][1])
    paths = [suite.work / f"again{i}.safetensors" for i in range(20)]
    suite.run(plan, [{"input_ids": ids, "max_new_tokens": 3, "ignore_eos": True, "logits": str(path)} for path in paths])
    logits = {path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    suite.check(len(logits) == 1, f"{len(logits)} different logits in 20 runs")


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


def drawn_as_computed(suite, checkpoint, name, settings, tokens):
    """Each token is the one that its seed draws from the logits that the device had. Returns the tokens."""
    plan = suite.plan(checkpoint, name, "--target", "lavapipe", "--max-context", "128")
    prompt = [63, 268, 198, 318, 270, 220, 16, 22, 347, 220, 17, 20, 30, 63, 198]
    results = suite.run(plan, [dict(s, input_ids=prompt, max_new_tokens=tokens, ignore_eos=True) for s in settings])
    ids = [r["ids"] for r in results]
    paths = [suite.work / f"{name}{i}.safetensors" for i in range(len(settings))]
    suite.run(plan, [{"input_ids": prompt, "force_ids": got, "logits": str(path)} for got, path in zip(ids, paths)])
    for setting, got, path in zip(settings, ids, paths):
        (_, vocab), logits = safetensors.read(path)["step_logits"]
        # A penalty alone goes with the best token.
        setting = setting if "temperature" in setting else dict(setting, top_k=1)
        for step, token in enumerate(got):
            want = draws.draw(logits[step * vocab : (step + 1) * vocab], prompt + got[:step], step, **setting)
            suite.check(token in want, f"{name}, {setting}: token {token} at step {step}, computed {want}")
    return ids


def sampling_draws(suite):
    """Few ids, which one workgroup takes; many, which are shared out; candidates that are enough, too few and too many."""
    settings = [{"repetition_penalty": 1.3}, {"repetition_penalty": 2.0}]
    settings += [dict(temperature=t, top_k=k, top_p=p, seed=seed, repetition_penalty=penalty) for seed, (t, k, p, penalty) in enumerate((
        (1.0, 20, 0.95, 1.0), (0.6, 20, 1.0, 1.05), (9.0, 50, 0.8, 1.0), (1.0, 130, 0.9, 1.0), (9.0, 600, 0.97, 1.0), (0.2, 0, 0.6, 1.0),
        (9.0, 0, 0.3, 1.2), (9.0, 0, 1.0, 0.5), (1.0, 20, 0.0, 1.0), (1e-30, 20, 0.95, 1.0)), start=1)]
    few = drawn_as_computed(suite, SOURCE / "models" / "tiny-qwen3-chat", "few", settings, 4)
    suite.check(few[0] != few[1], "repetition penalties of 1.3 and 2 gave the same tokens")
    config = json.loads((GOLDEN / "tiny-qwen3" / "config.json").read_text())
    path, folder = suite.work / "many.config.json", suite.work / "many"
    path.write_text(json.dumps(dict(config, vocab_size=9001, num_hidden_layers=1)))
    suite.command(suite.bin / "qwen-synth", "--config", path, "-o", folder)
    many = drawn_as_computed(suite, folder, "many", settings[2:], 2)
    suite.check(len({tuple(ids) for ids in many}) > 5, f"settings of all kinds gave few different answers: {many}")


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
    for f in (
        tiny_qwen3,
        tiny_qwen3_sharded,
        tiny_qwen3_moe,
        tiny_qwen3_omni,
        mixture_shapes,
        exposed,
        context_limit,
        tiny_chat,
        determinism,
        determinism_moe,
        sampling,
        sampling_defaults,
        sampling_draws,
        entries,
    )
}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = Suite(bin_dir, work, name)
    SUITES[name](suite)
    print(f"{name}: {'ok' if not suite.failures else str(suite.failures) + ' failures'}")
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
