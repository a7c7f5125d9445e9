#!/usr/bin/env python3
"""Measures prompts with sound, images and video, and speech, at the published size of Qwen3-Omni with synthetic weights.

Usage: omni.py prepare BIN_DIR FOLDER [--target NAME]      compiles the plan (no GPU, no weights' data)
       omni.py measure BIN_DIR FOLDER WEIGHTS -o results.json    on the machine with the GPU; WEIGHTS lies in memory (/dev/shm)

prepare needs qwen-synth, qwen-export and qwenc, measure qwen-synth and qwenrt with its modules for media. The tokenizer is that of the
tiny model of the tests: its ids are a part of the published vocabulary, and synthetic weights say nothing anyway.
"""

import argparse
import json
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import wave
import zlib

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parent.parent / "test" / "Integration" / "golden" / "tiny-qwen3-omni"
TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"]
PRESETS = ["qwen3-omni-thinker", "qwen3-omni-audio", "qwen3-omni-vision", "qwen3-omni-speech", "qwen3-omni-code2wav"]
TEXT = "What do you hear and see here? Please describe it in a few words. "
REPEATS = 3
PARTS = ["front_end_ms", "upload_ms", "encoder_ms", "prefill_ms"]  # upload is a part of encoder


def run(*words):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nended with {result.returncode}: {result.stderr[-3000:]}{result.stdout[-2000:]}")
    return result.stdout, result.stderr


def merge(config, other):
    """The members of `other` that `config` lacks, at any depth."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config.setdefault(key, value)


def prepare(arguments):
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    config = {}
    for preset in PRESETS:
        checkpoint = folder / preset
        run(arguments.bin / "qwen-synth", "--preset", preset, "--sparse", "-o", checkpoint)
        merge(config, json.loads((checkpoint / "config.json").read_text()))
        shutil.rmtree(checkpoint)
    config["enable_audio_output"] = True
    tiny = json.loads((TINY / "config.json").read_text())
    for inner, other in ((config, tiny), (config["talker_config"], tiny["talker_config"])):  # ids of text, as the tokenizer has them
        inner.update({key: other[key] for key in other if key.endswith("_token_id") and "codec" not in key})
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    sparse = folder / "sparse"
    run(arguments.bin / "qwen-synth", "--config", folder / "config.json", "--sparse", "-o", sparse)
    for name in TOKENIZER:
        shutil.copy(TINY / name, sparse / name)
    run(arguments.bin / "qwen-export", sparse, "-o", folder / "model.json")
    run(arguments.bin / "qwenc", folder / "model.json", "-o", folder / "plan.fb", "--target", arguments.target)
    shutil.rmtree(sparse)  # a plan knows files by their headers, which the weights' files have too


def write_sound(path, seconds):
    numbers = random.Random(seconds)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i * i * 1e-6) + numbers.uniform(-3000, 3000)))
                                  for i in range(16000 * seconds)))


def write_image(path, width, height, seed):
    noise = random.Random(seed).randbytes(width * 3)
    rows = b"".join(b"\0" + bytes(noise[(x + 7 * y) % len(noise)] // 2 + (x + y) % 128 for x in range(width * 3)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def media(folder):
    for seconds in (10, 30):
        write_sound(folder / f"{seconds}s.wav", seconds)
    write_image(folder / "image.png", 1280, 720, 1)
    (folder / "video").mkdir(exist_ok=True)
    for frame in range(16):
        write_image(folder / "video" / f"{frame:02}.png", 640, 360, frame)
    text = (TEXT * 4)[:190]
    return {"text": (text, []), "10 s of sound, a spoken question": (".", [{"audio": str(folder / "10s.wav")}]),
            "30 s of sound": (text, [{"audio": str(folder / "30s.wav")}]),
            "image of 1280x720": (text, [{"image": str(folder / "image.png")}]),
            "16 frames of 640x360": (text, [{"video": str(folder / "video")}])}


def measure(arguments):
    folder, weights = arguments.folder, arguments.weights
    if not (weights / "config.json").exists():
        print(run(arguments.bin / "qwen-synth", "--config", folder / "config.json", "-o", weights)[0])
    prompts = media(folder)
    cases = [{"name": name, "prompt": prompt, "media": parts, "max_new_tokens": 8, "ignore_eos": True}
             for _ in range(REPEATS) for name, (prompt, parts) in prompts.items()]
    (folder / "cases.json").write_text(json.dumps(cases))
    plan = folder / "plan.fb"
    out, err = run(arguments.bin / "qwenrt", plan, "--weights", weights, "--cases", folder / "cases.json", "--stats")
    results = {"prompts": {}, "stats": err.splitlines(), "speech": []}
    for line in map(json.loads, filter(None, out.splitlines())):
        if "error" in line:
            sys.exit(line["error"])
        row = results["prompts"].setdefault(line["name"], {"tokens": line["prompt_tokens"], **{part: [] for part in PARTS}})
        for part in PARTS:
            row[part].append(line.get(part, 0))
    for row in results["prompts"].values():  # the first of each compiles kernels
        for part in PARTS:
            row[part] = sorted(row[part][1:])[(REPEATS - 1) // 2]
    question = ["--audio", folder / "10s.wav", "--prompt", ".", "--ignore-eos"]
    for name, words in {"text": ["--max-new-tokens", "64"],
                        "speech": ["--max-new-tokens", "64", "--speech", folder / "answer.wav", "--speech-greedy", "--speech-ignore-eos",
                                   "--speech-max-frames", "256"]}.items():
        for _ in range(2):
            _, err = run(arguments.bin / "qwenrt", plan, "--weights", weights, *question, *words, "--stats")
            results["speech"].append({"name": name, "stats": err.splitlines()})
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)
    for function in (prepare, measure):
        mode = modes.add_parser(function.__name__)
        mode.set_defaults(run=function)
        mode.add_argument("bin", type=pathlib.Path)
        mode.add_argument("folder", type=pathlib.Path)
        if function is prepare:
            mode.add_argument("--target", default="nvidia-h200")
        else:
            mode.add_argument("weights", type=pathlib.Path)
            mode.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
