"""Tests of tools/benchmark.

Usage: benchmark.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

The exit status is the number of failures.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import sample

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "tools" / "benchmark"
LIMIT_S = 580  # of one command; CTest bounds the suite


class Suite:
    def __init__(self, bin_dir, work, name):
        self.bin, self.work, self.name, self.failures = bin_dir, work / name, name, 0
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def check(self, condition, what):
        if not condition:
            self.failures += 1
            print(f"FAILED {self.name}: {what}")

    def equal(self, got, want, what):
        self.check(got == want, f"{what} is {got!r}, expected {want!r}")

    def script(self, name, *words, status=0):
        result = subprocess.run([sys.executable, "-B", str(SCRIPTS / name), *map(str, words)], capture_output=True, text=True, timeout=LIMIT_S)
        self.check(result.returncode == status, f"{name} ended with {result.returncode}, expected {status}: {result.stdout[-900:]}{result.stderr[-900:]}")
        return result


def table(suite):
    """Plans, checkpoint, packing and every item on lavapipe; numbers of the right kind in every place."""
    plans, output = suite.work / "plans", suite.work / "results.json"
    suite.script("plans.py", suite.bin, plans, "--target", "lavapipe", "--model-file", HERE / "tiny-models.json", "--layers", 2)
    listed = suite.script("run.py", suite.bin, plans, suite.work / "memory", "-o", output, "--list", "--only", "*").stdout.split()
    suite.equal([path.partition("/")[2] for path in listed], ["bf16/generate", "bf16/bench", "bf16/sampled", "bf16/start", "q8/generate", "q8/bench",
                                                             "q8/sampled", "q8/start", "q8/long", "bf16/experts", "bf16/long"], "list of items")
    suite.script("run.py", suite.bin, plans, suite.work / "memory", "-o", output, "--allow-cpu", "--quick", "--repeat", 1, "--only", "*",
                 "--timeout", LIMIT_S, "--revision", "r1")
    results = json.loads(output.read_text())
    suite.equal(results["errors"], [], "list of errors")
    suite.equal((results["revision"], results["target"], results["format"]), ("r1", "lavapipe", 1), "heading")
    suite.equal(results["device"]["kind"], "CPU", "kind of device")
    model = results["models"]["tiny-mixture-2l"]
    suite.equal((model["layers"], model["experts"], model["title"]), (2, 8, "Tiny mixture"), "model")
    suite.check(model["checkpoint"]["bytes"] > 100000, f"checkpoint is {model['checkpoint']}")
    for form in ("bf16", "q8"):
        check_format(suite, form, model["formats"][form])
    suite.check(0 < model["formats"]["q8"]["pack"]["bytes"] < model["checkpoint"]["bytes"], f"packed file is {model['formats']['q8'].get('pack')}")
    suite.check("pack" not in model["formats"]["bf16"], "bf16 was packed")
    for form in ("bf16", "q8"):
        check_bench(suite, form, model["formats"][form]["long"], ["tg4@96"])
        check_bench(suite, form, model["formats"][form]["sampled"], ["tg4"])
    experts = model["formats"]["bf16"]["experts"]
    suite.equal((experts["tokens"], experts["experts"], len(experts["per_layer"])), (24, 8, 2), "size of the experts' item")
    # A token has two experts; 24 tokens that all had the same two would not be spread.
    suite.check(3 <= experts["min"] <= experts["median"] <= 8, f"experts touched are {experts}")
    suite.equal(sorted(path.name for path in (suite.work / "memory").iterdir()), [], "what is left in the work folder")
    suite.check("tiny" in suite.script("report.py", output).stdout.lower(), "no row of the model in the report")


def check_format(suite, form, record):
    generate = record["generate"]
    suite.check(all(len(generate[key]) == 64 for key in ("ids_hash", "logits_hash")), f"{form}: hashes are {generate}")
    suite.equal((generate["runs"][0]["ids"], generate["runs"][0]["pipeline_cache"]), (6, "cold"), f"{form}: generation with empty caches")
    suite.check(generate["runs"][0]["pipeline_ms"] > 0, f"{form}: no pipeline time in {generate['runs'][0]}")
    check_bench(suite, form, record["bench"], ["tg4", "tg4@16", "pp16"])
    load = record["bench"]["processes"][0]
    suite.equal(load.get("pipeline_cache"), "warm", f"{form}: cache of the second process")
    missing = {"weight_bytes", "weight_ms", "weight_gbs", "upload", "host_anonymous_bytes", "host_peak_bytes", "load_ms", "device"} - load.keys()
    suite.equal(missing, set(), f"{form}: missing statistics of loading")
    start = record["start"]
    suite.check(0 < start["empty_program_s"] and 0 < start["first_token_s"] <= start["process_s"], f"{form}: start is {start}")
    suite.equal(len(start["first_token_runs_s"]), 2, f"{form}: number of starts")


def check_bench(suite, form, record, items):
    suite.equal(list(record["items"]), items, f"{form}: bench items")
    for item, result in record["items"].items():
        keys = set(result["runs"][0]) if result.get("runs") else set()
        suite.equal(keys, {"tokens_per_second", "ms", "gbs", "share_percent", "read_bandwidth_gbs"}, f"{form}: values of {item}")
        suite.check(result.get("tokens_per_second", 0) > 0, f"{form}: {item} is {result}")


def failures(suite):
    """A program that fails, hangs or refuses: its item says why, the others are measured, no process is left."""
    programs, plans, memory, output = (suite.work / name for name in ("bin", "plans", "memory", "results.json"))
    programs.mkdir()
    plans.mkdir()
    for name in ("qwenrt", "qwen-synth", "qwen-pack"):
        shutil.copy(HERE / "fake-program.py", programs / name)
        (programs / name).chmod(0o755)
    model = {"name": "m", "preset": "p", "formats": ["bf16", "q8", "q4"], "bench": ["tg4", "tg4@16", "pp16"], "generate": {"prompt": 2, "tokens": 2},
             "vocabulary": 10, "checkpoint_bytes": 1, "plans": {"bf16": "m.fb", "q8": "m8.fb"}, "errors": {"q4": "qwenc said no"}}
    (plans / "plans.json").write_text(json.dumps({"format": 1, "models": [model]}))
    start = time.monotonic()
    suite.script("run.py", programs, plans, memory, "-o", output, "--timeout", 2, status=1)
    suite.check(time.monotonic() - start < 60, f"run.py took {time.monotonic() - start:.0f} s, expected about 3")
    results = json.loads(output.read_text())
    device = results["device"]
    suite.equal((device["name"], device["driver"], device["memory_bytes"]), ("Fake (R)", "driver (beta) 1.2", 3000000000), "device")
    formats = results["models"]["m"]["formats"]
    suite.equal(formats["bf16"]["generate"].get("error"), "qwenrt took longer than 2 s", "error of a program that hangs")
    bench = formats["bf16"]["bench"]
    lost = "qwenrt: error: device was lost, expected an answer, look at its log"
    suite.equal([len(item["runs"]) for item in bench["items"].values()], [2, 0, 2], "runs around a failing item")
    suite.equal((bench["items"]["tg4@16"].get("error"), bench.get("error")), (lost, f"tg4@16: {lost}"), "error of a failing item")
    suite.equal(bench["processes"][-1], {"pipelines": 7, "pipeline_ms": 8.5, "pipeline_cache": "warm", "host_peak_bytes": 1500000000,
                                         "host_anonymous_bytes": 40500000}, "statistics of the process that ended well")
    suite.equal(formats["q8"]["bench"].get("error"), "qwen-pack: error: weights are not finite, expected numbers, check the checkpoint",
                "error of packing")
    suite.equal(formats["q4"]["bench"].get("error"), "qwenc said no", "error of compiling")
    suite.equal([error["item"] for error in results["errors"]],
                [f"m/{form}/{item}" for form in model["formats"] for item in ("generate", "bench")], "list of errors")
    suite.script("run.py", programs, plans, memory, "-o", output, "--budget", 0, status=1)
    suite.check("not begun" in json.loads(output.read_text())["errors"][0]["message"], "no word about the spent budget")
    check_keep(suite, programs, plans, memory, output)
    suite.script("run.py", programs, suite.work, memory, "-o", output, status=2)
    model["checkpoint_bytes"] = 1 << 60
    (plans / "plans.json").write_text(json.dumps({"format": 1, "models": [model]}))
    suite.script("run.py", programs, plans, memory, "-o", output, "--only", "m/bf16/bench", status=1)
    suite.check("GB free, expected" in json.loads(output.read_text())["errors"][0]["message"], "no word about the small work folder")


def check_keep(suite, programs, plans, memory, output):
    """--keep leaves the checkpoint, and only that, for the next run, which deletes it."""
    words = (programs, plans, memory, "-o", output, "--only", "m/bf16/bench")
    suite.script("run.py", *words, "--keep", status=1)
    suite.equal(sorted(path.name for path in memory.iterdir()), ["m", "m.complete"], "what --keep leaves")
    suite.check("seconds" in json.loads(output.read_text())["models"]["m"]["checkpoint"], "the first checkpoint was not written")
    suite.script("run.py", *words, status=1)
    suite.check(json.loads(output.read_text())["models"]["m"]["checkpoint"].get("reused"), "the kept checkpoint was not found")
    suite.equal(list(memory.iterdir()), [], "what is left behind --keep")
    suite.script("run.py", *words[:-1], "m/q8/bench", "--merge", output, status=1)
    results = json.loads(output.read_text())
    suite.equal([error["item"] for error in results["errors"]], ["m/bf16/bench", "m/q8/bench"], "errors of two merged runs")
    suite.equal(list(results["models"]["m"]["formats"]), ["bf16", "q8"], "formats of two merged runs")
    merged = suite.script("run.py", *words, "--merge", plans / "plans.json", status=2)
    suite.check("leave out --merge" in merged.stderr, f"no word about a wrong --merge: {merged.stderr}")


def omni(suite):
    """Spoken answers: the whole against the sum of its parts, with programs that only print."""
    programs, folder, output = (suite.work / name for name in ("bin", "folder", "results.json"))
    for path in (programs, folder):
        path.mkdir()
    for name in ("qwenrt", "qwen-synth"):
        shutil.copy(HERE / "fake-omni.py", programs / name)
        (programs / name).chmod(0o755)
    words = ("measure", programs, folder, suite.work / "weights", "-o", output)
    said = suite.script("omni.py", *words).stdout
    results = json.loads(output.read_text())
    # Text alone 20 + 1 + 89, the talker 1 + 9, the predictor 5 + 45, the vocoder 15 + 15: 200; the encoder belongs to none of them.
    suite.equal(results["whole"], {"text_ms": 110.0, "talker_gpu_ms": 10.0, "predictor_gpu_ms": 50.0, "vocoder_gpu_ms": 30.0, "sum_ms": 200.0,
                                   "thinker_gpu_ms": 121.0, "answer_ms": 210.0, "traced_answer_ms": 230.0, "over_percent": 5.0}, "whole answer")
    suite.check("the whole: 210.0 ms, +5.0 % over 200.0 ms, which text alone (110.0)" in said, f"no word about the whole in {said[-500:]}")
    suite.equal(results["prompts"]["text"], {"tokens": 5, "front_end_ms": 0.5, "upload_ms": 0.25, "encoder_ms": 1.5, "prefill_ms": 2.5}, "prompt of text")
    suite.equal([record["name"] for record in results["speech"]], ["text", "text", "speech", "speech"], "runs")
    # A token for each 32x32 pixels of 4096x3136, and five.
    suite.equal(results["largest_image"], {"pixels": 12845056, "tokens": 12549, "front_end_ms": 0.5, "upload_ms": 0.25, "encoder_ms": 15.0,
                                           "prefill_ms": 25.0, "stats": []}, "largest image")
    short = json.loads(output.with_suffix(".trace.json").read_text())
    suite.equal((short["runs"]["code2wav.decode"], short["audio"]), ([8000, 15000, 9000, 15000], [[11000, 1920]]), "short trace")
    for name, message in (("silent", "--stats says nothing about answer_ms"), ("talkative", "64 further tokens with speech and 63 without")):
        (programs / name).touch()
        suite.check(message in suite.script("omni.py", *words, status=1).stderr, f"{name}: no '{message}'")
        (programs / name).unlink()
    output.unlink()
    (programs / "small").touch()
    suite.check("device has no room" in suite.script("omni.py", *words, status=1).stderr, "no word about an image that has no room")
    kept = json.loads(output.read_text())
    suite.check(kept.get("whole") and "largest_image" not in kept, f"behind the largest image, which failed, these are left: {list(kept)}")


def omni_plans(suite):
    """The plans at the published size: one of all parts, one for the largest image, whose tokens must fit in its context."""
    suite.script("omni.py", "prepare", suite.bin, suite.work)
    suite.equal(sorted(path.name for path in suite.work.iterdir()), ["config.json", "largest.fb", "largest.json", "model.json", "plan.fb"], "files of prepare")
    said = {name: subprocess.run([suite.bin / "qwen-plan-dump", suite.work / f"{name}.fb"], capture_output=True, text=True).stdout
            for name in ("plan", "largest")}
    for name, parts in {"plan": ["code2wav.decode", "images of 4194304 pixels"], "largest": ["images of 12845056 pixels", "16384 positions"]}.items():
        for part in parts:
            suite.check(part in said[name], f"{name}.fb has no '{part}'")
    suite.check("code2wav" not in said["largest"], "the plan for the largest image speaks")


ROWS = (
    "| depth 32,768 (share) | depth 0, sampled |",
    "| Qwen3-0.6B | bf16 | 1,050 (31 %) | 800 (32 %) | 250 (30 %) | 970 | 670 / 609, greedy 676 | 590 / 477, greedy 508 | 790 / 659 | 307 / 236 |",
    "| Qwen3-0.6B | q8 | 1,200 (19 %) | 900 (25 %) | - | - | 755 / 664, greedy 550 (Q8_0) | 601 / 463, greedy 466 (Q8_0) | - | - |",
    "| Qwen3-Omni thinker | q4 | 450 (21 %) | 95.2 (21 %) | - | - | 308 / 276, greedy 274 (Q4_K_M) | 237 / 215, greedy 221 (Q4_K_M) | - | - |",
    "| Qwen3-0.6B | bf16 | 60,000 | 73,208 | 53,423 | 25,381 |",
    "| Qwen3-Omni thinker | bf16 | 8,000 | 3,474; 2,852 (F16) | 6,757; 6,858 (F16) | 7,534 |",
    "| Qwen3-0.6B | bf16 | 2.00 | 8.0 | 0.25 | direct | 40 | 300 | 6 | 500 | 250 | 0.37 | 0.41 |",
    "| Qwen3-0.6B | bf16 | `aaaaaaaaaaaaaaaa` | `ffffffffffffffff` | yes |",
    "| Qwen3-Omni thinker | bf16 | `cccccccccccccccc` | `ffffffffffffffff` | NO |",
    "touches at least 120 and in the median 126 of 128 experts of a layer",
    "driver 1; 2026-01-02; revision abc; target nvidia-h200; read bandwidth 4,000 GB/s.",
    "- `qwen3-0.6b/q4/generate`: lost the device",
    "measured separately, not in this run, on one NVIDIA H200",
)


def report(suite):
    """Cells of the tables, the section of a larger file, the plot."""
    results, svg, readme = (suite.work / name for name in ("results.json", "plot.svg", "README.md"))
    results.write_text(json.dumps(sample.results()))
    readme.write_text("before\n<!-- benchmark: begin -->\nstale words\n<!-- benchmark: end -->\nafter\n")
    suite.script("report.py", results, "--markdown", readme, "--svg", svg)
    text = readme.read_text()
    for row in ROWS:
        suite.check(row in text, f"no '{row}' in the report")
    suite.check(text.startswith("before\n") and text.endswith("-->\nafter\n") and "stale words" not in text, "text around the section is not as before")
    suite.script("report.py", results, "--markdown", readme)
    suite.equal(readme.read_text(), text, "report that was written twice")
    check_plot(suite, svg)
    results.write_text(json.dumps(sample.results(device="Other GPU")))
    suite.check("llama.cpp" not in suite.script("report.py", results).stdout, "engines of another card stand in the report")
    broken = sample.results()
    broken["models"] = {}
    results.write_text(json.dumps(broken))
    suite.check("no decode measurement" in suite.script("report.py", results, "--svg", svg, status=1).stderr, "no word about the empty plot")
    results.write_text("[]")
    suite.check("is no results.json" in suite.script("report.py", results, status=1).stderr, "no word about a file of another form")


def check_plot(suite, svg):
    root = ElementTree.parse(svg).getroot()
    space = "{http://www.w3.org/2000/svg}"
    marks = {group.find(f"{space}title").text: group for group in root.iter(f"{space}g")}
    suite.equal(len(marks), 13, "number of points")
    hint = "Qwen3-0.6B bf16, depth 32768: 4.80 GB, 4 ms, 250 tokens/s"
    suite.check(hint in marks, f"no point '{hint}' in {list(marks)}")
    labels = [element.text for element in root.iter(f"{space}text")]
    for label in ("bf16 @32768 · 30 %", "q4 @4096 · 21 %", "read bandwidth, 4.00 TB/s", "1 GB", "1 ms"):
        suite.check(label in labels, f"no label '{label}' in {labels}")
    width, height = map(float, root.get("viewBox").split()[2:])
    for element in root.iter(f"{space}text"):
        x, y = float(element.get("x")), float(element.get("y"))
        suite.check(0 <= x <= width and 0 <= y <= height, f"label '{element.text}' lies at {x}, {y}")


def long_speech(suite):
    """Plans, and what they say with and without logits, up to where the reference begins, which needs PyTorch."""
    sys.path.insert(0, str(SCRIPTS))
    sys.dont_write_bytecode = True
    import long_speech as script

    tiny, folder, weights = HERE.parent / "Integration" / "golden" / "tiny-qwen3-omni" / "config.json", suite.work / "plans", suite.work / "weights"
    suite.script("long_speech.py", "prepare", suite.bin, folder, "--config", tiny, "--max-context", 256, "--plans", "f32")
    suite.equal(sorted(path.name for path in folder.iterdir()), ["config.json", "f32.fb", "model.json"], "files of prepare")
    config = json.loads((folder / "config.json").read_text())
    script.run(suite.bin / "qwen-synth", "--config", tiny, "-o", weights)
    arguments = argparse.Namespace(bin=suite.bin, folder=folder, weights=weights, allow_cpu=True, frames=6, text_tokens=7)
    said = script.speak(arguments, "f32", config, suite.work / "logits.safetensors")
    suite.equal((len(said["ids"]), [len(frame) for frame in said["codes"]]), (7, 6 * [4]), "size of the answer")
    suite.check((suite.work / "logits.safetensors").stat().st_size > 6 * 4 * (1088 + 3 * 64), "logits are missing")


def router_flips(suite):
    """Flips are found one by one, wrong guesses taken back, and rows that no flip explains told."""
    sys.path.insert(0, str(SCRIPTS))
    sys.dont_write_bytecode = True
    import router_flips as flips

    # The other run has chosen otherwise in these layers, each worth an error of its own.
    truth = {3: {1: 0.1}, 4: {0: 0.2, 2: 0.05}, 5: {1: 0.3}, 6: {}}
    margins = {3: [2e-5, 3e-5, 1.0], 4: [1e-6, 1.0, 9e-5], 5: [1e-5, 2e-4, 1.0], 6: [1e-9, 1e-9, 1e-9]}
    exchanged = {}
    search = flips.Search(exchanged)

    def error(place):
        mine = {layer for row, layer in exchanged if row == place}
        return 1e-6 + sum(worth for layer, worth in truth[place].items() if layer not in mine) + 0.4 * len(mine - set(truth[place]))

    while search.step({place: error(place) for place in truth}, margins):
        suite.check(search.passes < 20, "the search does not end")
    suite.equal(exchanged, {(3, 1): 3e-5, (4, 0): 1e-6, (4, 2): 9e-5}, "flips")
    suite.equal((search.beyond, search.unexplained), (3, {5: 1e-6 + 0.3}), "rows beyond the bound and those unexplained")
    # A search that is given up takes back what was on trial.
    exchanged.clear()
    search = flips.Search(exchanged)
    while search.step({0: 1.0}, {0: 50 * [1e-5]}):
        suite.check(search.passes < 50, "the search does not end")
    suite.equal((exchanged, search.unexplained, search.passes), ({}, {0: 1.0}, flips.PASSES + 1), "a row without an answer")


def transformers_speech(suite):
    """What a frame takes, of calls that take their time by a clock of their own."""
    sys.path.insert(0, str(SCRIPTS))
    sys.dont_write_bytecode = True
    import fake_transformers as fake

    output, config = suite.work / "results.json", {"talker_config": {"num_code_groups": 16}, "tts_pad_token_id": 1}
    with fake.install():
        import transformers_speech as script

        def measure(talker):
            script.build = lambda folder: (talker, fake.Vocoder(), config)
            script.main([str(suite.work), "-o", str(output)])

        talker = fake.Talker()
        measure(talker)
        suite.equal({"forward", "generate"} & (vars(talker).keys() | vars(talker.code_predictor).keys()), set(), "what is left of the timing")
        results = json.loads(output.read_text())
        # A frame: 1 + 5 + 2 ms, and of the 256 ms of 256 frames in the vocoder one; it sounds for 80 ms.
        row = {"talker_step_ms": 2.0, "predictor_ms": 5.0, "talker_and_predictor_ms": 8.0, "vocoder_ms": 1.0, "frame_ms": 9.0, "real_time_factor": 0.1125}
        suite.equal(results["attention"], {"sdpa": row, "eager": row}, "a frame")
        suite.equal([results[key] for key in ("device", "torch", "transformers", "experts")], ["Fake", "2", "5", "of all"], "heading")
        try:
            measure(fake.Talker(lost=1))
            suite.check(False, "no word about frames that were lost")
        except SystemExit as error:
            suite.check("in 32 steps, expected [1, 16, 32] in 33" in str(error), f"wrong word about frames that were lost: {error}")


SUITES = {suite.__name__: suite for suite in (table, failures, omni, omni_plans, report, long_speech, router_flips, transformers_speech)}


def main():
    if len(sys.argv) != 4 or sys.argv[3] not in SUITES:
        sys.exit(f"usage: benchmark.py BIN_DIR WORK_DIR {'|'.join(SUITES)}")
    suite = Suite(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3])
    SUITES[sys.argv[3]](suite)
    return min(suite.failures, 100)


if __name__ == "__main__":
    sys.exit(main())
