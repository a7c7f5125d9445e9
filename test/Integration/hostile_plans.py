"""Broken model.json and plans for hostile.py."""

import json

import mutate

OUT = ["plan.fb"]


def compile_and_open(env, case, text, statuses=(0, 1), says=""):
    """Compiles; the runtime must believe every plan that the compiler writes."""
    case.file("model.json", text)
    done = case.run("qwenc", "model.json", "-o", "plan.fb", "--target", "lavapipe", outputs=OUT, statuses=statuses, says=says)
    if done.status:
        return
    case.run("qwenrt", "plan.fb", "--entry", "list", statuses=(0,))
    case.run("qwen-plan-dump", "plan.fb", "--weights", statuses=(0,))
    if env.device:
        vocabulary = json.loads(text)["model"]["vocab_size"]
        ids = f"1,2,{max(0, min(vocabulary, 2**31) - 1)}"
        case.run("qwenrt", "plan.fb", "--allow-cpu", "--input-ids", ids, "--max-new-tokens", "3", "--ignore-eos", "--print-ids",
                 statuses=(0, 1))


def good_graph(env, number=0):
    """The document with an absolute checkpoint path, so that it works from any folder."""
    model, checkpoint = (env.model, env.chat) if number % 2 else (env.tiny_model, env.tiny)
    document = json.loads(model.read_text())
    document["checkpoint"]["path"] = str(checkpoint)
    return document


# model.json ----------------------------------------------------------------------------------------------------------


def graph(env, case, number):
    text, case.what = mutate.json_text(good_graph(env, number), case.rng, case.rng.choice([1, 1, 1, 2, 3]))
    compile_and_open(env, case, text)


def graph_bytes(env, case, number):
    good = json.dumps(good_graph(env, number)).encode()
    text, case.what = mutate.damaged_bytes(good, case.rng)
    compile_and_open(env, case, text)


def op(graph, kind, nth=0):
    return [o for f in graph["functions"] for o in f["ops"] if o["op"] == kind][nth]


def change_self_cycle(g):
    op(g, "silu")["inputs"] = list(op(g, "silu")["outputs"])


def change_long_cycle(g):
    op(g, "rms_norm")["inputs"][0] = g["functions"][0]["outputs"][0]


def change_unknown_op(g):
    op(g, "silu")["op"] = "gelu\x1b[31m\n"


def change_version(g):
    g["version"] = 2


def change_format(g):
    g["format"] = "other"


def change_type(g):
    op(g, "linear")["types"] = ["f32[S,7]"]


def change_weight_end(g):
    g["weights"][0]["offset"] = g["checkpoint"]["files"][0]["size_bytes"] - 2


def change_weight_header(g):
    g["weights"][0]["offset"] = 8


def change_weight_wraps(g):
    g["weights"][0]["offset"] = 2**64 - 8


def change_weight_odd(g):
    g["weights"][0]["offset"] += 1


def change_weight_file(g):
    g["weights"][0]["file"] = 2**32


def change_weight_overlap(g):
    g["weights"][1]["offset"] = g["weights"][0]["offset"]


def change_huge_file(g):
    g["checkpoint"]["files"][0]["size_bytes"] = 2**64 - 1


def change_huge_header(g):
    g["checkpoint"]["files"][0]["header_bytes"] = 2**64 - 1


def change_huge_state(g):
    for state in g["states"]:
        state["shape"][1] = 2**31


def change_huge_symbol(g):
    for symbol in g["symbols"]:
        symbol["max"] = 2**31


def change_positions(g):
    g["model"]["max_positions"] = 2**31


def change_vocabulary_more(g):
    g["model"]["vocab_size"] += 1000


def change_vocabulary_less(g):
    g["model"]["vocab_size"] -= 1000


def change_state_twice(g):
    op(g, "kv_append", 1)["inputs"][0] = op(g, "kv_append")["inputs"][0]


def change_state_as_value(g):
    op(g, "silu")["inputs"] = ["$" + g["states"][0]["name"]]


def change_state_read_only(g):
    op(g, "attention")["inputs"][1] = "$" + g["states"][0]["name"]


def change_keys_as_values(g):
    attention = op(g, "attention")
    attention["inputs"][2] = attention["inputs"][1]


def change_other_cache(g):
    op(g, "attention", 1)["inputs"] = [op(g, "attention", 1)["inputs"][0], *op(g, "attention")["inputs"][1:]]


def change_no_functions(g):
    g["functions"] = []


def change_no_head(g):
    del g["functions"][1]


def change_swapped_generate(g):
    g["generate"] = {"decoder": g["generate"]["head"], "head": g["generate"]["decoder"]}


def change_one_function(g):
    g["generate"]["head"] = g["generate"]["decoder"]


def change_no_generate(g):
    g["generate"] = None


def change_missing_function(g):
    g["generate"]["head"] = "nothing"


def change_no_ops(g):
    g["functions"][0]["ops"] = []


def change_input_returned(g):
    g["functions"][0]["outputs"] = ["input_ids"]


def change_positions_used(g):
    op(g, "embedding")["inputs"][0] = op(g, "position_ids")["outputs"][0]


def change_position_symbol(g):
    op(g, "position_ids")["attrs"]["symbol"] = "C"


def change_eps(g):
    op(g, "rms_norm")["attrs"]["eps"] = 1e-320


def change_theta(g):
    for f in g["functions"]:
        for o in f["ops"]:
            if o["op"] == "rope":
                o["attrs"]["theta"] = 1e-300


def change_not_causal(g):
    op(g, "attention")["attrs"]["causal"] = False


def change_long_name(g):
    g["model"]["name"] = "x" * 2_000_000


def change_control_names(g):
    g["model"]["name"] = g["model"]["architecture"] = g["producer"] = "\x1b[31m\n\0"


def change_stop_ids(g):
    g["generation"]["stop_ids"] = [2**32 - 1, 2**31]


def change_many_ops(g):
    ops = g["functions"][0]["ops"]
    last = ops[-1]["outputs"][0]
    for i in range(20000):
        ops.append({"op": "silu", "inputs": [last], "outputs": [f"more{i}"], "types": ops[-1]["types"]})
        last = f"more{i}"
    g["functions"][0]["outputs"] = [last]


def change_wide_tree(g):
    """Each value is used twice: 2^60 paths through 60 operations."""
    ops = g["functions"][0]["ops"]
    last = ops[-1]["outputs"][0]
    for i in range(60):
        ops.append({"op": "add", "inputs": [last, last], "outputs": [f"twice{i}"], "types": ops[-1]["types"]})
        last = f"twice{i}"
    g["functions"][0]["outputs"] = [last]


def change_tokenizer_outside(g):
    g["tokenizer"]["files"] = ["../tokenizer.json"]


def change_tokenizer_missing(g):
    g["tokenizer"]["files"] = ["nothing.json"]


def change_tokenizer_is_weights(g):
    g["tokenizer"]["files"] = ["model.safetensors"]


def change_checkpoint_fifo(g):
    g["checkpoint"]["path"] = "/dev"
    g["tokenizer"]["files"] = ["zero"]


def change_checkpoint_zero(g):
    g["checkpoint"]["path"] = "/nothing\0here"


# What must compile or run all the same, or may; everything else is refused.
MAY_PASS = {change_weight_overlap, change_keys_as_values, change_other_cache, change_no_generate, change_position_symbol, change_eps,
            change_theta, change_not_causal, change_long_name, change_control_names, change_many_ops, change_wide_tree, change_huge_file,
            change_positions_used, change_huge_symbol, change_positions, change_state_read_only, change_weight_odd,
            change_vocabulary_less, change_no_head}
CHANGES = [function for name, function in sorted(globals().items()) if name.startswith("change_")]


def graph_directed(env, case, number):
    change = CHANGES[number]
    case.what = change.__name__
    document = good_graph(env)
    change(document)
    compile_and_open(env, case, json.dumps(document), (0, 1) if change in MAY_PASS else (1,))


graph_directed.cases = CHANGES


# Plans ---------------------------------------------------------------------------------------------------------------


def refused(case, data):
    case.file("plan.fb", data)
    case.run("qwenrt", "plan.fb", "--entry", "list", statuses=(1,))
    if case.rng.random() < 0.2:
        case.run("qwen-plan-dump", "plan.fb", statuses=(1,))
        case.run("qwenrt", "plan.fb", "--list-devices", statuses=(1,))


def plan_cut(env, case, number):
    """Cut at every length in turn, spread over the file; the ends densely."""
    data = env.tiny_plan.read_bytes()
    near = number // 3
    length = [min(near, len(data) - 1), max(0, len(data) - 1 - near), number * 7919 % len(data)][number % 3]
    case.what = f"cut to {length} of {len(data)}"
    refused(case, data[:length])
    if length > mutate.TRAILER_BYTES:
        case.what += ", sealed"
        examine(env, case, mutate.with_trailer(data[:length]))  # what the tail holds may be unused


def plan_flip(env, case, number):
    data = env.tiny_plan.read_bytes()
    while (text := mutate.damaged_bytes(data, case.rng)) and text[0] == data:
        pass
    case.what = text[1]
    refused(case, text[0])


def examine(env, case, data, statuses=(0, 1)):
    """Everything that needs no device; all must agree whether the plan is one."""
    case.file("plan.fb", data)
    status = case.run("qwenrt", "plan.fb", "--entry", "list", statuses=statuses).status
    others = (status,) if status else (0,)
    case.run("qwen-plan-dump", "plan.fb", statuses=others)
    case.run("qwenrt", "plan.fb", "--tokenize", "Hello <|im_end|> wörld", statuses=(0, 1) if not status else (1,))
    if not status:
        case.run("qwen-plan-dump", "plan.fb", "--weights", "--kernels", "--spirv", "kernels", outputs=["kernels"], statuses=(0, 1))
        case.run("qwenrt", "plan.fb", "--detokenize", "0,1,2,1062,1064,1432", statuses=(0, 1))
    return status


def plan_sealed(env, case, number):
    """Damage outside the SPIR-V under a right trailer."""
    body = env.tiny_plan.read_bytes()[: -mutate.TRAILER_BYTES]
    damaged, case.what = mutate.damaged_plan(body, mutate.outside_spirv(body), case.rng)
    if examine(env, case, mutate.with_trailer(damaged)) == 0 and env.device:
        case.run("qwenrt", "plan.fb", "--weights", env.tiny, "--list-devices", "--allow-cpu", statuses=(0, 1))
        case.run("qwenrt", "plan.fb", "--weights", env.tiny, "--allow-cpu", "--input-ids", "1,2,3", "--max-new-tokens", "5", "--ignore-eos",
                 statuses=(0, 1))


def plan_speech(env, case, number):
    """Damage to the speech table, which stands around the names of voices, or to what it names."""
    body = env.omni_plan.read_bytes()[: -mutate.TRAILER_BYTES]
    words = [b"chelsie"] if number % 2 else [b"talker.", b"predictor.", b"code2wav.decode", b"accept_hidden"]
    damaged, case.what = mutate.damaged_plan(body, mutate.near(body, words, 400), case.rng)
    if examine(env, case, mutate.with_trailer(damaged)) == 0 and env.device:
        case.run("qwenrt", "plan.fb", "--weights", env.omni, "--allow-cpu", "--prompt", "a", "--max-new-tokens", "4", "--ignore-eos",
                 "--speech", "/dev/null", "--print-codes", "--speech-max-frames", "3", statuses=(0, 1))


def plan_spirv(env, case, number):
    """Damage anywhere, nearly always to SPIR-V, under a right trailer: only reading has to be safe."""
    body = env.tiny_plan.read_bytes()[: -mutate.TRAILER_BYTES]
    damaged, case.what = mutate.damaged_plan(body, [(0, len(body))], case.rng)
    examine(env, case, mutate.with_trailer(damaged))
