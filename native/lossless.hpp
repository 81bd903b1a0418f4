// The lossless double ring. Ring 1: slots of one word, changed only by compare-and-swap. Ring 2: one lane per life.
//
// Append:   take a ticket; put the record into the own lane; flush; CAS the ticket's slot FREE(lap) -> READY.
// Consume:  READY: deliver. FREE although the ticket was taken, for longer than the grace: CAS FREE -> SKIPPED.
// Skipped:  the producer's CAS fails; it takes another ticket for the same record.
//
// Nobody ever holds a lock, so nobody can die holding one. A record's bytes lie where only its own life writes, so a
// producer that wakes up late can spoil nothing but its own record, and that one is not committed.
#pragma once

#include "inbox.hpp"
#include "lane.hpp"

namespace brickwork {

class LosslessProducer final : public LaneProducer {
 public:
  using LaneProducer::LaneProducer;
  Append try_append(uint32_t kind, std::span<const std::byte> payload) override;

 private:
  enum class Commit { done, slot_in_use, skipped };
  bool has_ring_credit();
  bool take_ticket();
  Commit commit(uint64_t position);
  Append attempt(const RecordHeader& record, std::span<const std::byte> payload);
  void prove_alive();

  uint64_t head_ = 0;               // as last seen
  std::optional<uint64_t> ticket_;  // taken and not yet used; survives `full`
  Clock::time_point taken_at_;
  nanoseconds commit_time_{0};      // ticket to commit, smoothed
  uint32_t attempts_ = 0;           // skips of the record at hand
};

class LosslessConsumer final : public Consumer {
 public:
  LosslessConsumer(std::shared_ptr<const Region> region, nanoseconds spin);
  void acknowledge(uint64_t number) override;
  nanoseconds patience() const override;

 protected:
  std::optional<Delivery> next() override;
  bool has_work() const override;
  bool is_drained(uint32_t lane) override;

 private:
  // A ticket that was passed and not yet freed. Without a life: skipped, or dropped.
  struct Passed {
    uint64_t life, end, sequence;
    uint32_t lane;
    bool acknowledged;
  };
  void finish_acknowledgement();
  bool skip_if_silent(Slot seen);
  std::optional<Delivery> open(Slot slot);
  std::optional<RecordHeader> record_of(Slot slot, uint64_t ticket) const;
  void pass(const Passed& passed);
  void free_passed();
  void free_slot(uint64_t ticket);
  void calm_down(uint32_t attempts);

  uint64_t cursor_;       // next ticket to look at; kHead <= cursor_
  uint64_t first_fresh_;  // tickets below may have been delivered by an earlier epoch
  std::deque<Passed> passed_;                          // tickets kHead .. cursor_ - 1
  std::unordered_map<uint32_t, uint64_t> next_;        // lane -> lowest sequence not yet delivered
  std::unordered_map<uint32_t, uint64_t> dead_since_;  // lane -> tail when its life was found dead
  uint64_t silent_below_ = 0;  // tickets below were all taken by `silent_since_`
  Clock::time_point silent_since_;
  uint32_t calm_ = 0;  // deliveries since somebody was skipped
};

}  // namespace brickwork
