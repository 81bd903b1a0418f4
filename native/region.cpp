#include "region.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>

namespace brickwork {

namespace {
[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
}  // namespace

int Region::create(uint64_t bytes) {
  const int fd = memfd_create("brickwork", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) fail("memfd_create");
  // Sealed in size: a peer that cut the file short would kill everybody who has mapped it.
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    const int error = errno;
    close(fd);
    errno = error;
    fail("region");
  }
  return fd;
}

Region::Region(int fd) : fd_(fcntl(fd, F_DUPFD_CLOEXEC, 0)) {
  if (fd_ < 0) fail("region: dup");
  struct stat status;
  void* data = MAP_FAILED;
  if (fstat(fd_, &status) == 0)
    data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    close(fd_);
    errno = error;
    fail("region: map");
  }
  size_ = static_cast<uint64_t>(status.st_size);
  data_ = static_cast<std::byte*>(data);
}

Region::~Region() {
  munmap(data_, size_);
  close(fd_);
}

bool futex_wait(const void* word, uint32_t seen, std::chrono::nanoseconds at_most) {
  if (at_most.count() <= 0) return false;
  const timespec timeout{at_most.count() / 1'000'000'000, at_most.count() % 1'000'000'000};
  return syscall(SYS_futex, word, FUTEX_WAIT, seen, &timeout, nullptr, 0) != 0 && errno == EINTR;
}

void futex_wake(const void* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace brickwork
