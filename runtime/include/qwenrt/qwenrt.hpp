//===- qwenrt.hpp - A thin C++ wrapper over the C interface ------------------------------------------------------===//
//
// For programs that use libqwenrt from C++ without the runtime's own headers: handles that release themselves, errors
// as Status values. Everything else is as in qwenrt.h.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "qwenrt/qwenrt.h"

#include <functional>
#include <memory>
#include <span>
#include <string>

namespace qwenrt::c {

template <auto Release> struct Releaser {
  template <typename Handle> void operator()(Handle *handle) const { Release(handle); }
};
using PlanHandle = std::unique_ptr<qwenrt_plan, Releaser<qwenrt_plan_release>>;
using DeviceHandle = std::unique_ptr<qwenrt_device, Releaser<qwenrt_device_release>>;
using SessionHandle = std::unique_ptr<qwenrt_session, Releaser<qwenrt_session_release>>;

inline Status toStatus(qwenrt_code code, const qwenrt_error &error) {
  return code == QWENRT_OK ? Status::ok() : Status(static_cast<StatusCode>(code), error.message);
}

inline Result<PlanHandle> openPlan(const std::string &path) {
  qwenrt_error error = {};
  qwenrt_plan *plan = nullptr;
  if (qwenrt_code code = qwenrt_plan_open(path.c_str(), &plan, &error))
    return toStatus(code, error);
  return PlanHandle(plan);
}

/// An empty \p selector takes the best device.
inline Result<DeviceHandle> openDevice(const PlanHandle &plan, const std::string &selector = "",
                                       bool allowCpu = false) {
  qwenrt_error error = {};
  qwenrt_device *device = nullptr;
  if (qwenrt_code code =
          qwenrt_device_open(plan.get(), selector.empty() ? nullptr : selector.c_str(), allowCpu, &device, &error))
    return toStatus(code, error);
  return DeviceHandle(device);
}

/// A session with its weights loaded; an empty \p weightsFolder means where the plan says.
inline Result<SessionHandle> openSession(const PlanHandle &plan, const DeviceHandle &device,
                                         const std::string &weightsFolder = "") {
  qwenrt_error error = {};
  qwenrt_session *session = nullptr;
  if (qwenrt_code code = qwenrt_session_create(plan.get(), device.get(), &session, &error))
    return toStatus(code, error);
  SessionHandle handle(session);
  if (qwenrt_code code = qwenrt_session_load(session, weightsFolder.empty() ? nullptr : weightsFolder.c_str(), &error))
    return toStatus(code, error);
  return handle;
}

inline Status run(const SessionHandle &session, const std::string &entry, std::span<const qwenrt_tensor> inputs,
                  std::span<qwenrt_tensor> outputs) {
  qwenrt_error error = {};
  qwenrt_code code =
      qwenrt_session_run(session.get(), entry.c_str(), inputs.data(), static_cast<uint32_t>(inputs.size()),
                         outputs.data(), static_cast<uint32_t>(outputs.size()), &error);
  return toStatus(code, error);
}

inline Status setMediaOptions(const SessionHandle &session, const qwenrt_media_options &options) {
  qwenrt_error error = {};
  return toStatus(qwenrt_session_set_media_options(session.get(), &options, &error), error);
}

/// Reads a medium for the prompt that is appended next.
inline Status attach(const SessionHandle &session, qwenrt_medium medium, const std::string &path) {
  qwenrt_error error = {};
  return toStatus(qwenrt_session_attach(session.get(), medium, path.c_str(), &error), error);
}

inline Status append(const SessionHandle &session, std::span<const int32_t> tokens) {
  qwenrt_error error = {};
  return toStatus(qwenrt_session_append(session.get(), tokens.data(), static_cast<uint32_t>(tokens.size()), &error),
                  error);
}

/// \p onToken hears each token; false ends generation.
inline Result<qwenrt_finish> generate(const SessionHandle &session, const qwenrt_generate_options &options,
                                      const std::function<bool(int32_t)> &onToken) {
  qwenrt_error error = {};
  qwenrt_finish finish = QWENRT_FINISH_LENGTH;
  auto callback = [](int32_t token, void *user) -> int {
    return (*static_cast<const std::function<bool(int32_t)> *>(user))(token);
  };
  qwenrt_code code = qwenrt_session_generate(session.get(), &options, callback,
                                             const_cast<std::function<bool(int32_t)> *>(&onToken), &finish, &error);
  if (code)
    return toStatus(code, error);
  return finish;
}

/// \p onText hears pieces of text, \p onAudio samples; false ends the answer.
inline Result<qwenrt_finish> speak(const SessionHandle &session, const qwenrt_generate_options &options,
                                   const qwenrt_speech_options &speech, const std::function<bool(const char *)> &onText,
                                   const std::function<bool(std::span<const float>)> &onAudio) {
  struct Listeners {
    const std::function<bool(const char *)> &text;
    const std::function<bool(std::span<const float>)> &audio;
  } listeners = {onText, onAudio};
  auto text = [](const char *piece, void *user) -> int { return static_cast<Listeners *>(user)->text(piece); };
  auto audio = [](const float *samples, uint32_t count, void *user) -> int {
    return static_cast<Listeners *>(user)->audio({samples, count});
  };
  qwenrt_error error = {};
  qwenrt_finish finish = QWENRT_FINISH_LENGTH;
  qwenrt_code code = qwenrt_session_speak(session.get(), &options, &speech, text, audio, &listeners, &finish, &error);
  if (code)
    return toStatus(code, error);
  return finish;
}

} // namespace qwenrt::c
