#!/usr/bin/env python3
"""Measures the whole table on a machine with a GPU. Needs Python 3 and the programs, nothing else.

Usage: run.py BIN_DIR PLAN_DIR WORK_DIR -o results.json [--models A,B] [--only GLOB,...] [--quick] [--allow-cpu] ...

BIN_DIR holds qwenrt, qwen-synth and qwen-pack, PLAN_DIR what plans.py wrote, WORK_DIR lies in memory (/dev/shm) and takes the
synthetic checkpoints. results.json is written after every item; an item that fails is recorded there and the next one begins.
Ends with 1 if an item failed.
"""

import argparse
import collections
import datetime
import fnmatch
import json
import os
import pathlib
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import output

Finished = collections.namedtuple("Finished", "status stdout stderr seconds first_output_seconds timed_out")


class ItemError(Exception):
    """Why an item has no result, in one line."""


def run_process(words, environment, timeout):
    """Runs a command, notes when its first output came and ends it, and what it started, behind the timeout."""
    with tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   env=environment, start_new_session=True)
        chunks, first, timed_out = [], None, False
        try:
            while True:
                left = start + timeout - time.monotonic()
                if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                    timed_out = True
                    break
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                first = first or time.monotonic() - start
                chunks.append(chunk)
            if not timed_out:
                process.wait(max(0.1, start + timeout - time.monotonic()))
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    timed_out = True  # stuck in its driver; the table goes on
            process.stdout.close()
        seconds = time.monotonic() - start
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    return Finished(process.returncode, b"".join(chunks).decode(errors="replace"), text, seconds, first, timed_out)


def token_ids(count, vocabulary):
    """Token ids without pattern, the same in every run."""
    state, ids = 1, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        ids.append((state >> 33) % vocabulary)
    return ids


class Benchmark:
    """One run of the table: options, results so far, what lies in the work folder."""

    def __init__(self, options, plans):
        self.options, self.plans = options, plans
        self.work = options.work_dir
        self.checkpoints = {}  # name of a model -> folder, or why there is none
        self.packed = {}  # (model, format) -> file, or why there is none
        self.results = {
            "format": 1, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "revision": options.revision or plans.get("revision"), "target": plans.get("target"),
            "quick": options.quick, "processors": os.cpu_count(), "device": None, "models": {}, "errors": [],
        }

    def merge(self, older):
        """Begins with the items of another run; those that are measured again replace them."""
        self.results["models"] = older["models"]
        self.results["errors"] = older["errors"]

    # -- Commands ----------------------------------------------------------------------------------------------------------------

    def environment(self, key, fresh=False):
        """Pipeline caches, the program's and the driver's, in a folder of their own."""
        folder = self.work / "caches" / key
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        path = str(folder.resolve())
        return dict(os.environ, XDG_CACHE_HOME=path, MESA_SHADER_CACHE_DIR=path, __GL_SHADER_DISK_CACHE_PATH=path)

    def command(self, words, environment=None, partial=False):
        """A command that must succeed; with partial a failure is left to the caller."""
        done = run_process(words, environment or dict(os.environ), self.options.timeout)
        if partial:
            return done
        if done.timed_out:
            raise ItemError(f"{pathlib.Path(words[0]).name} took longer than {self.options.timeout:g} s")
        if done.status:
            raise ItemError(output.complaint(done.stderr, done.status))
        return done

    def qwenrt(self, model, plan, form, *words):
        """The command line of qwenrt with plan, weights and device."""
        file = model["plans"].get(plan)
        if not file:
            raise ItemError(model.get("errors", {}).get(plan) or f"no plan '{plan}' in plans.json, expected one, run plans.py")
        weights = ["--weights", self.checkpoint(model)]
        if form != "bf16":
            weights += ["--weights", self.packed_weights(model, form)]
        return [self.options.bin_dir / "qwenrt", self.options.plan_dir / file, *weights, *self.device_words(), "--quiet", *words]

    def device_words(self):
        return [*(["--allow-cpu"] if self.options.allow_cpu else []), *(["--device", self.options.device] if self.options.device else [])]

    # -- Files -------------------------------------------------------------------------------------------------------------------

    def need_room(self, folder, size_bytes):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < size_bytes:
            raise ItemError(f"'{folder}' has {free / 1e9:.1f} GB free, expected {size_bytes / 1e9:.1f} GB, choose a larger one or fewer --layers")

    def once(self, known, key, make):
        """make() the first time, then the same result or the same failure."""
        if key not in known:
            try:
                known[key] = make()
            except ItemError as error:
                known[key] = error
        if isinstance(known[key], ItemError):
            raise known[key]
        return known[key]

    def checkpoint(self, model):
        return self.once(self.checkpoints, model["name"], lambda: self.make_checkpoint(model))

    def make_checkpoint(self, model):
        folder, complete = self.work / model["name"], self.work / f"{model['name']}.complete"
        record = self.record(model)
        if complete.exists():
            record["checkpoint"] = {"reused": True, "bytes": model["checkpoint_bytes"]}
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        self.need_room(self.work, model["checkpoint_bytes"])
        shape = ["--preset", model.get("preset")]
        if "config" in model:
            config = self.work / f"{model['name']}.config.json"
            config.write_text(json.dumps(model["config"]))
            shape = ["--config", config]
        layers = ["--layers", model["layers"]] if model.get("layers") else []
        done = self.command([self.options.bin_dir / "qwen-synth", *shape, *layers, "-o", folder])
        complete.touch()
        record["checkpoint"] = {"seconds": round(done.seconds, 2), "bytes": model["checkpoint_bytes"]}
        print(f"  wrote {model['name']}: {model['checkpoint_bytes'] / 1e9:.2f} GB in {done.seconds:.1f} s", flush=True)
        return folder

    def packed_weights(self, model, form):
        return self.once(self.packed, (model["name"], form), lambda: self.make_packed(model, form))

    def make_packed(self, model, form):
        checkpoint = self.checkpoint(model)
        folder = self.options.packed_dir or self.work
        file = folder / f"{model['name']}.{form}.packed"
        self.need_room(folder, model["checkpoint_bytes"] * {"q8": 8.5, "q4": 4.5}[form] / 16)
        done = self.command([self.options.bin_dir / "qwen-pack", self.options.plan_dir / model["plans"][form], "--weights", checkpoint,
                             "-o", file, "--quiet"])
        packed = {"seconds": round(done.seconds, 2), "bytes": file.stat().st_size}
        self.record(model, form)["pack"] = packed
        print(f"  packed {model['name']} {form}: {packed['bytes'] / 1e9:.2f} GB in {done.seconds:.1f} s", flush=True)
        return file

    def drop_packed(self, name, form):
        file = self.packed.pop((name, form), None)
        if isinstance(file, pathlib.Path):
            file.unlink(missing_ok=True)

    def clean(self):
        shutil.rmtree(self.work / "caches", ignore_errors=True)
        for key in list(self.packed):
            self.drop_packed(*key)
        if self.options.keep:
            return
        for name in self.checkpoints:
            (self.work / f"{name}.complete").unlink(missing_ok=True)
            (self.work / f"{name}.config.json").unlink(missing_ok=True)
            shutil.rmtree(self.work / name, ignore_errors=True)

    # -- Results -----------------------------------------------------------------------------------------------------------------

    def record(self, model, form=None):
        entry = self.results["models"].setdefault(model["name"], {
            "title": model.get("title", model["name"]), "layers": model.get("layers_total"), "experts": model.get("experts"), "formats": {}})
        return entry["formats"].setdefault(form, {}) if form else entry

    def write(self):
        temporary = self.options.output.with_name(self.options.output.name + ".part")
        temporary.write_text(json.dumps(self.results, indent=1) + "\n")
        temporary.replace(self.options.output)

    # -- Items -------------------------------------------------------------------------------------------------------------------

    def find_device(self):
        """The device that qwenrt takes by default, or the one asked for."""
        done = self.command([self.options.bin_dir / "qwenrt", "--list-devices"])
        found = output.devices(done.stdout)
        wanted = self.options.device
        if wanted:
            found = [d for d in found if str(d["index"]) == wanted or wanted.lower() in d["name"].lower()]
        elif not self.options.allow_cpu:
            found = [d for d in found if d["kind"] != "CPU"]
        self.results["devices"] = done.stdout.strip().splitlines()
        self.results["device"] = found[0] if found else None

    def generate(self, model, form):
        """Greedy ids and logits of a fixed prompt; every process begins with empty pipeline caches."""
        setting = model["generate"]
        prompt = ",".join(map(str, token_ids(setting["prompt"], model["vocabulary"])))
        logits = self.work / "logits.safetensors"
        runs = []
        words = self.qwenrt(model, form, form, "--input-ids", prompt, "--max-new-tokens", setting["tokens"], "--ignore-eos", "--print-ids",
                            "--logits", logits, "--stats")
        for _ in range(1 if self.options.quick else 2):
            done = self.command(words, self.environment(f"{model['name']}.{form}", fresh=True))
            ids = output.last_ids(done.stdout)
            if not ids:
                raise ItemError(f"qwenrt printed no ids but '{done.stdout[:80]}'")
            runs.append(dict(output.statistics(done.stderr), ids_hash=output.ids_hash(ids), logits_hash=output.tensors_hash(logits), ids=len(ids)))
            logits.unlink()
        same = all(run["ids_hash"] == runs[0]["ids_hash"] and run["logits_hash"] == runs[0]["logits_hash"] for run in runs)
        return {"ids_hash": runs[0]["ids_hash"], "logits_hash": runs[0]["logits_hash"], "identical": same, "runs": runs}

    def bench(self, model, form):
        return self.measure(model, form, form, model["bench"])

    def long(self, model, form):
        return self.measure(model, f"{form}.long", form, model["long"]["bench"])

    def sampled(self, model, form):
        return self.measure(model, form, form, model["sampled"]["bench"], model["sampled"]["options"])

    def measure(self, model, plan, form, items, sampling=()):
        """Each item twice in one process. A process that fails is followed by one with the items behind the failing one."""
        result = {"items": {item: {"runs": []} for item in items}, "processes": []}
        left = items * (1 if self.options.quick else 2)
        repeat = self.options.repeat or (3 if self.options.quick else None)
        while left:
            words = self.qwenrt(model, plan, form, "--bench", ",".join(left), "--stats", *sampling, *(["--repeat", repeat] if repeat else []))
            done = self.command(words, self.environment(f"{model['name']}.{form}"), partial=True)
            lines = list(output.bench_lines(done.stdout))
            for item, run in lines:
                result["items"].setdefault(item, {"runs": []})["runs"].append(run)
            result["processes"].append(output.statistics(done.stderr))
            left = left[len(lines):]
            if done.timed_out or done.status or left:
                error = f"took longer than {self.options.timeout:g} s" if done.timed_out else output.complaint(done.stderr, done.status)
                result["items"].setdefault(left[0] if left else "end", {"runs": []})["error"] = error
                result["error"] = f"{left[0] if left else 'end'}: {error}"
                left = [] if done.timed_out else left[1:]
        for item in result["items"].values():
            if item["runs"]:
                item["tokens_per_second"] = statistics.median(run["tokens_per_second"] for run in item["runs"])
        return result

    def start(self, model, form):
        """From the start of the process to its first token, caches warm, beside a program that only opens Vulkan."""
        runs = 2 if self.options.quick else model["start_runs"]
        prompt = ",".join(map(str, token_ids(16, model["vocabulary"])))
        words = self.qwenrt(model, form, form, "--input-ids", prompt, "--max-new-tokens", 1, "--ignore-eos", "--print-ids")
        environment = self.environment(f"{model['name']}.{form}")
        self.command(words, environment)  # fills the caches
        first, end, empty = [], [], []
        for _ in range(runs):
            empty.append(self.command([self.options.bin_dir / "qwenrt", "--list-devices"], environment).seconds)
            done = self.command(words, environment)
            if not output.last_ids(done.stdout):
                raise ItemError("qwenrt printed no token")
            first.append(done.first_output_seconds)
            end.append(done.seconds)
        return {"first_token_s": statistics.median(first), "process_s": statistics.median(end), "empty_program_s": statistics.median(empty),
                "first_token_runs_s": first, "empty_program_runs_s": empty}

    def experts(self, model, form):
        """How many experts of each layer one prefill touches."""
        count = model["experts_prompt"]
        given, written = self.work / "ids.safetensors", self.work / "experts.safetensors"
        output.write_ids(given, "input_ids", token_ids(count, model["vocabulary"]))
        words = self.qwenrt(model, "experts", form, "--entry", "prefill", "--inputs", given, "--outputs", written)
        self.command(words, self.environment(f"{model['name']}.experts"))
        layers = {}
        for name, (dtype, _, data) in output.read_tensors(written).items():
            parts = name.split(".")
            if parts[0] == "layers" and parts[-1] == "experts" and dtype == "I32":
                layers[int(parts[1])] = len(set(data.cast("i")))
        written.unlink()
        given.unlink()
        if not layers:
            raise ItemError("prefill wrote no tensor layers.*.experts, expected a plan with --expose 'layers.*.experts', run plans.py")
        touched = [layers[layer] for layer in sorted(layers)]
        return {"tokens": count, "experts": model.get("experts"), "per_layer": touched, "min": min(touched), "median": statistics.median(touched)}

    def run_item(self, model, form, item):
        start = time.monotonic()
        self.results["errors"] = [e for e in self.results["errors"] if e["item"] != f"{model['name']}/{form}/{item}"]
        try:
            result = getattr(self, item)(model, form)
        except (ItemError, OSError, ValueError, KeyError) as error:
            result = {"error": str(error) if isinstance(error, (ItemError, OSError)) else f"{type(error).__name__}: {error}"}
        result["seconds"] = round(time.monotonic() - start, 2)
        self.record(model, form)[item] = result
        if "error" in result:
            self.results["errors"].append({"item": f"{model['name']}/{form}/{item}", "message": result["error"]})
        self.write()
        return result


def items_of(plans):
    """(model, format, item) in the order of their importance."""
    models = plans["models"]
    for model in models:
        for form in model["formats"]:
            yield model, form, "generate"
            yield model, form, "bench"
            if model.get("sampled"):
                yield model, form, "sampled"
            if model.get("start_runs"):
                yield model, form, "start"
            # Beside the others of its format, whose packed file it shares.
            if form != "bf16" and form in model.get("long", {}).get("formats", ()):
                yield model, form, "long"
    yield from ((model, "bf16", "experts") for model in models if model.get("experts_prompt"))
    yield from ((model, "bf16", "long") for model in models if "bf16" in model.get("long", {}).get("formats", ()))


def selected_items(options, plans):
    names = options.models.split(",") if options.models else None
    globs = options.only.split(",") if options.only else ["*"]
    for model, form, item in items_of(plans):
        path = f"{model['name']}/{form}/{item}"
        matches = any(fnmatch.fnmatchcase(path, glob) for glob in globs)
        if matches and not (options.quick and item == "long" and not options.only) and (names is None or model["name"] in names):
            yield model, form, item


def summary(item, result):
    """One line for the terminal."""
    if "error" in result and "items" not in result:
        return "error: " + result["error"]
    if item in ("bench", "sampled", "long"):
        parts = [f"{name} {entry['tokens_per_second']:.1f}" for name, entry in result["items"].items() if "tokens_per_second" in entry]
        return ", ".join(parts) + (" tokens/s" if parts else "") + (f" error: {result['error']}" if "error" in result else "")
    if item == "generate":
        return f"ids {result['ids_hash'][:12]}, logits {result['logits_hash'][:12]}" + ("" if result["identical"] else ", NOT the same in both runs")
    if item == "start":
        return f"first token {result['first_token_s'] * 1e3:.0f} ms, empty program {result['empty_program_s'] * 1e3:.0f} ms"
    return f"{result['tokens']} tokens touch min {result['min']}, median {result['median']:g} of {result['experts']} experts per layer"


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures the whole table; results.json is written after every item.")
    parser.add_argument("bin_dir", type=pathlib.Path, help="folder with qwenrt, qwen-synth and qwen-pack")
    parser.add_argument("plan_dir", type=pathlib.Path, help="folder that plans.py wrote")
    parser.add_argument("work_dir", type=pathlib.Path, help="folder in memory for the checkpoints (/dev/shm/benchmark)")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="results.json")
    parser.add_argument("--models", help="names of models, joined by commas (default: all of plans.json)")
    parser.add_argument("--only", help="globs over MODEL/FORMAT/ITEM, joined by commas (default: everything)")
    parser.add_argument("--quick", action="store_true", help="each item once with three repeats, nothing at long contexts")
    parser.add_argument("--repeat", type=int, help="measured runs of each bench item (default: qwenrt's)")
    parser.add_argument("--timeout", type=float, default=150, help="seconds one process may take (default: 150)")
    parser.add_argument("--budget", type=float, help="seconds behind which no further item begins (default: none)")
    parser.add_argument("--device", help="passed to qwenrt")
    parser.add_argument("--allow-cpu", action="store_true", help="passed to qwenrt; for tests, no measurement")
    parser.add_argument("--keep", action="store_true", help="leave the checkpoints for the next run")
    parser.add_argument("--merge", type=pathlib.Path, help="results.json of an earlier part of the run, to complete (default: none)")
    parser.add_argument("--packed-dir", type=pathlib.Path, help="folder for packed weights (default: WORK_DIR)")
    parser.add_argument("--list", action="store_true", help="print the items and end")
    parser.add_argument("--revision", help="git revision of the programs (default: that of plans.json)")
    return parser.parse_args()


def load_json(path, kind):
    """A plans.json or results.json of the format that this script knows; None for anything else."""
    try:
        content = json.loads(path.read_text())
        return content if content["format"] == 1 and isinstance(content["models"], kind) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main():
    options = parse_arguments()
    plans = load_json(options.plan_dir / "plans.json", list)
    if plans is None:
        print(f"run.py: error: no plans.json of format 1 in '{options.plan_dir}', expected one, run plans.py", file=sys.stderr)
        return 2
    older = load_json(options.merge, dict) if options.merge else None
    if options.merge and older is None:
        print(f"run.py: error: '{options.merge}' is no results.json of format 1, expected one, leave out --merge", file=sys.stderr)
        return 2
    items = list(selected_items(options, plans))
    if options.list:
        print("\n".join(f"{model['name']}/{form}/{item}" for model, form, item in items))
        return 0
    options.work_dir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: results written, memory given back
    benchmark = Benchmark(options, plans)
    if older:
        benchmark.merge(older)
    start = time.monotonic()
    try:
        benchmark.find_device()
    except (ItemError, OSError) as error:
        benchmark.results["errors"].append({"item": "device", "message": str(error)})
    device = benchmark.results["device"]
    print(f"{device['name']}, {device['driver']}" if device else "no device found", flush=True)
    benchmark.write()
    try:
        for number, (model, form, item) in enumerate(items):
            path = f"{model['name']}/{form}/{item}"
            if options.budget is not None and time.monotonic() - start > options.budget:
                benchmark.results["errors"].append({"item": path, "message": f"not begun: --budget of {options.budget:g} s is spent"})
                benchmark.write()
                continue
            print(f"[{number + 1}/{len(items)}, {time.monotonic() - start:.0f} s] {path}", flush=True)
            result = benchmark.run_item(model, form, item)
            print(f"  {summary(item, result)} ({result['seconds']:.1f} s)", flush=True)
            # Items of one format follow each other; its packed file makes room for the next.
            if number + 1 == len(items) or items[number + 1][:2] != (model, form):
                benchmark.drop_packed(model["name"], form)
    except KeyboardInterrupt:
        benchmark.results["errors"].append({"item": "all", "message": "interrupted"})
    finally:
        benchmark.results["seconds"] = round(time.monotonic() - start, 1)
        benchmark.write()
        benchmark.clean()
    print(f"{len(benchmark.results['errors'])} errors, {benchmark.results['seconds']:.0f} s, results in {options.output}", flush=True)
    return 1 if benchmark.results["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
