"""What qwen-kernel-stats and fetch-radv say when they cannot do it.

Usage: errors.py BIN_DIR TOOLS_DIR WORK_DIR
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

FAILURES = []


def expect(status, message, *words, env=None):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=dict(os.environ, **(env or {})))
    lines = [line for line in result.stderr.splitlines() if ": error: " in line]
    if result.returncode != status or not any(message in line for line in lines):
        FAILURES.append(f"{' '.join(map(str, words))}\n  status {result.returncode}, expected {status}\n"
                        f"  said {result.stderr.strip()!r}\n  expected {message!r}")


def kernel_stats(tool, work, plan):
    lavapipe = next(pathlib.Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json"), None)
    cpu = {"VK_DRIVER_FILES": str(lavapipe), "VK_ICD_FILENAMES": str(lavapipe)}
    broken = work / "broken.fb"
    broken.write_bytes(b"not a plan")
    expect(2, "wrong usage: ", tool)
    expect(1, "broken.fb", tool, broken)
    if not plan:
        return
    expect(1, "has no VK_KHR_pipeline_executable_properties, expected it to report statistics", tool, plan, env=cpu)
    expect(1, "found no device 'no such chip', expected one of: ", tool, plan, "--device", "no such chip", env=cpu)


def apt_without_backports(work):
    """A configuration of apt whose one mirror, a folder, has bookworm but no bookworm-backports."""
    suite = work / "mirror/dists/bookworm"
    (suite / "main/binary-amd64").mkdir(parents=True)
    packages = b"Package: nothing\nVersion: 1\nArchitecture: amd64\nFilename: nothing.deb\nSize: 1\n"
    (suite / "main/binary-amd64/Packages").write_bytes(packages)
    digest = hashlib.sha256(packages).hexdigest()
    (suite / "Release").write_text("Suite: bookworm\nCodename: bookworm\nDate: Sat, 10 Jun 2023 08:00:00 UTC\nComponents: main\n"
                                   f"Architectures: amd64\nSHA256:\n {digest} {len(packages)} main/binary-amd64/Packages\n")
    (work / "lists/partial").mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [trusted=yes] file:{work}/mirror bookworm main\n")
    config = work / "apt.conf"
    config.write_text(f'Dir::Etc::sourcelist "{work}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
                      f'Dir::State::lists "{work}/lists";\n')
    return {"APT_CONFIG": str(config)}


def fetch_radv(script, work):
    expect(2, "found 0 arguments, expected one folder", script)
    environment = apt_without_backports(work)
    # Before `apt-get update` apt knows no source.
    expect(1, "apt has no source for bookworm main, expected Debian bookworm's", script, work / "none", env=environment)
    subprocess.run(["apt-get", "-q", "update"], env=dict(os.environ, **environment), check=True, capture_output=True)
    expect(1, "cannot read bookworm-backports of this machine's mirror, expected it to be reachable", script, work / "none",
           env=environment)
    if (work / "none/radeon_icd.json").exists():
        FAILURES.append("fetch-radv left a manifest behind although it failed")


def main():
    tools, scripts, build = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
    work = build / "errors"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    plan = None
    if (tools / "qwenc").exists():
        tiny = scripts.parent / "models/tiny-qwen3-chat"
        plan = work / "tiny.fb"
        subprocess.run([tools / "qwen-export", tiny, "-o", work / "tiny.json"], check=True)
        subprocess.run([tools / "qwenc", work / "tiny.json", "-o", plan], check=True)
    kernel_stats(tools / "qwen-kernel-stats", work, plan)
    fetch_radv(scripts / "fetch-radv", work)
    sys.exit("\n".join(FAILURES) if FAILURES else 0)


if __name__ == "__main__":
    main()
