"""What qwenrt prints, as numbers. Times in milliseconds, sizes in bytes, rates in GB/s (1e9 bytes) and tokens/s.

A line that is not there or looks different leaves its keys out; nothing here raises for any text.
"""

import array
import hashlib
import json
import re
import struct

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
SIZE = r"([0-9]+(?:\.[0-9]+)? [kMG]?B)"
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}

BENCH_LINE = re.compile(rf"^((?:pp|tg)[0-9]+(?:@[0-9]+)?): {NUMBER} tokens/s, {NUMBER} ms, {NUMBER} GB/s(?:, {NUMBER} % of {NUMBER} GB/s)?$")
DEVICE_LINE = re.compile(r"^([0-9]+): (.*) \(([A-Za-z ]+)\), Vulkan ([0-9.]+), (.*), ([0-9.]+ [kMG]?B) device memory, (.*)$")

# One pattern per line of --stats, with the keys of its groups.
STATISTICS = (
    (r"^device: (.*) \(([A-Za-z ]+)\), (.*)$", ("device", "device_kind", "driver")),
    (rf"^load: {NUMBER} ms \(device and buffers {NUMBER} ms, weights beside pipelines {NUMBER} ms\)",
     ("load_ms", "open_ms", "weights_beside_pipelines_ms")),
    (rf"^weights: {SIZE} in {NUMBER} ms, {NUMBER} GB/s, ([a-z]+) \(([a-z]+)\), ([0-9]+) threads",
     ("weight_bytes", "weight_ms", "weight_gbs", "upload", "upload_kind", "load_threads")),
    (rf"^pipelines: ([0-9]+) in {NUMBER} ms, cache ([a-z]+)", ("pipelines", "pipeline_ms", "pipeline_cache")),
    (rf"^prompt: ([0-9]+) tokens in {NUMBER} ms", ("prompt_tokens", "prompt_ms")),
    (rf"^time to first token: {NUMBER} ms", ("first_token_ms",)),
    (rf"^time to first token: .*, first token {NUMBER} ms\)", ("choose_ms",)),
    (rf"^generation: ([0-9]+) further tokens in {NUMBER} ms", ("generated_tokens", "generation_ms")),
    (rf"^speech: ([0-9]+) frames \({NUMBER} s\) in {NUMBER} ms, talker's prompt {NUMBER} ms, first frame {NUMBER} ms, first audio {NUMBER} ms, "
     rf"whole answer {NUMBER} ms", ("frames", "speech_s", "speech_ms", "talker_prompt_ms", "first_frame_ms", "first_audio_ms", "answer_ms")),
    (rf"^host memory: peak {SIZE}, anonymous while loading {SIZE}", ("host_peak_bytes", "host_anonymous_bytes")),
)


def value(text):
    """A number, a size in bytes or the text itself."""
    number, _, unit = text.partition(" ")
    try:
        if unit in UNITS:
            return round(float(number) * UNITS[unit])
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def statistics(stderr):
    """The lines of --stats."""
    found = {}
    for line in stderr.splitlines():
        for pattern, keys in STATISTICS:
            if match := re.match(pattern, line.strip()):
                found.update(zip(keys, map(value, match.groups())))
    return found


def bench_lines(stdout):
    """(item, measurement) of each line of --bench. The last line of a process that was ended may be cut: it does not match."""
    for line in stdout.splitlines():
        match = BENCH_LINE.match(line.strip())
        if not match:
            continue
        item, rate, milliseconds, bandwidth, share, ceiling = match.groups()
        run = {"tokens_per_second": float(rate), "ms": float(milliseconds), "gbs": float(bandwidth)}
        if share:
            run.update(share_percent=float(share), read_bandwidth_gbs=float(ceiling))
        yield item, run


def devices(stdout):
    """The devices of --list-devices."""
    keys = ("index", "name", "kind", "vulkan", "driver", "memory_bytes", "subgroups")
    return [dict(zip(keys, map(str, match.groups())), index=int(match[1]), memory_bytes=value(match[6]))
            for match in map(DEVICE_LINE.match, stdout.splitlines()) if match]


def last_ids(stdout):
    """The JSON array of token ids on the last line; None if there is none."""
    lines = stdout.strip().splitlines()
    try:
        ids = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return ids if isinstance(ids, list) and all(isinstance(i, int) for i in ids) else None


def complaint(stderr, status):
    """Why a command failed: its line with 'error:', else the last one."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return (errors or lines[-1:] or [f"ended with status {status}"])[0][:500]


def read_tensors(path):
    """Name -> (dtype, shape, bytes) of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    return {name: (info["dtype"], info["shape"], memoryview(data)[8 + size + info["data_offsets"][0] : 8 + size + info["data_offsets"][1]])
            for name, info in header.items() if name != "__metadata__"}


def write_ids(path, name, ids):
    """A safetensors file with one I32 tensor."""
    data = array.array("i", ids).tobytes()
    header = json.dumps({name: {"dtype": "I32", "shape": [len(ids)], "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def tensors_hash(path):
    """SHA-256 of names, shapes and bits of all tensors of a file."""
    digest = hashlib.sha256()
    for name, (dtype, shape, data) in sorted(read_tensors(path).items()):
        digest.update(f"{name} {dtype} {shape}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def ids_hash(ids):
    return hashlib.sha256(json.dumps(ids, separators=(",", ":")).encode()).hexdigest()
