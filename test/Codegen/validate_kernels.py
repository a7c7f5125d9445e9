"""Runs spirv-val over every kernel in the given folders. Usage: validate_kernels.py FOLDER...

Debian's spirv-val knows neither SPV_KHR_cooperative_matrix nor SPV_KHR_bfloat16: kernels that declare those capabilities are
listed as exempt, all others must validate.
"""

import pathlib
import struct
import subprocess
import sys

EXEMPT = {6022: "CooperativeMatrixKHR", 5116: "BFloat16TypeKHR", 5118: "BFloat16CooperativeMatrixKHR"}


def capabilities(words):
    at = 5
    while at < len(words):
        opcode, count = words[at] & 0xFFFF, words[at] >> 16
        if opcode == 17:
            yield words[at + 1]
        at += max(count, 1)


failed = 0
for folder in map(pathlib.Path, sys.argv[1:]):
    modules = sorted(folder.glob("*.spv"))
    print(f"{folder.name}: {len(modules)} kernels")
    failed += not modules
    for module in modules:
        data = module.read_bytes()
        words = struct.unpack(f"<{len(data) // 4}I", data)
        reasons = [EXEMPT[c] for c in capabilities(words) if c in EXEMPT]
        if reasons:
            print(f"exempt: {module.stem} declares {', '.join(reasons)}")
            continue
        result = subprocess.run(["spirv-val", "--target-env", "vulkan1.3", str(module)], capture_output=True, text=True)
        if result.returncode:
            failed += 1
            print(f"FAILED {folder.name}/{module.stem}: {result.stdout}{result.stderr}")
print("all kernels are valid" if not failed else f"{failed} failures")
sys.exit(bool(failed))
