"""Prompts with media through the real commands: qwen-export, qwenc, qwenrt on lavapipe, from files to tokens.

Usage: media.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

As golden.py: the exit status is the number of failures.
"""

import array
import json
import math
import pathlib
import random
import re
import sys
import wave

import golden
import safetensors
from golden import BOUND, GOLDEN

DATA = golden.SOURCE / "test" / "Media" / "data"
OMNI = GOLDEN / "tiny-qwen3-omni"
# Runs of the encoders no larger than the media here need: a processor takes its time for those of the default size.
SMALL = ("--max-audio-seconds", "10", "--max-image-pixels", "65536")


def media_cases():
    """The golden prompts with media, as cases of qwenrt."""
    for source in json.loads((DATA / "cases.json").read_text())["thinker_cases"]:
        media = source["media"]
        if not media:
            continue
        case = {"name": source["name"], "prompt": source["text"], "raw": True}
        case["media"] = [{"image": str(DATA / name)} for name in media.get("images", [])]
        sound = [{"audio": str(DATA / name)} for name in media.get("audio", [])]
        video = []
        if "video" in media:
            video = [{"video": str(DATA / "frames")}]
            case.update(fps=media["video"]["fps"], min_pixels=media["video"]["min_pixels"], max_pixels=media["video"]["max_pixels"])
            if "images" in media:  # both ranges follow the options; the images stay as they are
                case["min_pixels"] = 4096
        if media.get("use_audio_in_video"):
            case["use_audio_in_video"] = True
            case["media"] += video + sound  # the track behind its video
        else:
            case["media"] += sound + video
        yield case, safetensors.read(OMNI / "golden" / f"thinker_{source['name']}.safetensors")


def compare(suite, tag, case, want, result):
    where = f"{tag}: {case['name']}"
    if "error" in result:
        suite.check(False, f"{where}: {result['error']}")
        return
    prompt = want["input_ids"][0][0]
    suite.check(result["prompt_tokens"] == prompt, f"{where}: {result['prompt_tokens']} tokens, expected {prompt}")
    suite.check(result["ids"] == list(want["greedy_ids"][1]), f"{where}: greedy ids {result['ids']}")
    (rows, vocab), flat_want = want["logits_last8"]
    got = safetensors.read(case["logits"])["logits"]
    suite.check(got[0] == [prompt, vocab], f"{where}: logits have shape {got[0]}, expected {[prompt, vocab]}")
    for row in range(rows):
        part = slice(row * vocab, (row + 1) * vocab)
        error = safetensors.relative_l2(got[1][-rows * vocab :][part], flat_want[part])
        suite.check(error <= BOUND, f"{where}: logits at position {prompt - rows + row} differ by {error:.2e}")


def prompts(suite):
    """Every golden prompt with media: greedy tokens exact, logits within the bound; chunks that cut media."""
    for tag, options in {
        "lavapipe": ("--target", "lavapipe"),
        "generic": SMALL,
        "chunk16": ("--target", "lavapipe", "--prefill-chunk", "16", *SMALL),
    }.items():
        plan = suite.plan(OMNI, tag, *options)
        cases, wanted = zip(*media_cases())
        for case, want in zip(cases, wanted):
            case.update(max_new_tokens=len(want["greedy_ids"][1]), ignore_eos=True)
            case["logits"] = str(suite.work / f"{tag}-{case['name']}.logits.safetensors")
        for case, want, result in zip(cases, wanted, suite.run(plan, list(cases))):
            compare(suite, tag, case, want, result)


def media_inputs(case, want, context):
    """The prefill's inputs: what the reference put in the place of media, and deepstack rows of images and videos."""
    (length, width), embeds = want["inputs_embeds"]
    ids, vision = list(want["input_ids"][1]), safetensors.read(OMNI / "golden" / "vision.safetensors")
    config = json.loads((OMNI / "config.json").read_text())["thinker_config"]
    names = {"gradient_200x136.png": "image0", "checker_64x64.png": "image1", "noise_40x30.png": "image2", "frames": "video"}
    shown = sorted((kind, i) for i, medium in enumerate(case["media"]) for kind in medium if kind != "audio")  # images before videos
    shown = [names[pathlib.Path(case["media"][i][kind]).name] for kind, i in shown]
    rows, media, deepstack = array.array("i", [-1] * length), array.array("f"), []
    for kind in ("audio", "image", "video"):
        for place in (place for place, id in enumerate(ids) if id == config[f"{kind}_token_id"]):
            rows[place] = len(media) // width
            media.extend(embeds[place * width : (place + 1) * width])
    sounds = sum(id == config["audio_token_id"] for id in ids)
    for stage in range(2):
        values = array.array("f", [0.0] * (sounds * width))
        for name in shown:
            values.extend(vision[f"{name}.deepstack_{stage}"][1])
        deepstack.append(values)
    positions = want["position_ids"][1]
    by_row = array.array("f", (positions[axis * length + row] for row in range(length) for axis in range(3)))
    inputs = {"input_ids": ("I32", [length], array.array("i", ids)), "positions": ("F32", [length, 3], by_row),
              "media_rows": ("I32", [length], rows)}
    for name, values in {"media": media, "deepstack.0": deepstack[0], "deepstack.1": deepstack[1]}.items():
        inputs[name] = ("F32", [context, width], values + array.array("f", [0.0] * (context * width - len(values))))
    return inputs


def stages(suite):
    """Merged embeddings, every layer and the chosen experts of the golden prompts with media, through --entry."""
    context, layers = 128, 4
    plan = suite.plan(OMNI, "stages", "--target", "lavapipe", "--max-context", str(context), "--prefill-chunk", str(context), "--expose", "embeddings", "--expose",
                      "layers.*.output", "--expose", "layers.*.experts")
    for case, want in media_cases():
        inputs, outputs = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
        safetensors.write(inputs, media_inputs(case, want, context))
        suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "prefill", "--inputs", inputs, "--outputs", outputs)
        got = safetensors.read(outputs)
        length, width = want["inputs_embeds"][0]

        def check(what, values, wanted):
            error = safetensors.relative_l2(values, wanted)
            suite.check(error <= BOUND, f"{case['name']}: {what} differs by {error:.2e}")

        check("embeddings", got["embeddings"][1], want["inputs_embeds"][1])
        last = want["hidden_last8"][1]
        for layer in range(layers):
            rows = got[f"layers.{layer}.output"][1]
            if layer + 1 < layers:  # the reference's last entry is behind the final norm
                check(f"layer {layer}", rows[-8 * width :], last[(layer + 1) * 8 * width : (layer + 2) * 8 * width])
            (_, count, chosen), experts = want["router_experts"]
            part = experts[layer * count * chosen : (layer + 1) * count * chosen]
            suite.check(list(got[f"layers.{layer}.experts"][1]) == list(part), f"{case['name']}: experts of layer {layer}")


def chats(suite):
    """The chat template puts media before the text; the same tokens as the prompt written out."""
    plan = suite.plan(OMNI, "small", "--target", "lavapipe", *SMALL)
    for case, want in media_cases():
        # "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n(media)P<|im_end|>\n<|im_start|>assistant\n"
        turns = [turn.split("\n", 1) for turn in case["prompt"].split("<|im_start|>")[1:]]
        if [turn[0] for turn in turns] != ["system", "user", "assistant"] or case["name"] not in ("audio_two", "image_two", "mixed_video"):
            continue
        system, user = (turn[1].split("<|im_end|>")[0] for turn in turns[:2])
        words = ["--system", system, "--prompt", user.rsplit("|>", 1)[1], "--print-ids", "--ignore-eos", "--stats"]
        words += ["--max-new-tokens", str(len(want["greedy_ids"][1]))]
        for medium in case["media"] if "fps" not in case else sorted(case["media"], key=lambda m: ("audio", "image", "video").index(*m)):
            ((kind, path),) = medium.items()
            words += [f"--{kind}", path]
        for key in ("fps", "min_pixels", "max_pixels"):
            if key in case:
                words += ["--" + key.replace("_", "-"), str(case[key])]
        result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words)
        ids = json.loads(result.stdout.splitlines()[-1]) if result.stdout else None
        suite.check(ids == list(want["greedy_ids"][1]), f"{case['name']}: chat gave {ids}")
        for part in ("front end ", "encoder ", "prompt "):
            line = next((line for line in result.stderr.splitlines() if line.startswith("time to first token")), "")
            suite.check(part in line, f"{case['name']}: no {part}in {line!r}")


MARKS = {"audio": "<|audio_start|><|audio_pad|><|audio_end|>", "image": "<|vision_start|><|image_pad|><|vision_end|>"}


def conversation(suite):
    """Later turns with media on top of the caches say what the whole conversation as one prompt says."""
    plan = suite.plan(OMNI, "small", "--target", "lavapipe", *SMALL)
    # A clip of a second or more: the width of its chunks does not depend on the company it is in.
    talk(suite, plan, [("image", DATA / "gradient_200x136.png"), ("audio", DATA / "sweep_36800.wav"), None, ("image", DATA / "checker_64x64.png")])


def talk(suite, plan, turns, *options):
    tool, steps = (suite.bin / "qwenrt", plan), ["--max-new-tokens", "6", "--ignore-eos"]

    def output(*words, **keywords):
        return suite.command(*tool, *words, **keywords).stdout

    ids, files, lines, replies = [], [], [], []
    for i, medium in enumerate(turns):
        if medium:
            files += [f"--{medium[0]}", medium[1]]
            lines.append(f"/{medium[0]} {medium[1]}")
        lines.append(f"Question {i}?")
        head = "<|im_end|>\n<|im_start|>user\n" if i else "<|im_start|>user\n"
        text = f"{head}{MARKS[medium[0]] if medium else ''}Question {i}?<|im_end|>\n<|im_start|>assistant\n"
        ids += json.loads(output("--tokenize", text))
        said = output("--allow-cpu", "--input-ids", json.dumps(ids), "--print-ids", *steps, *files, *options)
        replies.append(json.loads(said or "[]"))
        ids += replies[-1]
    path = suite.work / "turns"
    path.write_text("\n".join(lines) + "\n")
    with open(path) as source:
        said = output("--allow-cpu", "--interactive", "--sampling", "greedy", *steps, *options, stdin=source)
    # A chat hides special tokens, which --ignore-eos lets through.
    wanted = re.sub(r"<\|\w+\|>", "", "".join(output("--detokenize", json.dumps(reply)) for reply in replies))
    suite.check(said == wanted, f"conversation gave {said!r}, expected {wanted!r}")


def write_sound(path, seconds, seed):
    """Noise whose loudness changes, 16 kHz."""
    draw = random.Random(seed)
    samples = array.array("h", (int(draw.gauss(0, 3000) * (1 + math.sin(i / 2000))) for i in range(int(16000 * seconds))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


def split_runs(suite):
    """Sound and images that one run of an encoder does not take come out as in one run."""
    clips = []
    for i, seconds in enumerate((5.5, 0.3, 4.2)):
        clips.append(suite.work / f"clip{i}.wav")
        write_sound(clips[-1], seconds, i)
    media = [{"audio": str(clip)} for clip in clips]
    media += [{"image": str(DATA / name)} for name in ("gradient_200x136.png", "noise_40x30.png", "gradient_200x136.png")]
    results, logits = {}, {}
    for tag, options in {"whole": ("--max-image-pixels", "65536"), "split": ("--max-audio-seconds", "6", "--max-image-pixels", "24576")}.items():
        plan = suite.plan(OMNI, tag, "--target", "lavapipe", *options)
        path = suite.work / f"{tag}.safetensors"
        case = {"name": tag, "prompt": "What is it?", "media": media, "max_new_tokens": 8, "ignore_eos": True, "logits": str(path)}
        (results[tag],) = suite.run(plan, [case])
        if "error" in results[tag]:
            suite.check(False, f"{tag}: {results[tag]['error']}")
            return
        logits[tag] = safetensors.read(path)["logits"][1]
    suite.check(results["whole"]["ids"] == results["split"]["ids"], f"split runs gave {results['split']['ids']}, {results['whole']['ids']} expected")
    error = safetensors.relative_l2(logits["split"], logits["whole"])
    suite.check(error <= 1e-5, f"logits of split runs differ by {error:.2e}")


def limits(suite):
    """Limits of the plan are refused by name, before anything runs."""
    plan = suite.plan(OMNI, "small", "--target", "lavapipe", "--max-audio-seconds", "1", "--max-image-pixels", "4096", "--max-video-frames", "3",
                      "--max-context", "64")
    for words, part in (
        (["--audio", DATA / "sweep_36800.wav"], "(--max-audio-seconds of the plan)"),
        (["--image", DATA / "gradient_200x136.png"], "expected at most 4096 (--max-image-pixels of the plan)"),
        (["--video", DATA / "frames", "--min-pixels", "4096", "--max-pixels", "4096"], "more than 3 frames"),
        (["--image", DATA / "checker_64x64.png"] * 12, "tokens, expected at most 64"),
        (["--image", DATA / "checker_64x64.png"] * 20, "patches, expected at most 256 (the media limit)"),
    ):
        result = suite.command(suite.bin / "qwenrt", plan, "--prompt", "a", *words, status=1)
        suite.check(part in result.stderr, f"{words[0]} ended with {result.stderr!r}, expected {part}")


SUITES = (prompts, stages, chats, conversation, split_runs, limits)


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = golden.Suite(bin_dir, work / "media", name)
    dict((function.__name__, function) for function in SUITES)[name](suite)
    sys.exit(min(suite.failures, 100))


if __name__ == "__main__":
    main()
