// The target's side of the tcp fabric: one thread that carries out, on this process's regions, what peers ask for.
//
// Everything it knows belongs to that thread; other threads hand it a piece of work and wait until it is done. So when
// `remove_region` returns, nothing that a peer sent can touch the region any more: that is fencing.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "tcp_connection.hpp"

namespace brickwork::tcp {

// Connections so far, for metrics and tests.
struct Counts {
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> refused{0};  // strangers that were not let in, or left before
  std::atomic<uint64_t> ended{0};    // those of peers that are over, for whatever reason
};

class Target {
 public:
  // Listens at a numeric address; port 0: any. Throws std::system_error, std::invalid_argument.
  Target(const std::string& host, uint16_t port, std::vector<std::byte> secret, Limits limits);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  uint16_t port() const { return port_; }
  const Counts& counts() const { return counts_; }

  // Regions may overlap. Throws std::invalid_argument for an id that is taken.
  void add_region(uint64_t id, Served region);
  void remove_region(uint64_t id);  // an unknown id is none to remove
  void close();                     // ends all connections; may be repeated

 private:
  void call(const std::function<void()>& work);
  void run();
  void accept_all();
  void admit(Descriptor fd);
  void serve(int fd);
  void end(int fd);
  void sweep();
  void do_posted();
  int wait_ms() const;

  const int owner_pid_;
  Realm realm_;
  Descriptor listener_, epoll_, wake_, spare_;
  uint16_t port_ = 0;
  Counts counts_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;

  std::mutex mutex_;  // guards posted_ and stopped_
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace brickwork::tcp
