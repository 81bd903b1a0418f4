// What the consumer's host does for producers: hands out lanes, and carries out appends for those that are remote.
#pragma once

#include <map>
#include <memory>

#include "fabric.hpp"
#include "inbox.hpp"
#include "region.hpp"

namespace brickwork {

// One producer life's right to a lane. The lane is handed to nobody else while this object exists, nor before the
// consumer has passed all that the life committed. So end it only when nothing of that life can write into the region
// any more: its process is dead, or its endpoint was destroyed and none of its requests is being carried out.
//
// The right is a kernel lock on one byte of the region's file; the kernel takes it back from a process that dies, after
// its last thread can write no more.
class LaneHold {
 public:
  // Throws FabricError(refused) when no lane is free: more producers than lanes, or the consumer has not yet given
  // back those of the dead; it is asked to, so try again soon.
  explicit LaneHold(std::shared_ptr<const Region> region);
  ~LaneHold() { leave(); }
  LaneHold(const LaneHold&) = delete;
  LaneHold& operator=(const LaneHold&) = delete;

  uint32_t lane() const { return lane_; }
  uint64_t life() const { return life_; }
  void leave();  // ends the hold early; the same promise as for the destructor

 private:
  uint32_t lane_ = 0;
  uint64_t life_ = 0;
  int fd_ = -1;
};

// Appends for remote producers, executed beside the consumer by a fabric's progress thread. A request is known by
// (life, sequence), so one whose reply was lost can be asked again, over the same connection or another.
//
// a = life, b = sequence; the record is a RemoteCall and the payload. A session that was silent for `lease` is fenced
// when another producer needs its lane.
class InboxTarget final : public AppendTarget {
 public:
  InboxTarget(std::shared_ptr<const Region> region, nanoseconds lease);
  ~InboxTarget() override;
  InboxTarget(const InboxTarget&) = delete;
  InboxTarget& operator=(const InboxTarget&) = delete;
  uint64_t append(uint64_t a, uint64_t b, std::span<const std::byte> record) override;

 private:
  struct Session;
  uint64_t join();
  void fence_silent();
  std::shared_ptr<const Region> region_;
  nanoseconds lease_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
};

struct RemoteCall {
  enum Verb : uint32_t { join, append, leave } verb;
  uint32_t kind;
};

}  // namespace brickwork
