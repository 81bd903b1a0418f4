// The initiator's side of the tcp fabric: one connection to one region.
//
// It never connects anew by itself: after `timed_out` or `peer_lost` nobody but the caller's protocol knows what may be
// asked again, so the endpoint stays broken and every later call says `peer_lost`. Make a new one.
#pragma once

#include <string>
#include <vector>

#include "fabric.hpp"
#include "tcp_socket.hpp"
#include "tcp_wire.hpp"
#include "turn.hpp"

namespace brickwork::tcp {

class TcpEndpoint : public Endpoint {
 public:
  // Connects and shows the secret; one attempt. `host` in digits. Every later call ends within `timeout`, too.
  // Throws FabricError, std::invalid_argument.
  TcpEndpoint(const std::string& host, uint16_t port, std::vector<std::byte> secret, uint64_t region, Seconds timeout);
  ~TcpEndpoint() override = default;

  Capability capability() const override { return {.needs_target_progress = true, .composite_append = true}; }
  uint64_t size() const override { return size_; }
  void put(uint64_t offset, std::span<const std::byte> source) override;
  void get(uint64_t offset, std::span<std::byte> target) override;
  uint64_t compare_and_swap(uint64_t offset, uint64_t expected, uint64_t desired) override;
  uint64_t fetch_add(uint64_t offset, uint64_t addend) override;
  void flush() override;
  void wake(uint64_t offset) override;
  uint64_t append(uint64_t a, uint64_t b, std::span<const std::byte> record) override;

 private:
  uint64_t ask(const Request& request, Bytes payload, std::span<std::byte> into, bool has_reply);
  void connect_to(const Address& address, Clock::time_point deadline);
  void greet(Bytes secret, uint64_t region, Clock::time_point deadline);
  void claim(Bytes secret, uint64_t region, const Hello& own, const Hello& target, Clock::time_point deadline);
  void send(Bytes head, Bytes payload, Clock::time_point deadline);
  void receive(std::span<std::byte> head, std::span<std::byte> payload, Clock::time_point deadline);
  Clock::time_point from_now() const { return Clock::now() + std::chrono::ceil<Clock::duration>(timeout_); }
  [[noreturn]] void fail(Fault fault, const std::string& what) const;

  const int owner_pid_;
  const std::string peer_;
  const Seconds timeout_;
  uint64_t size_ = 0;

  Turns turns_;  // one call at a time: guards what follows
  Descriptor fd_;
  std::string broken_;  // by what; empty: whole
};

}  // namespace brickwork::tcp
