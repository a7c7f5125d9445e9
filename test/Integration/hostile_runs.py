"""Wrong requests to good plans for hostile.py: prompts, ids, options, outputs, weights, inputs of entries."""

import json
import os
import struct

import mutate

LAVAPIPE = "--allow-cpu"
IDS = ["--input-ids", "1,2,3", "--max-new-tokens", "2"]


def run(case, env, *words, plan=None, **options):
    return case.run("qwenrt", plan or env.plan, *words, **options)


def id_lists(env, case):
    for text in ("-1", "1088", "99999999999999999999", "1,,2", "a", "", ",", "[1,2", "[[1]]", "[1.5]", "[null]", "1e3", "0x10", "[" * 9000, " ",
                 "\x1b[31m", "1,2,", "[]"):
        case.what = f"ids {text:.20}"
        run(case, env, LAVAPIPE, "--input-ids", text, "--max-new-tokens", "1", statuses=(1, 2))
        case.file("ids.json", text)
        run(case, env, LAVAPIPE, "--input-ids", "@ids.json", "--max-new-tokens", "1", statuses=(1, 2))
        if text not in ("", "[]", " ", "1088"):
            run(case, env, "--detokenize", text, statuses=(1, 2))
        run(case, env, LAVAPIPE, "--input-ids", "1", "--force-ids", text, "--max-new-tokens", "2", statuses=(1, 2))
    for path in ("@nothing", "@", "@/dev/zero", "@.", "@" + "x" * 5000):
        case.what = f"ids {path:.20}"
        run(case, env, LAVAPIPE, "--input-ids", path, statuses=(1, 2))
        run(case, env, LAVAPIPE, "--prompt", path, statuses=(1, 2))
        run(case, env, "--tokenize", path, statuses=(1, 2))


def prompts(env, case):
    case.what = "over the context"
    run(case, env, LAVAPIPE, "--input-ids", ",".join(["5"] * 65), statuses=(1,), says="prompt has 65 tokens, expected at most the context of 64")
    run(case, env, LAVAPIPE, "--prompt", "word " * 3000, statuses=(1,))
    case.file("long.txt", "word " * 200000)
    run(case, env, LAVAPIPE, "--prompt", "@long.txt", statuses=(1,))
    case.what = "empty"
    run(case, env, LAVAPIPE, "--raw", "--prompt", "", statuses=(1, 2))
    case.what = "no UTF-8"
    bad = [b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"ok \x80 ok"]
    for i, text in enumerate(bad):
        run(case, env, LAVAPIPE, "--prompt", text, "--max-new-tokens", "1", statuses=(0, 1))
        run(case, env, "--tokenize", text, statuses=(0, 1))
        case.file(f"bad{i}", text)
        run(case, env, "--tokenize", f"@bad{i}", statuses=(0, 1))
    case.file("binary", bytes(range(256)) * 4000)
    run(case, env, "--tokenize", "@binary", statuses=(0, 1))
    case.what = "system turn without UTF-8"
    run(case, env, LAVAPIPE, "--system", b"\xff", "--prompt", "x", "--max-new-tokens", "1", statuses=(0, 1))


def outputs(env, case):
    case.what = "unwritable outputs"
    (case.folder / "folder").mkdir()
    for path in ("/dev/full", "/nothing/x", "folder", "/proc/self/mem"):
        run(case, env, LAVAPIPE, *IDS, "--logits", path, statuses=(1, 2))
        run(case, env, LAVAPIPE, *IDS, "--profile", path, statuses=(1, 2))
        case.run("qwenc", env.model, "-o", path, statuses=(1, 2))
    for words in (["--tokenize", "x"], ["--entry", "list"], ["--list-devices"], [LAVAPIPE, *IDS], [LAVAPIPE, *IDS, "--print-ids"]):
        case.what = f"standard output for {words}"
        with open("/dev/full", "wb") as full:
            run(case, env, *words, stdout=full, statuses=(1,))
        reader, writer = os.pipe()
        os.close(reader)
        run(case, env, *words, stdout=writer, statuses=(1,), quiet=True)  # as head leaves it: nobody reads, nothing to say
        os.close(writer)
        run(case, env, *words, preexec_fn=lambda: os.close(1), statuses=(0, 1))
    with open("/dev/full", "wb") as full:
        case.run("qwen-plan-dump", env.plan, stdout=full, statuses=(1,))
        case.run("qwenc", env.model, "--compile-to=import", stdout=full, statuses=(1,))
        case.run("qwenc", env.model, "--compile-to=import", "-o", "/dev/full", statuses=(1,))
        case.run("qwen-plan-dump", env.plan, "--spirv", "/dev/full", statuses=(1,))


def limited_files(env, case):
    """Every file of more than 16 kB is cut by the system, as on a full disk."""
    import resource
    import signal

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    case.what = "full disk"
    case.run("qwen-export", env.tiny, "-o", "model.json", preexec_fn=limit, statuses=(1,))
    case.run("qwenc", env.model, "-o", "plan.fb", preexec_fn=limit, statuses=(1,))
    run(case, env, LAVAPIPE, "--input-ids", "1,2,3,4,5,6,7,8", "--max-new-tokens", "8", "--ignore-eos", "--logits", "logits.safetensors",
        preexec_fn=limit, statuses=(1,))


def weights(env, case):
    data = (env.chat / "model.safetensors").read_bytes()
    header, body = mutate.split_safetensors(data)
    changed = dict(header, __metadata__={"format": "xt"})
    versions = {"shorter": data[:-1], "half": data[: len(data) // 2], "empty": b"", "eight bytes": data[:8], "longer": data + b"\0\0",
                "another": (env.tiny / "model.safetensors").read_bytes(), "changed header": mutate.join_safetensors(changed, body),
                "huge length": struct.pack("<Q", 2**63) + data[8:], "text": b"x" * len(data)}
    for i, (what, content) in enumerate(versions.items()):
        case.what = f"weights {what}"
        folder = case.checkpoint(env.chat, {"model.safetensors": content})
        run(case, env, LAVAPIPE, "--weights", "checkpoint", *IDS, statuses=(1,))
        folder.rename(case.folder / f"weights-{i}")
    for i, make in enumerate((os.mkdir, os.mkfifo, lambda p: os.symlink("/dev/zero", p), lambda p: os.symlink(p.name, p))):
        case.what = "weights that are something else"
        folder = case.checkpoint(env.chat, leave_out=["model.safetensors"])
        make(folder / "model.safetensors")
        run(case, env, LAVAPIPE, "--weights", "checkpoint", *IDS, statuses=(1,))
        folder.rename(case.folder / f"odd-{i}")
    for path in ("nothing", "/dev/null", "", "x" * 5000, "\x1b[31m"):
        run(case, env, LAVAPIPE, "--weights", path, *IDS, statuses=(1, 2) if path else (0, 1, 2))


def numbers(env, case):
    case.what = "numbers of options"
    run(case, env, LAVAPIPE, "--input-ids", "1,2", "--max-new-tokens", "4294967295", "--ignore-eos", "--print-ids", statuses=(0,))
    for value in ("-1", "4294967296", "99999999999999999999", "x", "1.5", "", "nan"):
        for option in ("--max-new-tokens", "--top-k", "--seed", "--repeat", "--load-threads"):
            if option == "--seed" and value in ("4294967296",):
                continue
            run(case, env, LAVAPIPE, "--input-ids", "1", option, value, statuses=(2,))
    for option, value in (("--temperature", "nan"), ("--temperature", "-1"), ("--temperature", "inf"), ("--top-p", "nan"), ("--top-p", "2"),
                          ("--repetition-penalty", "0"), ("--repetition-penalty", "nan"), ("--device", "99"),
                          ("--device", "nothing\x1b[31m"), ("--upload", "x"), ("--thinking", "x"), ("--sampling", "x")):
        run(case, env, LAVAPIPE, "--input-ids", "1", "--max-new-tokens", "1", option, value, statuses=(1, 2))
    for option, value in (("--temperature", "1e-30"), ("--temperature", "1e6"), ("--top-p", "0"), ("--top-k", "4294967295"),
                          ("--repetition-penalty", "1e6"), ("--repetition-penalty", "0.001"), ("--stop-ids", "99999")):
        run(case, env, LAVAPIPE, "--input-ids", "1", "--max-new-tokens", "2", option, value, statuses=(0, 1, 2))
    for items in ("", "x", "pp", "pp0", "tg0", "pp-1", "pp1@", "pp1@-1", "tg1@64", "pp65", "tg99999999999", "pp1,,tg1", "pp1@1@1", "pp1 ", ",",
                  "pp4294967297", "tg1@18446744073709551615", "tg65"):
        run(case, env, LAVAPIPE, "--bench", items, "--repeat", "1", statuses=(1, 2))


def usage(env, case):
    case.what = "usage"
    for words in ([], ["--prompt"], ["--prompt", "a", "--input-ids", "1"], ["--entry", "list", "--inputs", "x"], ["--entry", "prefill"],
                  ["--nonsense\x1b[31m\n"], [b"--\xff"], ["x", "--entry", "list"], ["--raw", "--system", "s", "--prompt", "p"]):
        run(case, env, *words, statuses=(2,))
    for words in ([], ["--entry", "list"], ["nothing", "--entry", "list"], ["/dev/zero", "--entry", "list"], [".", "--entry", "list"],
                  ["", "--entry", "list"], [b"\xff", "--entry", "list"], ["x" * 5000, "--entry", "list"]):
        case.run("qwenrt", *words, statuses=(1, 2))
    run(case, env, "--input-ids", "1", statuses=(0, 1))  # without a GPU it must say so
    run(case, env, LAVAPIPE, "--interactive", statuses=(0, 1))
    model = str(env.model)
    for words in ([], [model], ["-o", "p"], [model, "-o", "p", "--target", "nothing"], [model, "-o", "p", "--target", "/dev/zero"],
                  [model, "-o", "p", "--max-context", "0"], [model, "-o", "p", "--max-context", "-1"], [model, "-o", "p", "--max-context", "513"],
                  [model, "-o", "p", "--prefill-chunk", "0"], [model, "-o", "p", "--prefill-chunk", "99999999"],
                  [model, "-o", "p", "--kv-format", "q8"], [model, "-o", "p", "--weights-format", "q2"], [model, "--compile-to", "x"],
                  [model, "-o", "p", "--mlir-nonsense"], [model, "-o", "p", "--nonsense\x1b[31m\n"], [b"\xff", "-o", "p"],
                  ["/dev/zero", "-o", "p"], [".", "-o", "p"], ["nothing", "-o", "p"], ["", "-o", "p"], [model, "-o", "p", b"--\xff"]):
        case.run("qwenc", *words, statuses=(1, 2))
    for words in ([], ["nothing"], ["/dev/zero"], ["."], [model], ["--nonsense"], [b"\xff"]):
        case.run("qwen-plan-dump", *words, statuses=(1, 2))


def entry_inputs(env, case):
    rows = struct.pack("<3i", 1, 2, 3)
    good = {"dtype": "I32", "shape": [3], "data_offsets": [0, 12]}

    def attempt(what, header, body=rows, statuses=(1,), entry="prefill"):
        case.what = f"inputs: {what}"
        case.file("in.safetensors", mutate.join_safetensors(header, body))
        (case.folder / "out.safetensors").unlink(missing_ok=True)
        run(case, env, LAVAPIPE, "--entry", entry, "--inputs", "in.safetensors", "--outputs", "out.safetensors",
            outputs=["out.safetensors"], statuses=statuses)
        (case.folder / "out.safetensors").unlink(missing_ok=True)

    attempt("good", {"input_ids": good}, statuses=(0,))
    attempt("name", {"ids": good})
    attempt("float", {"input_ids": {**good, "dtype": "F32"}})
    attempt("unsigned", {"input_ids": {**good, "dtype": "U32"}})
    attempt("float8", {"input_ids": {**good, "dtype": "F8_E4M3", "shape": [12]}})
    attempt("rank", {"input_ids": {**good, "shape": [1, 3]}})
    attempt("scalar", {"input_ids": {"dtype": "I32", "shape": [], "data_offsets": [0, 4]}}, rows[:4])
    attempt("no rows", {"input_ids": {"dtype": "I32", "shape": [0], "data_offsets": [0, 0]}}, b"")
    attempt("rows", {"input_ids": {"dtype": "I32", "shape": [65], "data_offsets": [0, 260]}}, bytes(260))
    attempt("many", {"input_ids": {"dtype": "I32", "shape": [1 << 20], "data_offsets": [0, 4 << 20]}}, bytes(4 << 20))
    attempt("cut", {"input_ids": good}, rows[:8])
    attempt("ids out of range", {"input_ids": good}, struct.pack("<3i", 1, 2**31 - 1, 1088))
    attempt("no entry", {"input_ids": good}, entry="nothing")
    attempt("empty", {})
    hidden = {"dtype": "F32", "shape": [2, 192], "data_offsets": [0, 1536]}
    attempt("nan", {"hidden": hidden}, b"\xff" * 1536, (0, 1), "next_greedy")
    attempt("nan", {"hidden": hidden}, b"\xff" * 1536, (0, 1), "next_sample")
    attempt("inf", {"hidden": hidden}, struct.pack("<f", float("inf")) * 384, (0, 1), "logits")
    attempt("decode", {"input_ids": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}, struct.pack("<i", -5), entry="decode_greedy")
    case.file("in.safetensors", mutate.join_safetensors({"input_ids": good}, rows))
    for out in ("/dev/full", "/nothing/x", ".", ""):
        run(case, env, LAVAPIPE, "--entry", "prefill", "--inputs", "in.safetensors", "--outputs", out, statuses=(1, 2))
    for path in ("nothing", "/dev/zero", ".", ""):
        run(case, env, LAVAPIPE, "--entry", "prefill", "--inputs", path, "--outputs", "out", statuses=(1, 2))


def case_files(env, case):
    case.what = "cases"
    for text in ("", "{}", "[]", "null", "[1]", "[{}]", '[{"prompt": 1}]', '[{"input_ids": "x"}]', '[{"input_ids": [-1]}]', "[" * 9000,
                 '[{"input_ids": [1], "max_new_tokens": -1}]', '[{"input_ids": [1], "max_new_tokens": 1e300}]',
                 '[{"prompt": "x", "input_ids": [1]}]', '[{"input_ids": [1], "logits": 5}]', '[{"prompt": "\\ud800"}]',
                 '[{"input_ids": [1], "temperature": "hot", "max_new_tokens": 1}]', '[{"input_ids": [1], "max_new_tokens": 1, "logits": "/dev/full"}]'):
        case.file("cases.json", text)
        run(case, env, LAVAPIPE, "--cases", "cases.json", statuses=(0, 1))
    for path in ("nothing", "/dev/zero", ".", ""):
        run(case, env, LAVAPIPE, "--cases", path, statuses=(1, 2))


def interactive(env, case):
    case.what = "interactive"
    for text in (b"", b"\n\n", b"/quit\n", b"/nothing\n/reset\n/quit", b"\xff\xfe\n", b"hello", b"x" * 100000 + b"\n", b"\0\n/reset\n\0"):
        case.file("chat.txt", text)
        with open(case.folder / "chat.txt", "rb") as source:
            run(case, env, LAVAPIPE, "--interactive", "--max-new-tokens", "2", stdin=source, statuses=(0, 1))
    run(case, env, LAVAPIPE, "--interactive", preexec_fn=lambda: os.close(0), stdin=None, statuses=(0, 1))


def runs(env, case, number):
    runs.cases[number](env, case)


runs.cases = [id_lists, prompts, outputs, limited_files, weights, numbers, usage, entry_inputs, case_files, interactive]
