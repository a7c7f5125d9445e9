"""A WAV file as a waveform and a spectrogram, in plain Python."""

import array
import base64
import cmath
import math
import struct
import sys
import wave
import zlib

# Hue and opacity from quiet to loud: the page shines through, so that one picture is legible on a light and on a dark one.
STOPS = ((0.0, (94, 96, 206), 0), (0.25, (94, 96, 206), 70), (0.55, (176, 66, 170), 190), (0.8, (226, 84, 92), 245), (1.0, (247, 168, 54), 255))


def read(path):
    """Sample rate and samples in -1 .. 1 of the first channel."""
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        sys.exit(f"{path} is no WAV file ({error}), expected 16-bit samples, give one that qwenrt --speech wrote")
    values = array.array("h", data[: len(data) // 2 * 2] if width == 2 else b"")
    if sys.byteorder == "big":
        values.byteswap()
    if not values or not rate:
        sys.exit(f"{path} has {8 * width}-bit samples and {len(values)} of 16, expected some, give a file that qwenrt --speech wrote")
    return rate, [value / 32768 for value in values[::channels]]


def fourier(values):
    """The discrete Fourier transform of 2^n values."""
    if len(values) == 1:
        return values
    even, odd = fourier(values[::2]), fourier(values[1::2])
    turned = [cmath.rect(1, -2 * math.pi * i / len(values)) * value for i, value in enumerate(odd)]
    return [a + b for a, b in zip(even, turned)] + [a - b for a, b in zip(even, turned)]


def powers(samples, middle, size):
    """Power of each frequency in a window around a sample; beyond the ends it is silent."""
    part = [samples[i] if 0 <= i < len(samples) else 0.0 for i in range(middle - size // 2, middle + size // 2)]
    spectrum = fourier([complex(value * (0.5 - 0.5 * math.cos(2 * math.pi * i / size))) for i, value in enumerate(part)])
    return [abs(value) ** 2 for value in spectrum[: size // 2]]


def spectrogram(samples, columns, size):
    """Columns of levels in 0 .. 1, low frequencies first, and how many decibels below the loudest spot 0 is: nearly all others lie between."""
    hop, table = len(samples) / columns, []
    windows = max(1, min(3, round(2 * hop / size)))
    for column in range(columns):
        parts = [powers(samples, int((column + (i + 0.5) / windows) * hop), size) for i in range(windows)]
        table.append([sum(values) / windows for values in zip(*parts)])
    loudest = max(max(column) for column in table) or 1.0
    levels = [[10 * math.log10(max(value / loudest, 1e-30)) for value in column] for column in table]
    low = sorted(level for column in levels for level in column)[columns * size // 2 // 20]
    floor = min(max(10 * math.ceil(-low / 10), 30), 80)
    return [[max(0.0, 1 + level / floor) for level in column] for column in levels], floor


def colour(level):
    """Red, green, blue, opacity."""
    for (low, from_rgb, from_alpha), (high, to_rgb, to_alpha) in zip(STOPS, STOPS[1:]):
        if level <= high:
            share = (level - low) / (high - low)
            mixed = [round(a + share * (b - a)) for a, b in zip((*from_rgb, from_alpha), (*to_rgb, to_alpha))]
            return tuple(mixed)
    return (*STOPS[-1][1], STOPS[-1][2])


def png(table, colours=48):
    """Columns of levels as the data URI of a picture with a palette, high frequencies on top."""
    palette = [colour(i / (colours - 1)) for i in range(colours)]
    width, height = len(table), len(table[0])
    rows = b"".join(b"\0" + bytes(min(colours - 1, int(table[x][y] * colours)) for x in range(width)) for y in reversed(range(height)))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)) +
            chunk(b"PLTE", b"".join(bytes(entry[:3]) for entry in palette)) + chunk(b"tRNS", bytes(entry[3] for entry in palette)) +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(data).decode()
