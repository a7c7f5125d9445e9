"""Broken checkpoints for hostile.py: headers, configurations, tokenizers, folders."""

import functools
import json
import os

import mutate


def through_the_road(env, case, checkpoint, statuses=(0, 1)):
    """Exports; what is accepted must compile or be refused; what compiles must open."""
    if case.run("qwen-export", checkpoint, "-o", "model.json", outputs=["model.json"], statuses=statuses).status:
        return
    if case.run("qwenc", "model.json", "-o", "plan.fb", "--target", "lavapipe", outputs=["plan.fb"], statuses=(0, 1)).status:
        return
    case.run("qwenrt", "plan.fb", "--entry", "list", statuses=(0,))
    if (case.folder / "checkpoint" / "tokenizer.json").exists():
        case.run("qwenrt", "plan.fb", "--tokenize", "Hello <|im_end|> wörld 漢字\n\n 123", statuses=(0, 1))
        case.run("qwenrt", "plan.fb", "--detokenize", "0,1,2,255,256,300,1062,1064", statuses=(0, 1))
    if env.device:
        case.run("qwenrt", "plan.fb", "--allow-cpu", "--input-ids", "1,2,3", "--max-new-tokens", "3", "--print-ids", statuses=(0, 1))


# Headers -------------------------------------------------------------------------------------------------------------


def tensor(header, name, **changes):
    return {**header, name: {**header[name], **changes}}


@functools.cache
def header_cases(env):
    """Name -> bytes of model.safetensors of tiny-qwen3, or for the big ones a function that makes them."""
    data = (env.tiny / "model.safetensors").read_bytes()
    header, body = mutate.split_safetensors(data)
    text = json.dumps(header).encode()
    names = [n for n in header if n != "__metadata__"]
    one, two = names[0], names[1]
    begin, end = header[one]["data_offsets"]
    size = end - begin
    join = mutate.join_safetensors
    cases = {f"length {n}": join(text, body, n)
             for n in (0, 1, 2, 7, len(text) - 1, len(text) + 1, len(data), len(data) - 8, 100 << 20, 1 << 31, 1 << 32,
                       1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1)}
    cases |= {f"cut at {n}": data[:n] for n in (0, 1, 7, 8, 9, 100, len(text) + 7, len(text) + 8, len(data) - 1)}
    cases["100 MB of spaces"] = lambda: join(text + b" " * (100 << 20), body)
    cases["101 MB of text"] = lambda: join(b'{"a":"' + b"x" * (101 << 20) + b'"}', body)
    cases["90 MB of brackets"] = lambda: join(b"[" * (90 << 20), body)
    cases["many tensors"] = lambda: join(
        b"{" + b",".join(b'"%d":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}' % i for i in range(300000)) + b"}", b"")
    cases["many duplicates"] = lambda: join(
        b"{" + b",".join([b'"a":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}'] * 300000) + b"}", b"")
    for value in ([begin, end - 2], [begin - 2, end], [begin + 2, end + 2], [end, begin], [-2, size - 2], [2**63, 2**63 + size],
                  [2**64 - size, 2**64], [0, 2**64], [0.0, float(size)], [0], [], [0, size, 0], None, "0", {}, ["0", str(size)],
                  header[two]["data_offsets"], [len(body), len(body) + size], [1e308, 1e308]):
        cases[f"offsets {value}"] = join(tensor(header, one, data_offsets=value), body)
    for value in ("F32", "F16", "I16", "bf16", "", "BF16 ", "F8_E5M2", 16, None, [], "BF16\0", "\x1b[2J", "x" * 100000):
        cases[f"dtype {value!r:.20}"] = join(tensor(header, one, dtype=value), body)
    shape = header[one]["shape"]
    for value in ([shape[1], shape[0]], [shape[0] * shape[1]], shape + [1], [], [0], [0, 2**63], [2**32, 2**32], [2**64], [-1, -1],
                  [-shape[0], -shape[1]], None, "x", [None], [1] * 100000, [1.0, 2.0], [[1]], [shape[0] // 2, shape[1] * 2]):
        cases[f"shape {str(value)[:30]}"] = join(tensor(header, one, shape=value), body)
    cases["missing tensor"] = join({k: v for k, v in header.items() if k != one}, body)
    cases["extra tensor"] = join({**header, "model.extra.weight": header[one]}, body)
    cases["extra empty tensor"] = join({**header, "model.extra.weight": {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]}}, body)
    cases["renamed"] = join({k if k != one else "\x1b[31m\n" + k: v for k, v in header.items()}, body)
    cases["duplicate key"] = join(text[:-1] + b',"%s":%s}' % (one.encode(), json.dumps(header[two]).encode()), body)
    cases["gap"] = join(header, body + b"1234")
    cases["no body"] = join(header, b"")
    cases["empty object"] = join(b"{}", b"")
    cases["metadata number"] = join({**header, "__metadata__": 1}, body)
    cases["metadata deep"] = join({**header, "__metadata__": {"a": {"b": {}}}}, body)
    for odd in (b"", b"[]", b"null", b"{", b'{"a"}', b"\xff\xfe", b'{"\xff":1}', b"[" * 10000, b'{"a":' * 10000, b"NaN", b"{}{}",
                b"\0" * 64, text + b"\0", b"\xef\xbb\xbf" + text, text.replace(b"[", b"[1e999,", 1), text.replace(b":", b" ", 1)):
        cases[f"header {odd[:12]}"] = join(odd, body)
    return cases


def header(env, case, number):
    """Random damage to the header of the single file or of a shard; every third also to its length."""
    rng = case.rng
    base = env.sharded if number % 2 else env.tiny
    name = rng.choice(sorted(p.name for p in base.glob("*.safetensors")))
    good, body = mutate.split_safetensors((base / name).read_bytes())
    if number % 3 == 0:
        text, case.what = mutate.damaged_bytes(json.dumps(good).encode(), rng)
    else:
        text, case.what = mutate.json_text(good, rng, rng.choice([1, 1, 2]))
    case.what = f"{name}: {case.what}"
    through_the_road(env, case, case.checkpoint(base, {name: mutate.join_safetensors(text, body)}))


# Configurations ------------------------------------------------------------------------------------------------------


def config_changes():
    changes = []
    sizes = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size",
             "vocab_size", "max_position_embeddings")
    for key in sizes:
        changes += [(key, v) for v in (0, -1, 1, 3, 10**9, 2**31, 2**63, 2**64, 1.5, "8", None, [], {}, True, 1e400)]
    changes += [("head_dim", v) for v in (6, 31, 300, 4096, 4097)]
    for key in ("rope_theta", "rms_norm_eps"):
        changes += [(key, v) for v in (0, -1, float("inf"), float("nan"), 1e308, 1e-320, "1", None, [1])]
    changes += [("architectures", v) for v in (["Unknown"], [], None, "Qwen3ForCausalLM", [1], ["\x1b[31m\n"], ["Qwen3MoeForCausalLM"], ["x" * 100000])]
    changes += [("model_type", v) for v in ("qwen2", 3)]
    changes += [("rope_scaling", v) for v in ({"type": "yarn"}, "yarn", {"rope_theta": -1}, {"type": None})]
    changes += [("tie_word_embeddings", v) for v in (False, 1, "true")] + [("attention_bias", True), ("hidden_act", "gelu")]
    changes += [("layer_types", v) for v in (["x"], "full_attention", [None])] + [("use_sliding_window", True)]
    changes += [("eos_token_id", v) for v in (-1, 2**40, "x", [1.5])]
    return changes


def config(env, case, number):
    document = json.loads((env.tiny / "config.json").read_text())
    if number % 4 == 3:
        text, case.what = mutate.damaged_bytes((env.tiny / "config.json").read_bytes(), case.rng)
    else:
        text, case.what = mutate.json_text(document, case.rng, case.rng.choice([1, 2, 3]))
    through_the_road(env, case, case.checkpoint(env.tiny, {"config.json": text}))


# Tokenizers and side files -------------------------------------------------------------------------------------------


def tokenizer(env, case, number):
    rng = case.rng
    base = env.chat if number % 2 else env.tiny
    name = rng.choice(["tokenizer.json"] * 4 + ["vocab.json", "merges.txt", "tokenizer_config.json"])
    data = (base / name).read_bytes()
    if name.endswith(".txt") or number % 5 == 4:
        text, case.what = mutate.damaged_bytes(data, rng)
    else:
        text, case.what = mutate.json_text(json.loads(data), rng, rng.choice([1, 2, 5]))
    case.what = f"{name}: {case.what}"
    leave_out = ["tokenizer.json"] if name in ("vocab.json", "merges.txt") else []
    through_the_road(env, case, case.checkpoint(base, {name: text}, leave_out))


GENERATION = {"bos_token_id": 1, "eos_token_id": [1, 2], "do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
              "repetition_penalty": 1.1}


def side_files(env, case, number):
    """generation_config.json and the index of shards."""
    rng = case.rng
    if number % 2:
        index = json.loads((env.sharded / "model.safetensors.index.json").read_text())
        text, case.what = mutate.json_text(index, rng, rng.choice([1, 2]))
        return through_the_road(env, case, case.checkpoint(env.sharded, {"model.safetensors.index.json": text}))
    text, case.what = mutate.json_text(GENERATION, rng, rng.choice([1, 2, 4]))
    through_the_road(env, case, case.checkpoint(env.tiny, {"generation_config.json": text}))


# Directed ------------------------------------------------------------------------------------------------------------


def odd_folders(env, case):
    """Files that are something else, folders that are not there."""
    for i, (name, make) in enumerate(
        (name, make)
        for name in ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "tokenizer_config.json")
        for make in (os.mkdir, os.mkfifo, lambda p: os.symlink(p.name, p), lambda p: os.symlink("nowhere", p),
                     lambda p: os.symlink("/dev/zero", p), lambda p: p.write_bytes(b""), lambda p: None)
    ):
        folder = case.checkpoint(env.tiny, leave_out=[name])
        make(folder / name)
        case.what = f"odd file {i} for {name}"
        case.run("qwen-export", "checkpoint", "-o", "model.json", outputs=["model.json"], statuses=(0, 1))
        folder.rename(case.folder / f"odd-{i}")
        (case.folder / "model.json").unlink(missing_ok=True)
    case.what = "no checkpoint"
    (case.folder / "empty").mkdir()
    for path in ("empty", "nothing", "", "/dev/null", "\x1b[31m", b"\xff\xfe", "x" * 5000):
        case.run("qwen-export", path, "-o", "model.json", statuses=(1, 2))
    for output in ("/dev/full", "/nothing/x", "empty", "", "/proc/self/mem", "x" * 5000):
        case.run("qwen-export", env.tiny, "-o", output, statuses=(1, 2))
    for words in ([], ["-o"], [str(env.tiny)], [str(env.tiny), "-o", "a", "b"], ["--components"],
                  [str(env.tiny), "-o", "m", "--components", "speech,\x1b[31m"], ["--nonsense\x1b[31m\n"], [b"--\xff"]):
        case.run("qwen-export", *words, statuses=(2,))


INDEX_CHANGES = [("../model.safetensors", "leaves"), ("/etc/passwd", "absolute"), ("missing.safetensors", "missing"), (1, "number"), (None, "null"),
                 ("config.json", "another file"), ("a\0b", "zero byte"), (".", "folder"), ("", "empty")]


def index_files(env, case):
    good = json.loads((env.sharded / "model.safetensors.index.json").read_text())
    first = next(iter(good["weight_map"]))
    for i, (value, what) in enumerate(INDEX_CHANGES):
        case.what = f"index: {what}"
        changed = {**good, "weight_map": {**good["weight_map"], first: value}}
        folder = case.checkpoint(env.sharded, {"model.safetensors.index.json": json.dumps(changed)})
        case.run("qwen-export", "checkpoint", "-o", "model.json", statuses=(1,))
        folder.rename(case.folder / f"index-{i}")


def config_case(key, value):
    def run(env, case):
        case.what = f"config.json {key} = {value!r:.40}"
        document = json.loads((env.tiny / "config.json").read_text())
        text = json.dumps({**document, key: value}).replace("Infinity", "1e999")
        through_the_road(env, case, case.checkpoint(env.tiny, {"config.json": text}))

    return run


def header_case(name):
    def run(env, case):
        case.what = f"safetensors {name}"
        refused = (0, 1) if name.startswith(("dtype BF16'", "shape [", "metadata", "100 MB")) else (1,)
        content = header_cases(env)[name]
        content = content() if callable(content) else content
        through_the_road(env, case, case.checkpoint(env.tiny, {"model.safetensors": content}), refused)

    return run


def stop_ids(env, case):
    case.what = "a million stop ids"
    text = json.dumps({**GENERATION, "eos_token_id": list(range(1000)) * 1000})
    through_the_road(env, case, case.checkpoint(env.tiny, {"generation_config.json": text}), (1,))


class DirectedCases:
    """All directed checkpoint cases by number."""

    def __init__(self):
        self.names = None
        self.cases = [odd_folders, index_files, stop_ids] + [config_case(k, v) for k, v in config_changes()] + [None] * 120

    def __call__(self, env, case, number):
        fixed = self.cases.index(None)
        if number < fixed:
            return self.cases[number](env, case)
        if self.names is None:
            self.names = list(header_cases(env))
            assert len(self.names) <= 120
        if number - fixed < len(self.names):
            header_case(self.names[number - fixed])(env, case)


directed = DirectedCases()
