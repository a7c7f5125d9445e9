"""The decoders of speech through the real commands: qwen-export, qwenc, qwenrt --entry on lavapipe.

Usage: speech.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

As golden.py: the exit status is the number of failures.
"""

import array
import json
import pathlib
import sys

import golden
import safetensors
from golden import BOUND, GOLDEN

OMNI = GOLDEN / "tiny-qwen3-omni"
CONFIG = json.loads((OMNI / "config.json").read_text())
TALKER = CONFIG["talker_config"]
GROUPS = TALKER["num_code_groups"]
SPEAKERS = {"text": "aiden", "image": "aiden", "video": "chelsie"}  # the others: ethan
CASES = ("text", "text_no_penalty", "codec_eos", "multiturn_stop", "audio", "image", "video")
FEW = ("text", "image")


def plan_of(suite, name, components, *options):
    model, plan = suite.work / f"{name}.json", suite.work / f"{name}.fb"
    suite.command(suite.bin / "qwen-export", OMNI, "-o", model, "--components", components)
    suite.command(suite.bin / "qwenc", model, "-o", plan, *options)
    return plan


def run_entries(suite, plan, entries, inputs):
    """One process for all entries, whose tensors are numbered."""
    source, result = suite.work / "inputs.safetensors", suite.work / "outputs.safetensors"
    result.unlink(missing_ok=True)
    safetensors.write(source, inputs)
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--validate", "--entry", ",".join(entries), "--inputs", source, "--outputs", result)
    return safetensors.read(result) if result.exists() else {}


def f32(shape, values):
    return ("F32", list(shape), array.array("f", values))


def i32(values):
    return ("I32", [len(values)], array.array("i", values))


def compare(suite, what, got, want):
    if got is None or len(got[1]) != len(want):
        suite.check(False, f"{what}: {got and got[0]}, expected {len(want)} values")
        return
    error = safetensors.relative_l2(got[1], want)
    suite.check(error <= BOUND, f"{what} differ by {error:.2e}")


def transposed(tensor):
    (rows, columns), values = tensor
    return [values[r * columns + c] for c in range(columns) for r in range(rows)]


def row_of(tensor, row):
    width = len(tensor[1]) // tensor[0][0]
    return tensor[1][row * width : (row + 1) * width]


def penalty_of(name):
    return 1.0 if name == "text_no_penalty" else 1.05


def prompt_inputs(want, name, delta):
    """The inputs of the first two entries: the talker's prompt, then settings."""
    rows = want["talker_inputs_embeds"][0][0]
    inputs = {
        "0/input_ids": i32([TALKER["codec_pad_id"]] * rows),
        "0/inputs": f32(*want["talker_inputs_embeds"]),
        "0/positions": f32([rows, 3], transposed(want["talker_position_ids"])),
        "0/position_delta": f32([1], [delta]),
    }
    settings = {"temperature": ("F32", 1.0), "top_k": ("U32", 1), "top_p": ("F32", 1.0), "seed": ("U32", 7)}
    for key, (dtype, value) in {**settings, "repetition_penalty": ("F32", penalty_of(name))}.items():
        inputs["1/" + key] = (dtype, [1], array.array("f" if dtype == "F32" else "I", [value]))
        if key != "repetition_penalty":
            inputs["3/" + key] = inputs["1/" + key]
    return inputs


def speak(suite, plan, tag, name, kind, frames=None):
    """A whole utterance: the codes follow from each other on the device."""
    want = safetensors.read(OMNI / "golden" / f"speech_{name}.safetensors")
    rows, frames = want["talker_inputs_embeds"][0][0], frames or want["codes"][0][1]
    inputs = prompt_inputs(want, name, want["talker_step_position_ids"][1][0] - rows)
    frame = ["predictor.begin"] + [f"predictor.decode_{kind}"] * (GROUPS - 1) + [f"talker.decode_{kind}"]
    text = list(want["trailing_text_hidden"][1]) + list(want["tts_pad_embed"][1])
    inputs[f"{1 + len(frame)}/text_rows"] = f32([len(text) // len(want["tts_pad_embed"][1]), len(want["tts_pad_embed"][1])], text)
    got = run_entries(suite, plan, ["talker.prefill", f"talker.next_{kind}"] + frame * frames, inputs)
    where = f"{tag} {name}:"
    compare(suite, f"{where} logits of the prompt", got.get("1/logits"), row_of(want["talker_logits"], 0))
    for t in range(frames):
        first = 2 + t * len(frame)
        state = got.get(f"{first - 1}/last_hidden")
        compare(suite, f"{where} state before frame {t}", state, row_of(want["code_predictor_inputs"], t)[: len(state[1]) if state else 0])
        vocab = want["code_predictor_logits"][0][2]
        for j in range(GROUPS - 1):
            part = row_of(want["code_predictor_logits"], t)[j * vocab : (j + 1) * vocab]
            compare(suite, f"{where} logits of group {j + 1} of frame {t}", got.get(f"{first + 1 + j}/logits"), part)
        codes = [row_of(want["codes"], group)[t] for group in range(GROUPS)]
        found = list(got.get(f"{first + GROUPS - 1}/codes", ((), ()))[1])
        suite.check(found == codes, f"{where} frame {t} is {found}, expected {codes}")
        compare(suite, f"{where} logits behind frame {t}", got.get(f"{first + GROUPS}/logits"), row_of(want["talker_logits"], t + 1))


def greedy(suite):
    """Every golden utterance, on two targets."""
    plan = plan_of(suite, "lavapipe", "talker", "--target", "lavapipe")
    for name in CASES:
        speak(suite, plan, "lavapipe", name, "greedy")
    plan = plan_of(suite, "generic", "talker")
    for name in FEW:
        speak(suite, plan, "generic", name, "greedy", frames=4)


def sampled(suite):
    """The best of one is the greedy choice: with top-k 1 the sampling entries speak the golden utterances."""
    plan = plan_of(suite, "sampled", "talker", "--target", "lavapipe")
    for name in FEW:
        speak(suite, plan, "sampled", name, "sample")


def penalty(suite):
    """The choice of code 0 follows from the logits: penalised where the code was sampled before, and no special code but the end."""
    plan = plan_of(suite, "penalty", "talker", "--target", "lavapipe")
    want, frames, factor = safetensors.read(OMNI / "golden" / "speech_text.safetensors"), 8, 30.0
    inputs = prompt_inputs(want, "text", 0)
    inputs["1/repetition_penalty"] = f32([1], [factor])
    step = ["predictor.begin"] + ["predictor.decode_greedy"] * (GROUPS - 1) + ["talker.decode_greedy"]
    inputs[f"{1 + len(step)}/text_rows"] = f32(*want["trailing_text_hidden"])
    got = run_entries(suite, plan, ["talker.prefill", "talker.next_greedy"] + step * frames, inputs)
    history, vocab = [], TALKER["text_config"]["vocab_size"]
    for t in range(frames):
        logits = list(got.get(f"{1 + t * len(step)}/logits", ((), [0] * vocab))[1])
        for code in set(history):
            logits[code] = logits[code] / factor if logits[code] > 0 else logits[code] * factor
        allowed = [code for code in range(vocab) if code < vocab - 1024 or code == TALKER["codec_eos_token_id"]]
        history.append(max(allowed, key=lambda code: logits[code]))
        found = got.get(f"{2 + t * len(step)}/codes", ((), (None,)))[1][0]
        suite.check(found == history[-1], f"code 0 of frame {t} is {found}, expected {history[-1]}")
    suite.check(len(set(history)) == frames, f"codes {history} repeat in spite of the penalty")


def prompt_rows(ids, new_ids, speaker):
    """What the talker's prompt is made of: (text id, code id) or (row of the hidden state, None) for each row."""
    start, user = CONFIG["im_start_token_id"], CONFIG["user_token_id"]
    media = {TALKER[key] for key in ("audio_token_id", "image_token_id", "video_token_id")}
    rows, inside = [], False
    for i, token in enumerate(ids):
        if token == start:
            inside, last = i + 1 < len(ids) and ids[i + 1] == user, i
        if inside:
            rows.append((i, None) if token in media else (token, -1))
    spoken = list(ids[last:]) + list(new_ids[:-1])
    pad, bos = CONFIG["tts_pad_token_id"], CONFIG["tts_bos_token_id"]
    rows += [(token, -1) for token in spoken[:3]]
    codes = ("codec_nothink_id", "codec_think_bos_id", "codec_think_eos_id")
    rows += [(pad, TALKER[key]) for key in codes] + [(pad, TALKER["speaker_id"][speaker])]
    rows += [(bos, TALKER["codec_pad_id"]), (spoken[3], TALKER["codec_bos_id"])]
    trailing = [(token, -1) for token in spoken[4:]] + [(CONFIG["tts_eos_token_id"], -1)]
    return rows, trailing


def prompts(suite):
    """The rows of the talker's prompt and of the text behind it, made by the projections."""
    plan = plan_of(suite, "prompts", "text,talker", "--target", "lavapipe")
    for name in CASES:
        want = safetensors.read(OMNI / "golden" / f"speech_{name}.safetensors")
        rows, trailing = prompt_rows(want["input_ids"][1], want["thinker_new_ids"][1], SPEAKERS.get(name, "ethan"))
        text = [(row, code if code is not None else -1) for row, code in rows + trailing + [(CONFIG["tts_pad_token_id"], -1)]]
        media = [row for row, code in rows if code is None]
        inputs = {"0/ids": i32([row for row, _ in text]), "0/codes": i32([code for _, code in text])}
        if media:
            hidden = [value for row in media for value in row_of(want["thinker_accept_hidden"], row)]
            inputs["1/hidden"] = f32([len(media), len(hidden) // len(media)], hidden)
        got = run_entries(suite, plan, ["talker.text", "talker.media"][: 1 + bool(media)] + ["talker.text"] * (not media), {**inputs, "1/ids": inputs["0/ids"], "1/codes": inputs["0/codes"]})
        made = [row_of(got["0/rows"], i) for i in range(len(text))] if "0/rows" in got else []
        for place, row in zip([i for i, (_, code) in enumerate(rows) if code is None], range(len(media))):
            made[place] = row_of(got["1/rows"], row)
        flat = [value for row in made for value in row]
        width = want["talker_inputs_embeds"][0][1]
        compare(suite, f"{name}: prompt", ([], flat[: len(rows) * width]), want["talker_inputs_embeds"][1])
        compare(suite, f"{name}: text", ([], flat[len(rows) * width : -width]), want["trailing_text_hidden"][1])
        compare(suite, f"{name}: pad", ([], flat[-width:]), want["tts_pad_embed"][1])


def accepted(suite):
    """The hidden state that the talker reads leaves the prefill."""
    plan = plan_of(suite, "accepted", "text,talker", "--target", "lavapipe")
    want = safetensors.read(OMNI / "golden" / "speech_text.safetensors")
    ids = list(want["input_ids"][1]) + list(want["thinker_new_ids"][1])[:-1]
    safetensors.write(suite.work / "ids.safetensors", {"input_ids": i32(ids)})
    result = suite.work / "accepted.safetensors"
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--validate", "--entry", "prefill", "--inputs", suite.work / "ids.safetensors", "--outputs", result)
    if result.exists():
        compare(suite, "accepted hidden state", safetensors.read(result).get("accept_hidden"), want["thinker_accept_hidden"][1])


SUITES = {suite.__name__: suite for suite in (greedy, sampled, penalty, prompts, accepted)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = golden.Suite(bin_dir, work, "speech_" + name)
    SUITES[name](suite)
    print(f"{name}: {suite.failures} failures")
    return min(suite.failures, 125)


if __name__ == "__main__":
    sys.exit(main())
