#include "ucx_api.hpp"

#include <dlfcn.h>

#include <mutex>
#include <optional>
#include <stdexcept>

namespace brickwork::ucx {
namespace {

std::mutex mutex;
std::optional<Api> loaded;

template <typename Function>
void resolve(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (function == nullptr) throw std::runtime_error(std::string("it has no ") + name + "; UCX 1.13 or newer is needed");
}

}  // namespace

void load(const std::string& path) {
  std::lock_guard lock(mutex);
  if (loaded) return;
  void* handle = dlopen(path.c_str(), RTLD_NOW);
  if (handle == nullptr) throw std::runtime_error(dlerror());
  Api api;
#define BRICKWORK_UCX_RESOLVE(name) resolve(handle, #name, api.name);
  BRICKWORK_UCX_FUNCTIONS(BRICKWORK_UCX_RESOLVE)
#undef BRICKWORK_UCX_RESOLVE
  loaded = api;
}

const Api& api() {
  std::lock_guard lock(mutex);
  if (!loaded) throw std::runtime_error("UCX is not loaded");
  return *loaded;
}

}  // namespace brickwork::ucx
