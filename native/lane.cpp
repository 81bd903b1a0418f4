#include "lane.hpp"

namespace brickwork {

uint64_t get_word(Endpoint& endpoint, uint64_t offset) {
  uint64_t value = 0;
  endpoint.get(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void put_word(Endpoint& endpoint, uint64_t offset, uint64_t value) {
  endpoint.put(offset, std::as_bytes(std::span(&value, 1)));
}

Append Producer::append(uint32_t kind, std::span<const std::byte> payload, nanoseconds at_most) {
  const auto deadline = Clock::now() + at_most;
  for (;;) {
    const Append outcome = try_append(kind, payload);
    const nanoseconds left = deadline - Clock::now();
    if (outcome != Append::full || left.count() <= 0) return outcome;
    wait_for_credit(left);
  }
}

std::optional<uint64_t> LaneProducer::room_for(uint64_t bytes) {
  const uint64_t lane_bytes = layout_.shape.lane_bytes;
  const uint64_t to_end = lane_bytes - written_ % lane_bytes;
  const uint64_t start = bytes <= to_end ? written_ : written_ + to_end;
  const auto fits = [&] { return consumed_ == written_ || start + bytes - consumed_ <= lane_bytes; };
  if (!fits()) consumed_ = get_word(*endpoint_, layout_.lane_entry(lane_) + kLaneConsumed);
  return fits() ? std::optional(start) : std::nullopt;
}

// Partner: Consumer::wake_waiting_producers. One of us sees the other: it frees before it looks at kWaiting, we
// announce before we look at what was freed.
void LaneProducer::announce_wait() {
  freed_seen_ = static_cast<uint32_t>(get_word(*endpoint_, kFreed));
  put_word(*endpoint_, kWaiting, 1);
  endpoint_->flush();
}

void LaneProducer::wait_for_credit(nanoseconds at_most) { endpoint_->wait(kFreed, freed_seen_, at_most); }

std::pair<const void*, uint32_t> LaneProducer::credit_word() const {
  return {endpoint_->address_of(kFreed), freed_seen_};
}

void LaneProducer::put_record(RecordHeader header, std::span<const std::byte> payload) {
  header.checksum = checksum_of(header, payload);
  const uint64_t at = layout_.lane(lane_) + header.position % layout_.shape.lane_bytes;
  endpoint_->put(at, std::as_bytes(std::span(&header, 1)));
  if (!payload.empty()) endpoint_->put(at + sizeof header, payload);
  endpoint_->flush();
}

// Partner: Consumer::fall_asleep. It announces its sleep before it looks at the ring, we commit before we look at the
// announcement.
void LaneProducer::ring_doorbell() {
  if (get_word(*endpoint_, kSleeping) == 0) return;
  put_word(*endpoint_, kSleeping, 0);
  endpoint_->flush();
  endpoint_->wake(kSleeping);
}

}  // namespace brickwork
