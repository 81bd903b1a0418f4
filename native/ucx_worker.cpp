#include "ucx_worker.hpp"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace brickwork::ucx {
namespace {

constexpr int kTurn = 64;                              // steps of progress before others may have the lock
constexpr auto kSpin = std::chrono::microseconds(20);  // short: two spinners on two shared cores lose their time slices
constexpr int kSleepMs = 10;                           // an event that UCX's descriptor does not tell of is so late

Fault fault_of(ucs_status_t status) {
  switch (status) {
    case UCS_ERR_TIMED_OUT: return Fault::timed_out;
    case UCS_ERR_UNREACHABLE:
    case UCS_ERR_INVALID_ADDR:
    case UCS_ERR_UNSUPPORTED: return Fault::refused;
    default: return Fault::peer_lost;
  }
}

[[noreturn]] void fail(const Api& api, ucs_status_t status, const std::string& what) {
  throw FabricError(fault_of(status), "ucx: " + what + ": " + api.ucs_status_string(status));
}

}  // namespace

void demand(const Api& api, ucs_status_t status, const char* what) {
  if (status != UCS_OK) fail(api, status, what);
}

Context::Context(const std::string& transports) : api(ucx::api()) {
  ucp_config_t* config = nullptr;
  demand(api, api.ucp_config_read(nullptr, nullptr, &config), "reading its configuration");
  const std::unique_ptr<ucp_config_t, decltype(api.ucp_config_release)> owner(config, api.ucp_config_release);
  if (!transports.empty()) demand(api, api.ucp_config_modify(config, "TLS", transports.c_str()), "UCX_TLS");
  ucp_params_t parameters{};
  parameters.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
  parameters.features = UCP_FEATURE_RMA | UCP_FEATURE_AMO64 | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  parameters.mt_workers_shared = 0;  // our lock does it
  unsigned major = 0, minor = 0, release = 0;
  api.ucp_get_version(&major, &minor, &release);  // the fields above are all older than the oldest we load
  demand(api, api.ucp_init_version(major, minor, &parameters, config, &handle), "starting it");
}

Context::~Context() {
  std::lock_guard lock(mutex);
  api.ucp_cleanup(handle);
}

std::string Context::devices() {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  {
    std::lock_guard lock(mutex);
    api.ucp_context_print_info(handle, stream);
  }
  std::fclose(stream);
  const std::string copy(text, size);
  std::free(text);
  return copy;
}

Worker::Worker(std::shared_ptr<Context> shared) : context(std::move(shared)) {
  std::lock_guard lock(context->mutex);
  ucp_worker_params_t parameters{};
  parameters.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  parameters.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  demand(context->api, context->api.ucp_worker_create(context->handle, &parameters, &handle), "making a worker");
  const auto status = context->api.ucp_worker_get_efd(handle, &descriptor_);
  if (status == UCS_OK) return;
  context->api.ucp_worker_destroy(handle);
  fail(context->api, status, "asking for events");
}

Worker::~Worker() {
  std::lock_guard lock(context->mutex);
  context->api.ucp_worker_destroy(handle);
}

bool Worker::progress_and_arm() {
  std::lock_guard lock(context->mutex);
  while (context->api.ucp_worker_progress(handle) != 0) {
  }
  return context->api.ucp_worker_arm(handle) == UCS_OK;
}

void Worker::run(const std::function<ucs_status_ptr_t()>& post, Clock::time_point deadline, const std::string& what) {
  const Api& api = context->api;
  std::unique_lock lock(context->mutex);
  const ucs_status_ptr_t request = post();
  if (UCS_PTR_IS_ERR(request)) fail(api, UCS_PTR_STATUS(request), what);
  if (request == nullptr) return;
  const auto spin_end = Clock::now() + kSpin;
  ucs_status_t status;
  while (true) {
    for (int i = 0; i < kTurn && api.ucp_worker_progress(handle) != 0; ++i) {
    }
    status = api.ucp_request_check_status(request);
    if (status != UCS_INPROGRESS) break;
    const auto now = Clock::now();
    if (now >= deadline) throw FabricError(Fault::timed_out, "ucx: " + what + ": no completion within the time-out");
    const bool is_armed = now > spin_end && api.ucp_worker_arm(handle) == UCS_OK;
    lock.unlock();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    pollfd entry{descriptor_, POLLIN, 0};
    if (is_armed) poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, kSleepMs)));
    lock.lock();
  }
  api.ucp_request_free(request);
  if (status != UCS_OK) fail(api, status, what);
}

}  // namespace brickwork::ucx
