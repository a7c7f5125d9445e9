#!/usr/bin/env python3
"""Compiles the plans of the benchmark. Needs the compiler, no GPU and no weights.

Usage: plans.py BIN_DIR PLAN_DIR [--target NAME|FILE] [--models A,B] [--layers N] [--model-file FILE]

BIN_DIR holds qwen-synth, qwen-export and qwenc. A sparse synthetic checkpoint gives each model's real shape. PLAN_DIR then holds

    MODEL.FORMAT.fb        the plan of a model in one weight format (bf16, q8, q4)
    MODEL.FORMAT.long.fb   the same with a longer context
    MODEL.bf16.experts.fb  one prefill with 'layers.*.experts' exposed
    plans.json             what they are; run.py reads nothing else about the models

With --layers N the models have N layers and are named MODEL-Nl. Ends with 1 if a plan could not be compiled; the others are there.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def call(*words):
    """Runs a tool; its first line of complaint as an exception."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        complaint = result.stderr.strip().splitlines() or [f"{words[0]} ended with {result.returncode}"]
        raise RuntimeError(complaint[0])
    return result.stdout


def revision():
    """The revision these scripts come from; None outside a clone."""
    try:
        return call("git", "-C", HERE, "describe", "--always", "--dirty", "--abbrev=12").strip()
    except (OSError, RuntimeError):
        return None


def text_config(config):
    """The part of a config.json that describes the text decoder."""
    for key in ("thinker_config", "text_config"):
        config = config.get(key, config)
    return config


def synthesise(binary, model, layers, folder):
    """A sparse checkpoint with the shape of the model."""
    if "config" in model:
        config = folder.with_suffix(".config.json")
        config.write_text(json.dumps(model["config"]))
        shape = ("--config", config)
    else:
        shape = ("--preset", model["preset"])
    call(binary / "qwen-synth", *shape, *(("--layers", layers) if layers else ()), "-o", folder, "--sparse")


def wanted_plans(model):
    """(key in plans.json, file name, options of qwenc) of each plan."""
    context = ("--max-context", model["max_context"])
    for form in model["formats"]:
        yield form, f"{model['name']}.{form}.fb", (*context, "--weights-format", form)
    for form in model.get("long", {}).get("formats", ()):
        yield f"{form}.long", f"{model['name']}.{form}.long.fb", ("--max-context", model["long"]["max_context"], "--weights-format", form)
    if prompt := model.get("experts_prompt"):
        yield "experts", f"{model['name']}.bf16.experts.fb", (*context, "--prefill-chunk", prompt, "--expose", "layers.*.experts")


def compile_model(binary, model, options, work):
    """The model's part of plans.json, with an error in place of each plan that could not be compiled."""
    model = dict(model, layers=options.layers, plans={}, errors={})
    if options.layers:
        model["name"] += f"-{options.layers}l"
    checkpoint, graph = work / model["name"], work / f"{model['name']}.json"
    synthesise(binary, model, options.layers, checkpoint)
    config = text_config(json.loads((checkpoint / "config.json").read_text()))
    model["vocabulary"] = config["vocab_size"]
    model["layers_total"] = config["num_hidden_layers"]
    model["experts"] = config.get("num_experts")
    model["checkpoint_bytes"] = sum(file.stat().st_size for file in checkpoint.iterdir())
    call(binary / "qwen-export", checkpoint, "-o", graph)
    for key, file, words in wanted_plans(model):
        try:
            call(binary / "qwenc", graph, "-o", options.plan_dir / file, "--target", options.target, *words)
            model["plans"][key] = file
            print(f"{file}: {(options.plan_dir / file).stat().st_size} bytes", flush=True)
        except RuntimeError as error:
            model["errors"][key] = str(error)
            print(f"{file}: {error}", flush=True)
    return model


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compiles the plans of the benchmark; needs no GPU and no weights.")
    parser.add_argument("bin_dir", type=pathlib.Path, help="folder with qwen-synth, qwen-export and qwenc")
    parser.add_argument("plan_dir", type=pathlib.Path, help="folder to write")
    parser.add_argument("--target", default="nvidia-h200", help="target of qwenc (default: nvidia-h200)")
    parser.add_argument("--models", help="names from the model file, joined by commas (default: all)")
    parser.add_argument("--layers", type=int, help="layers of each model (default: as published)")
    parser.add_argument("--model-file", type=pathlib.Path, default=HERE / "models.json", help="models and items (default: models.json here)")
    options = parser.parse_args()
    models = json.loads(options.model_file.read_text())["models"]
    if options.models:
        names = options.models.split(",")
        if unknown := set(names) - {model["name"] for model in models}:
            parser.error(f"no model {', '.join(sorted(unknown))}, expected {', '.join(model['name'] for model in models)}")
        models = [model for model in models if model["name"] in names]
    return options, models


def main():
    options, models = parse_arguments()
    options.plan_dir.mkdir(parents=True, exist_ok=True)
    work = options.plan_dir / "work"
    compiled, failed = [], False
    for model in models:
        work.mkdir(exist_ok=True)
        try:
            compiled.append(compile_model(options.bin_dir, model, options, work))
            failed |= bool(compiled[-1]["errors"])
        except (RuntimeError, OSError) as error:
            failed = True
            print(f"{model['name']}: {error}", flush=True)
        finally:
            shutil.rmtree(work)
    plans = {"format": 1, "target": options.target, "revision": revision(), "models": compiled}
    (options.plan_dir / "plans.json").write_text(json.dumps(plans, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
