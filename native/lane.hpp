// A producer's own data ring: where the next record goes, and whether there is room.
#pragma once

#include <optional>

#include "inbox.hpp"

namespace brickwork {

uint64_t get_word(Endpoint& endpoint, uint64_t offset);
void put_word(Endpoint& endpoint, uint64_t offset, uint64_t value);

// What the rings with lanes share. Positions count bytes and never wrap; a record never wraps around the lane's end.
class LaneProducer : public Producer {
 public:
  LaneProducer(std::shared_ptr<Endpoint> endpoint, const Layout& layout, uint32_t lane, uint64_t life)
      : Producer(life), endpoint_(std::move(endpoint)), layout_(layout), lane_(lane) {}
  void wait_for_credit(nanoseconds at_most) override;
  uint64_t acknowledged() override { return get_word(*endpoint_, layout_.lane_entry(lane_) + kLaneAcknowledged); }
  std::pair<const void*, uint32_t> credit_word() const override;

 protected:
  // Where a record of `bytes` may be written now; refreshes the credit when it is short.
  std::optional<uint64_t> room_for(uint64_t bytes);
  // Announces that this producer waits; what was full must be looked at once more afterwards.
  void announce_wait();
  void put_record(RecordHeader header, std::span<const std::byte> payload);
  void ring_doorbell();

  std::shared_ptr<Endpoint> endpoint_;
  const Layout layout_;
  const uint32_t lane_;
  uint64_t written_ = 0;  // end of the last committed record

 private:
  uint64_t consumed_ = 0;  // as last seen
  uint32_t freed_seen_ = 0;
};

}  // namespace brickwork
