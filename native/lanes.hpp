// One single-producer ring per life: no atomics but whole 8-byte words, so any fabric can carry it. What it costs: the
// consumer looks at every lane, and records of different lives have no common order.
//
// Append:   put the record; flush; put the lane's kLaneWritten behind it.
// Consume:  lanes in turn; between kLaneConsumed and kLaneWritten lie whole records.
#pragma once

#include <vector>

#include "inbox.hpp"
#include "lane.hpp"

namespace brickwork {

class LanesProducer final : public LaneProducer {
 public:
  using LaneProducer::LaneProducer;
  Append try_append(uint32_t kind, std::span<const std::byte> payload) override;
};

class LanesConsumer final : public Consumer {
 public:
  LanesConsumer(std::shared_ptr<const Region> region, nanoseconds spin);
  void acknowledge(uint64_t number) override;
  uint64_t depth() const override;

 protected:
  std::optional<Delivery> next() override;
  bool has_work() const override;
  bool is_drained(uint32_t lane) override;

 private:
  struct Cursor {
    uint64_t life = 0, position = 0;
    uint64_t fresh_from = 0;  // bytes below may have been delivered by an earlier epoch
  };
  struct Passed {
    uint32_t lane;
    uint64_t end, sequence;
  };
  Cursor& cursor_of(uint32_t lane, uint64_t life);
  std::optional<Delivery> read(uint32_t lane, Cursor& cursor);

  std::vector<Cursor> cursors_;
  uint32_t turn_ = 0;          // the lane to look at next
  uint64_t first_number_ = 0;  // of passed_.front()
  std::deque<Passed> passed_;
};

}  // namespace brickwork
