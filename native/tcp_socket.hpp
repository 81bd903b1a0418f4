// Sockets of the tcp fabric: owned descriptors, numeric addresses, options, and waiting with a deadline.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace brickwork::tcp {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// IPv4 or IPv6 in digits. Names are refused: a resolver may block for longer than any time-out of ours.
// Throws std::invalid_argument.
Address parse_address(const std::string& host, uint16_t port);

// A listening socket, not blocking; "::" takes IPv4 too. Throws std::system_error.
Descriptor listen_at(const Address& address);
uint16_t port_of(int fd);

// No Nagle delay; keepalive finds a dead host after 25 s of silence, and data that nobody acknowledges ends the
// connection after `unacknowledged`.
void tune(int fd, Seconds unacknowledged);

// Waits until `fd` is ready for `events` (POLLIN, POLLOUT). False: the deadline passed.
bool wait_for(int fd, short events, Clock::time_point deadline);

}  // namespace brickwork::tcp
