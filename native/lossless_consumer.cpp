#include <algorithm>

#include "lossless.hpp"

namespace brickwork {

constexpr uint32_t kCalmDeliveries = 256;  // without a skip in between: then the grace shrinks by an eighth

LosslessConsumer::LosslessConsumer(std::shared_ptr<const Region> region, nanoseconds spin)
    : Consumer(std::move(region), spin), cursor_(region_->word(kHead)), first_fresh_(region_->word(kTail)) {
  finish_acknowledgement();
}

// An acknowledgement is four stores, the first of which (kHead) decides. An earlier life may have died after it: do the
// rest. The record's bytes are whole unless kLaneConsumed was stored, and then only the slot is left to do.
void LosslessConsumer::finish_acknowledgement() {
  if (cursor_ == 0) return;
  const uint64_t ticket = cursor_ - 1;
  const Slot slot = Slot::of(region_->word(layout_.slot(ticket)));
  if (slot.lap != layout_.lap(ticket) || slot.state == SlotState::free) return;
  const auto record = slot.state == SlotState::ready ? record_of(slot, ticket) : std::nullopt;
  if (record) {
    const uint64_t end = record->position + record_bytes(record->length);
    if (lane_word(slot.lane, kLaneConsumed) < end) {
      lane_word(slot.lane, kLaneAcknowledged) = record->sequence + 1;
      lane_word(slot.lane, kLaneConsumed) = end;
    }
  }
  free_slot(ticket);
  wake_waiting_producers();
}

// Partner of the acquire here: the producer's commit.
std::optional<Delivery> LosslessConsumer::next() {
  for (;;) {
    const Slot slot = Slot::of(region_->word(layout_.slot(cursor_)));
    if (slot.lap != layout_.lap(cursor_)) return std::nullopt;  // all slots wait for their acknowledgement
    if (slot.state == SlotState::free) {
      if (!skip_if_silent(slot)) return std::nullopt;
    } else if (slot.state == SlotState::skipped) {
      pass({});  // by an earlier life of this consumer, or a moment ago
    } else if (auto delivery = open(slot)) {
      return delivery;
    }
  }
}

// True when the slot is free no longer. All tickets below the tail were taken when the first of them was found
// silent, so a batch of the dead costs one grace, not one each. Partner: the producer's commit; one of the two fails.
bool LosslessConsumer::skip_if_silent(Slot seen) {
  const uint64_t tail = region_->word(kTail);
  if (tail <= cursor_) return false;
  if (cursor_ >= silent_below_) {
    silent_below_ = tail;
    silent_since_ = Clock::now();
  }
  if (patience().count() > 0) return false;
  uint64_t expected = seen.word();
  const uint64_t skipped = Slot{seen.lap, 0, 0, SlotState::skipped}.word();
  if (region_->word(layout_.slot(cursor_)).compare_exchange_strong(expected, skipped)) {
    ++counters_.skipped;
    calm_ = 0;
  }
  return true;
}

nanoseconds LosslessConsumer::patience() const {
  if (region_->word(kTail) <= cursor_ || cursor_ >= silent_below_) return nanoseconds::max();
  const auto grace = nanoseconds(static_cast<int64_t>(region_->word(kGrace).load()));
  return std::max(nanoseconds(0), grace - (Clock::now() - silent_since_));
}

// The record that a slot points to, or nothing when it is not the one: its header names life, ticket and position, so
// bytes that were valid once, elsewhere or for an earlier life, are recognised.
std::optional<RecordHeader> LosslessConsumer::record_of(Slot slot, uint64_t ticket) const {
  const uint64_t offset = uint64_t{slot.unit} * kUnit, lane_bytes = layout_.shape.lane_bytes;
  if (slot.lane >= layout_.shape.lanes || offset >= lane_bytes) return std::nullopt;
  const std::byte* at = region_->at(layout_.lane(slot.lane) + offset);
  RecordHeader header;
  std::copy_n(at, sizeof header, reinterpret_cast<std::byte*>(&header));
  const bool fits = header.ticket == ticket && header.life == lane_word(slot.lane, kLaneLife) &&
                    header.position % lane_bytes == offset && record_bytes(header.length) <= lane_bytes - offset;
  if (!fits || checksum_of(header, {at + sizeof header, header.length}) != header.checksum) return std::nullopt;
  return header;
}

std::optional<Delivery> LosslessConsumer::open(Slot slot) {
  const auto record = record_of(slot, cursor_);
  if (!record) {
    ++counters_.damaged;
    pass({});
    return std::nullopt;
  }
  auto [entry, is_new] = next_.try_emplace(slot.lane, 0);
  if (is_new) entry->second = lane_word(slot.lane, kLaneAcknowledged);
  const bool seen_before = record->sequence < entry->second;
  entry->second = std::max(entry->second, record->sequence + 1);
  calm_down(record->attempts);
  const uint64_t ticket = cursor_, end = record->position + record_bytes(record->length);
  pass({record->life, end, record->sequence, slot.lane, seen_before});
  if (seen_before) {
    ++counters_.duplicates;
    return std::nullopt;
  }
  const std::byte* at = region_->at(layout_.lane(slot.lane) + record->position % layout_.shape.lane_bytes);
  return Delivery{ticket, record->life, record->sequence, record->kind, ticket < first_fresh_,
                  {at + sizeof *record, record->length}};
}

void LosslessConsumer::pass(const Passed& passed) {
  passed_.push_back(passed);
  if (passed.life == 0) passed_.back().acknowledged = true;
  ++cursor_;
  free_passed();
}

void LosslessConsumer::acknowledge(uint64_t number) {
  const uint64_t head = region_->word(kHead);
  for (uint64_t ticket = head; ticket <= number && ticket < cursor_; ++ticket) passed_[ticket - head].acknowledged = true;
  free_passed();
}

// In ticket order. kHead first: from then on the record counts as handled, whoever dies. The lane's sequence before
// its bytes: finish_acknowledgement reads the one from the other. The slot last: until then no ticket can use it.
void LosslessConsumer::free_passed() {
  bool freed = false;
  while (!passed_.empty() && passed_.front().acknowledged) {
    const Passed passed = passed_.front();
    passed_.pop_front();
    const uint64_t ticket = region_->word(kHead).fetch_add(1);
    if (passed.life != 0) {
      lane_word(passed.lane, kLaneAcknowledged) = std::max(lane_word(passed.lane, kLaneAcknowledged).load(), passed.sequence + 1);
      lane_word(passed.lane, kLaneConsumed) = passed.end;
    }
    free_slot(ticket);
    freed = true;
  }
  if (freed) wake_waiting_producers();
}

// Nobody else changes a slot that is READY or SKIPPED; a CAS keeps the slots within one atomicity domain all the same.
void LosslessConsumer::free_slot(uint64_t ticket) {
  const auto slot = region_->word(layout_.slot(ticket));
  uint64_t word = slot;
  slot.compare_exchange_strong(word, Slot{layout_.lap(ticket) + 1, 0, 0, SlotState::free}.word());
}

void LosslessConsumer::calm_down(uint32_t attempts) {
  calm_ = attempts == 0 ? calm_ + 1 : 0;
  if (calm_ < kCalmDeliveries) return;
  calm_ = 0;
  uint64_t grace = region_->word(kGrace);
  const uint64_t least = region_->word(kGraceMin);
  region_->word(kGrace).compare_exchange_strong(grace, std::max(least, grace - grace / 8));
}

bool LosslessConsumer::has_work() const {
  const Slot slot = Slot::of(region_->word(layout_.slot(cursor_)));
  if (slot.lap != layout_.lap(cursor_)) return false;
  return slot.state != SlotState::free || (region_->word(kTail) > cursor_ && cursor_ >= silent_below_) ||
         patience().count() == 0;
}

// A dead life commits nothing any more; tickets that it may have committed are below the tail as it is now.
bool LosslessConsumer::is_drained(uint32_t lane) {
  const auto [entry, is_new] = dead_since_.try_emplace(lane, region_->word(kTail));
  if (region_->word(kHead) < entry->second) return false;
  dead_since_.erase(entry);
  next_.erase(lane);
  return true;
}

}  // namespace brickwork
