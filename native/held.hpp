// A Python buffer that a fabric holds for as long as peers may reach it; any thread may let it go.
#pragma once

#include <memory>

#include "buffer.hpp"

namespace brickwork {

inline std::shared_ptr<Buffer> hold_buffer(nanobind::handle object) {
  return {new Buffer(object, PyBUF_WRITABLE), [](Buffer* buffer) {
            const nanobind::gil_scoped_acquire acquired;
            delete buffer;
          }};
}

}  // namespace brickwork
