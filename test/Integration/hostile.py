"""Broken input through the real commands: each run must end in 0, 1 or 2, say why in one line and leave nothing behind.

Usage: hostile.py BIN_DIR WORK_DIR [CAMPAIGN[=COUNT]...] [--full] [--seed N] [--jobs N] [--device] [--keep]

All of CAMPAIGNS run: a sample of their cases, less than a minute on two free processors; with --full all directed cases and
many more random ones; for a campaign that is named, all directed cases or COUNT. A case is a function of campaign,
number and seed alone: CAMPAIGN#NUMBER repeats one. --device also runs on lavapipe what the verifiers accept. A violation
prints the case, the command and what was wrong; the exit status is 1 if there was any.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import time

import hostile_checkpoints
import hostile_media
import hostile_plans
import hostile_runs

HERE = pathlib.Path(__file__).parent
SOURCE = HERE.parent.parent
TINY = HERE / "golden" / "tiny-qwen3"
SHARDED = HERE / "golden" / "tiny-qwen3-sharded"
CHAT = SOURCE / "models" / "tiny-qwen3-chat"
OMNI = HERE / "golden" / "tiny-qwen3-omni"

CPU_LIMIT_S = 20  # what a run may compute; other work on the machine does not count
TIME_LIMIT_S = 300  # only a run that waits for ever takes so long
SANITIZER_STATUS = 99
ENVIRONMENT = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:detect_leaks=0:detect_container_overflow=0:allow_user_poisoning=0",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:print_stacktrace=1",
}

# Function, cases of a short run and of a full one; None: all there are.
CAMPAIGNS = {
    "runs": (hostile_runs.runs, None, None),  # the longest cases first
    "media_directed": (hostile_media.media_directed, None, None),
    "media_bytes": (hostile_media.media_bytes, 30, 900),
    "checkpoint_directed": (hostile_checkpoints.directed, 60, None),
    "config": (hostile_checkpoints.config, 20, 400),
    "header": (hostile_checkpoints.header, 20, 600),
    "tokenizer": (hostile_checkpoints.tokenizer, 12, 300),
    "side_files": (hostile_checkpoints.side_files, 12, 300),
    "graph_directed": (hostile_plans.graph_directed, 20, None),
    "graph": (hostile_plans.graph, 30, 600),
    "graph_bytes": (hostile_plans.graph_bytes, 12, 300),
    "plan_cut": (hostile_plans.plan_cut, 15, 300),
    "plan_flip": (hostile_plans.plan_flip, 15, 300),
    "plan_sealed": (hostile_plans.plan_sealed, 25, 600),
    "plan_speech": (hostile_plans.plan_speech, 15, 400),
    "plan_spirv": (hostile_plans.plan_spirv, 10, 200),
}


class Outcome:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


class Case:
    """One case: a folder of its own, the commands it ran and what was wrong with them."""

    def __init__(self, env, campaign, number):
        self.env, self.name = env, f"{campaign}#{number}"
        self.rng = random.Random(f"{env.seed} {self.name}")
        self.folder = env.work / "cases" / f"{campaign}-{number}"
        self.what, self.problems, self.runs, self.statuses = "", [], 0, []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def checkpoint(self, base, replace=None, leave_out=()):
        """A checkpoint folder of links to \\p base, with some files replaced."""
        folder = self.folder / "checkpoint"
        folder.mkdir()
        for path in base.iterdir():
            if path.is_file() and path.name not in (replace or {}) and path.name not in leave_out:
                (folder / path.name).symlink_to(path)
        for name, content in (replace or {}).items():
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def listing(self):
        def entry(path):
            info = path.lstat()
            return info.st_size, info.st_mtime_ns if not path.is_dir() else 0

        return {p: entry(p) for p in self.folder.rglob("*")}

    def run(self, tool, *words, outputs=(), statuses=(0, 1, 2), says="", quiet=False, **options):
        """Runs a tool and checks the rules; \\p says is a pattern that the error must hold; \p quiet allows none."""
        before = self.listing()
        command = [str(self.env.bin / tool)] + [w if isinstance(w, bytes) else str(w) for w in words]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        prepare = options.pop("preexec_fn", None)

        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
            if prepare:
                prepare()

        started = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=self.folder, env=self.env.environment, preexec_fn=limit, **options)
        try:
            out, err = process.communicate(timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.problem(command, f"ran for more than {TIME_LIMIT_S} s")
            return Outcome(1, b"", b"")
        self.env.longest[tool] = max(self.env.longest[tool], time.monotonic() - started)
        self.runs += 1
        self.statuses.append(process.returncode)
        self.check(command, tool, process.returncode, err, statuses, says, quiet)
        self.check_files(command, process.returncode, before, outputs)
        return Outcome(process.returncode, out or b"", err)

    def check(self, command, tool, status, err, statuses, says, quiet):
        if status not in (0, 1, 2) or b"Sanitizer" in err or b"runtime error" in err:
            self.problem(command, f"ended with {status}: {err.decode(errors='replace')[:6000]}")
        elif status not in statuses:
            self.problem(command, f"ended with {status}, expected {statuses}: {err.decode(errors='replace')[:400]}")
        elif status != 0 and not quiet:
            try:
                line = err.decode().split("\n")[0]
            except UnicodeDecodeError:
                return self.problem(command, f"the error is no UTF-8: {err[:400]!r}")
            if not re.match(rf"{tool}: error: .+, expected .+[,;] .+$", line) or not line.isprintable():
                self.problem(command, f"the error has another form: {line[:400]!r}")
            elif not re.search(says, line):
                self.problem(command, f"the error says {line[:400]!r}, expected {says!r}")

    def check_files(self, command, status, before, outputs):
        after = self.listing()
        allowed = {self.folder / name for name in outputs} if status == 0 else set()
        wrong = [str(p.relative_to(self.folder)) for p in before.keys() | after.keys()
                 if before.get(p) != after.get(p) and p not in allowed and allowed.isdisjoint(p.parents)]
        if wrong:
            self.problem(command, f"ended with {status} and left or changed {wrong}")
        missing = [str(p) for p in allowed if p not in after]
        if missing:
            self.problem(command, f"ended with 0 without {missing}")

    def problem(self, command, text):
        words = " ".join(w if isinstance(w, str) else repr(w) for w in command)
        self.problems.append(f"VIOLATION {self.name} ({self.what})\n  {words[:600]}\n  {text}")


class Environment:
    """What all cases share: programs, folders, good inputs made once."""

    def __init__(self, arguments):
        self.bin, self.work = pathlib.Path(arguments.bin).resolve(), pathlib.Path(arguments.work).resolve()
        self.seed, self.device = arguments.seed, arguments.device
        self.environment = dict(os.environ, **ENVIRONMENT, XDG_CACHE_HOME=str(self.work / "cache"))
        self.longest = collections.Counter()
        self.tiny, self.sharded, self.chat, self.omni = TINY, SHARDED, CHAT, OMNI
        shutil.rmtree(self.work, ignore_errors=True)
        (self.work / "good").mkdir(parents=True)
        self.model, self.plan = self.make(CHAT, "chat")
        self.tiny_model, self.tiny_plan = self.make(TINY, "tiny")
        self.omni_model, self.omni_plan = self.make(OMNI, "omni", "--max-image-pixels", "65536", "--max-audio-seconds", "4")
        # Compiling the kernels costs more than any case: it fills the pipeline cache once, outside the limits.
        data = hostile_media.DATA
        speech = ["--speech", "/dev/null", "--speech-max-frames", "2"] if arguments.device else []
        for words in ([self.plan, "--input-ids", "1"],
                      [self.omni_plan, "--prompt", "a", "--image", data / "noise_40x30.png", "--audio", data / "burst_7001.wav", *speech]):
            command = [self.bin / "qwenrt", *words, "--allow-cpu", "--max-new-tokens", "4", "--ignore-eos", "--print-ids"]
            subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL, timeout=TIME_LIMIT_S)

    def make(self, checkpoint, name, *options):
        model, plan = self.work / "good" / f"{name}.json", self.work / "good" / f"{name}.fb"
        for command in (["qwen-export", checkpoint, "-o", model],
                        ["qwenc", model, "-o", plan, "--target", "lavapipe", "--max-context", "64", *options]):
            subprocess.run([self.bin / command[0], *command[1:]], check=True, env=self.environment, timeout=120)
        return model, plan


def run_case(env, campaign, number, keep):
    case = Case(env, campaign, number)
    started = time.monotonic()
    try:
        CAMPAIGNS[campaign][0](env, case, number)
    except Exception as error:  # a mistake of this script must not look like a success
        case.problems.append(f"VIOLATION {case.name} ({case.what}): the case itself failed: {error!r}")
    if not case.problems and not keep:
        shutil.rmtree(case.folder, ignore_errors=True)
    case.seconds = time.monotonic() - started
    return case


def chosen(arguments):
    """(campaign, number) of every case."""
    wanted = []
    for word in arguments.campaigns or CAMPAIGNS:
        name, _, count = word.partition("=")
        name, _, single = name.partition("#")
        function, short, full = CAMPAIGNS[name]
        if single:
            wanted.append((name, int(single)))
            continue
        total = len(function.cases) if full is None else full
        count = int(count) if count else total if arguments.full or arguments.campaigns else short
        numbers = range(total if count is None else count)
        if full is None and len(numbers) < total:  # directed cases differ: any of them may be the one
            numbers = random.Random(f"{arguments.seed} {name}").sample(range(total), len(numbers))
        wanted += [(name, number) for number in numbers]
    return wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("work")
    parser.add_argument("campaigns", nargs="*")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", action="store_true")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    env = Environment(arguments)
    totals = collections.defaultdict(collections.Counter)
    violations = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [pool.submit(run_case, env, name, number, arguments.keep) for name, number in chosen(arguments)]
        for job in concurrent.futures.as_completed(jobs):
            case = job.result()
            count = totals[case.name.split("#")[0]]
            count["cases"] += 1
            count["runs"] += case.runs
            count["seconds"] += case.seconds
            count.update(f"status {s}" for s in case.statuses)
            count["violations"] += len(case.problems)
            violations += len(case.problems)
            for problem in case.problems:
                print(problem, flush=True)
    for name, count in sorted(totals.items()):
        print(f"{name}: " + ", ".join(f"{key} {value:.1f}" if key == "seconds" else f"{key} {value}" for key, value in sorted(count.items())))
    print("longest run: " + ", ".join(f"{tool} {seconds:.1f} s" for tool, seconds in sorted(env.longest.items())))
    print(f"hostile: {sum(c['runs'] for c in totals.values())} runs, {violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
