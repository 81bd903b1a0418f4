// The fabric between processes of one host: the verbs on memory that both have mapped.
#pragma once

#include <memory>

#include "fabric.hpp"
#include "region.hpp"

namespace brickwork {

class ShmEndpoint final : public Endpoint {
 public:
  explicit ShmEndpoint(std::shared_ptr<const Region> region) : region_(std::move(region)) {}
  Capability capability() const override {
    return {.native_put = true, .native_get = true, .native_atomics = true};
  }
  uint64_t size() const override { return region_->size(); }
  void put(uint64_t offset, std::span<const std::byte> source) override;
  void get(uint64_t offset, std::span<std::byte> target) override;
  uint64_t compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) override;
  uint64_t fetch_add(uint64_t offset, uint64_t addend) override;
  // Nothing to do: who sees a word that was put or changed later sees every put before it (release, see shm.cpp).
  void flush() override {}
  void wake(uint64_t offset) override;
  void wait(uint64_t offset, uint32_t seen, std::chrono::nanoseconds at_most) override;
  const void* address_of(uint64_t offset) const override { return region_->at(offset); }

 private:
  std::shared_ptr<const Region> region_;
};

}  // namespace brickwork
