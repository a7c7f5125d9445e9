#!/usr/bin/env python3
"""Stands in for qwenrt, qwen-synth and qwen-pack (by the name it is called with) and fails as a device may.

Benching "tg4@16" ends with an error, generating never ends, packing is refused.
"""

import pathlib
import sys
import time

words = sys.argv[1:]
name = pathlib.Path(sys.argv[0]).name


def after(option):
    return words[words.index(option) + 1]


if name == "qwen-synth":
    pathlib.Path(after("-o")).mkdir()
elif name == "qwen-pack":
    sys.exit("qwen-pack: error: weights are not finite, expected numbers, check the checkpoint")
elif "--list-devices" in words:
    print("0: Fake (R) (discrete), Vulkan 1.3.1, driver (beta) 1.2, 3.00 GB device memory, subgroups of 32\n   can run plans")
elif "--bench" in words:
    for item in after("--bench").split(","):
        if item == "tg4@16":
            sys.exit("note: first a note\nqwenrt: error: device was lost, expected an answer, look at its log")
        print(f"{item}: 100.00 tokens/s, 40.00 ms, 2.00 GB/s, 50.0 % of 4.0 GB/s", flush=True)
    print("pipelines: 7 in 8.5 ms, cache warm\nhost memory: peak 1.50 GB, anonymous while loading 40.5 MB", file=sys.stderr)
else:
    print("[1,", end="", flush=True)
    time.sleep(600)
