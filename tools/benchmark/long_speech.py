#!/usr/bin/env python3
"""Compares thousands of frames of greedy speech, at the published size of talker and code predictor, with transformers in float32.

Usage: long_speech.py prepare BIN_DIR FOLDER               compiles the plans (no GPU, no weights' data)
       long_speech.py measure BIN_DIR FOLDER WEIGHTS -o results.json   on the machine with the GPU, PyTorch and transformers

prepare needs qwen-synth, qwen-export and qwenc, measure qwen-synth and qwenrt. The thinker, which only writes the text, has two layers.
Each plan speaks on its own; the reference is fed with the codes that came out (teacher forced, not its generate), see talker_reference.py.
"""

import json
import pathlib
import shutil
import sys
import time

from commands import run, two_steps

PLANS = {"f32": ["--target", "generic"], "nvidia-h200": ["--target", "nvidia-h200"]}
PENALTY = 1.05
SPEAKER = "ethan"


def published(arguments):
    """The published shape but for the thinker."""
    preset = arguments.folder / "preset"
    run(arguments.bin / "qwen-synth", "--preset", "qwen3-omni-speech", "--sparse", "-o", preset)
    config = json.loads((preset / "config.json").read_text())
    shutil.rmtree(preset)
    config["thinker_config"]["text_config"].update(num_hidden_layers=2, num_experts=8, num_experts_per_tok=2)
    config["talker_config"]["accept_hidden_layer"] = 1
    return config


def prepare(arguments):
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads(arguments.config.read_text()) if arguments.config else published(arguments)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    sparse = folder / "sparse"
    run(arguments.bin / "qwen-synth", "--config", folder / "config.json", "--sparse", "-o", sparse)
    run(arguments.bin / "qwen-export", sparse, "-o", folder / "model.json", "--components", "text,talker")
    for name in arguments.plans:
        options = [*PLANS[name], "--max-context", arguments.max_context]
        run(arguments.bin / "qwenc", folder / "model.json", "-o", folder / f"{name}.fb", *options)
    shutil.rmtree(sparse)  # a plan knows files by their headers, which the weights' files have too


def prompt_of(config):
    """A user's turn and the mark of an answer. Which text it is does not matter: any ids that stand for text."""
    start, end = config["im_start_token_id"], config["im_end_token_id"]
    return [start, config["user_token_id"], 10, *range(100, 164), end, 10, start, config["assistant_token_id"], 10]


def speak(arguments, name, config, path):
    """What a plan says, twice: as always, and with the logits written to `path`."""
    words = [arguments.bin / "qwenrt", arguments.folder / f"{name}.fb", "--weights", arguments.weights, "--stats", "--quiet"]
    words += ["--allow-cpu"] * arguments.allow_cpu
    words += ["--input-ids", json.dumps(prompt_of(config)), "--max-new-tokens", arguments.text_tokens, "--ignore-eos"]
    words += ["--temperature", 1, "--seed", 1, "--print-ids", "--print-codes"]  # text that does not repeat itself
    words += ["--speaker", SPEAKER, "--speech-greedy", "--speech-repetition-penalty", PENALTY]
    words += ["--speech-ignore-eos", "--speech-max-frames", arguments.frames]
    said = []
    for more in ([], ["--speech-logits", path]):
        begin = time.monotonic()
        out, err = run(*words, *more)
        ids, codes = map(json.loads, out.splitlines()[-2:])
        said.append({"ids": ids, "codes": codes, "seconds": time.monotonic() - begin, "stats": err.splitlines()})
    first, second = said
    if (first["ids"], first["codes"]) != (second["ids"], second["codes"]):
        sys.exit(f"{name}: text or codes differ where logits are written, expected the same")
    return {"ids": first["ids"], "codes": first["codes"], "seconds": [run_["seconds"] for run_ in said], "stats": first["stats"]}


def measure(arguments):
    config = json.loads((arguments.folder / "config.json").read_text())
    if not (arguments.weights / "config.json").exists():
        run(arguments.bin / "qwen-synth", "--config", arguments.folder / "config.json", "-o", arguments.weights)
    import talker_reference

    reference = talker_reference.Reference(arguments.weights, arguments.device)
    talker, predictor = config["talker_config"]["text_config"], config["talker_config"]["code_predictor_config"]
    results = {"frames": arguments.frames, "text_tokens": arguments.text_tokens, "repetition_penalty": PENALTY,
               "talker": {key: talker[key] for key in ("hidden_size", "num_hidden_layers", "num_experts", "num_experts_per_tok")},
               "predictor": {key: predictor[key] for key in ("hidden_size", "num_hidden_layers", "num_code_groups")},
               "reference": reference.versions(), "plans": {}}
    for name in arguments.plans:
        path = arguments.logits / f"{name}.logits.safetensors"
        said = speak(arguments, name, config, path)
        print(name, "has spoken in", said["seconds"], file=sys.stderr, flush=True)
        begin = time.monotonic()
        row = reference.compare(prompt_of(config), said["ids"], SPEAKER, path, PENALTY)
        path.unlink()
        row.update(spoken_s=said["seconds"], compared_s=time.monotonic() - begin, stats=said["stats"])
        results["plans"][name] = row
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
        print(name, json.dumps({key: row[key] for key in row if key not in ("stats", "drift", "flips", "mismatches")}), flush=True)


def main():
    parser, first, second = two_steps(__doc__, prepare, measure)
    for mode in (first, second):
        mode.add_argument("--plans", type=lambda names: names.split(","), default=list(PLANS), help="comma-separated, of " + ", ".join(PLANS))
    first.add_argument("--config", type=pathlib.Path, help="config.json of another shape")
    first.add_argument("--max-context", type=int, default=4352)
    second.add_argument("--frames", type=int, default=4000)
    second.add_argument("--text-tokens", type=int, default=1024)
    second.add_argument("--logits", type=pathlib.Path, default=pathlib.Path("/dev/shm"), help="folder for the logits, 540 MB")
    second.add_argument("--allow-cpu", action="store_true")
    second.add_argument("--device", default="cuda", help="of PyTorch")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
