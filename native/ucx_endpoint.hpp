// The initiator's side of the ucx fabric: one UCX worker with one endpoint to one region.
//
// A worker of its own, because a request that timed out still holds its buffers: destroying the worker is what makes
// UCX let go of them. After `timed_out` or `peer_lost` the endpoint is broken, as with the tcp fabric.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "turn.hpp"
#include "ucx_target.hpp"
#include "ucx_worker.hpp"

namespace brickwork::ucx {

using Seconds = std::chrono::duration<double>;

class UcxEndpoint : public Endpoint {
 public:
  // `descriptor`: what Target::add_region returned. `capability`: what a self-test over these transports found.
  // Throws FabricError.
  UcxEndpoint(std::shared_ptr<Context> context, const std::string& descriptor, Seconds timeout, Capability capability);
  ~UcxEndpoint() override;

  Capability capability() const override { return capability_; }
  uint64_t size() const override { return target_.size; }
  void put(uint64_t offset, std::span<const std::byte> source) override;
  void get(uint64_t offset, std::span<std::byte> target) override;
  uint64_t compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) override;
  uint64_t fetch_add(uint64_t offset, uint64_t addend) override;
  void flush() override;
  void wake(uint64_t offset) override;
  std::string transports();  // what UCX prints of the endpoint

 private:
  void connect();
  void release();
  void ask(const char* verb, const std::function<ucs_status_ptr_t(const Api&)>& post);
  uint64_t atomic(const char* verb, uint64_t offset, ucp_atomic_op_t operation, uint64_t operand, uint64_t reply);

  const int owner_pid_;
  const Descriptor target_;
  const Seconds timeout_;
  const Capability capability_;
  const std::shared_ptr<Context> context_;

  Turns turns_;  // one call at a time: guards what follows
  std::unique_ptr<Worker> worker_;
  ucp_ep_h endpoint_ = nullptr;
  ucp_rkey_h key_ = nullptr;
  std::string broken_;  // by what; empty: whole
};

}  // namespace brickwork::ucx
