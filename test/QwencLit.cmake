# qwenc_add_lit_suite(NAME): the .mlir and .test files of the current folder as one CTest entry. Tests call the tools by
# name, so those have to be built before: cmake --build BUILD --target qwen-opt qwenc qwen-export qwen-pack qwen-plan-dump.
if(NOT QWENC_BUILD_COMPILER)
  function(qwenc_add_lit_suite name)
  endfunction()
  return()
endif()
find_program(QWENC_LIT NAMES lit lit.py HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
configure_file(${CMAKE_CURRENT_LIST_DIR}/lit.site.cfg.py.in ${PROJECT_BINARY_DIR}/test/lit.site.cfg.py @ONLY)

function(qwenc_add_lit_suite name)
  add_test(NAME ${name} COMMAND ${QWENC_LIT} -sv ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
