"""Spoken answers where something ends: the device's memory, the disk, the reader, the frames. As speak.py, on lavapipe.

Usage: speak_limits.py BIN_DIR WORK_DIR SUITE       with SUITE one of the functions in SUITES

As golden.py: the exit status is the number of failures.
"""

import array
import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time

import golden
import safetensors
import speak
from speak import CASES, FRAME, LOST, OMNI, text_plan, wanted, words_of

ASK = ("--prompt", "Hello", "--max-new-tokens", "4", "--ignore-eos", "--speech-greedy", "--speech-ignore-eos")
SET_PIPE_SIZE = 1031  # fcntl's F_SETPIPE_SZ, which Python names from 3.10 on


def words(suite, plan, *options):
    return [str(word) for word in (suite.bin / "qwenrt", plan, "--allow-cpu", *options)]


def sound_of(suite, where, path):
    """The samples of a WAV file, as bytes, once its sizes were seen to be right."""
    data = path.read_bytes() if path.exists() else b""
    suite.check(len(data) >= 44, f"{where}: {len(data)} bytes are no WAV file")
    if len(data) < 44:
        return b""
    (riff,), (size,) = struct.unpack("<I", data[4:8]), struct.unpack("<I", data[40:44])
    suite.check((riff, size) == (len(data) - 8, len(data) - 44), f"{where}: sizes {riff} and {size} of {len(data)} bytes")
    suite.check(size % 2 == 0, f"{where}: half a sample")
    return data[44:]


def one_error(suite, where, result, part):
    """The exit status 1 and a single line that says why."""
    lines = result.stderr.splitlines()
    suite.check(result.returncode == 1, f"{where}: ended with {result.returncode}")
    suite.check(len(lines) == 1 and lines[0].startswith("qwenrt: error: ") and part in lines[0], f"{where}: said {result.stderr!r}, expected {part!r}")


# A device that fails ---------------------------------------------------------------------------------------------------


def fault_environment(suite, fault):
    """An environment in which a layer stands before the driver and lets `fault` happen."""
    environment = dict(os.environ, VK_ADD_LAYER_PATH=str(suite.bin.parent / "test" / "Runtime" / "fault"))
    environment |= {"VK_INSTANCE_LAYERS": "VK_LAYER_QWENC_fault", "FAULT_COUNTS": str(suite.work / "counts")}
    return environment | ({"FAULT": fault} if fault else {})


def faulty(suite, plan, fault, *options):
    return subprocess.run(words(suite, plan, *ASK, *options), env=fault_environment(suite, fault), capture_output=True, text=True, errors="replace")


def failures(suite):
    """A device that runs out of memory or is lost in the middle of an answer: one message, and what was spoken until then."""
    plan, path = text_plan(suite), suite.work / "answer.wav"
    limit = ("--speech-max-frames", 20, "--speech", path)
    whole = faulty(suite, plan, None, *limit)
    suite.check(whole.returncode == 0, f"a device without faults: {whole.stderr[:300]}")
    sound = sound_of(suite, "whole", path)
    submits, allocations = map(int, (suite.work / "counts").read_text().split())
    heard = []
    for fault, part in (
        (f"submit:{submits * 6 // 10}:memory", "device memory ran out"),
        (f"submit:{submits * 9 // 10}:memory", "device memory ran out"),
        (f"submit:{submits * 7 // 10}:lost", "the device was lost"),
        (f"submit:{submits - 1}:lost", "the device was lost"),
        (f"allocate:{allocations}:memory", "device memory ran out"),
        (f"allocate:{allocations - 1}:memory", "device memory ran out"),
    ):
        path.unlink(missing_ok=True)
        result = faulty(suite, plan, fault, *limit)
        one_error(suite, fault, result, part)
        suite.check(result.stdout == "" or result.stdout.endswith("\n"), f"{fault}: text ends with {result.stdout[-9:]!r}")
        spoken = sound_of(suite, fault, path)
        suite.check(sound.startswith(spoken), f"{fault}: other samples than without the fault")
        heard.append(len(spoken))
    suite.check(0 < max(heard) < len(sound) and heard[3] > heard[0], f"sounds of {heard} bytes are of {len(sound)}")
    # Text shares standard error with the message: it ends its line first.
    result = faulty(suite, plan, f"submit:{submits * 9 // 10}:memory", "--speech-max-frames", 20, "--speech", "-")
    suite.check(any(line.startswith("qwenrt: error: device memory") for line in result.stderr.split("\n")), f"message stands in {result.stderr!r}")


# A place that is full --------------------------------------------------------------------------------------------------


def full_places(suite):
    """A full disk, a file that may not grow and a reader that goes: one message or none, and what was spoken until then."""
    plan, path = text_plan(suite), suite.work / "full.wav"
    limit = (*ASK, "--speech-max-frames", 20, "--speech")

    def run(*options, **settings):
        return subprocess.run(words(suite, plan, *limit, *options), stderr=subprocess.PIPE, text=True, errors="replace", **settings)

    with open("/dev/full", "w") as full:
        one_error(suite, "full disk", run("/dev/full", stdout=subprocess.DEVNULL), "cannot write '/dev/full': No space left on device")
        said = run("-", stdout=full).stderr
        suite.check("qwenrt: error: cannot write 'standard output': No space left on device" in said, f"full output: {said!r}")
        one_error(suite, "full text", run(path, stdout=full), "cannot write to standard output: No space left on device")
        sound_of(suite, "full text", path)

    most = 2001  # ends within a sample
    path.unlink(missing_ok=True)
    grown = run(path, "--no-pipeline-cache", stdout=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    one_error(suite, "short file", grown, f"cannot write '{path}': File too large")
    suite.check(len(sound_of(suite, "short file", path)) == most - 1 - 44, "short file is not as long as it may be")

    # A file that takes writes at its end only: sizes cannot be written again.
    path.write_bytes(b"head")
    with open(path, "ab") as end:
        suite.check(run("-", stdout=end).returncode == 0, "appending failed")
    data = path.read_bytes()
    suite.check(data[:8] == b"headRIFF" and len(data) == 4 + 44 + 2 * len(wave_of(suite, plan, 20)), f"appending made {len(data)} bytes")


def wave_of(suite, plan, frames):
    path = suite.work / f"{frames}.wav"
    suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *ASK, "--speech-max-frames", frames, "--speech", path)
    return speak.read_wave(path)


def readers(suite):
    """Who listens goes, or does not take what comes."""
    plan = text_plan(suite)
    command = words(suite, plan, *ASK, "--speech", "-")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(44 + 2 * FRAME)
    process.stdout.close()
    said = process.stderr.read()
    suite.check(process.wait() == 1 and b"error" not in said, f"a reader that went: ended with {process.returncode}: {said!r}")

    take, give = os.pipe()
    fcntl.fcntl(give, SET_PIPE_SIZE, 4096)  # less than a push makes
    process = subprocess.Popen(command, stdout=give, stderr=subprocess.PIPE)
    os.close(give)
    there, since, begin = 0, time.monotonic(), time.monotonic()
    # Nothing more for a while: it waits for the reader.
    while process.poll() is None and time.monotonic() < begin + 300 and (there < 44 + 2 * FRAME or time.monotonic() < since + 5):
        time.sleep(0.2)
        (now,) = struct.unpack("i", fcntl.ioctl(take, termios.FIONREAD, bytes(4)))
        there, since = (there, since) if now == there else (now, time.monotonic())
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1]
    suite.check(process.returncode == 1 and b"error: interrupted" in said, f"a reader that sleeps: ended with {process.returncode}: {said!r}")
    os.close(take)


# Frames ----------------------------------------------------------------------------------------------------------------


def lengths(suite):
    """Any number of frames: those before are the same, and the file is as long as they are."""
    plan, spoken = text_plan(suite), {}
    for count in (1, 31, 32, 33, 299, 300, 301):
        path = suite.work / "answer.wav"
        result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *ASK, "--print-codes", "--speech-max-frames", count, "--speech", path)
        frames = json.loads(result.stdout.splitlines()[-1] or "[]")
        # Those of the end token are silent.
        suite.check(count - 8 <= len(frames) <= count, f"{count} frames: {len(frames)} came")
        sound = sound_of(suite, f"{count} frames", path)
        suite.check(len(sound) == 2 * (len(frames) * FRAME - LOST), f"{count} frames: {len(frames)} make {len(sound)} bytes")
        spoken[count] = frames, sound
    frames, sound = spoken[301]
    for count, (some, part) in spoken.items():
        suite.check(frames[: len(some)] == some, f"{count} frames: other codes than of 301")
        differ = max((abs(a - b) for a, b in zip(array.array("h", part), array.array("h", sound))), default=0)
        suite.check(differ <= 1, f"{count} frames: samples differ by {differ}")


def nothing(suite):
    """An answer whose first code is the end token has nothing to speak, unless that is ignored."""
    case, folder = CASES["text"], suite.work / "checkpoint"
    folder.mkdir(exist_ok=True)
    for path in OMNI.iterdir():
        if path.is_file() and not (folder / path.name).exists() and path.name != "config.json":
            (folder / path.name).symlink_to(path)
    config = json.loads((OMNI / "config.json").read_text())
    config["talker_config"]["codec_eos_token_id"] = wanted("text")[1][0][0]
    (folder / "config.json").write_text(json.dumps(config))
    model, plan, path = suite.work / "ends.json", suite.work / "ends.fb", suite.work / "ends.wav"
    suite.command(suite.bin / "qwen-export", folder, "-o", model, "--components", "text,talker,code2wav")
    suite.command(suite.bin / "qwenc", model, "-o", plan, "--target", "lavapipe")
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words_of(case), "--speech", path, "--stats")
    suite.check("there was nothing to speak" in result.stderr, f"an answer that ends at once: {result.stderr!r}")
    suite.check(result.stdout.splitlines()[-1:] == ["[]"], f"an answer that ends at once has codes {result.stdout!r}")
    suite.check(sound_of(suite, "an answer that ends at once", path) == b"", "an answer that ends at once has samples")
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", *words_of(case), "--speech", path, "--speech-ignore-eos")
    frames = json.loads(result.stdout.splitlines()[-1] or "[]")
    suite.check(len(frames) > 2 and "nothing to speak" not in result.stderr, f"behind the first end token come {frames}")


def pushes(suite):
    """The vocoder's entry takes 1 frame to as many as the plan says, and says so of others."""
    plan, source, target = text_plan(suite), suite.work / "in.safetensors", suite.work / "out.safetensors"
    groups = len(wanted("text")[1][0])
    made = {}
    for count in (0, 1, 31, 32, 33, 299, 300, 301):
        codes = array.array("i", [(7 * i + i * i) % 64 for i in range(count * groups)])
        safetensors.write(source, {"codes": ("I32", [count, groups], codes), "first_frame": ("I32", [1], array.array("i", [0]))})
        target.unlink(missing_ok=True)
        fits = 1 <= count <= 32
        result = suite.command(
            suite.bin / "qwenrt", plan, "--allow-cpu", "--entry", "code2wav.decode", "--inputs", source, "--outputs", target, status=0 if fits else 1
        )
        # What cannot fit is refused by its size, before it is read.
        part = f"input 'codes' has {4 * count * groups} bytes, expected i32[F<=32,{groups}]" if count else f"input 'codes' is I32[0,{groups}], expected I32[F<=32,{groups}]"
        suite.check(fits or part in result.stderr, f"{count} frames: {result.stderr!r}")
        suite.check(target.exists() == fits, f"{count} frames: output {'is missing' if fits else 'was written'}")
        if fits and target.exists():
            made[count] = safetensors.read(target)["samples"]
            suite.check(made[count][0] == [count * FRAME], f"{count} frames: samples {made[count][0]}")
    for count, (_, samples) in made.items():
        error = safetensors.relative_l2(samples[LOST:], made[32][1][LOST : count * FRAME])
        suite.check(error <= 1e-4, f"{count} frames: samples differ by {error:.2e} from those of 32")


# Cases and statistics --------------------------------------------------------------------------------------------------


def cases(suite):
    """Cases of one process are spoken into files of their own, as they are one by one; what a case cannot have is said in its line."""
    plan, case = text_plan(suite), CASES["text"]
    ids, codes, samples = wanted("text")
    good = {"prompt": case["text"], "raw": True, "max_new_tokens": case["thinker_max_new_tokens"], "stop_ids": [case["thinker_eos_token_id"]]}
    good |= {"speaker": case["speaker"], "speech_greedy": True, "speech_repetition_penalty": case["repetition_penalty"]}
    first, second, path = (suite.work / name for name in ("first.wav", "second.wav", "cases.json"))
    limit = {"speech_max_frames": case["talker_max_new_tokens"] - 1}
    refused = (
        ({"speech": "-"}, "wrong 'speech', expected the path of a file"),
        ({"speech": 1}, "wrong 'speech', expected a string"),
        ({"speech": str(first), "speech_max_frames": 0}, "wrong 'speech_max_frames', expected 1 or more"),
        ({"speech": str(first), "vocoder_chunk": 0}, "wrong 'vocoder_chunk', expected 1 or more"),
        ({"speech": str(first), "vocoder_context": 1}, "wrong 'vocoder_context', expected 'vocoder_chunk' beside it"),
        ({"speech": str(first), "speech_top_k": 1}, "wrong 'speech_greedy', expected no settings of sampling beside it"),
        ({"speech": str(suite.work / "missing" / "a.wav")}, "cannot open"),
        ({"speaker": "nobody", "print_codes": True}, "expected one of aiden, chelsie, ethan"),
        ({}, "wrong 'speaker', expected 'speech' or 'print_codes' beside it"),
    )
    silent = {key: value for key, value in good.items() if "speech" not in key and key != "speaker"}
    spoken = [{**good, **limit, "speech": str(first), "print_codes": True}, silent, {**good, "print_codes": True, "speech_max_frames": 3}]
    spoken += [{**good, "speech": str(second), "speech_max_frames": 2}] + [{**good, **keys} for keys, _ in refused]
    path.write_text(json.dumps(spoken))
    result = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--cases", path, status=1)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    suite.check(len(lines) == len(spoken), f"{len(lines)} lines of {len(spoken)} cases: {result.stderr[:300]}")
    if len(lines) != len(spoken):
        return
    whole, quiet, some, short = lines[:4]
    suite.check(whole.get("ids") == ids and whole.get("codes") == codes, f"first case: {whole}")
    suite.check((whole.get("speech_finish"), whole.get("speech_frames"), whole.get("speech_samples")) == ("length", len(codes), len(samples)), f"first case: {whole}")
    suite.check(whole.get("first_audio_ms") and 0 < whole["first_audio_ms"] and 0 < whole["speech_ms"] and 0 <= whole["late_ms"], f"first case: {whole}")
    suite.check(quiet.get("ids") == ids and not any("speech" in key or key == "codes" for key in quiet), f"case without speech: {quiet}")
    suite.check(some.get("codes") == codes[:3] and some.get("speech_samples") == 0 and some.get("first_audio_ms", 0) is None, f"case of codes: {some}")
    suite.check("codes" not in short and short.get("speech_frames") == 2, f"case of two frames: {short}")
    for name, count in ((first, len(codes)), (second, 2)):
        sound_of(suite, name.name, name)
        speak.compare_wave(suite, name.name, speak.read_wave(name), samples[: count * FRAME - LOST])
    for line, (keys, part) in zip(lines[4:], refused):
        suite.check(part in line.get("error", ""), f"case with {keys}: {line}, expected {part}")


def short_frames(suite):
    """A vocoder whose utterances lose more samples than a frame has: streamed, in one chunk, and in chunks that are all lost."""
    config = json.loads((OMNI / "config.json").read_text())
    config["code2wav_config"] |= {"upsampling_ratios": [1, 1], "num_hidden_layers": 1}
    thinker, talker = config["thinker_config"], config["talker_config"]
    thinker["text_config"] |= {"num_hidden_layers": 1}
    talker["text_config"] |= {"num_hidden_layers": 1}
    talker |= {"accept_hidden_layer": 1}  # behind the last layer
    source, folder, model, plan = (suite.work / name for name in ("short.json", "short", "short.model.json", "short.fb"))
    source.write_text(json.dumps(config))
    suite.command(suite.bin / "qwen-synth", "--config", source, "-o", folder)
    suite.command(suite.bin / "qwen-export", folder, "-o", model, "--components", "text,talker,code2wav")
    suite.command(suite.bin / "qwenc", model, "-o", plan, "--target", "lavapipe", "--max-context", "64")
    start = config["im_start_token_id"]
    ids = [start, config["user_token_id"], 10, 20, 30, start, config["assistant_token_id"], 10]
    ask = {"input_ids": ids, "max_new_tokens": 4, "ignore_eos": True, "speech_greedy": True, "speech_ignore_eos": True, "speech_max_frames": 6}
    ways = {"streamed": {}, "whole": {"vocoder_chunk": 6, "vocoder_context": 0}, "single": {"vocoder_chunk": 1, "vocoder_context": 3}}
    paths = {way: suite.work / f"{way}.wav" for way in ways}
    source = suite.work / "short.cases.json"
    source.write_text(json.dumps([{**ask, **more, "speech": str(paths[way])} for way, more in ways.items()]))
    said = suite.command(suite.bin / "qwenrt", plan, "--allow-cpu", "--cases", source)
    sounds = {way: sound_of(suite, way, path) for way, path in paths.items()}
    frame = FRAME // 4
    suite.check(frame < LOST and len(sounds["whole"]) == 2 * (6 * frame - LOST), f"6 frames made {len(sounds['whole']) // 2} samples: {said.stdout}")
    suite.check(any(sounds["whole"]), "samples are silent")
    speak.compare_wave(suite, "streamed", speak.read_wave(paths["streamed"]), speak.read_wave(paths["whole"]))
    suite.check(sounds["single"] == b"", f"chunks shorter than what is lost made {len(sounds['single']) // 2} samples")


def statistics(suite):
    """What speaking took; speech that falls behind who listens is said, and not said where one push is all there is."""
    plan, path = text_plan(suite), suite.work / "answer.wav"

    def said(fault, frames, *options):
        result = faulty(suite, plan, fault, "--speech-max-frames", frames, "--speech", path, *options)
        suite.check(result.returncode == 0, f"{fault}: ended with {result.returncode}: {result.stderr[:300]}")
        return result.stderr.splitlines()

    began = time.monotonic()
    lines = said("slow:1:20", 12, "--stats")  # a frame lasts 8 ms
    took = (time.monotonic() - began) * 1000
    number = r"([0-9.]+)"
    late = re.search(rf"note: speech fell behind real time by {number} ms in {number} s", "\n".join(lines))
    pattern = rf"speech: 12 frames \({number} s\) in {number} ms, talker's prompt {number} ms, first frame {number} ms, first audio {number} ms, "
    stats = re.search(pattern + rf"whole answer [0-9.]+ ms, waited for text {number} ms, late {number} ms, real-time factor {number}", "\n".join(lines))
    suite.check(late and stats, f"slow speech says {lines}")
    if not (late and stats):
        return
    length, all_ms, prompt, frame, audio, waited, behind, factor = map(float, stats.groups())
    suite.check(late.group(1) == stats.group(7) and behind >= 12 * 12, f"12 frames of 20 ms at least are late by {behind} ms")
    suite.check(abs(length - 12 * FRAME / speak.RATE) < 0.01, f"12 frames last {length} s")
    suite.check(0 < prompt < all_ms and 0 < frame < audio < took and 0 <= waited < all_ms < took, f"times are {stats.groups()} of {took} ms")
    exact = 12 * FRAME / speak.RATE
    suite.check(abs(factor - all_ms / 1000 / exact) < 0.01 * factor, f"real-time factor is {factor}, expected {all_ms / 1000 / exact}")
    suite.check(not any("behind real time" in line for line in said("slow:1:20", 1)), "one frame is late")


SUITES = {suite.__name__: suite for suite in (failures, full_places, readers, lengths, nothing, pushes, cases, short_frames, statistics)}


def main():
    bin_dir, work, name = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), sys.argv[3]
    suite = golden.Suite(bin_dir, work / "speak-limits", name)
    SUITES[name](suite)
    print(f"{name}: {suite.failures} failures")
    return min(suite.failures, 125)


if __name__ == "__main__":
    sys.exit(main())
