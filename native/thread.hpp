// Threads of the native core: named, and without signals, which are for the interpreter's threads.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <functional>
#include <thread>

namespace brickwork {

inline std::thread start_thread(const char* name, std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace brickwork
