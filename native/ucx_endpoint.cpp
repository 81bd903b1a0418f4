#include "ucx_endpoint.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace brickwork::ucx {

UcxEndpoint::UcxEndpoint(std::shared_ptr<Context> context, const std::string& descriptor, Seconds timeout,
                         Capability capability)
    : owner_pid_(getpid()), target_(Descriptor::unpack(descriptor)), timeout_(timeout), capability_(capability),
      context_(std::move(context)) {
  worker_ = std::make_unique<Worker>(context_);
  try {
    connect();
  } catch (...) {
    release();
    throw;
  }
}

UcxEndpoint::~UcxEndpoint() {
  if (getpid() == owner_pid_)
    release();
  else
    [[maybe_unused]] const auto* leaked = worker_.release();  // the parent's connection, not this fork's
}

// Error handling mode NONE, the only one in which atomics work over tcp and endpoints over shared memory; a peer that
// is gone is told by the transport where it can, and by our time-out everywhere.
void UcxEndpoint::connect() {
  const Api& api = context_->api;
  std::lock_guard lock(context_->mutex);
  ucp_ep_params_t parameters{};
  parameters.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  parameters.address = reinterpret_cast<const ucp_address_t*>(target_.address.data());
  parameters.err_handler.cb = [](void*, ucp_ep_h, ucs_status_t) {};  // its requests fail, which is all we need
  demand(api, api.ucp_ep_create(worker_->handle, &parameters, &endpoint_), "connecting");
  demand(api, api.ucp_ep_rkey_unpack(endpoint_, target_.key.data(), &key_), "reading the peer's key");
}

void UcxEndpoint::release() {
  if (worker_ == nullptr) return;
  {
    std::lock_guard lock(context_->mutex);
    if (key_ != nullptr) context_->api.ucp_rkey_destroy(key_);
    key_ = nullptr;
  }
  worker_.reset();
}

void UcxEndpoint::put(uint64_t offset, std::span<const std::byte> source) {
  demand_fits("put", offset, source.size(), 1, target_.base);
  ask("put", [&](const Api& api) {
    ucp_request_param_t parameters{};
    return api.ucp_put_nbx(endpoint_, source.data(), source.size(), target_.base + offset, key_, &parameters);
  });
}

void UcxEndpoint::get(uint64_t offset, std::span<std::byte> target) {
  demand_fits("get", offset, target.size(), 1, target_.base);
  ask("get", [&](const Api& api) {
    ucp_request_param_t parameters{};
    return api.ucp_get_nbx(endpoint_, target.data(), target.size(), target_.base + offset, key_, &parameters);
  });
}

uint64_t UcxEndpoint::compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) {
  return atomic("compare_and_swap", offset, UCP_ATOMIC_OP_CSWAP, expected, desired);
}

uint64_t UcxEndpoint::fetch_add(uint64_t offset, uint64_t addend) {
  return atomic("fetch_add", offset, UCP_ATOMIC_OP_ADD, addend, 0);
}

// `reply` goes in as the desired value of a compare-and-swap and comes out as the word as it was.
uint64_t UcxEndpoint::atomic(const char* verb, uint64_t offset, ucp_atomic_op_t operation, uint64_t operand,
                             uint64_t reply) {
  demand_fits(verb, offset, 8, 8, target_.base);
  ask(verb, [&](const Api& api) {
    ucp_request_param_t parameters{};
    parameters.op_attr_mask = UCP_OP_ATTR_FIELD_DATATYPE | UCP_OP_ATTR_FIELD_REPLY_BUFFER;
    parameters.datatype = ucp_dt_make_contig(8);
    parameters.reply_buffer = &reply;
    return api.ucp_atomic_op_nbx(endpoint_, operation, &operand, 1, target_.base + offset, key_, &parameters);
  });
  return reply;
}

void UcxEndpoint::flush() {
  ask("flush", [&](const Api& api) {
    ucp_request_param_t parameters{};
    return api.ucp_ep_flush_nbx(endpoint_, &parameters);
  });
}

void UcxEndpoint::wake(uint64_t offset) {
  demand_fits("wake", offset, 4, 4, target_.base);
  const Wake message{target_.base + offset};
  ask("wake", [&](const Api& api) {
    ucp_request_param_t parameters{};
    return api.ucp_am_send_nbx(endpoint_, Wake::kId, &message, sizeof message, nullptr, 0, &parameters);
  });
}

void UcxEndpoint::ask(const char* verb, const std::function<ucs_status_ptr_t(const Api&)>& post) {
  if (getpid() != owner_pid_)
    throw FabricError(Fault::refused, "ucx: this endpoint was made before a fork; make one in this process");
  const auto deadline = Clock::now() + std::chrono::ceil<Clock::duration>(timeout_);
  const Turn turn(turns_, deadline);
  if (!turn.is_mine()) throw FabricError(Fault::timed_out, "ucx: calls of other threads took all the time");
  if (!broken_.empty())
    throw FabricError(Fault::peer_lost, "ucx: this endpoint is broken, make a new one (" + broken_ + ")");
  try {
    worker_->run([&] { return post(context_->api); }, deadline, verb);
  } catch (const FabricError& error) {
    broken_ = error.what();
    release();
    throw;
  }
}

std::string UcxEndpoint::transports() {
  const Turn turn(turns_, Clock::now() + std::chrono::ceil<Clock::duration>(timeout_));
  if (!turn.is_mine() || !broken_.empty()) return "";
  char* text = nullptr;
  size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  {
    std::lock_guard lock(context_->mutex);
    context_->api.ucp_ep_print_info(endpoint_, stream);
  }
  std::fclose(stream);
  const std::string copy(text, size);
  std::free(text);
  return copy;
}

}  // namespace brickwork::ucx
