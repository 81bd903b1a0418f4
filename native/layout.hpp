// Where everything lies in an inbox, and what the bits of its words mean. The same for every process and fabric.
//
//   0                 header: shape; then one cache line for each word that is written by different parties
//   kHeaderBytes      lane directory, kLaneEntryBytes each: one line the consumer writes, one the producer's side
//   then              slot ring, slots x slot_bytes
//   next page         lanes x lane_bytes: the data ring of one producer life each (ring `locked`: one ring for all)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "fabric.hpp"
#include "region.hpp"

namespace brickwork {

enum class Ring : uint32_t {
  lossless = 1,  // the inbox: slots changed only by compare-and-swap, one lane per producer life
  locked = 2,    // the paper's double ring as reconstructed: the baseline that shows the difference
  lanes = 3,     // one single-producer ring per life: for fabrics without atomics
};

struct Shape {
  Ring ring;
  uint64_t slots;
  uint64_t lanes;
  uint64_t lane_bytes;
};

// Header words. Writers in brackets.
constexpr uint64_t kMagic = 0x3158424E49424B42;  // "BKBINBX1"
constexpr uint64_t kMagicWord = 0, kRingWord = 8, kSlotsWord = 16, kLanesWord = 24, kLaneBytesWord = 32;
constexpr uint64_t kLives = 64;          // lives ever handed out [who hands out a lane]
constexpr uint64_t kJoining = 72;        // 1 while somebody waits for a lane [the same; consumer clears]
constexpr uint64_t kTail = 128;          // next ticket [producers, fetch_add]
constexpr uint64_t kHead = 192;          // all tickets below are acknowledged or skipped [consumer]
constexpr uint64_t kEpoch = 200;         // lives of the consumer so far [consumer]
constexpr uint64_t kSleeping = 256;      // 1 while the consumer sleeps on it [consumer sets, producers clear and wake]
constexpr uint64_t kFreed = 320;         // counts how often waiting producers were woken; they sleep on it [consumer]
constexpr uint64_t kWaiting = 384;       // 1 when a producer waits for credit [producers set, consumer clears]
constexpr uint64_t kGrace = 448;         // nanoseconds a slot may stay silent [skipped producers raise, consumer lowers]
constexpr uint64_t kGraceMin = 456, kGraceMax = 464;
constexpr uint64_t kLock = 512;          // ring `locked`: owner:16 | stamp:48, 0 when free [producers]
constexpr uint64_t kLockLease = 520;     // nanoseconds after which a holder is robbed
constexpr uint64_t kBytesTail = 576;     // ring `locked`: next byte of the buffer ring [lock holder]
constexpr uint64_t kBytesHead = 640;     // ring `locked` [consumer]
constexpr uint64_t kHeaderBytes = 4096;

// Words of a lane's entry.
constexpr uint64_t kLaneLife = 0;           // 0 when free [who hands out; consumer frees]
constexpr uint64_t kLaneConsumed = 8;       // bytes below are free again [consumer]
constexpr uint64_t kLaneAcknowledged = 16;  // records acknowledged = the lowest sequence that may still come [consumer]
constexpr uint64_t kLaneWritten = 64;       // ring `lanes`: end of the last committed record [producer]
constexpr uint64_t kLaneAppended = 72;      // ring `lanes`: records committed, to tell the depth [producer]
constexpr uint64_t kLaneJump = 80;          // ring `lanes`: where a record left the lane's end unused, last [producer]
constexpr uint64_t kLaneEntryBytes = 128;

constexpr uint64_t kUnit = 64;  // records start at multiples of it
constexpr uint64_t kMaxLanes = 1 << 10;
constexpr uint64_t kMaxLaneBytes = (uint64_t{1} << 20) * kUnit;
constexpr uint64_t kMaxSlots = uint64_t{1} << 24;

struct RecordHeader {
  uint64_t life = 0;      // of the producer: fences records of an earlier user of the lane
  uint64_t ticket = 0;    // all 64 bits of it; the slot has only the lap
  uint64_t sequence = 0;  // 0, 1, 2 ... within the life
  uint64_t position = 0;  // bytes written to the lane before this record
  uint32_t length = 0;    // of the payload
  uint32_t kind = 0;      // the user's
  uint32_t attempts = 0;  // how often the consumer skipped it
  uint32_t checksum = 0;  // crc32c of header (with 0 here) and payload
  uint64_t reserved[2] = {};
};
static_assert(sizeof(RecordHeader) == kUnit, "a record's payload starts on the next line");

constexpr uint64_t record_bytes(uint64_t payload) { return (sizeof(RecordHeader) + payload + kUnit - 1) / kUnit * kUnit; }
uint32_t crc32c(uint32_t seed, std::span<const std::byte> bytes);
uint32_t checksum_of(RecordHeader header, std::span<const std::byte> payload);

// A slot: lap:32 | lane:10 | position in units:20 | state:2.
enum class SlotState : uint64_t { free = 0, ready = 1, skipped = 2 };
struct Slot {
  uint32_t lap;
  uint32_t lane;
  uint32_t unit;
  SlotState state;
  static constexpr Slot of(uint64_t word) {
    return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word >> 22 & 0x3FF),
            static_cast<uint32_t>(word >> 2 & 0xFFFFF), static_cast<SlotState>(word & 3)};
  }
  constexpr uint64_t word() const {
    return uint64_t{lap} << 32 | uint64_t{lane} << 22 | uint64_t{unit} << 2 | static_cast<uint64_t>(state);
  }
};
static_assert(Slot::of(Slot{~0U, 1023, 0xFFFFF, SlotState::ready}.word()).unit == 0xFFFFF);

struct Layout {
  Shape shape;
  uint64_t slot_bytes() const { return shape.ring == Ring::locked ? 16 : 8; }
  uint64_t lane_entry(uint64_t lane) const { return kHeaderBytes + lane * kLaneEntryBytes; }
  uint64_t slot(uint64_t ticket) const { return lane_entry(shape.lanes) + ticket % shape.slots * slot_bytes(); }
  uint64_t lane(uint64_t lane) const { return lanes_start() + lane * shape.lane_bytes; }
  uint64_t bytes() const { return lane(shape.lanes); }
  uint32_t lap(uint64_t ticket) const { return static_cast<uint32_t>(ticket / shape.slots); }
  uint64_t lanes_start() const { return (lane_entry(shape.lanes) + shape.slots * slot_bytes() + 4095) / 4096 * 4096; }
};

// Throws std::invalid_argument that names the field.
Layout layout_of(const Shape& shape);

struct Grace {
  uint64_t min_ns, max_ns;
};

// Makes an empty inbox of a zeroed region; `lock_lease_ns` matters to ring `locked` only.
void format_inbox(const Region& region, const Shape& shape, Grace grace, uint64_t lock_lease_ns);
// Reads the shape back. Throws std::invalid_argument when there is no inbox or it does not fit the region.
Layout read_layout(const Region& region);
Layout read_layout(Endpoint& endpoint);

}  // namespace brickwork
