//===- Export.cpp - Owns the shared library; everything it exports is in CApi.cpp --------------------------------===//
#include "qwenrt/qwenrt.h"
