"""tools/speech-timeline on a tone and on traces whose picture can be worked out by hand.

Usage: picture.py TOOL_DIR WORK_DIR
"""

import base64
import json
import math
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import wave
import xml.etree.ElementTree as ElementTree
import zlib

FAILURES = []
SPACE = "{http://www.w3.org/2000/svg}"
RATE = 24000


def check(condition, what):
    if not condition:
        FAILURES.append(what)


def write_wave(path, samples, width=2):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, RATE, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", round(32767 * value)) for value in samples))


def run_event(entry, begin, length):
    return {"ph": "X", "cat": entry, "name": entry, "ts": begin, "dur": length, "args": {}}


def mark(name, ts, **values):
    return {"ph": "i", "name": name, "ts": ts, "args": values}


def events(begin):
    """An answer of 100 ms: sound from 20 ms on that is there for 10 ms, then late, then lasts for long."""
    return [run_event("prefill", begin, 10_000), mark("token", begin + 10_000, id=1), run_event("decode_greedy", begin + 10_000, 2_000),
            mark("token", begin + 12_000, id=2), run_event("talker.prefill", begin + 12_000, 4_000), run_event("predictor.begin", begin + 16_000, 1_000),
            run_event("predictor.decode_greedy", begin + 17_000, 1_000), run_event("code2wav.decode", begin + 18_000, 2_000),
            mark("audio", begin + 20_000, samples=240), run_event("code2wav.decode", begin + 36_000, 4_000), mark("audio", begin + 40_000, samples=24_000),
            run_event("code2wav.decode", begin + 90_000, 10_000), mark("audio", begin + 100_000, samples=240)]


def draw(tool, *words):
    return subprocess.run([sys.executable, "-B", str(tool / "draw.py"), *map(str, words)], capture_output=True, text=True)


def texts(root):
    return [element.text for element in root.iter(f"{SPACE}text")]


def boxes(root, look):
    """Begin and width of the boxes of a look, one list for each timeline."""
    paths = [path.get("d") for path in root.iter(f"{SPACE}path") if path.get("class") == look]
    return [[(float(x), float(width)) for x, width in re.findall(r"M([\d.]+) [\d.]+h([\d.]+)", path)] for path in paths]


def near(got, want):
    return len(got) == len(want) and all(abs(a - b) < 0.02 for one, other in zip(got, want) for a, b in zip(one, other))


def check_timelines(root):
    width, left = 760.0, 124.0
    millisecond = [width / 100, width / 50]
    # The whole answer, and beneath it the 50 ms that --zoom asks for.
    lanes = {"ct7": [(0, 12)], "ct6": [(12, 4)], "cc14": [(16, 2)], "cv7": [(18, 2), (36, 4), (90, 10)],
             "plays cs9": [(20, 10), (40, 60)]}
    for look, spans in lanes.items():
        drawn = boxes(root, look)
        check(len(drawn) == 2, f"{look}: {len(drawn)} timelines, expected 2")
        for got, scale, end in zip(drawn, millisecond, (100, 50)):
            want = [(left + begin * scale, (min(begin + length, end) - begin) * scale) for begin, length in spans if begin < end]
            check(near(got, want), f"{look} lies at {got}, expected {want}")
    check(len(boxes(root, "cs9")[0]) == 3 and len(boxes(root, "cs9")[1]) == 2, f"pieces of sound: {boxes(root, 'cs9')}")
    labels = texts(root)
    for label in ("thinker", "talker", "code predictor", "vocoder", "sound out", "first token, 10 ms", "first sound, 20 ms", "16 ms", "12 ms", "→ 1.05 s",
                  "2 tokens and 1.02 s of sound in 100 ms", "Said & done", "An answer", "amplitude", "10 kHz", "200 ms at 24 kHz", "+0.50", "−0.50"):
        check(label in labels, f"no '{label}' among {labels}")
    check("encoder" not in labels, "a lane without runs")


def check_spectrum(root):
    """The loudest row of the picture is that of the tone."""
    address = next(root.iter(f"{SPACE}image")).get("href")
    data, at, chunks = base64.b64decode(address.partition(",")[2]), 8, {}
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.setdefault(data[at + 4 : at + 8], data[at + 8 : at + 8 + size])
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = zlib.decompress(chunks[b"IDAT"])
    loud = [sum(rows[y * (width + 1) + 1 : (y + 1) * (width + 1)]) for y in range(height)]
    tone = height - 1 - loud.index(max(loud))
    check(abs((tone + 0.5) * RATE / 2 / height - 3000) <= RATE / 2 / height, f"the tone of 3000 Hz is in row {tone} of {height}")


def check_errors(tool, work):
    good, empty = work / "tone.wav", work / "empty.wav"
    write_wave(empty, [])
    (work / "text.json").write_text("[1")
    (work / "other.json").write_text('{"traceEvents":[{"ph":"X","cat":"prefill"}]}')
    (work / "mute.json").write_text(json.dumps({"traceEvents": events(0)[:2]}))
    for words, message in (((work / "none.wav", work / "trace.json"), "is no WAV file"), ((empty, work / "trace.json"), "and 0 of 16, expected some"),
                           ((good, work / "text.json"), "text.json is no trace"), ((good, work / "other.json"), "other.json is no trace"),
                           ((good, work / "mute.json"), "no runs or no sound, expected a spoken answer")):
        result = draw(tool, *words, "-o", work / "never.svg")
        check(result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr, f"expected '{message}', got {result.stderr}")
    check(not (work / "never.svg").exists(), "a picture in spite of an error")


def main():
    tool, work = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_wave(work / "tone.wav", [0.5 * math.sin(2 * math.pi * 3000 * i / RATE) for i in range(RATE // 5)])
    trace = {"traceEvents": events(5_000) + events(400_000)}
    (work / "trace.json").write_text(json.dumps(trace))
    words = ("--utterance", "Said & done", "--answer", "An answer", "--zoom", "50")
    result = draw(tool, work / "tone.wav", work / "trace.json", "-o", work / "picture.svg", "--short", work / "short.json", *words)
    check(result.returncode == 0, result.stderr)
    if not FAILURES:
        root = ElementTree.parse(work / "picture.svg").getroot()
        check_timelines(root)
        check_spectrum(root)
        draw(tool, work / "tone.wav", work / "short.json", "-o", work / "again.svg", *words)
        check((work / "again.svg").read_text() == (work / "picture.svg").read_text(), "the short trace gives another picture")
        short = json.loads((work / "short.json").read_text())
        check(short["runs"]["prefill"] == [400_000, 10_000] and len(short["audio"]) == 3, f"short trace is {short}")
        draw(tool, work / "tone.wav", work / "trace.json", "-o", work / "whole.svg", "--zoom", "90")
        check(len(boxes(ElementTree.parse(work / "whole.svg").getroot(), "ct7")) == 1, "most of the answer is drawn twice")
    check_errors(tool, work)
    sys.exit("\n".join(FAILURES) if FAILURES else 0)


if __name__ == "__main__":
    main()
