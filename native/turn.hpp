// Whose turn it is: a lock that can be waited for until a deadline. std::timed_mutex would be the same, but for the
// thread sanitizer of gcc 12, which does not know the function that it is made of.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace brickwork {

class Turns {
 public:
  bool take_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (!free_.wait_until(lock, deadline, [this] { return !is_taken_; })) return false;
    is_taken_ = true;
    return true;
  }
  void give_back() {
    {
      std::lock_guard lock(mutex_);
      is_taken_ = false;
    }
    free_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable free_;
  bool is_taken_ = false;
};

// One turn, given back at the end of the scope. Check `is_mine` first.
class Turn {
 public:
  Turn(Turns& turns, std::chrono::steady_clock::time_point deadline)
      : turns_(turns), is_mine_(turns.take_until(deadline)) {}
  ~Turn() {
    if (is_mine_) turns_.give_back();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool is_mine() const { return is_mine_; }

 private:
  Turns& turns_;
  const bool is_mine_;
};

}  // namespace brickwork
