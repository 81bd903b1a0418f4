// The paper's locked double ring, reconstructed: fixed entries tell where, one buffer ring shared by all holds bytes.
// It is the baseline: what it loses under kills and pauses is why the lossless ring exists. Do not use it for work.
//
// Append:   CAS the lock word 0 -> owner | stamp; a lock held for longer than its lease is robbed. Claim the entry
//           (length, busy) and advance the tail; write header and bytes; unlock.
// Consume:  a busy entry whose checksum fits is copied out and freed; one that stays damaged,
//           or behind the tail and not busy, for a lease is stepped over.
//
// Differs from the paper as far as it is known: nothing on purpose. Steps it does not tell are filled in the simplest
// way. `acknowledge` does nothing: delivery is the acknowledgement, and the consumer is assumed not to fail.
#pragma once

#include <vector>

#include "inbox.hpp"

namespace brickwork {

class LockedProducer final : public Producer {
 public:
  LockedProducer(std::shared_ptr<Endpoint> endpoint, const Layout& layout, uint32_t lane, uint64_t life);
  Append try_append(uint32_t kind, std::span<const std::byte> payload) override;
  void wait_for_credit(nanoseconds at_most) override;
  uint64_t acknowledged() override;

 private:
  bool lock();
  bool write(uint32_t kind, std::span<const std::byte> payload);

  std::shared_ptr<Endpoint> endpoint_;
  const Layout layout_;
  const uint32_t lane_;
  const nanoseconds lease_;
  uint64_t mine_ = 0;          // the lock word while we hold it
  uint64_t stamp_ = 0;
  uint64_t holder_seen_ = 0;   // somebody else's lock word, since when
  Clock::time_point seen_since_;
};

class LockedConsumer final : public Consumer {
 public:
  LockedConsumer(std::shared_ptr<const Region> region, nanoseconds spin);
  void acknowledge(uint64_t) override {}
  nanoseconds patience() const override;

 protected:
  std::optional<Delivery> next() override;
  bool has_work() const override;
  bool is_drained(uint32_t) override { return true; }

 private:
  std::optional<Delivery> copy_out(uint64_t entry, uint64_t position);
  void free_entry(uint64_t end);

  nanoseconds lease_;
  std::vector<std::byte> copy_;
  std::optional<Clock::time_point> damaged_since_;
};

}  // namespace brickwork
