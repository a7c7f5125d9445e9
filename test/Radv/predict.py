"""predict.py on a plan of two kernels whose numbers can be worked out by hand, with programs that only print them.

Usage: predict.py PREDICT WORK_DIR
"""

import predictions
from predictions import expect, kernel

PLAN = """plan "p" version 1
entries: 2
  "decode" role decode_greedy, rows 1
    0 product groups 80x1x1 label "layers.0.q" reads 2000000 cost 7000 ns
        read x "arena0" + 0, 4 bytes
    -------- barrier
    1 attention groups 40x2x1 label "layers.0.attention" reads 0 + 1000 per position cost 9000 ns
    -------- barrier
    2 product groups 80x1x1 label "layers.1.q" reads 2000000 cost 7000 ns
  "prefill" role prefill, rows 8
    0 product groups 1x1x1 label "layers.0.q" reads 1 cost {cost} ns
"""

# A frame of three groups; the vocoder takes up to four frames in a run.
SPEECH = """  "talker.decode_greedy" role other, rows 1
    0 product groups 80x1x1 label "q" reads 2000000 + 1000 per position cost 7000000 ns
  "predictor.begin" role other, rows 1
    0 product groups 80x1x1 label "q" reads 1000000 cost 1000000 ns
  "predictor.decode_greedy" role other, rows 1
    0 product groups 80x1x1 label "q" reads 500000 cost 2000000 ns
  "code2wav.decode" role other, rows 4
    input "codes" i32[F<=4, 3] in "output0" + 0, 48 bytes
    output "samples" f32[1200 * F<=4800] in "output0" + 48, 19200 bytes
    0 conv_n96_c100_t7_d1_r4000c1 groups 2x40x1 rows "F" * 1000 per 100 along y label "c" reads 100000 cost {push} ns
        read x "arena" + 0, 3000000 bytes
        read weight "weights0" + 0, 100000 bytes
        write y "arena" + 3000000, 1000000 bytes
"""

KERNELS = [kernel("product", 256, {"VGPRs": 48, "Subgroups per SIMD": 20, "Inverse Throughput": 1000}),
           kernel("conv_n96_c100_t7_d1_r4000c1", 64, {"VGPRs": 48, "Subgroups per SIMD": 20, "Inverse Throughput": 100}),
           kernel("attention", 65, {"VGPRs": 120, "Subgroups per SIMD": 8, "Inverse Throughput": 5000})]


def run(script, work, *options, cost=1000, kernels=KERNELS, status=0, push=None):
    plan = PLAN.format(cost=cost) + (SPEECH.format(push=push) if push else "")
    return predictions.run(script, work, plan, kernels, "--entry", "decode", "--simds", "10", "--clock", "2", *options, status=status)


def test(script, work):
    # 640 subgroups of 1000 cycles on 10 SIMDs of 2 GHz: 32 us; 4 MB at 100 GB/s: 40 us, and twice the overhead.
    product = "| `product` | 2 | 48 | 20 | 1000 | 4.00 | 32 | 40 | 80 % |"
    expect("depth 0", run(script, work), 0, "decode at depth 0, Chip", product, "| `attention` | 1 | 120 | 8 | 5000 | 0.00 | 40 | 0 | - |",
           "| all | 3 | | | | 4.00 | 72 | 40 | 42 % |", "In all 0.10 ms.", "estimated at 0.0 ms: attention in decode")
    # 65 invocations are two subgroups: 40 us of arithmetic against 10 us of memory.
    expect("depth 1000", run(script, work, "--depth", "1000", "--overhead", "0"), 0, "at depth 1,000",
           "| `attention` | 1 | 120 | 8 | 5000 | 1.00 | 40 | 10 | 25 % |", "| `product` | 2 | 48 | 20 | 1000 | 4.00 | 32 | 40 | 100 % |")
    expect("just short enough", run(script, work, cost=499999999), 0, "estimated at 500.0 ms: product in prefill")
    expect("too long", run(script, work, cost=500000000), 1, "estimated at 500.0 ms: product in prefill")
    expect("unknown entry", run(script, work, "--entry", "none"), 1,
           "error: the plan has no dispatches in entry 'none', expected one of decode, prefill, give another --entry")
    expect("no throughput", run(script, work, kernels=[kernel("product", 64, {}), KERNELS[1]]), 1,
           "error: the driver says nothing about the throughput of product, expected 'Inverse Throughput', use RADV")
    # A push of two frames: 134 million products at half of 640 per ns are 420 us, where the driver has 40 groups and 0.2 us; half of 4 MB
    # and the weights are 21 us. Per frame that and the overhead of a step are 0.21 ms.
    words = ("--speech", "2", "--depth", "1000")
    expect("speech", run(script, work, *words, push=9000000, cost=600000000), 0, "speech in pushes of 2 frames, at depth 1,000, Chip",
           "| `conv_n96_c100_t7_d1_r4000c1` | 1 | 48 | 20 | 100 | 2.10 | 420 | 21 | 5 % |", "### A frame of 50 ms",
           "| `talker.decode_greedy` | 1 | 1 | 3.00 | 0.04 |", "| `predictor.begin` | 1 | 1 | 1.00 | 0.02 |",
           "| `predictor.decode_greedy` | 2 | 1 | 1.00 | 0.04 |", "| `code2wav.decode` | 1/2 | 1 | 1.05 | 0.21 |", "| all | | | | 0.31 |",
           "Real-time factor 0.006.", "a frame takes 12.0 ms, that of 4 frames of the vocoder 9.0 ms.", "9.0 ms: conv_n96_c100_t7_d1_r4000c1 in code2wav")
    expect("no arithmetic but the driver's", run(script, work, *words, "--efficiency", "1000000", push=1), 0, "| 2.10 | 0 | 21 | 81 % |")
    expect("long vocoder", run(script, work, *words, push=500000000), 1, "estimated at 500.0 ms: conv_n96")
    expect("long pushes", run(script, work, "--speech", "5", push=1), 1,
           "error: --speech is 5, expected 1 to 4 frames, as the plan's vocoder takes them, correct it")
    expect("mute plan", run(script, work, "--speech", "2"), 1,
           "error: the plan has no entry 'talker.decode_greedy', expected those of talker, code predictor and vocoder, export all components")
    expect("failing program", run(script, work, status=1), 1, "qwen-kernel-stats ended with 1")


if __name__ == "__main__":
    predictions.main(test)
