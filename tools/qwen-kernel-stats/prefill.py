#!/usr/bin/env python3
"""What a device's compiler predicts for reading a prompt: the tokens per second of the entry that takes a chunk of it.

Usage: prefill.py BIN_DIR PLAN [--entry NAME] [--depth POSITIONS] [--units N] [--device NAME]
                  [--bandwidth GB/S] [--simds N] [--clock GHZ] [--overhead US]

As predict.py, with which it shares the numbers of a Radeon 8060S, but for products and attention. The driver takes their loops to run
eight times (four times behind a branch); how often they do follows from the shape in the kernel's name and from the matrix
instructions in its listing, and all cycles of the kernel are taken for the loop's. Workgroups that do not divide evenly among the
compute units make some of these wait. Experts are taken to have the same number of rows each.

Nothing is executed. What is left out, waiting inside of a kernel most of all, makes the true number smaller.
"""

import argparse
import json
import pathlib
import re
import sys
import tempfile

import predict

SHAPE = re.compile(r"^gemm_(?P<matrix>matrix_scaled_)?n(?P<n>\d+)(?:x(?P<sums>\d+))?_k(?P<k>\d+)(?:.*?_experts(?P<experts>\d+)x(?P<choices>\d+))?")
ATTENTION = re.compile(r"^attention_matrix_h(?P<heads>\d+)kv\d+d(?P<dim>\d+)")
EXPERT_TILE = 64  # choices of a workgroup, as qwen-group-experts cuts them
# How often the driver takes the loop to run where it knows no number; half as often behind a branch.
OF_SCALED, OF_OTHERS = 8, 4


def expert_tiles(shape, options):
    """Tiles of rows that a grouped product has in all."""
    experts = int(shape["experts"])
    return experts * -(-(options.rows * int(shape["choices"])) // (experts * EXPERT_TILE))


def product_turns(dispatch, shape, groups, subgroups, wmma, options):
    """How often an invocation goes around the loop over k."""
    n, k = int(shape["n"]), int(shape["k"])
    if not shape["matrix"]:  # tiles of 64 or 32 rows and columns, 1024 elements of each operand at a time
        side = 64 if dispatch["x"] == -(-n // 64) else 32
        return k / (1024 // side)
    rows = expert_tiles(shape, options) * EXPERT_TILE if shape["experts"] else options.rows
    results = rows * n * int(shape["sums"] or 1) / (groups * subgroups)
    return results / 256 * (k / 16) / wmma


def time_of(dispatch, kernel, wmma, options):
    """Microseconds of arithmetic and of reading."""
    name, subgroups = dispatch["kernel"], -(-kernel["invocations"] // 64)
    groups = dispatch["x"] * dispatch["y"] * dispatch["z"]
    cycles, read = kernel["statistics"]["Inverse Throughput"], dispatch["bytes"] + dispatch["position"] * options.depth
    if shape := SHAPE.match(name):
        if shape["experts"]:
            groups = dispatch["x"] * expert_tiles(shape, options)
        cycles *= product_turns(dispatch, shape, groups, subgroups, wmma, options) / (OF_SCALED if shape["matrix"] else OF_OTHERS)
    elif shape := ATTENTION.match(name):
        # Row r of the chunk sees the positions before the chunk and r of its own.
        products = options.rows * int(shape["heads"]) / 16 * (options.depth + options.rows / 2) / 16 * 2 * int(shape["dim"]) / 16
        cycles *= products / (groups * subgroups) / wmma / OF_OTHERS
    turns = -(-groups // options.units)  # of the workgroups on the compute unit that has most of them
    return turns * options.units * subgroups * cycles / (options.simds * options.clock * 1e3), read / (options.bandwidth * 1e3)


def parse_arguments():
    parser = argparse.ArgumentParser(description="What a driver's compiler predicts for reading a prompt.")
    parser.add_argument("--entry", default="prefill", help="entry of the plan (default: prefill)")
    parser.add_argument("--depth", type=int, default=0, help="positions before the chunk (default: 0)")
    parser.add_argument("--units", type=int, default=40, help="compute units of the device (default: 40)")
    predict.add_common(parser)
    return parser.parse_args()


def main():
    options = parse_arguments()
    dispatches = predict.entries_of(predict.run(options.bin_dir / "qwen-plan-dump", options.plan, "--entries")).get(options.entry)
    if not dispatches:
        sys.exit(f"prefill.py: error: the plan has no dispatches in entry '{options.entry}', expected those of a chunk, give another --entry")
    rows = [int(found[1]) for dispatch in dispatches if (found := re.search(r"_r(\d+)", dispatch["kernel"]))]
    if not rows:
        sys.exit(f"prefill.py: error: no kernel of entry '{options.entry}' has many rows, expected a chunk of them, give another --entry")
    options.rows = max(rows)
    with tempfile.TemporaryDirectory() as isa:
        words = (options.bin_dir / "qwen-kernel-stats", options.plan, "--device", options.device, "--json", "--isa", isa)
        report = json.loads(predict.run(*words))
        wmma = {path.stem: path.read_text().count("v_wmma") for path in pathlib.Path(isa).glob("*.s")}
    kernels = {kernel["name"]: kernel for kernel in report["kernels"]}
    print(f"{options.entry} of {options.rows} rows at depth {options.depth:,}, {report['device']}\n")
    print("| kernel | runs | VGPRs | subgroups per SIMD | arithmetic us | memory us |\n|---|---|---|---|---|---|")
    rows, total = {}, 0
    for dispatch in dispatches:
        name = dispatch["kernel"]
        arithmetic, memory = time_of(dispatch, kernels[name], wmma.get(name) or 1, options)
        row = rows.setdefault(name, [0, 0.0, 0.0])
        rows[name] = [row[0] + 1, row[1] + arithmetic, row[2] + memory]
        total += max(arithmetic, memory) + options.overhead
    for name, (count, arithmetic, memory) in rows.items():
        statistics = kernels[name]["statistics"]
        print(f"| `{name}` | {count} | {statistics['VGPRs']} | {statistics['Subgroups per SIMD']} | {arithmetic:.0f} | {memory:.0f} |")
    print(f"\nIn all {total / 1e3:.2f} ms, {options.rows / total * 1e6:,.0f} tokens/s.")


if __name__ == "__main__":
    sys.exit(main())
