"""Spoken answers through the real commands: qwen-export, qwenc, qwenrt and libqwenrt on lavapipe, from prompts to WAV files.

Usage: speak.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

As golden.py: the exit status is the number of failures.
"""

import array
import ctypes
import json
import math
import pathlib
import signal
import struct
import subprocess
import sys
import time
import wave

import golden
import safetensors
from golden import GOLDEN, SOURCE

sys.path.append(str(SOURCE / "tools" / "benchmark"))
import output

OMNI = GOLDEN / "tiny-qwen3-omni"
DATA = SOURCE / "test" / "Media" / "data"
CASES = {case["name"]: case for case in json.loads((OMNI / "speech_cases.json").read_text())}
WAVE_BOUND = 1e-3  # relative L2 of the samples
RATE, FRAME, LOST = 24000, 192, 66  # samples of a second, of a frame, and of the first that stand for nothing
SMALL = ("--max-audio-seconds", "10", "--max-image-pixels", "65536")


def plan_of(suite, name, components, *options):
    model, plan = suite.work / f"{name}.json", suite.work / f"{name}.fb"
    suite.command(suite.bin / "qwen-export", OMNI, "-o", model, *(["--components", components] if components else []))
    suite.command(suite.bin / "qwenc", model, "-o", plan, "--target", "lavapipe", *options)
    return plan


def whole_plan(suite):
    return plan_of(suite, "whole", "", *SMALL)


def text_plan(suite):
    return plan_of(suite, "text", "text,talker,code2wav")


def media_words(case):
    media, words = case["media"], []
    sound = [word for name in media.get("audio", []) for word in ("--audio", DATA / name)]
    images = [word for name in media.get("images", []) for word in ("--image", DATA / name)]
    video = ["--video", DATA / "frames"] if "video" in media else []
    words = video + sound if media.get("use_audio_in_video") else sound + images + video
    if media.get("use_audio_in_video"):
        words.append("--use-audio-in-video")
    if "video" in media:
        words += ["--fps", media["video"]["fps"], "--min-pixels", media["video"]["min_pixels"], "--max-pixels", media["video"]["max_pixels"]]
    return words


def words_of(case):
    """A golden prompt as qwenrt is asked for it; without the place of the sound."""
    stop = case["thinker_eos_token_id"]
    words = ["--raw", "--prompt", case["text"], "--max-new-tokens", case["thinker_max_new_tokens"], "--print-ids", "--print-codes"]
    words += ["--stop-ids", ",".join(str(i) for i in (stop if isinstance(stop, list) else [stop]))]
    words += ["--speaker", case["speaker"], "--speech-greedy", "--speech-repetition-penalty", case["repetition_penalty"]]
    return words + ["--speech-max-frames", case["talker_max_new_tokens"] - 1] + media_words(case)


def read_wave(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return [value / 32767 for value in array.array("h", file.readframes(file.getnframes()))]


def wanted(name):
    want = safetensors.read(OMNI / "golden" / f"speech_{name}.safetensors")
    (groups, frames), codes = want["codes"]
    return list(want["thinker_new_ids"][1]), [[codes[g * frames + t] for g in range(groups)] for t in range(frames)], list(want["wav"][1])


def compare_wave(suite, where, got, want):
    if len(got) != len(want):
        suite.check(False, f"{where}: {len(got)} samples, expected {len(want)}")
        return
    error = safetensors.relative_l2(got, want)
    suite.check(error <= WAVE_BOUND, f"{where}: samples differ by {error:.2e}")


def speak(suite, plan, name, *options):
    path = suite.work / f"{name}.wav"
    path.unlink(missing_ok=True)
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--validate", *words_of(CASES[name]), "--speech", path, *options)
    ids, codes, samples = wanted(name)
    lines = result.stdout.splitlines()[-2:]
    suite.check(len(lines) == 2 and json.loads(lines[0]) == ids, f"{name}: ids {lines[:1]}, expected {ids}")
    suite.check(len(lines) == 2 and json.loads(lines[1]) == codes, f"{name}: codes {lines[1:]}, expected {codes}")
    compare_wave(suite, f"{name} {options}", read_wave(path) if path.exists() else [], samples)
    return result


def goldens(suite):
    """Every golden utterance: ids and codes exact, the samples within the bound; streamed as decoded whole."""
    plan = whole_plan(suite)
    for name in CASES:
        speak(suite, plan, name)
    speak(suite, plan, "text", "--vocoder-chunk", "300", "--vocoder-context", "25")
    speak(suite, plan, "mixed", "--upload", "staging")  # buffers that the host does not see


def chunks(suite):
    """A chunk of the talker's prompt, of the thinker's and of frames may end anywhere; sampling the best of one is greedy."""
    plan = plan_of(suite, "chunk", "text,talker,code2wav", "--prefill-chunk", "16")
    speak(suite, plan, "multiturn_stop")
    sampled = [word for word in words_of(CASES["codec_eos"]) if word != "--speech-greedy"]
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *sampled, "--speech-top-k", "1", "--speech-temperature", "0.9")
    first = [frame[0] for frame in json.loads(result.stdout.splitlines()[-1] or "[]")[:1]]
    suite.check(first == [wanted("codec_eos")[1][0][0]], f"best of one begins with {first}")
    # Chunks lose samples at each seam, as the reference does.
    case = words_of(CASES["text"])
    path = suite.work / "chunked.wav"
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *case, "--speech", path, "--vocoder-chunk", "8", "--vocoder-context", "3")
    got, whole = read_wave(path), wanted("text")[2]
    suite.check(len(got) == 20 * FRAME - 3 * LOST, f"chunks of 8 frames made {len(got)} samples, expected {20 * FRAME - 3 * LOST}")
    compare_wave(suite, "first chunk", got[: 8 * FRAME - LOST], whole[: 8 * FRAME - LOST])


def streams(suite):
    """Sound on standard output, text on standard error; the same samples."""
    plan = text_plan(suite)
    words = [str(w) for w in (suite.bin / "qwenrt", plan, "--allow-cpu", *words_of(CASES["text"]), "--speech", "-", "--stats")]
    result = subprocess.run(words, capture_output=True)
    suite.check(result.returncode == 0, f"--speech - ended with {result.returncode}: {result.stderr[:300]}")
    suite.check(result.stdout[:4] == b"RIFF" and result.stdout[36:40] == b"data", "standard output has no WAV header")
    values = array.array("h", result.stdout[44:])
    compare_wave(suite, "piped", [value / 32767 for value in values], wanted("text")[2])
    lines = result.stderr.decode().splitlines()
    suite.check(json.dumps(wanted("text")[1], separators=(",", ":")) in lines, "codes are not on standard error")
    # The benchmark reads these lines too.
    said = output.statistics("\n".join(lines))
    suite.check(said.get("frames") == 20, f"--stats says {said}, expected 20 frames")
    for part in ("speech_ms", "talker_prompt_ms", "first_audio_ms", "answer_ms", "generation_ms"):
        suite.check(said.get(part, 0) > 0, f"--stats says {said}, expected {part}")


def chats(suite):
    """Answers of a chat follow each other in the file; the second one is told what the whole conversation as one prompt is told."""
    converse(suite, text_plan(suite), "")


def media_chats(suite):
    """The talker keeps the media of earlier turns."""
    converse(suite, whole_plan(suite), "<|vision_start|><|image_pad|><|vision_end|>", "--image", DATA / "gradient_200x136.png")


def converse(suite, plan, mark, *files):
    """A chat of two turns, the first one with `files`."""
    settings = ["--max-new-tokens", "6", "--ignore-eos", "--speech-greedy", "--speech-max-frames", "6"]
    tool = [suite.bin / "qwenrt", plan, "--allow-cpu"]
    questions, samples, ids = ["How many colours are there?", "And how many are warm?"], [], []
    for i, question in enumerate(questions):
        head = "<|im_end|>\n" if i else ""
        text = f"{head}<|im_start|>user\n{'' if i else mark}{question}<|im_end|>\n<|im_start|>assistant\n"
        ids += json.loads(suite.command(*tool[:2], "--tokenize", text).stdout)
        path = suite.work / f"answer{i}.wav"
        said = suite.command(*tool, "--input-ids", json.dumps(ids), *settings, *files, "--print-ids", "--speech", path)
        samples += read_wave(path)
        ids += json.loads(said.stdout.splitlines()[-1])
    (suite.work / "turns").write_text("\n".join(questions) + "\n")
    path = suite.work / "chat.wav"
    with open(suite.work / "turns") as source:
        suite.command(*tool, "--interactive", "--sampling", "greedy", *settings, *files, "--speech", path, stdin=source)
    compare_wave(suite, "chat", read_wave(path), samples)


def logits(suite):
    """Those that the codes were chosen from, of every frame, and nothing else changes by it."""
    plan, path = text_plan(suite), suite.work / "logits.safetensors"
    speak(suite, plan, "text", "--speech-logits", path)
    compare_logits(suite, path, "text")
    end = json.loads((OMNI / "config.json").read_text())["talker_config"]["codec_eos_token_id"]
    words = [*words_of(CASES["codec_eos"]), "--speech-logits", path]
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words)
    compare_logits(suite, path, "codec_eos")
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words, "--speech-ignore-eos", "--upload", "staging")
    compare_logits(suite, path, "codec_eos")
    (frames, groups), codes = safetensors.read(path)["codes"]
    rows = [list(codes[i * groups : (i + 1) * groups]) for i in range(frames)]
    suite.check(frames == 20 and any(row[0] == end for row in rows), f"frames behind the end token: {rows}")
    printed = json.loads(result.stdout.splitlines()[-1])
    suite.check(printed == [row for row in rows if row[0] != end], f"codes {rows} were chosen, {printed} printed")
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words[:-1], suite.work / "missing" / "a", status=1)
    suite.check("missing" in result.stderr, f"a folder that is not there ended with {result.stderr!r}")


def compare_logits(suite, path, name):
    want, got = safetensors.read(OMNI / "golden" / f"speech_{name}.safetensors"), safetensors.read(path)
    codes = wanted(name)[1]
    for tensor, golden_name in (("talker", "talker_logits"), ("predictor", "code_predictor_logits")):
        (_, *shape), values = want[golden_name]
        count = len(codes) * math.prod(shape)
        suite.check(got[tensor][0][1:] == shape, f"{name}: {tensor} has rows of {got[tensor][0]}, expected {shape}")
        error = safetensors.relative_l2(got[tensor][1][:count], values[:count])
        suite.check(error <= golden.BOUND, f"{name}: logits of {tensor} differ by {error:.2e}")
    flat = [code for frame in codes for code in frame]
    suite.check(list(got["codes"][1])[: len(flat)] == flat, f"{name}: codes beside the logits are others")


def sampled(suite):
    """Draws follow the seed; the end token ends the answer unless it is ignored."""
    plan = text_plan(suite)

    def codes(name, leave, *options):
        words = [word for word in words_of(CASES[name]) if word not in leave]
        result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words, *options)
        return json.loads(result.stdout.splitlines()[-1] if result.stdout else "[]")

    first, second, other = (codes("text", ("--speech-greedy",), "--seed", seed) for seed in (1, 1, 2))
    suite.check(first == second, "the same seed gave other codes")
    suite.check(first != other and first != wanted("text")[1], "another seed gave the same codes")
    vocabulary = json.loads((OMNI / "config.json").read_text())["code2wav_config"]["codebook_size"]
    suite.check(all(0 <= code < vocabulary for frame in first for code in frame), f"codes are {first}")
    unnamed = next(name for name, case in CASES.items() if case["speaker"] == "ethan" and not case.get("media"))
    suite.check(codes(unnamed, ("--speaker", "ethan")) == wanted(unnamed)[1], "codes of nobody in particular are not ethan's")
    more, stopped = codes("codec_eos", (), "--speech-ignore-eos"), wanted("codec_eos")[1]
    suite.check(len(more) > len(stopped) and more[: len(stopped)] == stopped, f"behind the end token come {more}")


def interrupted(suite):
    """Ctrl-C leaves a whole file with what was spoken."""
    plan, path = text_plan(suite), suite.work / "cut.wav"
    path.unlink(missing_ok=True)
    words = (suite.bin / "qwenrt", plan, "--allow-cpu", "--prompt", "Hello", "--max-new-tokens", "4", "--ignore-eos")
    words += ("--speech", path, "--speech-greedy", "--speech-ignore-eos")
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 2000):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    suite.check(process.returncode == 1 and "interrupted" in error, f"ended with {process.returncode}: {error!r}")
    samples, size = read_wave(path), path.stat().st_size
    suite.check(len(samples) > 500 and size == 44 + 2 * len(samples), f"{len(samples)} samples in {size} bytes")


def refusals(suite):
    """What cannot be spoken is said in one line."""
    plan, silent = text_plan(suite), plan_of(suite, "silent", "text")
    mute = plan_of(suite, "mute", "text,talker")
    path = suite.work / "none.wav"
    ask = ["--prompt", "Hello", "--max-new-tokens", "4"]
    for plan_, words, status, part in (
        (plan, [*ask, "--speech", path, "--speaker", "nobody"], 1, "expected one of aiden, chelsie, ethan"),
        (silent, [*ask, "--speech", path], 1, "has no vocoder"),
        (silent, [*ask, "--print-codes"], 1, "has no talker"),
        (mute, [*ask, "--speech", path], 1, "has no vocoder"),
        (plan, ["--raw", "--prompt", "Hello", "--speech", path, "--allow-cpu"], 1, "no user turn"),
        (plan, [*ask, "--speech", path, "--speech-max-frames", "0"], 2, "--speech-max-frames is 0"),
        (plan, [*ask, "--speaker", "aiden"], 2, "--speaker given without --speech"),
        (plan, [*ask, "--print-codes", "--vocoder-chunk", "4"], 2, "--vocoder-chunk given without --speech"),
        (plan, [*ask, "--speech", path, "--vocoder-context", "4"], 2, "without --vocoder-chunk"),
        (plan, [*ask, "--speech", path, "--speech-greedy", "--speech-top-k", "4"], 2, "beside --speech-greedy"),
        (plan, [*ask, "--print-codes", "--speech-repetition-penalty", "1e9"], 2, "penalty above 0 and below 1e9"),
        (plan, [*ask, "--speech", suite.work / "missing" / "a.wav"], 1, "missing"),
    ):
        result = suite.command(suite.bin / "qwenrt", plan_, *words, status=status)
        suite.check(part in result.stderr, f"{words[-3:]} ended with {result.stderr!r}, expected {part}")
    # One token: nothing to speak, and a WAV file without samples.
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--prompt", "Hello", "--max-new-tokens", "1", "--speech", path, "--print-codes")
    suite.check("nothing to speak" in result.stderr, f"one token ended with {result.stderr!r}")
    suite.check(result.stdout.splitlines()[-1] == "[]", f"one token has codes {result.stdout!r}")
    suite.check(read_wave(path) == [] and struct.unpack("<I", path.read_bytes()[40:44]) == (0,), "one token has samples")


def library(suite):
    """The C interface: pieces of text and of sound."""
    case = CASES["text"]
    plan_path = text_plan(suite)
    ids, _, samples = wanted("text")
    tokenized = suite.command(suite.bin / "qwenrt", plan_path, "--tokenize", case["text"]).stdout
    text = suite.command(suite.bin / "qwenrt", plan_path, "--detokenize", json.dumps(ids)).stdout[:-1]
    lib = ctypes.CDLL(str(suite.bin.parent / "lib" / "libqwenrt.so"))

    class GenerateOptions(ctypes.Structure):
        _fields_ = [("max_new_tokens", ctypes.c_uint32), ("stop_ids", ctypes.c_void_p), ("stop_id_count", ctypes.c_uint32), ("sample", ctypes.c_int)]
        _fields_ += [("temperature", ctypes.c_float), ("top_k", ctypes.c_uint32), ("top_p", ctypes.c_float), ("repetition_penalty", ctypes.c_float), ("seed", ctypes.c_uint32)]

    class SpeechOptions(ctypes.Structure):
        _fields_ = [("speaker", ctypes.c_char_p), ("greedy", ctypes.c_int), ("temperature", ctypes.c_float), ("top_k", ctypes.c_uint32), ("top_p", ctypes.c_float)]
        _fields_ += [("repetition_penalty", ctypes.c_float), ("seed", ctypes.c_uint32), ("max_frames", ctypes.c_uint32), ("ignore_eos", ctypes.c_int)]

    error = ctypes.create_string_buffer(1024)

    def call(name, *words):
        code = getattr(lib, name)(*words, error)
        suite.check(code == 0, f"{name} ended with {code}: {error.raw[4:].split(bytes(1))[0]}")

    plan, device, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    call("qwenrt_plan_open", str(plan_path).encode(), ctypes.byref(plan))
    call("qwenrt_device_open", plan, None, 1, ctypes.byref(device))
    call("qwenrt_session_create", plan, device, ctypes.byref(session))
    call("qwenrt_session_load", session, None)
    lib.qwenrt_plan_speaker_name.restype = ctypes.c_char_p
    speakers = [lib.qwenrt_plan_speaker_name(plan, i) for i in range(4)]
    suite.check(speakers == [b"aiden", b"chelsie", b"ethan", None], f"speakers are {speakers}")
    suite.check(lib.qwenrt_plan_sample_rate(plan) == RATE, "sample rate is another")
    prompt = json.loads(tokenized)
    call("qwenrt_session_append", session, (ctypes.c_int32 * len(prompt))(*prompt), len(prompt))
    pieces, heard = [], []
    on_text = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda piece, _: pieces.append(piece) or 1)
    on_audio = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.c_uint32, ctypes.c_void_p)(lambda data, count, _: heard.append(data[:count]) or 1)
    generate = GenerateOptions(max_new_tokens=case["thinker_max_new_tokens"])
    speech = SpeechOptions(speaker=b"Aiden", greedy=1, max_frames=case["frames"])
    finish = ctypes.c_int(-1)
    call("qwenrt_session_speak", session, ctypes.byref(generate), ctypes.byref(speech), on_text, on_audio, None, ctypes.byref(finish))
    suite.check(finish.value == 1, f"speaking finished with {finish.value}, expected the length")
    suite.check(b"".join(pieces).decode() == text, f"text is {b''.join(pieces)!r}, expected {text!r}")
    suite.check(len(heard) > 1, f"samples came in {len(heard)} pieces, expected several")
    compare_wave(suite, "library", [value for piece in heard for value in piece], samples)
    for name, handle in (("session", session), ("device", device), ("plan", plan)):
        getattr(lib, f"qwenrt_{name}_release")(handle)


SUITES = {suite.__name__: suite for suite in (goldens, chunks, streams, chats, media_chats, logits, sampled, interrupted, refusals, library)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = golden.Suite(bin_dir, work / "speak", name)
    SUITES[name](suite)
    print(f"{name}: {suite.failures} failures")
    return min(suite.failures, 125)


if __name__ == "__main__":
    sys.exit(main())
