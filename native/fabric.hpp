// The verbs that the data engine is built on, as their initiator sees them (design: docs/concepts, ADR of the data
// engine). A *region* is memory that its owner registered; an *endpoint* is somebody's way to one region of a peer.
//
// Promises, the same for every fabric:
//   put             unordered with other puts; on return the source may be reused, nothing is said of the target
//   flush           on return every earlier put of this endpoint is visible to whoever reads the region
//   get             the bytes as they were at some moment of the call; each aligned 8-byte word is read whole
//   compare_and_swap, fetch_add
//                   one aligned 8-byte word, atomic against every other user of the same *atomicity domain*
//                   (CPU or NIC, never both on one ring); return the word as it was
// Every call ends within the endpoint's time-out: with its result, or with a FabricError. After timed_out or peer_lost
// the operation may or may not have happened, and the endpoint is broken: every later call fails with peer_lost.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>

namespace brickwork {

// Found by a self-test with the target asleep, not by a fabric's name.
struct Capability {
  bool native_put = false;             // a put lands while the target's processes sleep
  bool native_get = false;
  bool native_atomics = false;
  bool needs_target_progress = false;  // somebody at the target must run for anything to happen
  bool composite_append = false;       // `append` is there, and cheaper than its parts
};

enum class Fault {
  peer_lost,     // the connection or the process is gone
  timed_out,     // no answer in time
  out_of_range,  // offset, size or alignment do not fit the region; nothing happened
  refused,       // the peer does not know the region or the secret; nothing happened
};

class FabricError : public std::runtime_error {
 public:
  FabricError(Fault fault, const std::string& what) : std::runtime_error(what), fault(fault) {}
  const Fault fault;
};

// What the target's progress thread calls for `append`: must not block, must not throw for anything a peer may send.
// Calls never run at the same time as one another. The fabric gives no meaning to `a`, `b`, the record or the result.
class AppendTarget {
 public:
  virtual ~AppendTarget() = default;
  virtual uint64_t append(uint64_t a, uint64_t b, std::span<const std::byte> record) = 0;
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual Capability capability() const = 0;
  virtual uint64_t size() const = 0;  // bytes of the region
  virtual void put(uint64_t offset, std::span<const std::byte> source) = 0;
  virtual void get(uint64_t offset, std::span<std::byte> target) = 0;
  virtual uint64_t compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) = 0;
  virtual uint64_t fetch_add(uint64_t offset, uint64_t addend) = 0;
  virtual void flush() = 0;

  // Wakes who sleeps on the aligned 4-byte word at `offset`. Not ordered with puts: flush first.
  virtual void wake(uint64_t offset) = 0;
  // Sleeps while the aligned 4-byte word at `offset` is `seen`, at most `at_most`. May return early, for no reason;
  // a fabric that cannot see the word change sleeps a short jittered while.
  virtual void wait(uint64_t, uint32_t, std::chrono::nanoseconds at_most) {
    static thread_local std::minstd_rand random(std::random_device{}());
    const auto pause = std::chrono::microseconds(200 + random() % 1800);
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause, at_most));
  }
  // Where this process sees the region, or null: another way to sleep on a word.
  virtual const void* address_of(uint64_t) const { return nullptr; }
  // The composite verb: runs AppendTarget::append at the target and returns its result. Only with `composite_append`.
  virtual uint64_t append(uint64_t, uint64_t, std::span<const std::byte>) {
    throw FabricError(Fault::refused, "append: this fabric has no composite verb");
  }

 protected:
  // Throws out_of_range. `base`: where the region starts, if alignment does not count from there.
  void demand_fits(const char* verb, uint64_t offset, uint64_t length, uint64_t alignment, uint64_t base = 0) const {
    const bool is_inside = offset <= size() && length <= size() - offset;
    if (is_inside && (base + offset) % alignment == 0) return;
    throw FabricError(Fault::out_of_range,
                      std::string(verb) + ": " + std::to_string(length) + " bytes at offset " + std::to_string(offset) +
                          (is_inside ? ", which is no multiple of " + std::to_string(alignment)
                                     : " of a region of " + std::to_string(size()) + " bytes"));
  }
};

}  // namespace brickwork
