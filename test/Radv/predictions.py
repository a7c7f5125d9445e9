"""What the tests of predict.py and prefill.py share: programs that only print a plan and its statistics, and what the scripts make of them."""

import json
import pathlib
import shutil
import subprocess
import sys

FAILURES = []


def kernel(name, invocations, statistics):
    return {"name": name, "invocations": invocations, "statistics": statistics}


def fake(path, text, before="", status=0):
    """A program that runs the shell lines of before, prints text and ends with status."""
    path.write_text(f"#!/bin/sh\n{before}cat <<'END'\n{text}\nEND\nexit {status}\n")
    path.chmod(0o755)


def run(script, work, plan, kernels, *options, before="", status=0):
    """Runs script with a qwen-plan-dump that prints plan and a qwen-kernel-stats that ends with status."""
    fake(work / "qwen-plan-dump", plan)
    fake(work / "qwen-kernel-stats", json.dumps({"device": "Chip", "plan": "p", "kernels": kernels}), before, status)
    words = [sys.executable, script, work, "p.fb", "--bandwidth", "100", *options]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True)


def expect(what, result, status, *texts):
    for text in texts:
        if text not in result.stdout + result.stderr:
            FAILURES.append(f"{what}: found no {text!r} in\n{result.stdout}{result.stderr}")
    if result.returncode != status:
        FAILURES.append(f"{what}: exit status {result.returncode}, expected {status}")


def main(test):
    """Calls test(script, work) with the script and an empty folder that the command line names."""
    script, work = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    test(script, work)
    sys.exit("\n".join(FAILURES) if FAILURES else 0)
