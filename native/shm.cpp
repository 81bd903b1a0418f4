#include "shm.hpp"

#include <cstring>

namespace brickwork {

namespace {
bool is_word(uint64_t offset, size_t bytes) { return bytes == 8 && offset % 8 == 0; }
}  // namespace

void ShmEndpoint::check(uint64_t offset, uint64_t bytes, uint64_t alignment) const {
  if (offset % alignment == 0 && offset <= region_->size() && bytes <= region_->size() - offset) return;
  throw FabricError(Fault::out_of_range, "shm: " + std::to_string(bytes) + " bytes at offset " +
                                             std::to_string(offset) + " do not fit a region of " +
                                             std::to_string(region_->size()) + " bytes, aligned to " +
                                             std::to_string(alignment));
}

// A put of one word is a release store, partner of the acquiring loads in `get` and at the consumer: it publishes the
// puts before it. Larger puts are plain copies; their reader comes after some such word or compare_and_swap.
void ShmEndpoint::put(uint64_t offset, std::span<const std::byte> source) {
  check(offset, source.size(), 1);
  if (!is_word(offset, source.size())) {
    if (!source.empty()) std::memcpy(region_->at(offset), source.data(), source.size());
    return;
  }
  uint64_t value;
  std::memcpy(&value, source.data(), 8);
  region_->word(offset).store(value);
}

void ShmEndpoint::get(uint64_t offset, std::span<std::byte> target) {
  check(offset, target.size(), 1);
  if (!is_word(offset, target.size())) {
    if (!target.empty()) std::memcpy(target.data(), region_->at(offset), target.size());
    return;
  }
  const uint64_t value = region_->word(offset).load();
  std::memcpy(target.data(), &value, 8);
}

uint64_t ShmEndpoint::compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) {
  check(offset, 8, 8);
  region_->word(offset).compare_exchange_strong(expected, desired);
  return expected;
}

uint64_t ShmEndpoint::fetch_add(uint64_t offset, uint64_t addend) {
  check(offset, 8, 8);
  return region_->word(offset).fetch_add(addend);
}

void ShmEndpoint::wake(uint64_t offset) {
  check(offset, 4, 4);
  futex_wake(region_->at(offset));
}

void ShmEndpoint::wait(uint64_t offset, uint32_t seen, std::chrono::nanoseconds at_most) {
  check(offset, 4, 4);
  futex_wait(region_->at(offset), seen, at_most);
}

}  // namespace brickwork
