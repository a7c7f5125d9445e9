"""Reads and writes safetensors files with the standard library only, for the integration tests."""

import array
import json
import math
import struct


def read(path):
    """All tensors of a file: name -> (shape, flat array of numbers). Supports F32, BF16 (widened), I64, I32."""
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, info in header.items():
        code = {"F32": "f", "BF16": "H", "I64": "q", "I32": "i"}.get(info.get("dtype"))
        if name == "__metadata__" or code is None:
            continue
        begin, end = info["data_offsets"]
        values = array.array(code)
        values.frombytes(data[8 + size + begin : 8 + size + end])
        if code == "H":  # the upper half of an f32
            values = array.array("f", array.array("I", [bits << 16 for bits in values]).tobytes())
        tensors[name] = (info["shape"], values)
    return tensors


def write(path, tensors):
    """The opposite of read(): name -> (dtype, shape, flat array)."""
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        part = values.tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def relative_l2(got, want):
    """norm(got - want) / norm(want)."""
    difference = math.fsum((a - b) * (a - b) for a, b in zip(got, want))
    return math.sqrt(difference / math.fsum(b * b for b in want))
