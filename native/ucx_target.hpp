// The target's side of the ucx fabric: memory that peers reach by UCX, and a thread for what UCX does in software.
//
// Over verbs the NIC carries out the verbs and the thread only makes connections; over tcp, and for some verbs over
// shared memory, UCX carries them out inside `ucp_worker_progress`, so somebody must call it. It sleeps when idle.
// UCX checks neither who connects nor, in software, what address is written: use it among trusted hosts only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "ucx_worker.hpp"

namespace brickwork::ucx {

// What an initiator must be given, by a way that is authenticated: where the worker and the memory are.
struct Descriptor {
  std::string address;  // the worker's
  std::string key;      // the packed remote key
  uint64_t base = 0;    // of the memory, in the target's address space
  uint64_t size = 0;

  std::string pack() const;
  static Descriptor unpack(const std::string& bytes);  // throws FabricError(refused)
};

// The active message that wakes who sleeps on a word of the target's.
struct Wake {
  static constexpr unsigned kId = 1;
  uint64_t address;
};

class Target {
 public:
  explicit Target(std::shared_ptr<Context> context);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  // Registers `memory`, kept by `owner`. Returns the packed descriptor.
  std::string add_region(uint64_t id, std::span<std::byte> memory, std::shared_ptr<void> owner);
  // Memory of UCX's own, which its shared-memory transports reach without the target (`add_region` has to go through
  // the thread there).
  std::string allocate(uint64_t id, uint64_t bytes);
  std::span<std::byte> memory(uint64_t id);
  void remove_region(uint64_t id);  // an unknown id is none to remove
  void close();

 private:
  struct Mapped {
    ucp_mem_h handle;
    std::span<std::byte> memory;
    std::shared_ptr<void> owner;
  };

  std::string map(uint64_t id, const ucp_mem_map_params_t& parameters, std::shared_ptr<void> owner);
  std::string describe(const Mapped& mapped);
  void wake(uint64_t address) const;
  void run();

  const int owner_pid_;
  Worker worker_;
  std::map<uint64_t, Mapped> regions_;  // guarded by the context's lock
  int stop_ = -1;
  std::thread thread_;
};

}  // namespace brickwork::ucx
