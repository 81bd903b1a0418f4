// One peer of a tcp target: what it sent so far, and what it is owed. Never waits; the target's thread calls `serve`.
//
// One request at a time, in the order sent. Payloads of large puts go from the socket straight into the region, those
// of large gets straight out of it; smaller ones pass a buffer, so that their words move whole (tcp_copy.hpp).
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <vector>

#include "fabric.hpp"
#include "tcp_socket.hpp"
#include "tcp_wire.hpp"

namespace brickwork::tcp {

struct Limits {
  Seconds hello{5};   // from accept to welcome; a slow stranger is dropped then
  Seconds stall{30};  // an unfinished request or an unread reply that makes no progress for so long
  size_t max_connections = 1024;
  size_t max_strangers = 64;  // not yet welcome; one more drops the oldest
};

// Memory that peers may reach. All and only the bytes of `memory`, which `owner` keeps mapped.
struct Served {
  std::span<std::byte> memory;
  std::shared_ptr<AppendTarget> append;  // null: this region has no composite verb
  std::shared_ptr<void> owner;
};

// All and only what the connections of one target share. Touched by its thread alone.
struct Realm {
  std::vector<std::byte> secret;
  Limits limits;
  std::map<uint64_t, Served> regions;
};

// The peer went away or broke the rules; its connection is to be closed.
struct Ended : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Connection {
 public:
  enum class Wants { input, output };

  Connection(Descriptor fd, const Realm& realm);

  // Does what can be done without waiting, at most some megabytes. Returns what to wait for. Throws Ended.
  Wants serve();
  Wants wants() const { return wants_; }  // what `serve` said last

  bool is_stranger() const { return phase_ != Phase::serving; }
  bool uses(uint64_t region) const { return phase_ == Phase::serving && region_id_ == region; }
  Clock::time_point deadline() const;  // when it is to be closed if nothing moves

 private:
  enum class Phase { hello, claim, serving, refused };

  Wants serve_turn();
  bool send_owed(size_t& budget);
  bool receive(size_t& budget);
  bool step();
  void meet(const Hello& initiator);
  void judge(const Claim& claim);
  bool begin(const Request& request);
  bool begin_payload(const Request& request);
  void execute(const Request& request);
  void append(const Request& request, Bytes record);
  std::byte* at(uint64_t offset) const { return region_->memory.data() + offset; }
  void demand_fits(const Request& request) const;
  template <typename T> bool take(T& value);
  template <typename T> void owe(const T& value, Bytes payload = {});

  Descriptor fd_;
  const Realm& realm_;
  Phase phase_ = Phase::hello;
  Wants wants_ = Wants::input;
  Clock::time_point moved_ = Clock::now();  // when it was accepted, or bytes of a request or reply last went through
  Hello initiator_, target_;
  uint64_t region_id_ = 0;
  const Served* region_ = nullptr;  // the target ends a region's connections before it lets the region go

  std::vector<std::byte> input_;  // received and not yet consumed: [begin_, end_)
  size_t begin_ = 0, end_ = 0;
  Request current_;                // whose payload `bulk_` is
  std::span<std::byte> bulk_;      // what is still to come of a large payload
  std::vector<std::byte> record_;  // a large append on its way

  std::array<std::byte, sizeof(Verdict)> head_{};
  Bytes owed_head_, owed_;
  std::vector<std::byte> staged_;  // payload of a small get
};

}  // namespace brickwork::tcp
