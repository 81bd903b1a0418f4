#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "inbox.hpp"

namespace brickwork {

namespace {

struct flock byte_lock(uint64_t byte) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(byte);
  lock.l_len = 1;
  return lock;
}

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// An open file description of its own: descriptors that were passed on share one, and with it their locks.
int hold_byte(const Region& region, uint64_t byte) {
  const int fd = open(("/proc/self/fd/" + std::to_string(region.fd())).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("inbox: cannot open the region's file again; /proc has to be mounted");
  struct flock lock = byte_lock(byte);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return fd;
  close(fd);
  return -1;
}

bool is_held(int fd, uint64_t byte) {
  struct flock lock = byte_lock(byte);
  return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

Consumer::Consumer(std::shared_ptr<const Region> region, nanoseconds spin)
    : region_(std::move(region)), layout_(read_layout(*region_)), spin_(spin), lock_fd_(hold_byte(*region_, 0)) {
  if (lock_fd_ < 0) throw std::runtime_error("inbox: it has a consumer, which lives; end it first");
  epoch_ = region_->word(kEpoch).fetch_add(1) + 1;
  region_->word(kSleeping) = 0;
}

Consumer::~Consumer() { close(lock_fd_); }

std::optional<Delivery> Consumer::poll() {
  auto delivery = next();
  if (delivery) ++counters_.delivered;
  if (region_->word(kJoining).load(std::memory_order_relaxed) != 0) recycle_lanes();
  return delivery;
}

std::optional<Delivery> Consumer::receive(nanoseconds at_most) {
  const auto start = Clock::now();
  for (;;) {
    if (auto delivery = poll()) return delivery;
    const auto spin_until = Clock::now() + spin_;
    while (Clock::now() < spin_until) {
      if (has_work()) break;
      pause_briefly();
    }
    const nanoseconds left = at_most - (Clock::now() - start);
    if (!fall_asleep()) continue;
    const bool interrupted = left.count() > 0 && futex_wait(doorbell(), 1, std::min(left, patience()));
    region_->word(kSleeping) = 0;
    if (left.count() <= 0 || interrupted) return poll();
  }
}

// Partner: LaneProducer::ring_doorbell.
bool Consumer::fall_asleep() {
  region_->word(kSleeping) = 1;
  if (!has_work() && region_->word(kJoining) == 0) return true;
  region_->word(kSleeping) = 0;
  return false;
}

// Partner: LaneProducer::announce_wait.
void Consumer::wake_waiting_producers() {
  if (region_->word(kWaiting).load() == 0) return;
  region_->word(kWaiting) = 0;
  region_->word(kFreed).fetch_add(1);
  futex_wake(region_->at(kFreed));
}

// On demand: only when somebody found no lane. A life whose lock is gone can write no more (LaneHold). The life's word
// last: until it is 0 the lane is nobody's. The lane's end first: who dies in between leaves a lane that is drained still.
void Consumer::recycle_lanes() {
  region_->word(kJoining) = 0;
  for (uint32_t lane = 0; lane < layout_.shape.lanes; ++lane) {
    if (lane_word(lane, kLaneLife) == 0 || is_held(lock_fd_, 1 + lane)) continue;
    if (!is_drained(lane)) continue;  // who wants a lane asks again
    lane_word(lane, kLaneWritten) = 0;
    lane_word(lane, kLaneAppended) = 0;
    lane_word(lane, kLaneJump) = 0;
    lane_word(lane, kLaneAcknowledged) = 0;
    lane_word(lane, kLaneConsumed) = 0;
    lane_word(lane, kLaneLife) = 0;
    ++counters_.recycled;
  }
}

}  // namespace brickwork
