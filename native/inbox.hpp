// The two ends of an inbox, the same for every ring and fabric.
//
// Promise: a record that `append` committed is delivered, once or, after the consumer died, again with `redelivered`;
// records of one life come in their order and without gaps. Ring `locked` promises less: see locked.hpp.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

#include "fabric.hpp"
#include "layout.hpp"
#include "region.hpp"

namespace brickwork {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

enum class Append : uint32_t {
  committed,
  full,       // no credit now; nothing of the record is visible
  too_large,  // never fits a lane
  fenced,     // this life has ended: its session was given up at the target. Unknown: records not yet acknowledged
};

// One producer life. Not thread-safe. A FabricError ends the life, except over a composite verb (remote.hpp).
class Producer {
 public:
  explicit Producer(uint64_t life) : life_(life) {}
  virtual ~Producer() = default;
  uint64_t life() const { return life_; }
  // Never waits for the consumer. After `full` call again with the same record, or with another: nothing is owed.
  virtual Append try_append(uint32_t kind, std::span<const std::byte> payload) = 0;
  // Sleeps until credit may have appeared since the last `full`, at most `at_most`.
  virtual void wait_for_credit(nanoseconds at_most) = 0;
  // Records of this life that the consumer's handler has committed.
  virtual uint64_t acknowledged() = 0;
  virtual void reconnect(std::shared_ptr<Endpoint>) {
    throw FabricError(Fault::refused, "reconnect: this life ended with its endpoint; join again");
  }
  // The word, and what it was at the last `full`, on which a local thread may sleep for credit; null when not local.
  virtual std::pair<const void*, uint32_t> credit_word() const { return {nullptr, 0}; }
  bool is_local() const { return credit_word().first != nullptr; }

  Append append(uint32_t kind, std::span<const std::byte> payload, nanoseconds at_most);
  uint64_t appended() const { return sequence_; }
  uint64_t skipped() const { return skipped_; }

 protected:
  uint64_t life_;
  uint64_t sequence_ = 0;  // of the next record
  uint64_t skipped_ = 0;   // how often the consumer gave up on this life
};

// `lane` and `life` come from a LaneHold on the consumer's host.
std::unique_ptr<Producer> make_producer(std::shared_ptr<Endpoint> endpoint, uint32_t lane, uint64_t life);
// Joins by itself, through the composite verb.
std::unique_ptr<Producer> make_remote_producer(std::shared_ptr<Endpoint> endpoint);

struct Delivery {
  uint64_t number;  // what `acknowledge` takes
  uint64_t life;
  uint64_t sequence;
  uint32_t kind;
  bool redelivered;                    // may have been delivered to an earlier life of the consumer
  std::span<const std::byte> payload;  // until it is acknowledged; ring `locked`: until the next call
};

struct Counters {
  uint64_t delivered = 0;
  uint64_t skipped = 0;     // silent slots given up
  uint64_t duplicates = 0;  // records seen before, dropped
  uint64_t damaged = 0;     // records whose header or checksum did not fit, dropped
  uint64_t recycled = 0;    // lanes of dead lives given back
};

// The one consumer. Not thread-safe. Its life is a kernel lock on byte 0 of the region's file.
class Consumer {
 public:
  Consumer(std::shared_ptr<const Region> region, nanoseconds spin);
  virtual ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // The next record, or nothing. Never blocks. Also gives up silent slots and gives back lanes of the dead.
  std::optional<Delivery> poll();
  // Waits for a record, at most `at_most`; returns early, with nothing, when a signal arrived.
  std::optional<Delivery> receive(nanoseconds at_most);
  // The handlers of this delivery and of all before it have committed.
  virtual void acknowledge(uint64_t number) = 0;

  // For a thread that sleeps on `doorbell` while it is 1: announce the sleep; false when there is work already.
  bool fall_asleep();
  const void* doorbell() const { return region_->at(kSleeping); }
  virtual nanoseconds patience() const { return nanoseconds::max(); }  // until a silent slot may be given up

  const Counters& counters() const { return counters_; }
  uint64_t epoch() const { return epoch_; }
  // Records appended and not yet acknowledged, about: producers are at it meanwhile.
  virtual uint64_t depth() const { return region_->word(kTail) - region_->word(kHead); }

 protected:
  virtual std::optional<Delivery> next() = 0;
  virtual bool has_work() const = 0;
  virtual bool is_drained(uint32_t lane) = 0;  // nothing of the lane's dead life is left in the ring

  std::atomic_ref<uint64_t> lane_word(uint64_t lane, uint64_t word) const {
    return region_->word(layout_.lane_entry(lane) + word);
  }
  void wake_waiting_producers();

  std::shared_ptr<const Region> region_;
  Layout layout_;
  Counters counters_;
  uint64_t epoch_ = 0;

 private:
  void recycle_lanes();
  nanoseconds spin_;
  int lock_fd_;
};

std::unique_ptr<Consumer> make_consumer(std::shared_ptr<const Region> region, nanoseconds spin);

// Locks on single bytes of the region's file: 0 is the consumer's, 1 + lane a producer life's.
int hold_byte(const Region& region, uint64_t byte);        // a descriptor that holds it, or -1 when another does
bool is_held(int fd_of_another_description, uint64_t byte);

}  // namespace brickwork
