"""A results.json with made-up round numbers, in the form that run.py writes; benchmark.py checks the report of it."""

BANDWIDTH_GBS = 4000.0


def run(item, tokens_per_second, gigabytes_per_second):
    """One measurement as qwenrt --bench prints it."""
    tokens = int(item[2:].partition("@")[0])
    return {"tokens_per_second": float(tokens_per_second), "ms": tokens / tokens_per_second * 1e3, "gbs": float(gigabytes_per_second),
            "share_percent": 100 * gigabytes_per_second / BANDWIDTH_GBS, "read_bandwidth_gbs": BANDWIDTH_GBS}


def bench(**items):
    """items: name with '_' for '@' -> (rates of the runs, GB/s)."""
    result = {}
    for name, (rates, bandwidth) in items.items():
        item = name.replace("_", "@")
        result[item] = {"runs": [run(item, rate, bandwidth) for rate in rates], "tokens_per_second": sum(rates) / len(rates)}
    process = {"weight_bytes": 2_000_000_000, "weight_ms": 250.0, "weight_gbs": 8.0, "upload": "direct", "pipelines": 30, "pipeline_ms": 6.0,
               "pipeline_cache": "warm", "host_anonymous_bytes": 40_000_000}
    return {"items": result, "processes": [process], "seconds": 1.0}


def generate(letter):
    runs = [{"ids_hash": letter * 64, "logits_hash": "f" * 64, "pipeline_cache": "cold", "pipeline_ms": 300.0, "weight_gbs": 6.0,
             "weight_bytes": 2_000_000_000, "weight_ms": 350.0, "upload": "direct", "host_anonymous_bytes": 40_000_000}] * 2
    return {"ids_hash": letter * 64, "logits_hash": "f" * 64, "identical": letter != "c", "runs": runs, "seconds": 1.0}


def results(device="Example H200, made-up numbers"):
    dense = {
        "bf16": {"generate": generate("a"), "bench": bench(tg128=([1000, 1100], 1250), tg128_4096=([800], 1300), pp512=([60000], 140)),
                 "long": bench(tg128_32768=([250], 1200)), "sampled": bench(tg128=([970], 1150)),
                 "start": {"first_token_s": 0.5, "empty_program_s": 0.25, "process_s": 0.6, "seconds": 3.0}},
        "q8": {"generate": generate("b"), "bench": bench(tg128=([1200], 760), tg128_4096=([900], 1000), pp512=([50000], 70))},
        "q4": {"generate": {"error": "lost the device"}, "bench": bench(tg128=([1300], 450), tg128_4096=([950], 780))},
    }
    mixture = {
        "bf16": {"generate": generate("c"), "bench": bench(tg128=([300], 1850), tg128_4096=([270], 1750), pp512=([8000], 900)),
                 "experts": {"tokens": 512, "experts": 128, "per_layer": [120, 126, 128], "min": 120, "median": 126, "seconds": 2.0}},
        "q8": {"generate": generate("d"), "bench": bench(tg128=([400], 1310), tg128_4096=([350], 1290))},
        "q4": {"generate": generate("e"), "bench": bench(tg128=([450], 840), tg128_4096=([95.25], 850))},
    }
    return {
        "format": 1, "date": "2026-01-02T03:04:05+00:00", "revision": "abc", "target": "nvidia-h200", "quick": False,
        "device": {"index": 0, "name": device, "driver": "driver 1", "kind": "discrete"},
        "models": {"qwen3-0.6b": {"title": "Qwen3-0.6B", "layers": 28, "experts": None, "formats": dense},
                   "qwen3-omni-thinker": {"title": "Qwen3-Omni thinker", "layers": 48, "experts": 128, "formats": mixture}},
        "errors": [{"item": "qwen3-0.6b/q4/generate", "message": "lost the device"}],
    }
