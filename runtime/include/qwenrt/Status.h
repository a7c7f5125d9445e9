//===- Status.h - Errors as values ------------------------------------------------------------------------------===//
//
// Every fallible function of the runtime, its front end and the checkpoint readers returns a Status or a Result<T>.
// Nothing throws across these interfaces and nothing aborts: a message says what was found, what was expected and what
// to do, in one line, lower case, without a full stop, so that a tool can print "qwenrt: error: <message>".
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace qwenrt {

/// Why an operation failed. The tools map InvalidUsage to exit status 2 and everything else to 1.
enum class StatusCode {
  Ok = 0,
  InvalidUsage, ///< the caller asked for something that cannot be asked (wrong option, unknown name)
  InvalidInput, ///< a file or a value is broken or does not fit (truncated, lying header, wrong hash)
  NotFound,     ///< a file, entry, tensor or device does not exist
  Unsupported,  ///< the device or this build cannot do it; the message names the limit
  OutOfMemory,  ///< host or device memory; the message names the purpose and the bytes
  DeviceLost,   ///< the driver reports a lost device
  Io,           ///< the operating system refused a read or a write
};

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status ok() { return {}; }

  bool isOk() const { return code_ == StatusCode::Ok; }
  explicit operator bool() const { return isOk(); }
  StatusCode code() const { return code_; }
  const std::string &message() const { return message_; }

  /// The same status with "context: " before its message.
  Status withContext(const std::string &context) && {
    if (!isOk())
      message_ = context + ": " + message_;
    return std::move(*this);
  }

private:
  StatusCode code_ = StatusCode::Ok;
  std::string message_;
};

/// A value or the reason why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::move(value)) {}
  Result(Status status) : state_(std::move(status)) {}

  bool isOk() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return isOk(); }
  T &value() & { return std::get<T>(state_); }
  const T &value() const & { return std::get<T>(state_); }
  T &&value() && { return std::get<T>(std::move(state_)); }
  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  Status status() const { return isOk() ? Status::ok() : std::get<Status>(state_); }

private:
  std::variant<T, Status> state_;
};

} // namespace qwenrt

/// Returns the status of \p expr from the enclosing function if it is an error.
#define QWENRT_RETURN_IF_ERROR(expr)                                                                                   \
  do {                                                                                                                 \
    if (::qwenrt::Status status_ = (expr); !status_.isOk())                                                            \
      return status_;                                                                                                  \
  } while (false)

#define QWENRT_CONCAT_INNER(a, b) a##b
#define QWENRT_CONCAT(a, b) QWENRT_CONCAT_INNER(a, b)

/// Declares \p lhs with the value of the Result \p expr, or returns its status.
#define QWENRT_ASSIGN_OR_RETURN(lhs, expr)                                                                             \
  auto QWENRT_CONCAT(result_, __LINE__) = (expr);                                                                      \
  if (!QWENRT_CONCAT(result_, __LINE__).isOk())                                                                        \
    return QWENRT_CONCAT(result_, __LINE__).status();                                                                  \
  lhs = std::move(QWENRT_CONCAT(result_, __LINE__)).value()
