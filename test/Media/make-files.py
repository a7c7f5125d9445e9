#!/usr/bin/env python3
"""Writes the media files in data/files from which the decoders are tested. Run by hand on Debian bookworm with ffmpeg,
python3-pil and python3-numpy; the files are committed, so that no test needs these. NAME.rgb.png beside a file holds
the pixels that Pillow decodes from it."""
import os, struct, subprocess, zlib
import numpy as np
from PIL import Image, ImageOps

here = os.path.dirname(os.path.abspath(__file__))
data, out = os.path.join(here, "data"), os.path.join(here, "data", "files")
os.makedirs(out, exist_ok=True)
path = lambda name: os.path.join(out, name)
ffmpeg = lambda *args: subprocess.run(["ffmpeg", "-y", "-v", "error", "-bitexact", *args], check=True)

# images -------------------------------------------------------------------------------------------------------------
noise = np.random.default_rng(1)
y, x = np.mgrid[0:18, 0:26]
rgb = np.stack([x * 9, y * 13, (x + y) * 5], -1).astype(np.uint8)
image = Image.fromarray(rgb)
alpha = Image.fromarray(((x * y) % 256).astype(np.uint8))
rgba = image.copy(); rgba.putalpha(alpha)
palette = image.quantize(16); palette.info["transparency"] = 3
exif = Image.Exif(); exif[0x112] = 6

def keep(name, upright=False):
    loaded = Image.open(path(name))
    if upright:
        loaded = ImageOps.exif_transpose(loaded)
    loaded.convert("RGB").save(path(name + ".rgb.png"))

image.save(path("rgb.png")); keep("rgb.png")
rgba.save(path("rgba.png")); keep("rgba.png")
palette.save(path("palette.png"), transparency=3); keep("palette.png")
image.convert("L").save(path("grey.png")); keep("grey.png")
rgba.convert("LA").save(path("grey-alpha.png")); keep("grey-alpha.png")
image.convert("1").save(path("one-bit.png")); keep("one-bit.png")
image.save(path("exif.png"), exif=exif); keep("exif.png", upright=True)
image.save(path("rgb.jpg"), quality=90); keep("rgb.jpg")
image.save(path("progressive.jpg"), quality=80, progressive=True); keep("progressive.jpg")
image.convert("L").save(path("grey.jpg")); keep("grey.jpg")
image.save(path("exif.jpg"), quality=90, exif=exif); keep("exif.jpg", upright=True)
image.convert("CMYK").save(path("cmyk.jpg"))
image.save(path("lossless.webp"), lossless=True); keep("lossless.webp")
image.save(path("lossy.webp"), quality=80); keep("lossy.webp")
rgba.save(path("alpha.webp"), lossless=True, exact=True); keep("alpha.webp")
image.save(path("exif.webp"), lossless=True, exif=exif); keep("exif.webp", upright=True)
image.save(path("animation.webp"), save_all=True, append_images=[rgba.convert("RGB").rotate(180)], lossless=True)

chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
def png(width, height, depth, colour, rows):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
wide = (rgb.astype(np.uint16) * 256 + noise.integers(0, 256, rgb.shape)).astype(">u2")
open(path("sixteen-bit.png"), "wb").write(png(26, 18, 16, 2, b"".join(b"\0" + row.tobytes() for row in wide)))
open(path("claims-much.png"), "wb").write(png(60000, 60000, 8, 2, b"\0"))

# 20 times and more smaller: Pillow has more bits, so its result may differ by one level.
large = Image.fromarray(noise.integers(0, 256, (300, 420, 3), dtype=np.uint8))
large.save(path("large.jpg"), quality=60)
Image.open(path("large.jpg")).resize((20, 12), Image.BICUBIC).save(path("large.20x12.png"))

# sound --------------------------------------------------------------------------------------------------------------
burst = os.path.join(data, "burst_7001.wav")
ffmpeg("-i", burst, path("burst.flac"))
ffmpeg("-i", burst, "-c:a", "libvorbis", "-q:a", "6", path("burst.ogg"))
ffmpeg("-i", burst, "-c:a", "libopus", "-b:a", "48k", path("burst.opus"))
ffmpeg("-i", burst, "-c:a", "libmp3lame", "-b:a", "96k", path("burst.mp3"))
ffmpeg("-i", burst, "-c:a", "pcm_f32le", path("float.wav"))
ffmpeg("-i", burst, "-c:a", "pcm_s24be", path("burst.aiff"))

# video: frame i is grey of level 10 i ---------------------------------------------------------------------------------
grey = "color=black:s=64x48:r=8:d=3,format=rgb24,geq=r=N*10:g=N*10:b=N*10"
ffmpeg("-f", "lavfi", "-i", grey, "-c:v", "ffv1", "-pix_fmt", "bgr0", path("grey.mkv"))
ffmpeg("-f", "lavfi", "-i", grey, "-f", "lavfi", "-i", "sine=1000:r=24000:d=3", "-c:v", "libx264", "-pix_fmt", "yuv420p",
       "-c:a", "aac", "-b:a", "32k", path("sound.mp4"))
ffmpeg("-f", "lavfi", "-i", grey, "-c:v", "libvpx-vp9", "-b:v", "40k", path("grey.webm"))
open(path("list.m3u8"), "w").write("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsound.mp4\n#EXT-X-ENDLIST\n")
