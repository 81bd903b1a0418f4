#include "watcher.hpp"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "thread.hpp"

namespace brickwork {

namespace {

struct futex_waitv waiter(const void* word, uint32_t seen) {
  struct futex_waitv waiter {};
  waiter.uaddr = reinterpret_cast<uintptr_t>(word);
  waiter.val = seen;
  waiter.flags = FUTEX_32;
  return waiter;
}

// A word that was forgotten and unmapped meanwhile ends the sleep (EFAULT), as a change would.
void wait_for_any(std::vector<struct futex_waitv>& waiters, nanoseconds at_most) {
  const auto until = std::min(at_most, nanoseconds(std::chrono::hours(1))) + Clock::now().time_since_epoch();
  const timespec deadline{until.count() / 1'000'000'000, until.count() % 1'000'000'000};
  syscall(SYS_futex_waitv, waiters.data(), waiters.size(), 0, &deadline, CLOCK_MONOTONIC);
}

}  // namespace

Watcher::Watcher() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) throw std::runtime_error("watcher: eventfd failed");
  thread_ = start_thread("brickwork-inbox", [this] { run(); });
}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  nudge();
  thread_.join();
  close(event_fd_);
}

void Watcher::watch(uint64_t id, std::shared_ptr<Consumer> consumer) { add(id, {std::move(consumer), nullptr}); }

void Watcher::watch(uint64_t id, std::shared_ptr<Producer> producer) {
  if (producer->credit_word().first == nullptr)
    throw std::invalid_argument("watcher: a producer over this fabric has no word to sleep on; wait in a thread");
  add(id, {nullptr, std::move(producer)});
}

void Watcher::add(uint64_t id, Watched watched) {
  {
    const std::lock_guard lock(mutex_);
    if (watched_.size() >= kMost) throw std::length_error("watcher: more than 127 inboxes; use another process");
    watched_[id] = std::move(watched);
  }
  nudge();
}

void Watcher::forget(uint64_t id) {
  const std::lock_guard lock(mutex_);
  watched_.erase(id);
  told_.clear();
  std::erase(ready_, id);
}

std::vector<uint64_t> Watcher::take_ready() {
  const std::lock_guard lock(mutex_);
  uint64_t count;
  [[maybe_unused]] const auto bytes = read(event_fd_, &count, sizeof count);
  told_.clear();
  return std::exchange(ready_, {});
}

void Watcher::nudge() {
  nudges_.fetch_add(1);
  futex_wake(&nudges_);
}

void Watcher::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // `nudges_` is read first: what changes from here on ends the sleep.
    std::vector<struct futex_waitv> waiters{waiter(&nudges_, nudges_.load())};
    nanoseconds at_most = nanoseconds::max();
    bool any_ready = false;
    for (auto entry = watched_.begin(); entry != watched_.end();) {
      const auto& [consumer, producer] = entry->second;
      const auto [word, seen] = consumer ? std::pair(consumer->doorbell(), 1U) : producer->credit_word();
      const bool sleeps = consumer ? consumer->fall_asleep()
                                   : std::atomic_ref(*static_cast<uint32_t*>(const_cast<void*>(word))).load() == seen;
      if (sleeps) {
        waiters.push_back(waiter(word, seen));
        if (consumer) at_most = std::min(at_most, consumer->patience());
        ++entry;
      } else {
        ready_.push_back(entry->first);
        any_ready = true;
        told_.push_back(std::move(entry->second));
        entry = watched_.erase(entry);
      }
    }
    const uint64_t one = 1;
    if (any_ready && write(event_fd_, &one, sizeof one) < 0) stopping_ = true;  // only when it was closed under us
    if (stopping_) break;
    lock.unlock();
    wait_for_any(waiters, at_most);
    lock.lock();
  }
}

}  // namespace brickwork
