#!/usr/bin/env python3
"""What the kernels of an entry are limited by on a device: the driver's estimate of their cycles beside the bytes they read.

Usage: predict.py BIN_DIR PLAN [--entry NAME] [--depth POSITIONS] [--device NAME] [--bandwidth GB/S] [--simds N] [--clock GHZ] [--overhead US]

Runs qwen-kernel-stats and qwen-plan-dump of BIN_DIR; nothing is executed on a device. Prints a Markdown table of the entry's kernels,
and the most expensive dispatch of all entries. Exit status 1 if one dispatch is estimated at half a second or more: entries are cut into
submissions between dispatches, and drivers end those that run for seconds.

For each kernel: registers and subgroups per SIMD; cycles is the driver's inverse throughput, of a subgroup of 64 on a SIMD with as many
subgroups as registers and shared memory allow; arithmetic = subgroups * cycles / (SIMDs * clock); memory = bytes / bandwidth; share =
what part of the bandwidth the kernel reaches when the longer of both decides and each run costs the overhead of a step too. The driver
guesses how often loops of unknown length run. Defaults are a Radeon 8060S's 80 SIMDs, 2.9 GHz and 212 GB/s; its overhead of a step, 5 us,
is a guess.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

LONGEST_NS = 500_000_000
ENTRY = re.compile(r'^  "(?P<name>[^"]+)" role ')
DISPATCH = re.compile(r"^    \d+ (?P<kernel>\S+) groups (?P<x>\d+)x(?P<y>\d+)x(?P<z>\d+) .*?reads (?P<bytes>\d+)"
                      r"(?: \+ (?P<position>\d+) per position)? cost (?P<cost>\d+) ns")


def run(*words):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if not result.stdout or result.returncode:
        complaint = [line for line in result.stderr.splitlines() if "error: " in line] or [f"{words[0]} ended with {result.returncode}"]
        sys.exit(f"predict.py: {complaint[0]}")
    return result.stdout


def entries_of(text):
    """Entry -> its dispatches, from what qwen-plan-dump prints."""
    entries, dispatches = {}, None
    for line in text.splitlines():
        if found := ENTRY.match(line):
            dispatches = entries.setdefault(found["name"], [])
        elif (found := DISPATCH.match(line)) and dispatches is not None:
            dispatches.append({key: value if key == "kernel" else int(value or 0) for key, value in found.groupdict().items()})
    return entries


def rows_of(dispatches, kernels, options):
    """Kernel -> sums over its dispatches; microseconds."""
    rows = {}
    for dispatch in dispatches:
        kernel = kernels[dispatch["kernel"]]
        row = rows.setdefault(dispatch["kernel"], {"count": 0, "bytes": 0, "arithmetic": 0.0, "memory": 0.0})
        groups = dispatch["x"] * dispatch["y"] * dispatch["z"]
        read = dispatch["bytes"] + dispatch["position"] * options.depth
        subgroups = groups * -(-kernel["invocations"] // 64)
        row["count"] += 1
        row["bytes"] += read
        row["arithmetic"] += subgroups * kernel["statistics"]["Inverse Throughput"] / (options.simds * options.clock * 1e3)
        row["memory"] += read / (options.bandwidth * 1e3)
    return rows


def time_of(row, options):
    return row["count"] * options.overhead + max(row["arithmetic"], row["memory"])


def line(name, row, statistics, options):
    share = f"{100 * row['memory'] / time_of(row, options):.0f} %" if row["bytes"] else "-"
    numbers = [statistics.get(key, "") for key in ("VGPRs", "Subgroups per SIMD", "Inverse Throughput")]
    return (f"| `{name}` | {row['count']} | {' | '.join(str(number) for number in numbers)} | {row['bytes'] / 1e6:.2f} | "
            f"{row['arithmetic']:.0f} | {row['memory']:.0f} | {share} |")


def table(rows, kernels, options):
    print("| kernel | runs | VGPRs | subgroups per SIMD | cycles | MB | arithmetic us | memory us | share |\n|---|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        print(line(name, row, kernels[name]["statistics"], options))
    total = {key: sum(row[key] for row in rows.values()) for key in ("count", "bytes", "arithmetic", "memory")}
    time = sum(time_of(row, options) for row in rows.values())
    print(f"| all | {total['count']} | | | | {total['bytes'] / 1e6:.2f} | {total['arithmetic']:.0f} | {total['memory']:.0f} | "
          f"{100 * total['memory'] / time:.0f} % |\n\nIn all {time / 1e3:.2f} ms.")


def parse_arguments():
    parser = argparse.ArgumentParser(description="What limits the kernels of an entry: the driver's cycles beside the bytes.")
    parser.add_argument("bin_dir", type=pathlib.Path, help="folder with qwen-kernel-stats and qwen-plan-dump")
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("--entry", default="decode_greedy", help="entry of the plan (default: decode_greedy)")
    parser.add_argument("--depth", type=int, default=0, help="cached positions (default: 0)")
    parser.add_argument("--device", default="gfx1151", help="part of the device's name (default: gfx1151)")
    parser.add_argument("--bandwidth", type=float, default=212, help="GB/s (default: 212)")
    parser.add_argument("--simds", type=int, default=80, help="SIMDs of the device (default: 80)")
    parser.add_argument("--clock", type=float, default=2.9, help="GHz (default: 2.9)")
    parser.add_argument("--overhead", type=float, default=5, help="us of each dispatch (default: 5)")
    return parser.parse_args()


def main():
    options = parse_arguments()
    entries = entries_of(run(options.bin_dir / "qwen-plan-dump", options.plan, "--entries"))
    if not entries.get(options.entry):
        sys.exit(f"predict.py: error: the plan has no dispatches in entry '{options.entry}', expected one of {', '.join(entries)}, "
                 "give another --entry")
    report = json.loads(run(options.bin_dir / "qwen-kernel-stats", options.plan, "--device", options.device, "--json"))
    kernels = {kernel["name"]: kernel for kernel in report["kernels"]}
    if missing := [name for name, kernel in kernels.items() if "skipped" not in kernel and "Inverse Throughput" not in kernel["statistics"]]:
        sys.exit(f"predict.py: error: the driver says nothing about the throughput of {missing[0]}, expected 'Inverse Throughput', use RADV")
    print(f"{options.entry} at depth {options.depth:,}, {report['device']}\n")
    table(rows_of(entries[options.entry], kernels, options), kernels, options)
    cost, name, kernel = max((d["cost"], name, d["kernel"]) for name, dispatches in entries.items() for d in dispatches)
    print(f"The most expensive dispatch is estimated at {cost / 1e6:.1f} ms: {kernel} in {name}.")
    return cost >= LONGEST_NS


if __name__ == "__main__":
    sys.exit(main())
