# MLIR of Debian's LLVM packages. Its version file wants major.minor, so the major version is checked here.
set(MLIR_DIR /usr/lib/llvm-22/lib/cmake/mlir CACHE PATH "Folder of MLIRConfig.cmake")
set(LLVM_DIR /usr/lib/llvm-22/lib/cmake/llvm CACHE PATH "Folder of LLVMConfig.cmake")
find_package(MLIR REQUIRED CONFIG)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "found LLVM ${LLVM_VERSION}, expected 22; install libmlir-22-dev mlir-22-tools llvm-22-dev or set MLIR_DIR")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(QWENC_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# The shared libraries, never mixed with single MLIR* archives.
add_library(QwencMlir INTERFACE)
target_link_libraries(QwencMlir INTERFACE MLIR LLVM)
target_include_directories(QwencMlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_compile_definitions(QwencMlir INTERFACE ${QWENC_LLVM_DEFINITIONS})
# Sources include "dialects/qwen/QwenDialect.h"; TableGen's output lies in the same place of the build tree.
target_include_directories(QwencMlir INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR})

# qwenc_add_mlir_library(NAME sources... [LINK libs...]): a library over MLIR with the shared precompiled header.
function(qwenc_add_mlir_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE ${QWENC_WARNINGS})
  target_link_libraries(${name} PUBLIC QwencMlir ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  target_precompile_headers(${name} REUSE_FROM QwencMlirPch)
endfunction()

# The one translation unit that owns the precompiled header (9 s per MLIR source without it, 2 s with it).
# Written only when it changes: a newer file would rebuild everything at each configuration.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/QwencMlirPch.cpp CONTENT "// Owns the precompiled header of the compiler.\n")
add_library(QwencMlirPch STATIC ${PROJECT_BINARY_DIR}/QwencMlirPch.cpp)
target_link_libraries(QwencMlirPch PUBLIC QwencMlir)
target_compile_options(QwencMlirPch PRIVATE ${QWENC_WARNINGS})
target_precompile_headers(QwencMlirPch PRIVATE ${PROJECT_SOURCE_DIR}/tools/cmake/MlirPch.h)
