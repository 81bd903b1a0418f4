// One thread a process that sleeps on the doorbells of many inboxes, and tells an event loop through one eventfd.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "inbox.hpp"

namespace brickwork {

class Watcher {
 public:
  Watcher();
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  int fd() const { return event_fd_; }  // readable while `take_ready` has something

  // Tell once: when the consumer has work; when the producer, whose last append was `full`, may have credit. The
  // owner leaves the object alone until then, or until `forget`. At most kMost at a time.
  void watch(uint64_t id, std::shared_ptr<Consumer> consumer);
  void watch(uint64_t id, std::shared_ptr<Producer> producer);
  void forget(uint64_t id);
  std::vector<uint64_t> take_ready();

  static constexpr size_t kMost = 127;  // futex_waitv takes 128, one of which is ours

 private:
  struct Watched {
    std::shared_ptr<Consumer> consumer;  // one of the two
    std::shared_ptr<Producer> producer;
  };
  void add(uint64_t id, Watched watched);
  void run();
  void nudge();

  std::mutex mutex_;  // guards all below but the atomics and the thread
  std::map<uint64_t, Watched> watched_;
  std::vector<uint64_t> ready_;
  std::vector<Watched> told_;  // let go of by the callers' threads only: an owner in Python may need its lock for that
  bool stopping_ = false;
  alignas(8) std::atomic<uint32_t> nudges_{0};
  const int event_fd_;
  std::thread thread_;
};

}  // namespace brickwork
