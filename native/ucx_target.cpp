#include "ucx_target.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "region.hpp"
#include "thread.hpp"

namespace brickwork::ucx {
namespace {

constexpr int kSleepMs = 10;  // connections that arrive are not told of by the descriptor: they are late by this

struct Head {
  char magic[8] = {'b', 'r', 'k', 'w', '-', 'u', 'c', 'x'};
  uint32_t version = 1;
  uint32_t address_bytes = 0;
  uint64_t key_bytes = 0;
  uint64_t base = 0;
  uint64_t size = 0;
};
static_assert(sizeof(Head) == 40);

}  // namespace

std::string Descriptor::pack() const {
  Head head;
  head.address_bytes = static_cast<uint32_t>(address.size());
  head.key_bytes = key.size();
  head.base = base;
  head.size = size;
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + address + key;
}

Descriptor Descriptor::unpack(const std::string& bytes) {
  Head head;
  const Head expected;
  if (bytes.size() >= sizeof head) std::memcpy(&head, bytes.data(), sizeof head);
  const bool fits = bytes.size() >= sizeof head && std::memcmp(head.magic, expected.magic, sizeof head.magic) == 0 &&
                    head.version == expected.version && head.address_bytes <= bytes.size() - sizeof head &&
                    head.key_bytes == bytes.size() - sizeof head - head.address_bytes;
  if (!fits) throw FabricError(Fault::refused, "ucx: that is no descriptor of a region, or one of another release");
  return {bytes.substr(sizeof head, head.address_bytes), bytes.substr(sizeof head + head.address_bytes), head.base,
          head.size};
}

Target::Target(std::shared_ptr<Context> context)
    : owner_pid_(getpid()), worker_(std::move(context)), stop_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  {
    std::lock_guard lock(worker_.context->mutex);
    ucp_am_handler_param_t parameters{};
    parameters.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                            UCP_AM_HANDLER_PARAM_FIELD_ARG;
    parameters.id = Wake::kId;
    parameters.arg = this;
    parameters.cb = [](void* self, const void* header, size_t size, void*, size_t, const ucp_am_recv_param_t*) {
      Wake message;
      if (size == sizeof message) {
        std::memcpy(&message, header, sizeof message);
        static_cast<Target*>(self)->wake(message.address);
      }
      return UCS_OK;
    };
    demand(worker_.context->api, worker_.context->api.ucp_worker_set_am_recv_handler(worker_.handle, &parameters),
           "asking for messages");
  }
  thread_ = start_thread("brickwork-ucx", [this] { run(); });
}

Target::~Target() {
  close();
  if (getpid() != owner_pid_) return;
  while (!regions_.empty()) remove_region(regions_.begin()->first);
  ::close(stop_);
}

void Target::close() {
  if (!thread_.joinable()) return;
  if (getpid() != owner_pid_) return thread_.detach();  // a fork has the memory and not the thread
  eventfd_write(stop_, 1);
  thread_.join();
}

void Target::run() {
  pollfd entries[2] = {{worker_.descriptor(), POLLIN, 0}, {stop_, POLLIN, 0}};
  while (true) {
    const bool is_armed = worker_.progress_and_arm();
    poll(entries, 2, is_armed ? kSleepMs : 0);
    if (entries[1].revents != 0) return;
  }
}

std::string Target::add_region(uint64_t id, std::span<std::byte> memory, std::shared_ptr<void> owner) {
  ucp_mem_map_params_t parameters{};
  parameters.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  parameters.address = memory.data();
  parameters.length = memory.size();
  return map(id, parameters, std::move(owner));
}

std::string Target::allocate(uint64_t id, uint64_t bytes) {
  ucp_mem_map_params_t parameters{};
  parameters.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  parameters.length = bytes;
  parameters.flags = UCP_MEM_MAP_ALLOCATE;
  return map(id, parameters, nullptr);
}

std::string Target::map(uint64_t id, const ucp_mem_map_params_t& parameters, std::shared_ptr<void> owner) {
  const Api& api = worker_.context->api;
  std::lock_guard lock(worker_.context->mutex);
  if (regions_.contains(id)) throw std::invalid_argument("region_id: " + std::to_string(id) + " is taken");
  Mapped mapped{nullptr, {}, std::move(owner)};
  demand(api, api.ucp_mem_map(worker_.context->handle, &parameters, &mapped.handle), "registering memory");
  try {
    ucp_mem_attr_t attributes{};
    attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS;
    demand(api, api.ucp_mem_query(mapped.handle, &attributes), "asking where its memory is");
    mapped.memory = {static_cast<std::byte*>(attributes.address), parameters.length};
    const std::string descriptor = describe(mapped);
    regions_.emplace(id, std::move(mapped));
    return descriptor;
  } catch (...) {
    api.ucp_mem_unmap(worker_.context->handle, mapped.handle);
    throw;
  }
}

// With the lock held.
std::string Target::describe(const Mapped& mapped) {
  const Api& api = worker_.context->api;
  Descriptor descriptor;
  descriptor.base = reinterpret_cast<uint64_t>(mapped.memory.data());
  descriptor.size = mapped.memory.size();
  void* key = nullptr;
  size_t size = 0;
  demand(api, api.ucp_rkey_pack(worker_.context->handle, mapped.handle, &key, &size), "packing a key");
  descriptor.key.assign(static_cast<char*>(key), size);
  api.ucp_rkey_buffer_release(key);
  ucp_address_t* address = nullptr;
  demand(api, api.ucp_worker_get_address(worker_.handle, &address, &size), "asking for its address");
  descriptor.address.assign(reinterpret_cast<char*>(address), size);
  api.ucp_worker_release_address(worker_.handle, address);
  return descriptor.pack();
}

std::span<std::byte> Target::memory(uint64_t id) {
  std::lock_guard lock(worker_.context->mutex);
  return regions_.at(id).memory;
}

void Target::remove_region(uint64_t id) {
  std::shared_ptr<void> owner;  // let go after the lock
  std::lock_guard lock(worker_.context->mutex);
  const auto found = regions_.find(id);
  if (found == regions_.end()) return;
  owner = std::move(found->second.owner);
  worker_.context->api.ucp_mem_unmap(worker_.context->handle, found->second.handle);
  regions_.erase(found);
}

// Called inside progress, with the lock held.
void Target::wake(uint64_t address) const {
  for (const auto& [_, region] : regions_) {
    const auto begin = reinterpret_cast<uint64_t>(region.memory.data());
    if (address % 4 == 0 && address >= begin && address - begin + 4 <= region.memory.size())
      return futex_wake(reinterpret_cast<const void*>(address));
  }
}

}  // namespace brickwork::ucx
