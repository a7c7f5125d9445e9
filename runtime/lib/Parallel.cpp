//===- Parallel.cpp ----------------------------------------------------------------------------------------------===//
#include "Parallel.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

using namespace qwenrt;

namespace {

/// An exception in a thread would end the program; the only one the workers can meet is a failed allocation.
Status guarded(const std::function<Status()> &work) {
  try {
    return work();
  } catch (const std::bad_alloc &) {
    return {StatusCode::OutOfMemory,
            "host memory ran out, expected enough for the buffers of a thread, close other programs"};
  }
}

} // namespace

Status qwenrt::runParallel(unsigned threads, const std::function<Status()> &work, const std::function<void()> &watch,
                           const std::function<void()> &cancel) {
  std::mutex mutex;
  std::condition_variable changed;
  Status failure;
  unsigned running = 0;
  auto finish = [&](Status status) {
    std::lock_guard lock(mutex);
    if (!status.isOk()) {
      cancel();
      if (failure.isOk())
        failure = std::move(status);
    }
    --running;
    changed.notify_all();
  };
  std::vector<std::thread> pool;
  pool.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) {
    {
      std::lock_guard lock(mutex);
      ++running;
    }
    try {
      pool.emplace_back([&] { finish(guarded(work)); });
    } catch (const std::system_error &) {
      if (pool.empty())
        finish(guarded(work));
      else
        finish(Status::ok());
      break;
    }
  }
  {
    std::unique_lock lock(mutex);
    while (running > 0) {
      changed.wait_for(lock, std::chrono::milliseconds(50));
      lock.unlock();
      watch();
      lock.lock();
    }
  }
  for (std::thread &thread : pool)
    thread.join();
  watch(); // also where the work took no time
  return failure;
}
