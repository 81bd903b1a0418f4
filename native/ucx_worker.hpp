// A UCX context, and workers on it. Whoever calls UCX holds the context's lock, and never waits while it does; so a
// stuck peer of one worker delays nobody else, and no build of UCX needs to be thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "fabric.hpp"
#include "ucx_api.hpp"

namespace brickwork::ucx {

using Clock = std::chrono::steady_clock;

class Context {
 public:
  // `transports`: UCX's own list ("tcp,self"); empty: what UCX_TLS says, or all. Throws FabricError.
  explicit Context(const std::string& transports);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Api& api;
  std::mutex mutex;
  ucp_context_h handle = nullptr;
  std::string devices();  // what UCX prints of itself
};

// Throws FabricError with UCX's words unless `status` is UCS_OK.
void demand(const Api& api, ucs_status_t status, const char* what);

class Worker {
 public:
  explicit Worker(std::shared_ptr<Context> context);
  ~Worker();  // with requests in flight too: UCX then drops them and touches none of their buffers any more
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Under the lock: posts by `post` and progresses until what it returned is done. Spins briefly, then sleeps. Throws
  // FabricError(timed_out) at the deadline: the request is then still in flight and this worker must be destroyed
  // before its buffers.
  void run(const std::function<ucs_status_ptr_t()>& post, Clock::time_point deadline, const std::string& what);

  // Progresses until nothing happens. Returns whether the worker is armed: then its descriptor tells of the next event.
  bool progress_and_arm();
  int descriptor() const { return descriptor_; }

  const std::shared_ptr<Context> context;
  ucp_worker_h handle = nullptr;

 private:
  int descriptor_ = -1;
};

}  // namespace brickwork::ucx
