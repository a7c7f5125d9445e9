"""What the scripts in two steps share: running a program, and the command line of `prepare` and `measure`."""

import argparse
import pathlib
import subprocess
import sys


def run(*words):
    """Standard output and error of a program; one that fails ends the script."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))[:300]}\nended with {result.returncode}: {result.stderr[-3000:]}{result.stdout[-2000:]}")
    return result.stdout, result.stderr


def two_steps(description, prepare, measure):
    """The parser of a script, and those of its two modes, for what else each of them takes. The mode's function is in `run`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)
    first, second = (modes.add_parser(function.__name__) for function in (prepare, measure))
    for mode, function in ((first, prepare), (second, measure)):
        mode.set_defaults(run=function)
        mode.add_argument("bin", type=pathlib.Path)
        mode.add_argument("folder", type=pathlib.Path)
    second.add_argument("weights", type=pathlib.Path)
    second.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    return parser, first, second
