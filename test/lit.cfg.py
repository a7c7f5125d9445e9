# Shared configuration of the lit suites. The build folder's lit.site.cfg.py sets config.qwenc_* and loads this file.
import os

import lit.formats

config.name = "qwenc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Fuzz", "data", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.qwenc_binary_dir, "test")

# Tests name tools, never paths: the project's programs come first, then LLVM's.
path = [config.qwenc_tools_dir, config.qwenc_llvm_tools_dir, config.environment.get("PATH", os.environ["PATH"])]
config.environment["PATH"] = os.pathsep.join(path)
config.substitutions.append(("%tiny", os.path.join(config.qwenc_source_dir, "models", "tiny-qwen3-chat")))

# `REQUIRES: spirv-val` and the like.
for tool in ["spirv-val", "spirv-dis"]:
    if lit.util.which(tool, config.environment["PATH"]):
        config.available_features.add(tool)
