"""Broken media and wrong media options for hostile.py, on a plan with encoders and on one without."""

import json
import os
import pathlib
import struct
import zlib

import mutate

DATA = pathlib.Path(__file__).resolve().parent.parent / "Media" / "data"
SHORT = ["--max-new-tokens", "1", "--print-ids"]
FILES = {
    "--audio": ["burst_7001.wav", "files/burst.flac", "files/burst.mp3", "files/burst.ogg", "files/burst.opus"],
    "--image": ["checker_64x64.png", "files/rgb.jpg", "files/lossy.webp", "files/palette.png", "files/animation.webp"],
    "--video": ["files/sound.mp4", "files/grey.mkv", "files/grey.webm"],
}


def run(case, env, *words, plan=None, **options):
    return case.run("qwenrt", plan or env.omni_plan, *words, **options)


def no_media_file(env, case):
    case.file("empty", b"")
    case.file("text", "no medium at all\n" * 50)
    os.mkfifo(case.folder / "pipe")
    os.symlink("loop", case.folder / "loop")
    (case.folder / "folder").mkdir()
    case.file("folder/readme.txt", "x")
    for option in FILES:
        for path in ("nothing", "empty", "text", "loop", "pipe", "folder", ".", "", "/dev/null", "/dev/zero", "x" * 5000, "\x1b[31m", b"\xff", env.omni_plan):
            case.what = f"{option} {path!r:.30}"
            run(case, env, "--allow-cpu", "--prompt", "a", option, path, *SHORT, statuses=(1,))


def claims(env, case):
    """Headers that promise more than there is or than anyone takes."""
    case.what = "sizes that files claim"
    wav = (DATA / "burst_7001.wav").read_bytes()
    case.file("long.wav", wav[:40] + b"\xff\xff\xff\x7f" + wav[44:])
    case.file("short.wav", wav[:44])
    case.file("one.wav", wav[:46])
    for name in ("short.wav", "one.wav"):
        run(case, env, "--prompt", "a", "--audio", name, *SHORT, statuses=(1,))
    run(case, env, "--allow-cpu", "--prompt", "a", "--audio", "long.wav", *SHORT, statuses=(0, 1))
    run(case, env, "--prompt", "a", "--image", DATA / "files" / "claims-much.png", *SHORT, statuses=(1,))
    (case.folder / "frames").mkdir()
    for i in range(900):
        (case.folder / "frames" / f"{i}.png").symlink_to(DATA / "checker_64x64.png")
    run(case, env, "--prompt", "a", "--video", "frames", *SHORT, statuses=(1,), says="frames, expected at most")


def png(width, height, depth=8, colour=2, rows=None, more=b""):
    """A PNG file that says this and holds these rows, else as many bytes as it should."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    rows = bytes(1 + (width * channels * depth + 7) // 8) * height if rows is None else rows
    palette = chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(data, channels=1, rate=16000, bits=16, kind=1):
    """A WAV file of such data; kind 3 is float."""
    frame = channels * bits // 8
    header = struct.pack("<HHIIHH", kind, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def odd_images():
    """Names, files and what the refusal says; None: a picture like any other."""
    for width, height in ((1, 1), (1, 2), (2, 1), (31, 33), (1, 200), (200, 1)):
        yield f"{width}x{height}", png(width, height), None
    for width, height in ((1, 201), (201, 1), (1, 65535), (65535, 1)):
        yield f"{width}x{height}", png(width, height), "differ by at most a factor of 200"
    for width, height in ((1, 2**31 - 1), (100000, 100000), (13378, 13378)):
        yield f"{width}x{height}", png(width, height, rows=bytes(9)), "pixels, expected at most"
    for width, height in ((0, 5), (5, 0), (2**31 - 1, 1), (2**32 - 1, 2**32 - 1)):
        yield f"{width}x{height}", png(width, height, rows=bytes(9)), "the PNG file is damaged"
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            yield f"colour{colour}-{depth}", png(17, 13, depth, colour), None
    for name, file in {"colour5": png(4, 4, 8, 5), "depth3": png(4, 4, 3), "few rows": png(64, 64, rows=bytes(10)), "filter": png(4, 4, rows=b"\x09" * 52)}.items():
        yield name, file, "the PNG file is damaged"
    yield "many rows", png(4, 4, rows=bytes(50_000_000)), None
    yield "sound", (DATA / "burst_7001.wav").read_bytes(), "no known image"


def odd_sounds():
    tone = b"".join(struct.pack("<h", i * 700 % 20000 - 10000) for i in range(4000))
    floats = [0.1] * 4000
    yield "no frames", wav(b""), "the sound is empty"
    for count in (1, 2, 200):
        yield f"{count} frames", wav(tone[: 2 * count]), "expected at least 201"
    for count in (201, 399, 400, 401):
        yield f"{count} frames", wav(tone[: 2 * count]), None
    for channels in (2, 3, 6, 8):
        yield f"{channels} channels", wav(tone * 2, channels), None
    for rate in (8000, 11025, 44100, 192000, 768000):
        yield f"{rate} Hz", wav(tone * 4, rate=rate), None
    for rate in (1, 999, 768001, 2**31 - 1):
        yield f"{rate} Hz", wav(tone, rate=rate), "expected at least one at 1000 .. 768000 Hz"
    for name, value in {"nan": float("nan"), "inf": float("inf")}.items():
        for rate in (16000, 48000):
            samples = floats + [value] + floats
            yield f"{name} {rate}", wav(struct.pack(f"<{len(samples)}f", *samples), rate=rate, bits=32, kind=3), "is not finite or too loud"
    yield "loud", wav(struct.pack("<8000f", *[3e38] * 8000), 2, bits=32, kind=3), "is not finite or too loud"
    yield "quiet", wav(struct.pack("<4000f", *[1e-40] * 4000), bits=32, kind=3), None
    yield "silence", wav(bytes(8000)), None
    for channels, bits, kind in ((0, 16, 1), (1, 64, 1), (1, 16, 0x674F)):
        yield f"format {kind} of {bits} bits, {channels} channels", wav(tone, channels, bits=bits, kind=kind), "no sound that libsndfile reads|another format"
    yield "image", png(9, 9), "no sound that libsndfile reads"


def odd_files(env, case):
    """Without a GPU the run ends behind the reading."""
    for option, files in (("--image", odd_images()), ("--audio", odd_sounds())):
        for name, file, says in files:
            case.what = f"{option[2:]} {name}"
            path = case.file("odd", file)
            run(case, env, "--prompt", "a", option, path, *SHORT, statuses=(1,) if says else (0, 1), says=says or "[Dd]evice|GPU")


def options(env, case):
    image, audio = DATA / "checker_64x64.png", DATA / "burst_7001.wav"
    case.what = "values of media options"
    for option in ("--fps", "--min-pixels", "--max-pixels"):
        for value in ("-1", "x", "", "nan", "inf", "1e400", "99999999999999999999"):
            run(case, env, "--prompt", "a", "--video", DATA / "frames", option, value, statuses=(1, 2))
    for words in (["--fps", "0"], ["--min-pixels", "0"], ["--max-pixels", "0"], ["--min-pixels", "4294967295"], ["--fps", "1e-9"],
                  ["--min-pixels", "9", "--max-pixels", "8"], ["--max-pixels", "1"], ["--use-audio-in-video"], ["--fps", "1e9"]):
        run(case, env, "--prompt", "a", "--video", DATA / "frames", *words, statuses=(1, 2))
    case.what = "options without their files"
    for words in (["--fps", "2"], ["--min-pixels", "9999"], ["--max-pixels", "9999"], ["--use-audio-in-video"], ["--fps", "2", "--image", image],
                  ["--max-pixels", "9999", "--audio", audio], ["--audio"], ["--image"]):
        run(case, env, "--prompt", "a", *words, statuses=(2,))
    case.what = "more than the context"
    run(case, env, "--prompt", "a", *["--image", image] * 30, *SHORT, statuses=(1,))
    run(case, env, "--prompt", "a", *["--audio", audio] * 30, *SHORT, statuses=(1,))
    case.what = "modes without media"
    for words in (["--tokenize", "a"], ["--detokenize", "1"], ["--entry", "list"], ["--list-devices"], ["--bench", "pp1"]):
        run(case, env, *words, "--image", image, statuses=(2,))


def placeholders(env, case):
    image, audio = DATA / "checker_64x64.png", DATA / "burst_7001.wav"
    case.what = "placeholders and media that do not agree"
    for prompt, words in (("<|image_pad|>", []), ("a", ["--image", image]), ("<|audio_pad|>", ["--image", image]), ("<|image_pad|>" * 99, []),
                          ("<|video_pad|>", ["--video", DATA / "frames", "--use-audio-in-video", "--audio", audio]),
                          ("<|image_pad|><|image_pad|>", ["--image", image]), ("<|image_pad|>", ["--image", image, "--image", image])):
        run(case, env, "--raw", "--prompt", prompt, *words, *SHORT, statuses=(1,))
    run(case, env, "--prompt", "<|audio_pad|>", "--audio", audio, *SHORT, statuses=(1,))


def text_plan(env, case):
    case.what = "media for a model of text"
    for option, files in FILES.items():
        for path in (DATA / files[0], "nothing"):
            run(case, env, "--prompt", "a", option, path, plan=env.plan, statuses=(1,), says="has no (audio|vision) encoder")
    case.file("chat.txt", "/audio x\n/image\n/video /dev/zero\nhi\n")
    with open(case.folder / "chat.txt", "rb") as source:
        run(case, env, "--allow-cpu", "--interactive", "--max-new-tokens", "1", plan=env.plan, stdin=source, statuses=(0,))
    case.file("cases.json", json.dumps([{"prompt": "a", "media": [{"audio": "x"}]}]))
    run(case, env, "--allow-cpu", "--cases", "cases.json", plan=env.plan, statuses=(1,))


def chats_and_cases(env, case):
    image = DATA / "checker_64x64.png"
    case.what = "a chat with broken files"
    lines = ["/audio", "/image  ", "/video nothing", f"/image {image}\t", "/audio " + "x" * 5000, "/image \x1b[31m", "hi", f"/image {image}", "<|image_pad|>", "hi"]
    case.file("chat.txt", "\n".join(lines) + "\n/image " + str(image))
    with open(case.folder / "chat.txt", "rb") as source:
        run(case, env, "--allow-cpu", "--interactive", "--max-new-tokens", "1", stdin=source, statuses=(0,))
    case.what = "cases with broken media"
    media = ([], {}, "x", 1, None, [1], [{}], [{"audio": 1}], [{"audio": "x", "image": "x"}], [{"smell": "x"}], [{"image": "nothing"}],
             [{"image": str(image)}] * 50, [[{"image": str(image)}]], [{"image": "\u0000"}])
    case.file("cases.json", json.dumps([{"prompt": "a", "max_new_tokens": 1, "media": m} for m in media]))
    run(case, env, "--allow-cpu", "--cases", "cases.json", statuses=(1,))
    wrong = ({"fps": "x"}, {"fps": 1e300}, {"min_pixels": -1}, {"max_pixels": 1.5}, {"use_audio_in_video": 1})
    case.file("cases.json", json.dumps([{"prompt": "a", "max_new_tokens": 1, "media": [{"video": str(DATA / "frames")}], **w} for w in wrong]))
    run(case, env, "--allow-cpu", "--cases", "cases.json", statuses=(1,))


def media_directed(env, case, number):
    media_directed.cases[number](env, case)


media_directed.cases = [no_media_file, claims, odd_files, options, placeholders, text_plan, chats_and_cases]


def media_bytes(env, case, number):
    """A medium with damaged bytes: read or refused. Without a GPU the run ends there."""
    option = list(FILES)[number % len(FILES)]
    name = case.rng.choice(FILES[option])
    case.what = f"damaged {name}"
    path = case.file("medium" + pathlib.Path(name).suffix, mutate.damaged_bytes((DATA / name).read_bytes(), case.rng)[0])
    pixels = [] if option == "--audio" else ["--max-pixels", "8192"]
    run(case, env, "--prompt", "a", option, path, *pixels, *SHORT, statuses=(0, 1))
