#!/usr/bin/env python3
"""What the kernels of an entry are limited by on a device: the driver's estimate of their cycles beside the bytes they read.

Usage: predict.py BIN_DIR PLAN [--entry NAME | --speech FRAMES] [--depth POSITIONS] [--device NAME] [--bandwidth GB/S] [--simds N] [--clock GHZ]
                  [--overhead US] [--efficiency PERCENT]

Runs qwen-kernel-stats and qwen-plan-dump of BIN_DIR; nothing is executed on a device. Prints a Markdown table of the entry's kernels,
and the most expensive dispatch of all entries. Exit status 1 if one dispatch is estimated at half a second or more: entries are cut into
submissions between dispatches, and drivers end those that run for seconds.

For each kernel: registers and subgroups per SIMD; cycles is the driver's inverse throughput, of a subgroup of 64 on a SIMD with as many
subgroups as registers and shared memory allow; arithmetic = subgroups * cycles / (SIMDs * clock); memory = bytes / bandwidth; share =
what part of the bandwidth the kernel reaches when the longer of both decides and each run costs the overhead of a step too. The driver
guesses how often loops run. Defaults are a Radeon 8060S's 80 SIMDs, 2.9 GHz and 212 GB/s; its overhead of a step, 5 us, is a guess.

With --speech: the entries that make one frame of speech, the vocoder's in pushes of FRAMES frames, and their sum, per frame. The vocoder
also moves its inputs and outputs, and the driver's guess says nothing about its products: their arithmetic is at least what EFFICIENCY
percent, a guess, of the SIMDs' multiplications without dual issue take. Only the entries of speech decide about the exit status.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

LONGEST_NS = 500_000_000
ENTRY = re.compile(r'^  "(?P<name>[^"]+)" role ')
DISPATCH = re.compile(r"^    \d+ (?P<kernel>\S+) groups (?P<x>\d+)x(?P<y>\d+)x(?P<z>\d+) "
                      r'(?:rows "[^"]*" \* (?P<factor>\d+) per (?P<per>\d+) along (?P<axis>[xyz]) )?.*?reads (?P<bytes>\d+)'
                      r"(?: \+ (?P<position>\d+) per position)? cost (?P<cost>\d+) ns")

OPERAND = re.compile(r'^        (?:read|write|read_write) \S+ "arena\d*" \+ \d+, (?P<bytes>\d+) bytes')
CODES = re.compile(r'^    input "codes" i32\[\w+<=(?P<frames>\d+), (?P<groups>\d+)\]')
SAMPLES = re.compile(r'^    output "samples" f32\[(?P<samples>\d+) \* ')
PRODUCT = re.compile(r"^(?:gemm|conv|conv_transpose)_n(?P<n>\d+)(?:x(?P<parts>\d+))?_[kc](?P<k>\d+)(?:_t(?P<taps>\d+))?_")
SAMPLE_RATE = 24000  # of the model's codec
TALKER, BEGIN, CODE, VOCODER = "talker.decode_greedy", "predictor.begin", "predictor.decode_greedy", "code2wav.decode"


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
            dispatches.append({key: value if key in ("kernel", "axis") else int(value or 0) for key, value in found.groupdict().items()} | {"moved": 0})
        elif (found := OPERAND.match(line)) and dispatches:
            dispatches[-1]["moved"] += int(found["bytes"])
    return entries


def groups_of(dispatch, rows):
    sizes = {axis: dispatch[axis] for axis in "xyz"}
    if rows and dispatch["axis"]:
        sizes[dispatch["axis"]] = -(-rows * dispatch["factor"] // dispatch["per"])
    return sizes["x"] * sizes["y"] * sizes["z"]


def least_arithmetic(dispatch, rows, options):
    """What the products of a kernel over many rows take; 0 for others."""
    product = PRODUCT.match(dispatch["kernel"])
    if not rows or not dispatch["factor"] or not product:
        return 0.0
    products = int(product["n"]) * int(product["parts"] or 1) * int(product["k"]) * int(product["taps"] or 1) * rows * dispatch["factor"]
    return products / (options.simds * 32 * options.clock * 1e3 * options.efficiency / 100)


def rows_of(dispatches, kernels, options, rows=0, most=1):
    """Kernel -> sums over its dispatches; microseconds. With rows: of entries that may have `most` of them."""
    table = {}
    for dispatch in dispatches:
        kernel = kernels[dispatch["kernel"]]
        row = table.setdefault(dispatch["kernel"], {"count": 0, "bytes": 0, "arithmetic": 0.0, "memory": 0.0})
        read = dispatch["bytes"] + dispatch["position"] * options.depth
        read += dispatch["moved"] * rows // most
        subgroups = groups_of(dispatch, rows) * -(-kernel["invocations"] // 64)
        cycles = subgroups * kernel["statistics"]["Inverse Throughput"] / (options.simds * options.clock * 1e3)
        row["count"] += 1
        row["bytes"] += read
        row["arithmetic"] += max(cycles, least_arithmetic(dispatch, rows, options))
        row["memory"] += read / (options.bandwidth * 1e3)
    return table


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


def speech(text, entries, kernels, options):
    """The tables of all parts of a frame and their sum."""
    if missing := [name for name in (TALKER, BEGIN, CODE, VOCODER) if not entries.get(name)]:
        sys.exit(f"predict.py: error: the plan has no entry '{missing[0]}', expected those of talker, code predictor and vocoder, export all components")
    lines = text[text.index(f'  "{VOCODER}" role ') :].splitlines()
    codes, samples = (next(filter(None, map(pattern.match, lines))) for pattern in (CODES, SAMPLES))
    groups, most = int(codes["groups"]), int(codes["frames"])
    if not 1 <= options.speech <= most:
        sys.exit(f"predict.py: error: --speech is {options.speech}, expected 1 to {most} frames, as the plan's vocoder takes them, correct it")
    summary, whole = [], 0.0
    for name, times, title in ((TALKER, 1, "1"), (BEGIN, 1, "1"), (CODE, groups - 1, str(groups - 1)), (VOCODER, 1 / options.speech, f"1/{options.speech}")):
        rows = rows_of(entries[name], kernels, options, *((options.speech, most) if name == VOCODER else ()))
        print(f"### {name}\n")
        table(rows, kernels, options)
        print()
        time = times * sum(time_of(row, options) for row in rows.values()) / 1e3
        whole += time
        summary.append(f"| `{name}` | {title} | {sum(row['count'] for row in rows.values())} | "
                       f"{times * sum(row['bytes'] for row in rows.values()) / 1e6:.2f} | {time:.2f} |")
    length = 1e3 * int(samples["samples"]) / SAMPLE_RATE
    print(f"### A frame of {length:g} ms\n\n| part | runs | dispatches of a run | MB | ms |\n|---|---|---|---|---|\n" + "\n".join(summary))
    print(f"| all | | | | {whole:.2f} |\n\nReal-time factor {whole / length:.3f}.")
    frame = sum(d["cost"] for name, times in ((TALKER, 1), (BEGIN, 1), (CODE, groups - 1)) for d in entries[name] * times)
    push = sum(d["cost"] for d in entries[VOCODER])
    print(f"By the plan's estimate the submission of a frame takes {frame / 1e6:.1f} ms, that of {most} frames of the vocoder {push / 1e6:.1f} ms.")
    return {name: dispatches for name, dispatches in entries.items() if name.startswith(("talker.", "predictor.", "code2wav."))}


def add_common(parser):
    """What predictions of steps and of prompts (prefill.py) both ask for."""
    parser.add_argument("bin_dir", type=pathlib.Path, help="folder with qwen-kernel-stats and qwen-plan-dump")
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("--device", default="gfx1151", help="part of the device's name (default: gfx1151)")
    parser.add_argument("--bandwidth", type=float, default=212, help="GB/s (default: 212)")
    parser.add_argument("--simds", type=int, default=80, help="SIMDs of the device (default: 80)")
    parser.add_argument("--clock", type=float, default=2.9, help="GHz (default: 2.9)")
    parser.add_argument("--overhead", type=float, default=5, help="us of each dispatch (default: 5)")


def parse_arguments():
    parser = argparse.ArgumentParser(description="What limits the kernels of an entry: the driver's cycles beside the bytes.")
    parser.add_argument("--entry", default="decode_greedy", help="entry of the plan (default: decode_greedy)")
    parser.add_argument("--speech", type=int, metavar="FRAMES", help="the entries of a frame of speech instead, with pushes of FRAMES frames")
    parser.add_argument("--efficiency", type=float, default=50, help="percent of the SIMDs' products that kernels over many rows reach (default: 50)")
    parser.add_argument("--depth", type=int, default=0, help="cached positions (default: 0)")
    add_common(parser)
    return parser.parse_args()


def main():
    options = parse_arguments()
    text = run(options.bin_dir / "qwen-plan-dump", options.plan, "--entries")
    entries = entries_of(text)
    if options.speech is None and not entries.get(options.entry):
        sys.exit(f"predict.py: error: the plan has no dispatches in entry '{options.entry}', expected one of {', '.join(entries)}, "
                 "give another --entry")
    report = json.loads(run(options.bin_dir / "qwen-kernel-stats", options.plan, "--device", options.device, "--json"))
    kernels = {kernel["name"]: kernel for kernel in report["kernels"]}
    if missing := [name for name, kernel in kernels.items() if "skipped" not in kernel and "Inverse Throughput" not in kernel["statistics"]]:
        sys.exit(f"predict.py: error: the driver says nothing about the throughput of {missing[0]}, expected 'Inverse Throughput', use RADV")
    what = options.entry if options.speech is None else f"speech in pushes of {options.speech} frames,"
    print(f"{what} at depth {options.depth:,}, {report['device']}\n")
    if options.speech is None:
        table(rows_of(entries[options.entry], kernels, options), kernels, options)
    else:
        entries = speech(text, entries, kernels, options)
    cost, name, kernel = max((d["cost"], name, d["kernel"]) for name, dispatches in entries.items() for d in dispatches)
    print(f"The most expensive dispatch is estimated at {cost / 1e6:.1f} ms: {kernel} in {name}.")
    return cost >= LONGEST_NS


if __name__ == "__main__":
    sys.exit(main())
