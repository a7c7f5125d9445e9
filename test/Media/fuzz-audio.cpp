// Reads a sound file; what is accepted has to keep the limit and to give features or a reason why not.

#include "FuzzFile.h"
#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/frontend/media/files/AudioFile.h"

#include <cmath>

using namespace qwenrt;

/// libsndfile 1.2 loses the Vorbis header of some broken Ogg files, 6 kB each.
extern "C" const char *__lsan_default_suppressions();
extern "C" const char *__lsan_default_suppressions() { return "leak:vorbis_info_init"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t sizeBytes) {
  MediaLimits limits;
  limits.maxAudioSeconds = 5;
  FuzzFile file(bytes, sizeBytes);
  Result<std::vector<float>> samples = readAudio(file.path(), limits);
  if (!samples)
    return 0;
  if (samples->size() > limits.maxAudioSeconds * kAudioSampleRate + 1)
    std::abort();
  const std::span<const float> clip = *samples;
  if (Result<AudioFeatures> features = logMelFeatures({&clip, 1}))
    for (float value : features->mel)
      if (!std::isfinite(value))
        std::abort();
  return 0;
}
