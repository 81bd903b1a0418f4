// A Python buffer for the time of a call.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <span>

namespace brickwork {

class Buffer {
 public:
  explicit Buffer(nanobind::handle object, int flags = PyBUF_SIMPLE) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nanobind::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }  // with the GIL
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(view_.buf), size()}; }
  std::span<std::byte> writable() const { return {static_cast<std::byte*>(view_.buf), size()}; }
  size_t size() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

}  // namespace brickwork
