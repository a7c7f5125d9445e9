"""One answer of a trace that qwenrt --profile --profile-runs wrote."""

import collections
import json
import sys

# Which lane an entry belongs to, by the beginning of its name; others are the thinker's.
LANES = (("encoder", ("audio.", "vision.")), ("talker", ("talker.",)), ("code predictor", ("predictor.",)), ("vocoder", ("code2wav.",)), ("thinker", ("",)))
ORDER = ("encoder", "thinker", "talker", "code predictor", "vocoder")

# Lane -> (begin, length) of its runs; when tokens came; (when, seconds) of the pieces of sound. All in seconds from the first run.
Answer = collections.namedtuple("Answer", "lanes tokens pieces")


def lane_of(entry):
    return next(lane for lane, beginnings in LANES if entry.startswith(beginnings))


def reduced(path):
    """A trace in its short form: entry -> begins and lengths in turn, tokens and pieces of sound, in whole microseconds."""
    try:
        data = json.loads(path.read_text())
        if "runs" in data:
            return data
        short = {"runs": {}, "tokens": [], "audio": []}
        for event in data["traceEvents"]:
            if event["ph"] == "X":
                short["runs"].setdefault(event["cat"], []).extend((round(event["ts"]), round(event["dur"])))
            elif event["name"] == "audio":
                short["audio"].append([round(event["ts"]), event["args"]["samples"]])
            elif event["name"] == "token":
                short["tokens"].append(round(event["ts"]))
        return short
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{path} is no trace ({error!r}), expected one of qwenrt --profile, give another file")


def last_answer(short):
    """Without what came before the last answer: the first prompt that follows sound begins it, with its encoders."""
    heads = sorted(ts for entry, times in short["runs"].items() if entry == "prefill" or lane_of(entry) == "encoder" for ts in times[::2])
    sounds = [ts for ts, _ in short["audio"]]
    last_sound = max(sounds, default=0)
    for head in reversed(heads):
        before = max((ts for ts in sounds if ts < head), default=None)
        if before is not None and head < last_sound:
            begin = min(ts for ts in heads if ts > before)
            runs = {entry: [value for pair in zip(times[::2], times[1::2]) if pair[0] >= begin for value in pair] for entry, times in short["runs"].items()}
            return {"runs": {entry: times for entry, times in runs.items() if times}, "tokens": [ts for ts in short["tokens"] if ts >= begin],
                    "audio": [piece for piece in short["audio"] if piece[0] >= begin]}
    return short


def answer(short, rate):
    if not short["runs"] or not short["audio"]:
        sys.exit("the trace has no runs or no sound, expected a spoken answer, give qwenrt --speech with --profile and --profile-runs")
    zero = min(times[0] for times in short["runs"].values())
    lanes = {}
    for entry, times in short["runs"].items():
        lanes.setdefault(lane_of(entry), []).extend(((ts - zero) / 1e6, length / 1e6) for ts, length in zip(times[::2], times[1::2]))
    return Answer({lane: sorted(lanes[lane]) for lane in ORDER if lane in lanes}, [(ts - zero) / 1e6 for ts in short["tokens"]],
                  [((ts - zero) / 1e6, samples / rate) for ts, samples in short["audio"]])


def played(pieces):
    """Begin and end of what somebody hears who plays each piece when it is there and the one before has ended."""
    spans = []
    for ts, length in pieces:
        begin = max(ts, spans[-1][1]) if spans else ts
        if spans and begin <= spans[-1][1] + 1e-9:
            spans[-1] = (spans[-1][0], begin + length)
        else:
            spans.append((begin, begin + length))
    return spans
