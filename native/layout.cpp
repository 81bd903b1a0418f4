#include "layout.hpp"

#include <array>
#include <cstring>

namespace brickwork {

namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument(what);
}

bool is_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
    table[i] = crc;
  }
  return table;
}

uint32_t crc_by_table(uint32_t crc, std::span<const std::byte> bytes) {
  static constexpr auto table = crc_table();
  for (const std::byte b : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<uint32_t>(b)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc_by_instruction(uint32_t crc, std::span<const std::byte> bytes) {
  uint64_t wide = crc;
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    wide = __builtin_ia32_crc32di(wide, word);
    bytes = bytes.subspan(8);
  }
  return crc_by_table(static_cast<uint32_t>(wide), bytes);
}
#endif

template <typename Load>  // Load(offset) -> uint64_t
Layout read_layout(uint64_t size, Load load) {
  require(size >= kHeaderBytes && load(kMagicWord) == kMagic, "inbox: this region holds none");
  const Layout layout = layout_of({static_cast<Ring>(load(kRingWord)), load(kSlotsWord), load(kLanesWord),
                                   load(kLaneBytesWord)});
  require(layout.bytes() <= size, "inbox: the region is shorter than the inbox it claims to hold");
  return layout;
}

}  // namespace

uint32_t crc32c(uint32_t seed, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~crc_by_instruction(~seed, bytes);
#endif
  return ~crc_by_table(~seed, bytes);
}

uint32_t checksum_of(RecordHeader header, std::span<const std::byte> payload) {
  header.checksum = 0;
  return crc32c(crc32c(0, std::as_bytes(std::span(&header, 1))), payload);
}

Layout layout_of(const Shape& shape) {
  const auto ring = static_cast<uint32_t>(shape.ring);
  require(ring >= 1 && ring <= 3, "ring: " + std::to_string(ring) + " is none of lossless, locked, lanes");
  require(is_power_of_two(shape.slots) && shape.slots <= kMaxSlots,
          "slots: " + std::to_string(shape.slots) + " is no power of two up to " + std::to_string(kMaxSlots));
  require(shape.lanes >= 1 && shape.lanes <= kMaxLanes,
          "lanes: " + std::to_string(shape.lanes) + " is not within 1.." + std::to_string(kMaxLanes));
  require(shape.lane_bytes % kUnit == 0 && shape.lane_bytes >= 2 * kUnit && shape.lane_bytes <= kMaxLaneBytes,
          "lane_bytes: " + std::to_string(shape.lane_bytes) + " is no multiple of 64 within 128.." +
              std::to_string(kMaxLaneBytes));
  return {shape};
}

void format_inbox(const Region& region, const Shape& shape, Grace grace, uint64_t lock_lease_ns) {
  const Layout layout = layout_of(shape);
  require(layout.bytes() <= region.size(), "region: has " + std::to_string(region.size()) + " bytes; this inbox needs " +
                                               std::to_string(layout.bytes()));
  require(grace.min_ns >= 1 && grace.min_ns <= grace.max_ns, "grace: needs 0 < min <= max");
  region.word(kRingWord) = static_cast<uint64_t>(shape.ring);
  region.word(kSlotsWord) = shape.slots;
  region.word(kLanesWord) = shape.lanes;
  region.word(kLaneBytesWord) = shape.lane_bytes;
  region.word(kGrace) = grace.min_ns;
  region.word(kGraceMin) = grace.min_ns;
  region.word(kGraceMax) = grace.max_ns;
  region.word(kLockLease) = lock_lease_ns;
  region.word(kMagicWord) = kMagic;  // last: who sees it sees the rest
}

Layout read_layout(const Region& region) {
  return read_layout(region.size(), [&](uint64_t offset) { return region.word(offset).load(); });
}

Layout read_layout(Endpoint& endpoint) {
  return read_layout(endpoint.size(), [&](uint64_t offset) {
    uint64_t word = 0;
    endpoint.get(offset, std::as_writable_bytes(std::span(&word, 1)));
    return word;
  });
}

}  // namespace brickwork
