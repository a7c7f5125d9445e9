"""prefill.py on a plan whose numbers can be worked out by hand, with programs that only print them.

Usage: prefill.py PREFILL WORK_DIR
"""

import predictions
from predictions import expect

SCALED, EXPERTS, TILE, ATTENTION, NORM = ("gemm_matrix_scaled_n1024_k1024_r256", "gemm_matrix_scaled_n512x2_k512_r256_experts16x4_shared_mulf",
                                          "gemm_n128_k2048_r256", "attention_matrix_h16kv8d128_c8192_f16_r256_p1", "rms_norm_n1024_r256")
PLAN = f"""plan "p" version 1
entries: 2
  "prefill" role prefill, rows 256
    0 {NORM} groups 10x1x1 label "layers.0.norm" reads 1000 cost 1 ns
    1 {SCALED} groups 8x2x1 label "layers.0.q" reads 2000000 cost 1 ns
    2 {TILE} groups 4x8x1 label "layers.0.router" reads 1000 cost 1 ns
    3 {EXPERTS} groups 8x31x1 label "layers.0.experts" reads 1000 cost 1 ns
    4 {ATTENTION} groups 8x8x1 label "layers.0.attention" reads 0 + 1000 per position cost 1 ns
  "decode" role decode_greedy, rows 1
    0 product groups 80x1x1 label "layers.0.q" reads 2000000 cost 7000 ns
"""
WMMA = {SCALED: 32, EXPERTS: 32, ATTENTION: 32}


def kernel(name, invocations, cycles):
    return predictions.kernel(name, invocations, {"VGPRs": 48, "Subgroups per SIMD": 20, "Inverse Throughput": cycles})


KERNELS = [kernel(NORM, 64, 100), kernel(SCALED, 512, 8000), kernel(TILE, 256, 400), kernel(EXPERTS, 256, 8000), kernel(ATTENTION, 256, 4000)]


def run(script, work, *options):
    # The last word is the folder of the listings.
    listings = "".join(f'for i in $(seq {count}); do echo v_wmma; done >"$folder/{name}.s"\n' for name, count in WMMA.items())
    return predictions.run(script, work, PLAN, KERNELS, "--units", "5", "--simds", "10", "--clock", "1", *options,
                           before=f'for folder; do :; done\nmkdir -p "$folder"\n{listings}')


def test(script, work):
    # 10 subgroups of 100 cycles on 10 SIMDs of 1 GHz.
    norm = f"| `{NORM}` | 1 | 48 | 20 | 0 | 0 |"
    # 16 workgroups on 5 units: as if 20. A subgroup has 32 x 64 results, 8 matrices for each 16 of k, 32 in a turn: 16 turns
    # instead of 8, 16000 cycles for each of 160 subgroups.
    scaled = f"| `{SCALED}` | 1 | 48 | 20 | 256 | 20 |"
    # Tiles of 32 x 32, 32 of k in a turn: 64 turns instead of 4, 35 workgroups of four subgroups of 6400 cycles.
    tile = f"| `{TILE}` | 1 | 48 | 20 | 90 | 0 |"
    # 64 choices for each of 16 experts: 16 tiles of the 31, 128 workgroups as if 130. 64 x 64 results of two sums, 8 matrices for
    # each of four subgroups and 16 of k: 8 turns.
    experts = f"| `{EXPERTS}` | 1 | 48 | 20 | 416 | 0 |"
    # 4096 rows of queries, 128 keys on average, dim 128, keys and values: 32768 products of 256 subgroups: 4 turns, as guessed.
    attention = f"| `{ATTENTION}` | 1 | 48 | 20 | 104 | 0 |"
    expect("depth 0", run(script, work, "--overhead", "10"), 0, "prefill of 256 rows at depth 0, Chip", norm, scaled, tile, experts,
           attention, "In all 0.92 ms, 279,568 tokens/s")
    # Eight times the keys and more: 1024 - 128 before the chunk, 1024 on average.
    expect("depth", run(script, work, "--depth", "896"), 0, "at depth 896", f"| `{ATTENTION}` | 1 | 48 | 20 | 832 | 9 |")
    expect("unknown entry", run(script, work, "--entry", "none"), 1,
           "error: the plan has no dispatches in entry 'none', expected those of a chunk, give another --entry")
    expect("one row", run(script, work, "--entry", "decode"), 1,
           "error: no kernel of entry 'decode' has many rows, expected a chunk of them, give another --entry")


if __name__ == "__main__":
    predictions.main(test)
