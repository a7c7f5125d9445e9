#!/usr/bin/env python3
"""Draws an utterance, waveform and spectrogram, and beneath it when the parts of a streamed answer ran. One SVG, light or dark as its reader.

Usage: draw.py SOUND.wav TRACE.json -o PICTURE.svg [--utterance WORDS] [--answer WORDS] [--zoom MS] [--short SHORT.json]

The trace is of  qwenrt PLAN ... --speech SOUND.wav --profile TRACE.json --profile-runs ; of several answers the last one is drawn. --short
writes the trace in the short form that this program reads too. --zoom is the length of the lower timeline (default: until the third piece
of sound has come, and not at all where that is most of the answer).
"""

import argparse
import html
import json
import math
import pathlib

import answers
import sound

WIDTH, LEFT, RIGHT = 960, 124, 76
RATE = 24000  # of a trace's samples
WAVE, SPECTRUM, LANE, GAP = 64, 132, 20, 9
# Distinguishable for all kinds of colour vision, on white and on dark grey.
COLOURS = {"encoder": ("#8a6d00", "#e3c04a"), "thinker": ("#0b6bcb", "#62b0ff"), "talker": ("#c4500b", "#ffa05c"),
           "code predictor": ("#8e44ad", "#d79bee"), "vocoder": ("#0a8060", "#45cfa8"), "sound out": ("#57606a", "#9da7b1")}


def kind(lane):
    return "c" + lane[0] + str(len(lane))


def style():
    light = "".join(f".{kind(lane)}{{fill:{pair[0]}}}" for lane, pair in COLOURS.items())
    dark = "".join(f".{kind(lane)}{{fill:{pair[1]}}}" for lane, pair in COLOURS.items())
    return ("text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#24292f}"
            ".title{font-size:17px;font-weight:600}.quiet{fill:#57606a}.small{font-size:12px}.value{font-variant-numeric:tabular-nums}"
            ".page{fill:#ffffff}.track{fill:#8c959f;fill-opacity:.1}.axis{stroke:#8c959f;stroke-opacity:.7;fill:none}"
            ".grid{stroke:#8c959f;stroke-opacity:.22}.mark{stroke:#57606a;stroke-width:1.2;stroke-dasharray:3 3}.lens{fill:#8c959f;fill-opacity:.13}"
            ".plays{fill-opacity:.38}.wave{fill:#5e60ce;stroke:#5e60ce;stroke-width:.7;stroke-linejoin:round}" + light +
            "@media(prefers-color-scheme:dark){.page{fill:#161b22}text{fill:#e6edf3}.quiet{fill:#9da7b1}.mark{stroke:#9da7b1}"
            ".wave{fill:#9a9cf5;stroke:#9a9cf5}" + dark + "}")


def text(x, y, content, look="", anchor="start"):
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(content)}</text>'


def step_of(length, most):
    """1, 2 or 5 times a power of ten, so that a length has at most so many steps."""
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(factor * power for factor in (1, 2, 5, 10) if length / (factor * power) <= most)


class Axis:
    """Seconds along the picture's width; milliseconds where there are few."""

    def __init__(self, length):
        self.length, self.factor, self.unit = (length, 1e3, "ms") if length < 2 else (length, 1, "s")

    def x(self, seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.length

    def draw(self, top, bottom, name):
        step, parts, i = step_of(self.length, 9), [], 0
        while i * step <= self.length * 1.0001:
            x = self.x(i * step)
            parts.append(f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>')
            parts.append(text(x, bottom + 18, f"{i * step * self.factor:g}", "quiet small value", "middle"))
            i += 1
        parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>')
        return parts + [text(WIDTH - RIGHT + 14, bottom + 18, self.unit, "quiet small"), text(LEFT - 14, bottom + 18, name, "quiet small", "end")]


def waveform(samples, axis, rate, top):
    """An envelope, or a line where a sample has room."""
    middle, loudest = top + WAVE / 2, max(map(abs, samples)) or 1.0
    columns = int((WIDTH - LEFT - RIGHT) / 0.75)
    if len(samples) < 3 * columns:
        spots = [(axis.x((i + 0.5) / rate), middle - value / loudest * WAVE / 2) for i, value in enumerate(samples)]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        return [f'<path class="wave" style="fill:none" d="{path}"/>'], loudest
    upper, lower = [], []
    for column in range(columns):
        part = samples[len(samples) * column // columns : max(len(samples) * (column + 1) // columns, len(samples) * column // columns + 1)]
        x = LEFT + (column + 0.5) * (WIDTH - LEFT - RIGHT) / columns
        upper.append(f"{x:.1f} {middle - max(part) / loudest * WAVE / 2:.1f}")
        lower.append(f"{x:.1f} {middle - min(part) / loudest * WAVE / 2:.1f}")
    return [f'<path class="wave" d="M{"L".join(upper + lower[::-1])}Z"/>'], loudest


def utterance(rate, samples, words, y):
    """Title, waveform and spectrogram; the y below them."""
    axis, length = Axis(len(samples) / rate), len(samples) / rate
    duration = f"{length:.2f} s" if length >= 1 else f"{1e3 * length:.0f} ms"
    parts = [text(LEFT, y, words, "title"), text(WIDTH - RIGHT, y, f"{duration} at {rate / 1e3:g} kHz", "quiet value", "end")]
    top = y + 20
    size = 512 if len(samples) > 24000 else 128
    shape, loudest = waveform(samples, axis, rate, top)
    parts += [f'<path class="grid" d="M{LEFT} {top + WAVE / 2}H{WIDTH - RIGHT}"/>', *shape]
    parts += [text(LEFT - 14, top + WAVE / 2 + 4, "amplitude", "quiet small", "end"),
              text(WIDTH - RIGHT + 10, top + 9, f"{loudest:+.2f}", "quiet small value"), text(WIDTH - RIGHT + 10, top + WAVE, f"−{loudest:.2f}", "quiet small value")]
    top += WAVE + 16
    table, floor = sound.spectrogram(samples, 640, size)
    parts += [f'<rect class="track" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{SPECTRUM}"/>',
              f'<image x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{SPECTRUM}" preserveAspectRatio="none" href="{sound.png(table)}"/>']
    step = step_of(rate / 2e3, 4)
    for i in range(int(rate / 2e3 / step * 1.0001) + 1):
        height = top + SPECTRUM * (1 - i * step / (rate / 2e3))
        parts += [f'<path class="grid" d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}"/>',
                  text(LEFT - 14, height + 4, f"{i * step:g}" + (" kHz" if (i + 1) * step > rate / 2e3 else ""), "quiet small value", "end")]
    spread = [f'<stop offset="{at:g}" stop-color="rgb({",".join(map(str, rgb))})" stop-opacity="{alpha / 255:.2f}"/>' for at, rgb, alpha in sound.STOPS]
    parts += [f'<defs><linearGradient id="level" x1="0" y1="1" x2="0" y2="0">{"".join(spread)}</linearGradient></defs>',
              f'<rect x="{WIDTH - RIGHT + 12}" y="{top}" width="9" height="{SPECTRUM}" fill="url(#level)"/>',
              text(WIDTH - RIGHT + 26, top + 10, "0 dB", "quiet small value"), text(WIDTH - RIGHT + 26, top + SPECTRUM, f"−{floor}", "quiet small value")]
    return parts + axis.draw(top + SPECTRUM, top + SPECTRUM, "time"), top + SPECTRUM + 18


def merged(runs, least):
    """Spans of runs with gaps that nobody would see."""
    spans = []
    for begin, length in runs:
        if spans and begin - spans[-1][1] <= least:
            spans[-1][1] = max(spans[-1][1], begin + length)
        else:
            spans.append([begin, begin + length])
    return spans


def boxes(spans, axis, top, height, look):
    """Rectangles that end with the axis and can always be seen."""
    path = []
    for begin, end in spans:
        if begin < axis.length:
            x, width = axis.x(begin), max(axis.x(min(end, axis.length)) - axis.x(begin), 0.5)
            path.append(f"M{x:.2f} {top:g}h{width:.2f}v{height:g}h{-width:.2f}z")
    return [f'<path class="{look}" d="{"".join(path)}"/>'] if path else []


def amount(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def lanes(answer, axis, y, totals):
    """The lanes with their axis; the y below them."""
    parts, pixel, top = [], axis.length / (WIDTH - LEFT - RIGHT), y
    bottom = y + (len(answer.lanes) + 1) * (LANE + GAP) + 2
    parts += axis.draw(top, bottom, "time")
    for lane, runs in answer.lanes.items():
        parts.append(f'<rect class="track" x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{LANE}" rx="2"/>')
        parts += boxes(merged(runs, 0.2 * pixel), axis, y, LANE, kind(lane)) + [text(LEFT - 14, y + 14, lane, "", "end")]
        if totals:
            parts.append(text(WIDTH - RIGHT + 10, y + 14, amount(sum(length for _, length in runs)), "quiet small value"))
        y += LANE + GAP
    spans = answers.played(answer.pieces)
    parts.append(f'<rect class="track" x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{LANE}" rx="2"/>')
    parts += boxes(spans, axis, y, LANE, f"plays {kind('sound out')}") + [text(LEFT - 14, y + 14, "sound out", "", "end")]
    edge = axis.length - 2 * pixel
    parts += boxes([(min(ts, edge), min(ts, edge) + 2 * pixel) for ts, _ in answer.pieces if ts <= axis.length], axis, y, LANE, kind("sound out"))
    if totals and spans[-1][1] > axis.length:
        parts.append(text(WIDTH - RIGHT + 10, y + 14, f"→ {amount(spans[-1][1])}", "quiet small value"))
    return parts, bottom + 18


def moments(answer, axis, top, bottom):
    """Where the first token and the first sound came."""
    parts = []
    for ts, words in ((answer.tokens[0] if answer.tokens else None, "first token"), (answer.pieces[0][0], "first sound")):
        if ts is not None and ts <= axis.length:
            x = axis.x(ts)
            parts += [f'<path class="mark" d="M{x:.1f} {top - 4}V{bottom}"/>', text(x + 5, top - 8, f"{words}, {amount(ts)}", "small value")]
    return parts


def timeline(answer, words, zoom, y):
    """One answer as a whole, and its beginning; the y below them."""
    end = max([begin + length for runs in answer.lanes.values() for begin, length in runs] + [answer.pieces[-1][0]])
    seconds = sum(length for _, length in answer.pieces)
    whole = Axis(end)
    facts = f"{len(answer.tokens)} tokens and {amount(seconds)} of sound in {amount(end)}"
    parts = [text(LEFT, y, words, "title"), text(WIDTH - RIGHT, y, facts, "quiet value", "end"), text(WIDTH - RIGHT + 10, y + 16, "busy", "quiet small")]
    top = y + 26
    zoom = zoom or (answer.pieces[min(2, len(answer.pieces) - 1)][0] * 1.08)
    part = Axis(zoom) if zoom < 0.6 * end else None
    drawn, y = lanes(answer, whole, top, True)
    if not part:
        return parts + drawn, y
    right, under = whole.x(zoom), y + 40
    bottom = top + (len(answer.lanes) + 1) * (LANE + GAP) + 2
    parts.append(f'<path class="lens" d="M{LEFT} {top - 5}H{right:.1f}V{bottom}L{WIDTH - RIGHT} {under - 4}V{under + bottom - top}H{LEFT}Z"/>')
    inner, y = lanes(answer, part, under, False)
    return parts + drawn + inner + moments(answer, part, under, under + bottom - top), y


def draw(rate, samples, answer, options):
    upper, y = utterance(rate, samples, options.utterance, 40)
    lower, y = timeline(answer, options.answer, options.zoom and options.zoom / 1e3, y + 52)
    height = round(y + 16)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
             f"<title>{html.escape(options.utterance)}; {html.escape(options.answer)}</title>", f"<style>{style()}</style>",
             f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>']
    return "\n".join(parts + upper + lower + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", type=pathlib.Path)
    parser.add_argument("trace", type=pathlib.Path)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    parser.add_argument("--utterance", default="An utterance", help="title of the sound")
    parser.add_argument("--answer", default="A streamed answer", help="title of the timeline")
    parser.add_argument("--zoom", type=float, help="length of the lower timeline in milliseconds")
    parser.add_argument("--short", type=pathlib.Path, help="write the drawn part of the trace in its short form")
    options = parser.parse_args()
    rate, samples = sound.read(options.sound)
    short = answers.last_answer(answers.reduced(options.trace))
    if options.short:
        options.short.write_text(json.dumps(short, separators=(",", ":")) + "\n")
    options.output.write_text(draw(rate, samples, answers.answer(short, RATE), options))


if __name__ == "__main__":
    main()
