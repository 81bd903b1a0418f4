#include "shm.hpp"

#include <cstring>

namespace brickwork {

namespace {
bool is_word(uint64_t offset, size_t bytes) { return bytes == 8 && offset % 8 == 0; }
}  // namespace

// A put of one word is a release store, partner of the acquiring loads in `get` and at the consumer: it publishes the
// puts before it. Larger puts are plain copies; their reader comes after some such word or compare_and_swap.
void ShmEndpoint::put(uint64_t offset, std::span<const std::byte> source) {
  demand_fits("put", offset, source.size(), 1);
  if (!is_word(offset, source.size())) {
    if (!source.empty()) std::memcpy(region_->at(offset), source.data(), source.size());
    return;
  }
  uint64_t value;
  std::memcpy(&value, source.data(), 8);
  region_->word(offset).store(value);
}

void ShmEndpoint::get(uint64_t offset, std::span<std::byte> target) {
  demand_fits("get", offset, target.size(), 1);
  if (!is_word(offset, target.size())) {
    if (!target.empty()) std::memcpy(target.data(), region_->at(offset), target.size());
    return;
  }
  const uint64_t value = region_->word(offset).load();
  std::memcpy(target.data(), &value, 8);
}

uint64_t ShmEndpoint::compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) {
  demand_fits("compare_and_swap", offset, 8, 8);
  region_->word(offset).compare_exchange_strong(expected, desired);
  return expected;
}

uint64_t ShmEndpoint::fetch_add(uint64_t offset, uint64_t addend) {
  demand_fits("fetch_add", offset, 8, 8);
  return region_->word(offset).fetch_add(addend);
}

void ShmEndpoint::wake(uint64_t offset) {
  demand_fits("wake", offset, 4, 4);
  futex_wake(region_->at(offset));
}

void ShmEndpoint::wait(uint64_t offset, uint32_t seen, std::chrono::nanoseconds at_most) {
  demand_fits("wait", offset, 4, 4);
  futex_wait(region_->at(offset), seen, at_most);
}

}  // namespace brickwork
