#include "lanes.hpp"

#include <algorithm>

namespace brickwork {

Append LanesProducer::try_append(uint32_t kind, std::span<const std::byte> payload) {
  const uint64_t bytes = record_bytes(payload.size());
  if (bytes > layout_.shape.lane_bytes) return Append::too_large;
  auto position = room_for(bytes);
  if (!position) {
    announce_wait();
    position = room_for(bytes);
  }
  if (!position) return Append::full;
  // One word is enough: the consumer is past this jump before there is room for another.
  if (*position != written_) put_word(*endpoint_, layout_.lane_entry(lane_) + kLaneJump, written_);
  put_record({.life = life_, .sequence = sequence_, .position = *position,
              .length = static_cast<uint32_t>(payload.size()), .kind = kind}, payload);
  written_ = *position + bytes;
  ++sequence_;
  put_word(*endpoint_, layout_.lane_entry(lane_) + kLaneAppended, sequence_);
  put_word(*endpoint_, layout_.lane_entry(lane_) + kLaneWritten, written_);
  endpoint_->flush();
  ring_doorbell();
  return Append::committed;
}

LanesConsumer::LanesConsumer(std::shared_ptr<const Region> region, nanoseconds spin)
    : Consumer(std::move(region), spin), cursors_(layout_.shape.lanes) {
  for (uint32_t lane = 0; lane < layout_.shape.lanes; ++lane)
    cursors_[lane] = {lane_word(lane, kLaneLife), lane_word(lane, kLaneConsumed), lane_word(lane, kLaneWritten)};
}

LanesConsumer::Cursor& LanesConsumer::cursor_of(uint32_t lane, uint64_t life) {
  if (cursors_[lane].life != life) cursors_[lane] = {life};
  return cursors_[lane];
}

std::optional<Delivery> LanesConsumer::next() {
  for (uint32_t looked = 0; looked < layout_.shape.lanes; ++looked) {
    const uint32_t lane = turn_;
    turn_ = (turn_ + 1) % static_cast<uint32_t>(layout_.shape.lanes);
    const uint64_t life = lane_word(lane, kLaneLife);
    if (life == 0) continue;
    Cursor& cursor = cursor_of(lane, life);
    // Partner of this load: the producer's put of the word, after its record.
    if (lane_word(lane, kLaneWritten) <= cursor.position) continue;
    if (auto delivery = read(lane, cursor)) return delivery;
  }
  return std::nullopt;
}

std::optional<Delivery> LanesConsumer::read(uint32_t lane, Cursor& cursor) {
  const uint64_t lane_bytes = layout_.shape.lane_bytes;
  if (cursor.position % lane_bytes != 0 && lane_word(lane, kLaneJump) == cursor.position)
    cursor.position += lane_bytes - cursor.position % lane_bytes;
  const std::byte* at = region_->at(layout_.lane(lane) + cursor.position % lane_bytes);
  RecordHeader header;
  std::copy_n(at, sizeof header, reinterpret_cast<std::byte*>(&header));
  at += sizeof header;
  const bool fits = header.life == cursor.life && header.position == cursor.position &&
                    record_bytes(header.length) <= lane_bytes - cursor.position % lane_bytes;
  if (!fits || checksum_of(header, {at, header.length}) != header.checksum) {
    ++counters_.damaged;  // a lane whose bytes cannot be trusted has no next record either
    cursor.position = lane_word(lane, kLaneWritten);
    return std::nullopt;
  }
  const bool redelivered = cursor.position < cursor.fresh_from;
  cursor.position += record_bytes(header.length);
  passed_.push_back({lane, cursor.position, header.sequence});
  return Delivery{first_number_ + passed_.size() - 1, header.life, header.sequence, header.kind, redelivered,
                  {at, header.length}};
}

// kLaneConsumed decides what is delivered again. It comes second, so that no record is gone that was never told to be
// acknowledged.
void LanesConsumer::acknowledge(uint64_t number) {
  bool freed = false;
  for (; !passed_.empty() && first_number_ <= number; ++first_number_, freed = true) {
    const Passed passed = passed_.front();
    passed_.pop_front();
    lane_word(passed.lane, kLaneAcknowledged) = passed.sequence + 1;
    lane_word(passed.lane, kLaneConsumed) = passed.end;
  }
  if (freed) wake_waiting_producers();
}

bool LanesConsumer::has_work() const {
  for (uint32_t lane = 0; lane < layout_.shape.lanes; ++lane) {
    const uint64_t life = lane_word(lane, kLaneLife);
    if (life == 0) continue;
    const uint64_t position = cursors_[lane].life == life ? cursors_[lane].position : 0;
    if (lane_word(lane, kLaneWritten) > position) return true;
  }
  return false;
}

// Beyond the end: an earlier life of this consumer died while it gave the lane back (Consumer::recycle_lanes).
bool LanesConsumer::is_drained(uint32_t lane) { return lane_word(lane, kLaneConsumed) >= lane_word(lane, kLaneWritten); }

uint64_t LanesConsumer::depth() const {
  uint64_t depth = 0;
  for (uint32_t lane = 0; lane < layout_.shape.lanes; ++lane) {
    const uint64_t acknowledged = lane_word(lane, kLaneAcknowledged);
    depth += std::max(lane_word(lane, kLaneAppended).load(), acknowledged) - acknowledged;
  }
  return depth;
}

}  // namespace brickwork
