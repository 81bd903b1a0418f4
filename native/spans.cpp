// Takes spans of an arena's blocks: the one part of the tensor pool that touches thousands of words at a time.
//
//     life of block b     generation:24 | holders:40     who holds the tensor that begins at b (data/blocks.py)
//     cover of block b    generation:24 | backed:1 | head + 1:39
//                         which life of which head the block belonged to last; whether its pages exist
//
// A block is covered while the head that its cover names is in that very life and held by somebody. So dropping the
// head's last holder frees all blocks of a span in one change, whoever makes it and whatever dies next, and nothing has
// to be put back: a cover lapses. A life that is over never begins again, so "lapsed" once seen stays true. (After
// exactly 2^24 lives of the head an old cover seems to hold again while that life lasts: a block less, never one twice.)
//
// Taking begins with the head's life and then claims the covers upwards, each by compare-and-swap from the lapsed value
// that was seen. Who loses one drops the head, which gives everything back. Two takers that meet do so at one word, and
// the one with the higher head can lose it only to a taker that is past it already: somebody always succeeds.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nb = nanobind;

namespace {

constexpr unsigned kHolders = 40;
constexpr uint64_t kHolderMask = (uint64_t{1} << kHolders) - 1;
constexpr uint64_t kBacked = uint64_t{1} << 39;
constexpr uint64_t kHeadMask = kBacked - 1;
constexpr uint64_t kGenerations = uint64_t{1} << 24;

// The two tables of one arena. It holds the exporter's buffer, so the mapping cannot go away below it.
class Spans {
 public:
  Spans(nb::handle buffer, size_t offset, size_t blocks) : blocks_(blocks) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_SIMPLE | PyBUF_WRITABLE) != 0) throw nb::python_error();
    const auto size = static_cast<size_t>(view_.len);
    const auto address = reinterpret_cast<uintptr_t>(view_.buf) + offset;
    if (offset > size || blocks > (size - offset) / 16 || address % 8 != 0) {
      PyBuffer_Release(&view_);
      throw nb::value_error(("Spans: two tables of " + std::to_string(blocks) + " aligned words do not fit at offset " +
                             std::to_string(offset) + " of a buffer of " + std::to_string(size) + " bytes")
                                .c_str());
    }
    lives_ = reinterpret_cast<std::atomic<uint64_t>*>(address);
    covers_ = lives_ + blocks;
  }
  ~Spans() { PyBuffer_Release(&view_); }
  Spans(const Spans&) = delete;
  Spans& operator=(const Spans&) = delete;

  // Lease `count` free blocks in a row to `holder`: the lowest such, or the highest if `from_top`.
  std::optional<std::tuple<size_t, uint64_t, bool>> take(size_t count, unsigned holder, bool from_top) {
    if (count == 0 || holder >= kHolders) throw nb::value_error("take: needs count >= 1 and holder < 40");
    nb::gil_scoped_release unlocked;
    size_t low = 0, high = blocks_;  // where is looked: below and above, somebody was faster
    while (const auto head = find(count, low, high, from_top)) {
      const auto generation = begin_life(*head, holder);
      bool is_fresh = false;
      const size_t lost = generation ? claim(*head, *generation, count, is_fresh) : *head;
      if (generation && lost == *head + count) return std::tuple{*head, *generation, is_fresh};
      if (generation) lives_[*head].fetch_and(~(uint64_t{1} << holder), std::memory_order_acq_rel);
      if (from_top) {
        high = lost;  // exclusive: the lost block is somebody's
      } else {
        low = lost + 1;
      }
    }
    return std::nullopt;
  }

  // Blocks of the longest free row, at some moment: a hint.
  size_t longest() const {
    nb::gil_scoped_release unlocked;
    size_t best = 0, run = 0;
    Judge judge(*this);
    for (size_t i = 0; i < blocks_; ++i) {
      run = judge.is_covered(i) ? 0 : run + 1;
      best = run > best ? run : best;
    }
    return best;
  }

  // (blocks in use, blocks whose pages exist), each at its own moment.
  std::pair<size_t, size_t> used() const {
    nb::gil_scoped_release unlocked;
    size_t now = 0, ever = 0;
    Judge judge(*this);
    for (size_t i = 0; i < blocks_; ++i) {
      ever += (covers_[i].load(std::memory_order_relaxed) & kBacked) != 0;
      now += judge.is_covered(i);
    }
    return {now, ever};
  }

  // Blocks that begin a tensor which somebody holds, each at its own moment.
  std::vector<size_t> heads() const {
    nb::gil_scoped_release unlocked;
    std::vector<size_t> found;
    for (size_t i = 0; i < blocks_; ++i)
      if ((lives_[i].load(std::memory_order_relaxed) & kHolderMask) != 0) found.push_back(i);
    return found;
  }

  // Whether `block` belongs to life `generation` of `head`, if that life is not over.
  bool belongs(size_t block, size_t head, uint64_t generation) const {
    if (block >= blocks_) throw nb::index_error("belongs: no such block");
    return (covers_[block].load(std::memory_order_acquire) & ~kBacked) == cover_of(head, generation);
  }

  // Note that the pages of a span exist. For who took it, after making them: a death before leaves them to be made.
  void back(size_t head, size_t count) {
    if (head > blocks_ || count > blocks_ - head) throw nb::index_error("back: no such blocks");
    for (size_t block = head; block < head + count; ++block) covers_[block].fetch_or(kBacked, std::memory_order_acq_rel);
  }

 private:
  static uint64_t cover_of(size_t head, uint64_t generation) { return generation << kHolders | (head + 1); }

  // Tells whether blocks are covered; equal covers in a row are judged once.
  class Judge {
   public:
    explicit Judge(const Spans& spans) : spans_(spans) {}
    bool is_covered(size_t block) {
      const uint64_t cover = spans_.covers_[block].load(std::memory_order_relaxed);
      if (cover != last_) {
        last_ = cover;
        verdict_ = spans_.is_live(cover);
      }
      return verdict_;
    }

   private:
    const Spans& spans_;
    uint64_t last_ = 0;
    bool verdict_ = false;
  };

  // Acquire: partner of the drop of the head's last holder, after which the blocks' bytes are nobody's.
  bool is_live(uint64_t cover) const {
    const uint64_t head = cover & kHeadMask;
    if (head == 0 || head > blocks_) return false;
    const uint64_t life = lives_[head - 1].load(std::memory_order_acquire);
    return (life & kHolderMask) != 0 && life >> kHolders == cover >> kHolders;
  }

  // The head of the first (last) `count` blocks of [low, high) that seem free.
  std::optional<size_t> find(size_t count, size_t low, size_t high, bool from_top) const {
    Judge judge(*this);
    size_t run = 0;
    for (size_t step = low; step < high; ++step) {
      const size_t block = from_top ? high - 1 - (step - low) : step;
      run = judge.is_covered(block) ? 0 : run + 1;
      if (run == count) return from_top ? block : block + 1 - count;
    }
    return std::nullopt;
  }

  // The next life of a head, in the name of `holder`; nothing if somebody was faster.
  std::optional<uint64_t> begin_life(size_t head, unsigned holder) {
    uint64_t life = lives_[head].load(std::memory_order_acquire);
    const uint64_t generation = ((life >> kHolders) + 1) % kGenerations;
    const uint64_t taken = generation << kHolders | uint64_t{1} << holder;
    if ((life & kHolderMask) != 0) return std::nullopt;
    // Acquire-release: after all that the last holder did, and before the covers below.
    if (!lives_[head].compare_exchange_strong(life, taken, std::memory_order_acq_rel)) return std::nullopt;
    return generation;
  }

  // The first block that could not be claimed, or the end of the span. `is_fresh`: pages of some may not exist.
  size_t claim(size_t head, uint64_t generation, size_t count, bool& is_fresh) {
    const uint64_t mine = cover_of(head, generation);
    uint64_t lapsed = 0;  // the last cover that was judged: blocks of one old span need it once, since it stays lapsed
    for (size_t block = head; block < head + count; ++block) {
      uint64_t seen = covers_[block].load(std::memory_order_acquire);
      if (seen != lapsed && is_live(seen)) return block;
      lapsed = seen;
      // Acquire-release: partner of the same exchange of another taker, of which one wins.
      if (!covers_[block].compare_exchange_strong(seen, mine | (seen & kBacked), std::memory_order_acq_rel)) return block;
      is_fresh = is_fresh || (seen & kBacked) == 0;
    }
    return head + count;
  }

  Py_buffer view_{};
  std::atomic<uint64_t>* lives_ = nullptr;
  std::atomic<uint64_t>* covers_ = nullptr;
  size_t blocks_;
};

}  // namespace

void bind_spans(nb::module_& m) {
  m.attr("SPAN_HOLDERS") = kHolders;
  m.attr("SPAN_GENERATIONS") = kGenerations;
  nb::class_<Spans>(m, "Spans", "Tables of lives and covers, `blocks` words each, at `offset` of a writable buffer.")
      .def(nb::init<nb::handle, size_t, size_t>(), nb::arg("buffer"), nb::arg("offset"), nb::arg("blocks"))
      .def("take", &Spans::take, nb::arg("count"), nb::arg("holder"), nb::arg("from_top"),
           "Lease `count` free blocks in a row: (head, generation, whether pages of some may not exist), or None.")
      .def("back", &Spans::back, nb::arg("head"), nb::arg("count"))
      .def("heads", &Spans::heads)
      .def("longest", &Spans::longest)
      .def("used", &Spans::used)
      .def("belongs", &Spans::belongs, nb::arg("block"), nb::arg("head"), nb::arg("generation"));
}
