#include "locked.hpp"

#include <algorithm>

#include "lane.hpp"

namespace brickwork {

namespace {

constexpr uint64_t kBusy = uint64_t{1} << 63;  // in an entry's first word, with the length; the second: the position

uint64_t ring_bytes(const Layout& layout) { return layout.shape.lanes * layout.shape.lane_bytes; }

uint64_t start_of(uint64_t tail, uint64_t bytes, uint64_t size) {
  return tail % size + bytes <= size ? tail : tail + size - tail % size;
}

}  // namespace

LockedProducer::LockedProducer(std::shared_ptr<Endpoint> endpoint, const Layout& layout, uint32_t lane, uint64_t life)
    : Producer(life), endpoint_(std::move(endpoint)), layout_(layout), lane_(lane),
      lease_(static_cast<int64_t>(get_word(*endpoint_, kLockLease))) {}

Append LockedProducer::try_append(uint32_t kind, std::span<const std::byte> payload) {
  if (record_bytes(payload.size()) > ring_bytes(layout_)) return Append::too_large;
  if (!lock()) return Append::full;
  const bool written = write(kind, payload);
  endpoint_->flush();
  endpoint_->compare_and_swap(kLock, mine_, 0);  // fails when we were robbed; what we wrote may be overwritten then
  if (!written) return Append::full;
  ++sequence_;
  if (get_word(*endpoint_, kSleeping) != 0) {
    put_word(*endpoint_, kSleeping, 0);
    endpoint_->flush();
    endpoint_->wake(kSleeping);
  }
  return Append::committed;
}

bool LockedProducer::lock() {
  mine_ = uint64_t{lane_ + 1} << 48 | (++stamp_ & ((uint64_t{1} << 48) - 1));
  const uint64_t holder = endpoint_->compare_and_swap(kLock, 0, mine_);
  if (holder == 0) return true;
  if (holder != holder_seen_) {
    holder_seen_ = holder;
    seen_since_ = Clock::now();
    return false;
  }
  if (Clock::now() - seen_since_ < lease_) return false;
  holder_seen_ = 0;
  return endpoint_->compare_and_swap(kLock, holder, mine_) == holder;  // the robbery
}

bool LockedProducer::write(uint32_t kind, std::span<const std::byte> payload) {
  const uint64_t bytes = record_bytes(payload.size()), size = ring_bytes(layout_);
  const uint64_t tail = get_word(*endpoint_, kTail), bytes_tail = get_word(*endpoint_, kBytesTail);
  const uint64_t position = start_of(bytes_tail, bytes, size);
  const uint64_t bytes_head = get_word(*endpoint_, kBytesHead);
  const bool is_empty = bytes_head == bytes_tail;
  if (tail - get_word(*endpoint_, kHead) >= layout_.shape.slots) return false;
  if (!is_empty && position + bytes - bytes_head > size) return false;
  put_word(*endpoint_, layout_.slot(tail) + 8, position);
  put_word(*endpoint_, layout_.slot(tail), kBusy | payload.size());
  put_word(*endpoint_, kBytesTail, position + bytes);
  put_word(*endpoint_, kTail, tail + 1);
  RecordHeader header{.life = life_, .ticket = tail, .sequence = sequence_, .position = position,
                      .length = static_cast<uint32_t>(payload.size()), .kind = kind};
  header.checksum = checksum_of(header, payload);
  const uint64_t at = layout_.lane(0) + position % size;
  endpoint_->put(at, std::as_bytes(std::span(&header, 1)));
  if (!payload.empty()) endpoint_->put(at + sizeof header, payload);
  return true;
}

void LockedProducer::wait_for_credit(nanoseconds at_most) {
  endpoint_->wait(kFreed, static_cast<uint32_t>(get_word(*endpoint_, kFreed)),
                  std::min(at_most, nanoseconds(std::chrono::microseconds(200))));
}

uint64_t LockedProducer::acknowledged() {
  return get_word(*endpoint_, layout_.lane_entry(lane_) + kLaneAcknowledged);
}

LockedConsumer::LockedConsumer(std::shared_ptr<const Region> region, nanoseconds spin)
    : Consumer(std::move(region), spin), lease_(static_cast<int64_t>(region_->word(kLockLease).load())) {}

std::optional<Delivery> LockedConsumer::next() {
  const uint64_t head = region_->word(kHead), entry = region_->word(layout_.slot(head));
  const bool is_busy = (entry & kBusy) != 0;
  if (!is_busy && region_->word(kTail) <= head) return std::nullopt;
  const uint64_t position = region_->word(layout_.slot(head) + 8);
  auto delivery = is_busy ? copy_out(entry, position) : std::nullopt;
  if (!delivery) {
    if (!damaged_since_) damaged_since_ = Clock::now();
    if (patience().count() > 0) return std::nullopt;
    ++counters_.damaged;  // time out, step over
  }
  damaged_since_.reset();
  free_entry(is_busy ? position + record_bytes(entry & ~kBusy) : region_->word(kBytesHead).load());
  return delivery;
}

std::optional<Delivery> LockedConsumer::copy_out(uint64_t entry, uint64_t position) {
  const uint64_t length = entry & ~kBusy, size = ring_bytes(layout_);
  if (record_bytes(length) > size - position % size) return std::nullopt;
  const std::byte* at = region_->at(layout_.lane(0) + position % size);
  copy_.assign(at, at + record_bytes(length));
  RecordHeader header;
  std::copy_n(copy_.data(), sizeof header, reinterpret_cast<std::byte*>(&header));
  const std::span<const std::byte> payload(copy_.data() + sizeof header, length);
  if (header.length != length || checksum_of(header, payload) != header.checksum) return std::nullopt;
  for (uint64_t lane = 0; lane < layout_.shape.lanes; ++lane)
    if (lane_word(lane, kLaneLife) == header.life) lane_word(lane, kLaneAcknowledged) = header.sequence + 1;
  return Delivery{region_->word(kHead), header.life, header.sequence, header.kind, false, payload};
}

void LockedConsumer::free_entry(uint64_t end) {
  const uint64_t head = region_->word(kHead);
  region_->word(layout_.slot(head)) = 0;
  region_->word(kBytesHead) = end;
  region_->word(kHead) = head + 1;
  wake_waiting_producers();
}

nanoseconds LockedConsumer::patience() const {
  if (!damaged_since_) return nanoseconds::max();
  return std::max(nanoseconds(0), lease_ - (Clock::now() - *damaged_since_));
}

bool LockedConsumer::has_work() const {
  const uint64_t head = region_->word(kHead);
  const bool claimed = region_->word(kTail) > head || (region_->word(layout_.slot(head)) & kBusy) != 0;
  return claimed && (!damaged_since_ || patience().count() == 0);
}

}  // namespace brickwork
