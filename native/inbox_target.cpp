#include "inbox_target.hpp"

#include <unistd.h>

#include <cstring>

#include "shm.hpp"

namespace brickwork {

LaneHold::LaneHold(std::shared_ptr<const Region> region) {
  const Layout layout = read_layout(*region);
  for (uint32_t lane = 0; lane < layout.shape.lanes; ++lane) {
    const auto life = region->word(layout.lane_entry(lane) + kLaneLife);
    if (life != 0) continue;
    const int fd = hold_byte(*region, 1 + lane);
    if (fd < 0) continue;
    // Locked before it is named: a consumer that sees the life also sees that it is held.
    uint64_t nobody = 0;
    const uint64_t mine = region->word(kLives).fetch_add(1) + 1;
    if (life.compare_exchange_strong(nobody, mine)) {
      lane_ = lane;
      life_ = mine;
      fd_ = fd;
      return;
    }
    close(fd);
  }
  region->word(kJoining) = 1;
  futex_wake(region->at(kSleeping));
  throw FabricError(Fault::refused, "inbox: all " + std::to_string(layout.shape.lanes) +
                                        " lanes are held; wait until dead producers' are given back, or give it more");
}

void LaneHold::leave() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

struct InboxTarget::Session {
  explicit Session(const std::shared_ptr<const Region>& region)
      : hold(region), producer(make_producer(std::make_shared<ShmEndpoint>(region), hold.lane(), hold.life())) {}
  LaneHold hold;
  std::unique_ptr<Producer> producer;
  Clock::time_point heard_at = Clock::now();
};

InboxTarget::InboxTarget(std::shared_ptr<const Region> region, nanoseconds lease)
    : region_(std::move(region)), lease_(lease) {}

InboxTarget::~InboxTarget() = default;

uint64_t InboxTarget::append(uint64_t life, uint64_t sequence, std::span<const std::byte> record) {
  RemoteCall call;
  if (record.size() < sizeof call) return static_cast<uint64_t>(Append::fenced);
  std::memcpy(&call, record.data(), sizeof call);
  if (call.verb == RemoteCall::join) return join();
  const auto found = sessions_.find(life);
  if (found == sessions_.end()) return static_cast<uint64_t>(Append::fenced);
  if (call.verb == RemoteCall::leave) {
    sessions_.erase(found);
    return static_cast<uint64_t>(Append::committed);
  }
  if (call.verb != RemoteCall::append) return static_cast<uint64_t>(Append::fenced);
  Session& session = *found->second;
  session.heard_at = Clock::now();
  if (sequence < session.producer->appended()) return static_cast<uint64_t>(Append::committed);
  if (sequence > session.producer->appended()) return static_cast<uint64_t>(Append::fenced);
  return static_cast<uint64_t>(session.producer->try_append(call.kind, record.subspan(sizeof call)));
}

// The answer names life and lane, or is 0 when there is no lane. A join whose answer was lost leaves a session that is
// fenced when it has been silent for a lease.
uint64_t InboxTarget::join() try {
  auto session = std::make_unique<Session>(region_);
  const uint64_t life = session->hold.life(), lane = session->hold.lane();
  sessions_.emplace(life, std::move(session));
  return life << 16 | lane;
} catch (const std::exception&) {  // no lane; or no /proc, and then never one
  fence_silent();
  return 0;
}

// Only when a lane is wanted. After this no request of those lives is carried out, so their lanes may be given back.
void InboxTarget::fence_silent() {
  std::erase_if(sessions_, [&](const auto& entry) { return Clock::now() - entry.second->heard_at > lease_; });
}

}  // namespace brickwork
