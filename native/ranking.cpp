// Names in rising order of a number each, ties by name: the orders in which control looks executors up.
//
// An executor changes its place in several of them whenever a batch starts or ends, some fifty times a request in all,
// and nothing else in control took as long as doing that with lists. So that a search stays within a few cache lines,
// what is compared lies side by side: the number, and the first eight bytes of the name, as many numbers are equal.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nb = nanobind;

namespace {

struct Entry {
  double number;
  uint64_t prefix;  // first bytes of the name, the first one highest: they compare as the names do
  PyObject* name;   // owned by the Ranking
};

// UTF-8 compares byte by byte as Python compares strings.
std::string_view text(PyObject* name) {
  Py_ssize_t size;
  const char* bytes = PyUnicode_AsUTF8AndSize(name, &size);
  if (bytes == nullptr) throw nb::python_error();
  return {bytes, static_cast<size_t>(size)};
}

Entry entry(double number, const nb::str& name) {
  if (std::isnan(number)) throw nb::value_error("Ranking: nan has no place in an order");
  const auto bytes = text(name.ptr());
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; ++i) prefix = prefix << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0);
  return {number, prefix, name.ptr()};
}

bool is_before(const Entry& a, const Entry& b) {
  if (a.number != b.number) return a.number < b.number;
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  return a.name != b.name && text(a.name) < text(b.name);
}

class Ranking {
 public:
  Ranking() = default;
  Ranking(const Ranking&) = delete;
  Ranking& operator=(const Ranking&) = delete;
  ~Ranking() {
    for (const auto& each : entries_) Py_DECREF(each.name);
  }

  void add(double number, const nb::str& name) {
    const auto added = entry(number, name);
    entries_.insert(std::upper_bound(entries_.begin(), entries_.end(), added, is_before), added);
    Py_INCREF(added.name);
  }

  void remove(double number, const nb::str& name) {
    const auto gone = entry(number, name);
    const auto place = std::lower_bound(entries_.begin(), entries_.end(), gone, is_before);
    if (place == entries_.end() || is_before(gone, *place)) throw nb::key_error(name.c_str());
    const auto held = nb::steal(place->name);  // let go of last: nothing may run while the order is being changed
    entries_.erase(place);
  }

  nb::list first(size_t count) const {
    count = std::min(count, entries_.size());
    auto names = list_of(count);
    for (size_t i = 0; i < count; ++i) set(names, i, nb::borrow(entries_[i].name));
    return names;
  }

  nb::list last(size_t count) const {
    count = std::min(count, entries_.size());
    auto names = list_of(count);
    for (size_t i = 0; i < count; ++i) set(names, i, nb::borrow(entries_[entries_.size() - 1 - i].name));
    return names;
  }

  nb::list every(size_t step) const {
    if (step == 0) throw nb::value_error("Ranking.every: step is 0; it is at least 1");
    const size_t begin = step / 2, size = entries_.size();
    auto pairs = list_of(begin < size ? (size - begin + step - 1) / step : 0);
    for (size_t i = begin, k = 0; i < size; i += step, ++k)
      set(pairs, k, nb::make_tuple(entries_[i].number, nb::borrow(entries_[i].name)));
    return pairs;
  }

  double number(size_t place) const {
    if (place >= entries_.size()) throw nb::index_error("Ranking.number: there are not so many");
    return entries_[place].number;
  }

  size_t size() const { return entries_.size(); }

 private:
  static nb::list list_of(size_t count) {
    return nb::steal<nb::list>(PyList_New(static_cast<Py_ssize_t>(count)));
  }
  static void set(nb::list& list, size_t place, nb::object value) {
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(place), value.release().ptr());
  }

  std::vector<Entry> entries_;
};

}  // namespace

void bind_ranking(nb::module_& m) {
  nb::class_<Ranking>(m, "Ranking", "Names in rising order of a number each, ties by name.")
      .def(nb::init<>())
      .def("add", &Ranking::add, nb::arg("number"), nb::arg("name"))
      .def("remove", &Ranking::remove, nb::arg("number"), nb::arg("name"))
      .def("first", &Ranking::first, nb::arg("count"))
      .def("last", &Ranking::last, nb::arg("count"))
      .def("every", &Ranking::every, nb::arg("step"))
      .def("number", &Ranking::number, nb::arg("place"))
      .def("__len__", &Ranking::size);
}
