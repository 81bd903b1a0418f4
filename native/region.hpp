// A region: shared memory that one process owns and others of its host may map (memfd, so no name is left behind).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace brickwork {

class Region {
 public:
  static int create(uint64_t bytes);  // a new memfd, zeroed, closed on exec
  explicit Region(int fd);            // maps all of it; keeps a descriptor of its own
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  int fd() const { return fd_; }
  uint64_t size() const { return size_; }
  std::byte* at(uint64_t offset) const { return data_ + offset; }
  // An aligned 8-byte word. Every access through it is sequentially consistent unless it says otherwise.
  std::atomic_ref<uint64_t> word(uint64_t offset) const {
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(data_ + offset));
  }

 private:
  int fd_;
  uint64_t size_;
  std::byte* data_;
};

static_assert(std::atomic_ref<uint64_t>::is_always_lock_free, "a lock could not be shared between processes");

// Sleep while the 4-byte word at `word` is `seen` (true: a signal arrived); wake all who sleep on it. Between processes.
bool futex_wait(const void* word, uint32_t seen, std::chrono::nanoseconds at_most);
void futex_wake(const void* word);

}  // namespace brickwork
