#!/usr/bin/env python3
"""Measures prompts with sound, images and video, and speech, at the published size of Qwen3-Omni with synthetic weights.

Usage: omni.py prepare BIN_DIR FOLDER [--target NAME]      compiles the plans (no GPU, no weights' data)
       omni.py measure BIN_DIR FOLDER WEIGHTS -o results.json    on the machine with the GPU; WEIGHTS lies in memory (/dev/shm)

prepare needs qwen-synth, qwen-export and qwenc, measure qwen-synth and qwenrt with its modules for media. The tokenizer is that of the
tiny model of the tests: its ids are a part of the published vocabulary, and synthetic weights say nothing anyway.
"""

import json
import math
import pathlib
import random
import shutil
import struct
import sys
import wave
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "speech-timeline"))
import answers  # noqa: E402
import output  # noqa: E402
from commands import run, two_steps  # noqa: E402

TINY = HERE.parent.parent / "test" / "Integration" / "golden" / "tiny-qwen3-omni"
TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"]
PRESETS = ["qwen3-omni-thinker", "qwen3-omni-audio", "qwen3-omni-vision", "qwen3-omni-speech", "qwen3-omni-code2wav"]
TEXT = ("What do you hear and see here? Please describe it in a few words. " * 4)[:190]
LARGEST = (4096, 3136)  # as many pixels as the published preprocessor leaves an image, and 12,544 tokens
LARGEST_CONTEXT = 16384
REPEATS = 3
PARTS = ["front_end_ms", "upload_ms", "encoder_ms", "prefill_ms"]  # upload is a part of encoder


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
    run(arguments.bin / "qwen-export", sparse, "-o", folder / "largest.json", "--components", "text,vision")
    run(arguments.bin / "qwenc", folder / "largest.json", "-o", folder / "largest.fb", "--target", arguments.target,
        "--max-image-pixels", math.prod(LARGEST), "--max-context", LARGEST_CONTEXT)
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
    """Noise that moves from row to row over a ramp; halves of both, so that whole rows can be added as numbers without a carry."""
    size = width * 3
    noise = 2 * random.Random(seed).randbytes(size).translate(bytes(value // 2 for value in range(256)))
    ramp = bytes(range(128)) * (size // 128 + 2)

    def row(y):
        parts = (part[first : first + size] for part, first in ((noise, 7 * y % size), (ramp, y % 128)))
        return b"\0" + sum(int.from_bytes(part, "little") for part in parts).to_bytes(size, "little")

    rows = b"".join(map(row, range(height)))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def media(folder):
    if not (folder / "video").exists():  # the last to be written
        for seconds in (10, 30):
            write_sound(folder / f"{seconds}s.wav", seconds)
        write_image(folder / "image.png", 1280, 720, 1)
        (folder / "frames").mkdir(exist_ok=True)
        for frame in range(16):
            write_image(folder / "frames" / f"{frame:02}.png", 640, 360, frame)
        (folder / "frames").rename(folder / "video")
    return {"text": (TEXT, []), "10 s of sound, a spoken question": (".", [{"audio": str(folder / "10s.wav")}]),
            "30 s of sound": (TEXT, [{"audio": str(folder / "30s.wav")}]),
            "image of 1280x720": (TEXT, [{"image": str(folder / "image.png")}]),
            "16 frames of 640x360": (TEXT, [{"video": str(folder / "video")}])}


def measure_prompts(arguments, plan, prompts):
    """What each prompt takes, in the median of all rounds but the first, which compiles kernels; and what --stats says."""
    cases = [{"name": name, "prompt": prompt, "media": parts, "max_new_tokens": 8, "ignore_eos": True}
             for _ in range(REPEATS) for name, (prompt, parts) in prompts.items()]
    path = arguments.folder / "cases.json"
    path.write_text(json.dumps(cases))
    out, err = run(arguments.bin / "qwenrt", arguments.folder / plan, "--weights", arguments.weights, "--cases", path, "--stats")
    rows = {}
    for line in map(json.loads, filter(None, out.splitlines())):
        if "error" in line:
            sys.exit(line["error"])
        row = rows.setdefault(line["name"], {"tokens": line["prompt_tokens"], **{part: [] for part in PARTS}})
        for part in PARTS:
            row[part].append(line.get(part, 0))
    for row in rows.values():
        for part in PARTS:
            row[part] = sorted(row[part][1:])[(REPEATS - 1) // 2]
    return rows, err.splitlines()


def measure(arguments):
    folder, weights = arguments.folder, arguments.weights
    if not (weights / "config.json").exists():
        print(run(arguments.bin / "qwen-synth", "--config", folder / "config.json", "-o", weights)[0])
    rows, stats = measure_prompts(arguments, "plan.fb", media(folder))
    results = {"prompts": rows, "stats": stats, "speech": []}
    for part in (measure_speech, measure_largest):
        part(arguments, results)
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def measure_speech(arguments, results):
    """A spoken question answered in text, in text and speech, and the latter with a trace of its runs; the first of two compiles kernels."""
    folder = arguments.folder
    question = [arguments.bin / "qwenrt", folder / "plan.fb", "--weights", arguments.weights, "--audio", folder / "10s.wav", "--prompt", ".", "--ignore-eos",
                "--max-new-tokens", "64", "--stats"]
    speech = ["--speech", folder / "answer.wav", "--speech-greedy", "--speech-ignore-eos", "--speech-max-frames", "256"]
    for name, words in {"text": [], "speech": speech}.items():
        for _ in range(2):
            results["speech"].append({"name": name, "stats": run(*question, *words)[1].splitlines()})
    traced = run(*question, *speech, "--profile", folder / "trace.json", "--profile-runs")[1]
    short = answers.reduced(folder / "trace.json")
    arguments.output.with_suffix(".trace.json").write_text(json.dumps(short, separators=(",", ":")) + "\n")
    stats = [output.statistics("\n".join(record["stats"])) for record in results["speech"][1::2]]
    results["whole"] = whole(*stats, output.statistics(traced), short)
    print("the whole: {answer_ms:.1f} ms, {over_percent:+.1f} % over {sum_ms:.1f} ms, which text alone ({text_ms:.1f}) and the GPU time of talker "
          "({talker_gpu_ms:.1f}), code predictor ({predictor_gpu_ms:.1f}) and vocoder ({vocoder_gpu_ms:.1f}) are".format(**results["whole"]))


def measure_largest(arguments, results):
    """One image of the most pixels, from its file, in a plan that has room for it."""
    image = arguments.folder / "largest.png"
    if not image.exists():
        write_image(image, *LARGEST, 1)
    rows, stats = measure_prompts(arguments, "largest.fb", {"largest": (TEXT, [{"image": str(image)}])})
    results["largest_image"] = {"pixels": math.prod(LARGEST), **rows["largest"], "stats": stats}


def whole(text, speech, traced, short):
    """How much longer a spoken answer takes than its text alone and the GPU time of what speaks, in milliseconds."""
    if missing := [key for stats, keys in ((text, ("prompt_ms", "choose_ms", "generation_ms")), (speech, ("answer_ms", "generated_tokens")),
                                           (traced, ("answer_ms",))) for key in keys if key not in stats]:
        sys.exit(f"--stats says nothing about {missing[0]}, expected it of a spoken answer, use the qwenrt of this revision")
    if text["generated_tokens"] != speech["generated_tokens"]:
        sys.exit(f"the answer has {speech['generated_tokens']} further tokens with speech and {text['generated_tokens']} without, expected the same")
    times = {lane: sum(sum(runs[1::2]) for entry, runs in short["runs"].items() if answers.lane_of(entry) == lane) / 1e3 for lane in answers.ORDER}
    result = {"text_ms": text["prompt_ms"] + text["choose_ms"] + text["generation_ms"], "talker_gpu_ms": times["talker"],
              "predictor_gpu_ms": times["code predictor"], "vocoder_gpu_ms": times["vocoder"]}
    result["sum_ms"] = sum(result.values())
    result |= {"thinker_gpu_ms": times["thinker"], "answer_ms": speech["answer_ms"], "traced_answer_ms": traced["answer_ms"]}
    result["over_percent"] = 100 * (result["answer_ms"] / result["sum_ms"] - 1)
    return {key: round(value, 3) for key, value in result.items()}


def main():
    parser, first, _ = two_steps(__doc__, prepare, measure)
    first.add_argument("--target", default="nvidia-h200")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
