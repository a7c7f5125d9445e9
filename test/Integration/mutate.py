"""Broken inputs made from good ones: JSON nodes, bytes, safetensors headers, plans. Every choice comes from the given generator."""

import copy
import json
import struct

# Values that readers tend to get wrong, as Python objects and, for what Python cannot write, as JSON text.
ODD_VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 6, 7, 255, 256, 300, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63,
    2**64 - 1, 2**64, -(2**31), -(2**63), 0.5, -0.5, 1e-300, 1e300, 1.5, "", "0", "x", "../x", "/etc/passwd", "a\0b", "\x1b[31m", "S",
    "C", "@", "$", "f32[S,192]", "f32[]", "f32[0]", "f32[4294967295,4294967295]", "bf16[1]", "é" * 600, "\ud800", [], {}, [[]], [0], [-1],
    [None], ["S"], ["S", "S", "S"], [2**31] * 4, {"a": 1}, {"": None},
]
ODD_TEXT = ["1e999", "-1e999", "NaN", "Infinity", "-0", "1" * 400, "[" * 5000, '{"a":' * 5000, '"\\ud800"', '"\xff"', "tru", "", "'x'"]
HOLE = "\u2603hole\u2603"


def paths(node, prefix=()):
    """Every place in a document, the root left out."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield prefix + (key,)
        yield from paths(child, prefix + (key,))


def walk_down(node, rng):
    """A random place, each level equally likely: rare members near the root are met as often as the many below."""
    path = []
    while isinstance(node, (dict, list)) and node and (not path or rng.random() < 0.8):
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        path.append(key)
        node = node[key]
    return tuple(path)


def at(document, path):
    for key in path:
        document = document[key]
    return document


def nudge(value, rng):
    """A neighbour of a number or a text."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, value * 2, value // 2, value + 2**32, value << 40, float(value)])
    if isinstance(value, float):
        return rng.choice([-value, 0.0, value * 1e30, value * 1e-30, int(value)])
    if isinstance(value, str) and value:
        cut = rng.randrange(len(value))
        return rng.choice([value[:cut], value[:cut] + rng.choice("@$/\0x9[],\n") + value[cut:], value * 2, value[::-1]])
    return rng.choice(ODD_VALUES)


def json_text(document, rng, count=1):
    """The bytes of \\p document after \\p count mutations of its structure, and a description of them."""
    document = copy.deepcopy(document)
    done, hole = [], None
    for _ in range(count):
        everywhere = list(paths(document))
        path = walk_down(document, rng) if rng.random() < 0.6 else rng.choice(everywhere)
        parent, key = at(document, path[:-1]), path[-1]
        kind = rng.choice(["delete", "odd", "odd", "nudge", "nudge", "nudge", "swap", "copy", "duplicate", "rename", "text"])
        if kind == "delete":
            del parent[key]
        elif kind == "odd":
            parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        elif kind == "nudge":
            parent[key] = nudge(parent[key], rng)
        elif kind in ("swap", "copy"):
            # Preferably a node of the same name, such as the shape of another weight.
            alike = [p for p in everywhere if p[-1] == key and p != path] or everywhere
            other = rng.choice(alike)
            if other[: len(path)] != path and path[: len(other)] != other:
                here, there = parent[key], at(document, other)
                parent[key] = copy.deepcopy(there)
                if kind == "swap":
                    at(document, other[:-1])[other[-1]] = here
        elif kind == "duplicate" and isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        elif kind == "rename" and isinstance(parent, dict):
            parent[str(nudge(key, rng))] = parent.pop(key)
        elif kind == "text" and hole is None:
            hole = rng.choice(ODD_TEXT)
            parent[key] = HOLE
        done.append(f"{kind} {'.'.join(map(str, path))[:80]}")
    # Lone surrogates can be written only as escapes.
    text = json.dumps(document, ensure_ascii=True).encode()
    if hole is not None:
        text = text.replace(json.dumps(HOLE).encode(), hole.encode("latin-1"))
    return text, "; ".join(done)


def damaged_bytes(data, rng):
    """\\p data cut, or with some bytes flipped, removed or repeated."""
    data = bytearray(data)
    kind = rng.choice(["cut", "flip", "flip", "flips", "remove", "repeat", "zero"])
    begin = rng.randrange(len(data))
    end = min(len(data), begin + rng.choice([1, 2, 8, 100]))
    if kind == "cut":
        del data[begin:]
    elif kind == "flip":
        data[begin] ^= 1 << rng.randrange(8)
    elif kind == "flips":
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == "remove":
        del data[begin:end]
    elif kind == "repeat":
        data[begin:begin] = data[begin:end] * rng.choice([1, 2, 50])
    else:
        data[begin:end] = bytes(end - begin)
    return bytes(data), f"{kind} at {begin}"


# Safetensors ---------------------------------------------------------------------------------------------------------


def split_safetensors(data):
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def join_safetensors(header, body, length=None):
    """\\p header: a document or bytes; \\p length: what the first 8 bytes say in place of the truth."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


# Plans ---------------------------------------------------------------------------------------------------------------

TRAILER_BYTES = 24
SPIRV_MAGIC = struct.pack("<I", 0x07230203)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def with_trailer(body):
    """A plan file whose trailer is right for \\p body."""
    return bytes(body) + struct.pack("<QQ", len(body), fnv1a(body)) + b"QWENPLN1"


def outside_spirv(body):
    """The ranges of \\p body that hold no SPIR-V words: damage to those is found by the verifier or harmless."""
    ranges, start, at = [], 0, body.find(SPIRV_MAGIC)
    while at >= 4:
        (words,) = struct.unpack_from("<I", body, at - 4)
        ranges.append((start, at))
        start = at + 4 * words
        at = body.find(SPIRV_MAGIC, start)
    return ranges + [(start, len(body))]


def near(body, words, distance):
    """The ranges of \\p body up to \\p distance bytes away from any of \\p words."""
    ranges = []
    for word in words:
        at = body.find(word)
        while at >= 0:
            ranges.append((max(0, at - distance), min(len(body), at + len(word) + distance)))
            at = body.find(word, at + 1)
    return ranges


def damaged_plan(body, places, rng):
    """\\p body with one to three words of \\p places replaced."""
    body = bytearray(body)
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        begin, end = rng.choices(places, [e - b for b, e in places])[0]
        at = rng.randrange(begin, end)
        kind = rng.choice(["bit", "byte", "word", "long", "copy"])
        if kind == "bit":
            body[at] ^= 1 << rng.randrange(8)
        elif kind == "byte":
            body[at] = rng.choice([0, 1, 2, 4, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == "word":
            at -= at % 4
            body[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 2, 16, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(4096)]))
        elif kind == "long":
            at -= at % 4
            body[at : at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**32, 2**62, 2**63, 2**64 - 16, rng.randrange(2**20)]))
        else:
            other = rng.randrange(len(body) // 4) * 4
            at -= at % 4
            body[at : at + 4] = body[other : other + 4]
        done.append(f"{kind} at {at}")
    return bytes(body[: len(body)]), "; ".join(done)
