// 64-bit atomic words on a buffer that several processes map.
//
// This is the one primitive that Python lacks and the tensor pool needs. What the bits of a word mean is decided
// in Python (brickwork/data/blocks.py); nothing here knows blocks, tensors or holders.
#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace nb = nanobind;

static_assert(sizeof(std::atomic<uint64_t>) == 8, "a word is eight bytes in every process that maps it");
static_assert(std::atomic<uint64_t>::is_always_lock_free, "a lock could not be shared between processes");

namespace {

// A view of `count` words. It holds the exporter's buffer, so the mapping cannot go away below it.
class Words {
 public:
  Words(nb::handle buffer, size_t offset, size_t count) : count_(count) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_SIMPLE | PyBUF_WRITABLE) != 0) throw nb::python_error();
    const auto size = static_cast<size_t>(view_.len);
    const auto address = reinterpret_cast<uintptr_t>(view_.buf) + offset;
    const char* fault = offset > size || count > (size - offset) / 8 ? "reach beyond the end of the buffer"
                        : address % 8 != 0                            ? "do not start at a multiple of 8 bytes"
                                                                      : nullptr;
    if (fault != nullptr) {
      PyBuffer_Release(&view_);
      throw nb::value_error(("Words: " + std::to_string(count) + " words at offset " + std::to_string(offset) +
                             " of a buffer of " + std::to_string(size) + " bytes " + fault)
                                .c_str());
    }
    words_ = reinterpret_cast<std::atomic<uint64_t>*>(address);
  }
  ~Words() { PyBuffer_Release(&view_); }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;

  size_t size() const { return count_; }

  // Acquire: partner of the release half of every change below. Who sees a word sees what was written before it.
  uint64_t load(size_t i) const { return at(i).load(std::memory_order_acquire); }

  // Acquire-release on success. The acquire half is partner of `fetch_and`: who takes a word from its last user comes
  // after all that the user did. The release half is partner of `load` and of the next change. On failure nothing was
  // changed and nothing is learnt but the refusal; the caller loads again.
  bool compare_exchange(size_t i, uint64_t expected, uint64_t desired) {
    return at(i).compare_exchange_strong(expected, desired, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  // Acquire-release, each: partners of `load`, `compare_exchange` and one another. All return the word as it was.
  uint64_t fetch_or(size_t i, uint64_t bits) { return at(i).fetch_or(bits, std::memory_order_acq_rel); }
  uint64_t fetch_and(size_t i, uint64_t bits) { return at(i).fetch_and(bits, std::memory_order_acq_rel); }
  uint64_t fetch_add(size_t i, uint64_t addend) { return at(i).fetch_add(addend, std::memory_order_acq_rel); }

  // A hint, not a claim: relaxed, so the word may have changed since. Partner: the caller's `compare_exchange`, which
  // decides. The scan never blocks, whatever others do meanwhile.
  int64_t first_equal_masked(size_t start, size_t stop, uint64_t mask, uint64_t value) const {
    if (start > stop || stop > count_) throw nb::index_error("first_equal_masked: needs start <= stop <= len(words)");
    for (size_t i = start; i < stop; ++i)
      if ((words_[i].load(std::memory_order_relaxed) & mask) == value) return static_cast<int64_t>(i);
    return -1;
  }

 private:
  std::atomic<uint64_t>& at(size_t i) const {
    if (i >= count_) throw nb::index_error(("word " + std::to_string(i) + " of " + std::to_string(count_)).c_str());
    return words_[i];
  }

  Py_buffer view_{};
  std::atomic<uint64_t>* words_ = nullptr;
  size_t count_;
};

}  // namespace

void bind_words(nb::module_& m) {
  nb::class_<Words>(m, "Words", "`count` 64-bit words at `offset` of a writable buffer; every access is atomic.")
      .def(nb::init<nb::handle, size_t, size_t>(), nb::arg("buffer"), nb::arg("offset"), nb::arg("count"))
      .def("__len__", &Words::size)
      .def("load", &Words::load, nb::arg("i"))
      .def("compare_exchange", &Words::compare_exchange, nb::arg("i"), nb::arg("expected"), nb::arg("desired"))
      .def("fetch_or", &Words::fetch_or, nb::arg("i"), nb::arg("bits"))
      .def("fetch_and", &Words::fetch_and, nb::arg("i"), nb::arg("bits"))
      .def("fetch_add", &Words::fetch_add, nb::arg("i"), nb::arg("addend"))
      .def("first_equal_masked", &Words::first_equal_masked, nb::arg("start"), nb::arg("stop"), nb::arg("mask"),
           nb::arg("value"));
}
