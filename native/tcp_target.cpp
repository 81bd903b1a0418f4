#include "tcp_target.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <system_error>

#include "thread.hpp"

namespace brickwork::tcp {
namespace {

using Wants = Connection::Wants;

constexpr int kSweepMs = 250;  // how late a time-out may be noticed

void watch(int epoll, int operation, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll, operation, fd, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

}  // namespace

Target::Target(const std::string& host, uint16_t port, std::vector<std::byte> secret, Limits limits)
    : owner_pid_(getpid()), listener_(listen_at(parse_address(host, port))), epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), spare_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  realm_.secret = std::move(secret);
  realm_.limits = limits;
  port_ = port_of(listener_.get());
  watch(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), EPOLLIN);
  watch(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), EPOLLIN);
  thread_ = start_thread("brickwork-tcp", [this] { run(); });
}

Target::~Target() { close(); }

void Target::close() {
  if (getpid() != owner_pid_) {  // a fork has the memory and not the thread
    if (thread_.joinable()) thread_.detach();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

void Target::add_region(uint64_t id, Served region) {
  bool is_new = false;
  call([&] { is_new = realm_.regions.emplace(id, region).second; });
  if (!is_new) throw std::invalid_argument("region_id: " + std::to_string(id) + " is taken");
}

void Target::remove_region(uint64_t id) {
  Served last;  // let go by the caller's thread, after the call
  call([&] {
    std::vector<int> fds;
    for (const auto& [fd, connection] : connections_)
      if (connection->uses(id)) fds.push_back(fd);
    for (const int fd : fds) end(fd);
    if (const auto found = realm_.regions.find(id); found != realm_.regions.end()) {
      last = std::move(found->second);
      realm_.regions.erase(found);
    }
  });
}

// Runs `work` in the target's thread and waits for it.
void Target::call(const std::function<void()>& work) {
  std::promise<void> done;
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || getpid() != owner_pid_) throw std::runtime_error("the tcp target is closed, or of another process");
    posted_.push_back([&] {
      work();
      done.set_value();
    });
  }
  eventfd_write(wake_.get(), 1);
  done.get_future().wait();
}

void Target::run() {
  epoll_event events[64];
  auto next_sweep = Clock::now();
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, 64, wait_ms());
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake_.get()) {
        do_posted();
        if (std::lock_guard lock(mutex_); stopped_) break;
      } else if (fd == listener_.get()) {
        accept_all();
      } else {
        serve(fd);
      }
    }
    if (std::lock_guard lock(mutex_); stopped_ && posted_.empty()) break;
    if (const auto now = Clock::now(); now >= next_sweep) {
      sweep();
      next_sweep = now + std::chrono::milliseconds(kSweepMs);
    }
  }
  connections_.clear();
}

// For ever when there is nobody who could be late: an idle target costs nothing.
int Target::wait_ms() const { return connections_.empty() ? -1 : kSweepMs; }

void Target::do_posted() {
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
  std::vector<std::function<void()>> posted;
  {
    std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

void Target::accept_all() {
  for (int i = 0; i < 16; ++i) {
    Descriptor fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() >= 0) {
      admit(std::move(fd));
    } else if (errno == EMFILE || errno == ENFILE) {
      // The waiting connection would wake us for ever: take it with the spare descriptor, and hang up.
      spare_.reset();
      Descriptor unwelcome(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      unwelcome.reset();
      spare_ = Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC));
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void Target::admit(Descriptor fd) {
  ++counts_.accepted;
  if (connections_.size() >= realm_.limits.max_connections) {
    ++counts_.refused;
    return;
  }
  const int number = fd.get();
  try {
    auto connection = std::make_unique<Connection>(std::move(fd), realm_);
    watch(epoll_.get(), EPOLL_CTL_ADD, number, EPOLLIN);
    connections_[number] = std::move(connection);
  } catch (const std::exception&) {  // no memory, no kernel memory: this one cannot be served
    ++counts_.refused;
    return;
  }
  std::pair<Clock::time_point, int> oldest{Clock::time_point::max(), -1};
  size_t strangers = 0;
  for (const auto& [other, connection] : connections_) {
    if (!connection->is_stranger()) continue;
    ++strangers;
    if (other != number) oldest = std::min(oldest, {connection->deadline(), other});
  }
  if (strangers > realm_.limits.max_strangers) end(oldest.second);
}

void Target::serve(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;  // ended by an earlier event of this round
  try {
    const auto wanted = found->second->wants();
    const auto wants = found->second->serve();
    if (wants != wanted) watch(epoll_.get(), EPOLL_CTL_MOD, fd, wants == Wants::output ? EPOLLOUT : EPOLLIN);
  } catch (const std::exception&) {  // Ended; or no memory for this peer
    end(fd);
  }
}

void Target::end(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  ++(found->second->is_stranger() ? counts_.refused : counts_.ended);
  connections_.erase(found);
}

void Target::sweep() {
  const auto now = Clock::now();
  std::vector<int> late;
  for (const auto& [fd, connection] : connections_)
    if (connection->deadline() <= now) late.push_back(fd);
  for (const int fd : late) end(fd);
}

}  // namespace brickwork::tcp
