// Copies into and out of a region whose words others change at the same time: each aligned 8-byte word moves whole.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace brickwork::tcp {
namespace detail {

inline size_t bytes_to_alignment(const std::byte* shared, size_t size) {
  const size_t head = (8 - reinterpret_cast<uintptr_t>(shared) % 8) % 8;
  return head < size ? head : size;
}

}  // namespace detail

// Relaxed: partner is whatever atomic follows on the same connection (a compare-and-swap that commits), which releases.
inline void copy_in(std::byte* shared, const std::byte* source, size_t size) {
  const size_t head = detail::bytes_to_alignment(shared, size);
  const size_t words_end = head + (size - head) / 8 * 8;
  for (size_t i = 0; i < head; ++i) std::atomic_ref(shared[i]).store(source[i], std::memory_order_relaxed);
  for (size_t i = head; i < words_end; i += 8) {
    uint64_t word;
    std::memcpy(&word, source + i, 8);
    std::atomic_ref(*reinterpret_cast<uint64_t*>(shared + i)).store(word, std::memory_order_relaxed);
  }
  for (size_t i = words_end; i < size; ++i) std::atomic_ref(shared[i]).store(source[i], std::memory_order_relaxed);
}

// Acquire: partner of the releasing change of a word. What was written before that change is in later gets.
inline void copy_out(std::byte* target, std::byte* shared, size_t size) {
  const size_t head = detail::bytes_to_alignment(shared, size);
  const size_t words_end = head + (size - head) / 8 * 8;
  for (size_t i = 0; i < head; ++i) target[i] = std::atomic_ref(shared[i]).load(std::memory_order_acquire);
  for (size_t i = head; i < words_end; i += 8) {
    const uint64_t word = std::atomic_ref(*reinterpret_cast<uint64_t*>(shared + i)).load(std::memory_order_acquire);
    std::memcpy(target + i, &word, 8);
  }
  for (size_t i = words_end; i < size; ++i) target[i] = std::atomic_ref(shared[i]).load(std::memory_order_acquire);
}

}  // namespace brickwork::tcp
