#!/usr/bin/env python3
"""Stands in for qwenrt and qwen-synth (by the name it is called with): a spoken answer with numbers that are easy to add.

A prompt has a token for each square of 32 pixels of its image, and five; the plan for the largest image takes its time.
A file "silent" beside it makes it say nothing about the whole answer, "talkative" another token with speech, "small" that this plan has no
room for its image.
"""

import json
import math
import pathlib
import struct
import sys

words = sys.argv[1:]
here = pathlib.Path(sys.argv[0]).resolve().parent


def after(option):
    return words[words.index(option) + 1]


if pathlib.Path(sys.argv[0]).name == "qwen-synth":
    pathlib.Path(after("-o")).mkdir(exist_ok=True)
elif "--cases" in words:
    for case in json.loads(pathlib.Path(after("--cases")).read_text()):
        files = [pathlib.Path(medium["image"]).read_bytes() for medium in case["media"] if "image" in medium]
        tokens = 5 + sum(math.prod(struct.unpack(">II", file[16:24])) // 32**2 for file in files)
        times = 10 if words[0].endswith("largest.fb") else 1
        if times > 1 and (here / "small").exists():
            print(json.dumps({"name": case["name"], "error": "device has no room"}))
            break
        print(json.dumps({"name": case["name"], "prompt_tokens": tokens, "front_end_ms": 0.5, "upload_ms": 0.25, "encoder_ms": 1.5 * times,
                          "prefill_ms": 2.5 * times}))
else:
    speaks = "--speech" in words
    if "--profile" in words:
        assert "--profile-runs" in words and speaks
        runs = [("audio.encoder", 7), ("prefill", 20), ("next_greedy", 1), ("decode_greedy", 100), ("talker.text", 1), ("talker.prefill", 9),
                ("predictor.begin", 5), ("predictor.decode_greedy", 45), ("code2wav.decode", 15), ("code2wav.decode", 15)]
        events = [{"ph": "X", "cat": name, "name": name, "ts": 1e3 * i, "dur": 1e3 * length} for i, (name, length) in enumerate(runs)]
        events += [{"ph": "i", "name": "audio", "ts": 11e3, "args": {"samples": 1920}}]
        pathlib.Path(after("--profile")).write_text(json.dumps({"traceEvents": events}))
    further = 64 if speaks and (here / "talkative").exists() else 63
    print(f"prompt: 5 tokens in 20.0 ms, 1.0 tokens/s\ntime to first token: 900.0 ms (load 850.0 ms, front end 20.0 ms, encoder 9.0 ms, prompt 20.0 ms, "
          f"first token 1.0 ms)\ngeneration: {further} further tokens in 89.0 ms, 1.0 tokens/s", file=sys.stderr)
    if speaks:
        answer = "" if (here / "silent").exists() else f"whole answer {230.0 if '--profile' in words else 210.0} ms, "
        print(f"speech: 256 frames (20.48 s) in 150.0 ms, talker's prompt 10.0 ms, first frame 30.0 ms, first audio 40.0 ms, {answer}real-time factor 0.007",
              file=sys.stderr)
