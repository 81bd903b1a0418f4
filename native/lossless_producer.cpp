#include "lossless.hpp"

namespace brickwork {

Append LosslessProducer::try_append(uint32_t kind, std::span<const std::byte> payload) {
  const uint64_t bytes = record_bytes(payload.size());
  if (bytes > layout_.shape.lane_bytes) return Append::too_large;
  RecordHeader record{.life = life_, .sequence = sequence_, .length = static_cast<uint32_t>(payload.size()), .kind = kind};
  for (const bool announced : {false, true}) {
    if (announced) announce_wait();
    const auto position = room_for(bytes);
    if (!position) continue;
    record.position = *position;
    if (attempt(record, payload) == Append::full) continue;
    written_ = *position + bytes;
    ++sequence_;
    ring_doorbell();
    return Append::committed;
  }
  return Append::full;
}

// Until it is committed or there is no credit. The record goes to the same place each time: nobody reads it there
// before a slot says so.
Append LosslessProducer::attempt(const RecordHeader& record, std::span<const std::byte> payload) {
  for (;;) {
    if (!ticket_ && !take_ticket()) return Append::full;
    RecordHeader header = record;
    header.ticket = *ticket_;
    header.attempts = attempts_;
    put_record(header, payload);
    switch (commit(record.position)) {
      case Commit::done:
        commit_time_ += (Clock::now() - taken_at_ - commit_time_) / 8;
        ticket_.reset();
        attempts_ = 0;
        return Append::committed;
      case Commit::slot_in_use:
        return Append::full;
      case Commit::skipped:
        ticket_.reset();
        ++attempts_;
        ++skipped_;
        prove_alive();
    }
  }
}

bool LosslessProducer::has_ring_credit() {
  const uint64_t tail = get_word(*endpoint_, kTail);
  if (tail - head_ < layout_.shape.slots) return true;
  head_ = get_word(*endpoint_, kHead);
  return tail - head_ < layout_.shape.slots;
}

// Producers that look at the same time may take a few tickets too many: those wait for their slot (slot_in_use).
bool LosslessProducer::take_ticket() {
  if (!has_ring_credit()) return false;
  ticket_ = endpoint_->fetch_add(kTail, 1);
  taken_at_ = Clock::now();
  return true;
}

// Partners: the consumer's load of the slot in `next` (it sees the record, which was put and flushed before), and its
// CAS to SKIPPED: one of the two fails.
LosslessProducer::Commit LosslessProducer::commit(uint64_t position) {
  const uint32_t lap = layout_.lap(*ticket_);
  const auto unit = static_cast<uint32_t>(position % layout_.shape.lane_bytes / kUnit);
  const uint64_t expected = Slot{lap, 0, 0, SlotState::free}.word();
  const uint64_t ready = Slot{lap, lane_, unit, SlotState::ready}.word();
  const uint64_t found = endpoint_->compare_and_swap(layout_.slot(*ticket_), expected, ready);
  if (found == expected) return Commit::done;
  return static_cast<int32_t>(Slot::of(found).lap - lap) < 0 ? Commit::slot_in_use : Commit::skipped;
}

// A skip of a living producer says that the grace is too short for its fabric: double it, or take four times what a
// commit is known to take, up to the bound. When the CAS fails somebody else has just raised it.
void LosslessProducer::prove_alive() {
  const uint64_t grace = get_word(*endpoint_, kGrace);
  const uint64_t wanted = std::max(2 * grace, 4 * static_cast<uint64_t>(commit_time_.count()));
  const uint64_t raised = std::min(wanted, get_word(*endpoint_, kGraceMax));
  if (raised > grace) endpoint_->compare_and_swap(kGrace, grace, raised);
}

}  // namespace brickwork
