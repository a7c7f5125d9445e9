"""Broken media and wrong media options for hostile.py, on a plan with encoders and on one without."""

import json
import os
import pathlib

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


media_directed.cases = [no_media_file, claims, options, placeholders, text_plan, chats_and_cases]


def media_bytes(env, case, number):
    """A medium with damaged bytes: read or refused. Without a GPU the run ends there."""
    option = list(FILES)[number % len(FILES)]
    name = case.rng.choice(FILES[option])
    case.what = f"damaged {name}"
    path = case.file("medium" + pathlib.Path(name).suffix, mutate.damaged_bytes((DATA / name).read_bytes(), case.rng)[0])
    pixels = [] if option == "--audio" else ["--max-pixels", "8192"]
    run(case, env, "--prompt", "a", option, path, *pixels, *SHORT, statuses=(0, 1))
