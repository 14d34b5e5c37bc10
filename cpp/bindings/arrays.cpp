// SPDX-License-Identifier: BSD-3-Clause
#include "arrays.hpp"

#include <cstring>
#include <optional>

#include "fast_call.hpp"
#include "register.hpp"

namespace rnnext {
namespace {

// ---- memory of large arrays -------------------------------------------------

void* allocate(void*, std::size_t size) {
    if (size > std::size_t(max_bytes)) return nullptr;
    try {
        return aligned_buffer<char>(index(size)).release();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void free_block(void*, void* data, std::size_t) {
    if (data) AlignedDelete()(data);
}

void* allocate_zeros(void*, std::size_t count, std::size_t size) {
    std::size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
    void* const data = allocate(nullptr, bytes);
    return data ? std::memset(data, 0, bytes) : nullptr;
}

void* reallocate(void*, void* data, std::size_t size) {
    void* const moved = allocate(nullptr, size);
    if (moved && data) {
        std::memcpy(moved, data, std::min(size, AlignedDelete::size(data)));
        free_block(nullptr, data, 0);
    }
    return moved;
}

// NumPy's PyDataMem_Handler, version 1, and the slot of PyDataMem_SetHandler in its
// table of functions.
struct Handler {
    char name[127] = "rnnext";
    unsigned char version = 1;
    void* context = nullptr;
    decltype(&allocate) malloc = allocate;
    decltype(&allocate_zeros) calloc = allocate_zeros;
    decltype(&reallocate) realloc = reallocate;
    decltype(&free_block) free = free_block;
} handler;
constexpr int set_handler_slot = 304;

PyObject* (*set_handler)(PyObject*);  // the one before, owned by the caller
PyObject* ours;

void find_handler() {
    const py::object table =
        py::detail::import_numpy_core_submodule("multiarray").attr("_ARRAY_API");
    void** const slots =
        static_cast<void**>(PyCapsule_GetPointer(table.ptr(), nullptr));
    if (!slots) throw py::error_already_set();
    set_handler = reinterpret_cast<decltype(set_handler)>(slots[set_handler_slot]);
    ours = PyCapsule_New(&handler, "mem_handler", nullptr);
    if (!ours) throw py::error_already_set();
}

// While it lives, NumPy's new arrays of this thread have their data from take_block
// (NEP 49), and own it.
class KeptPages {
  public:
    KeptPages() : before_(set_handler(ours)) {
        if (!before_) throw py::error_already_set();
    }
    // Without memory to take ours back it stays: it serves any array.
    ~KeptPages() {
        const py::error_scope raised;
        Py_XDECREF(set_handler(before_));
        PyErr_Clear();
        Py_DECREF(before_);
    }
    KeptPages(const KeptPages&) = delete;
    KeptPages& operator=(const KeptPages&) = delete;

  private:
    PyObject* const before_;
};

// Bytes of an array for which that pays: to fault its pages would take longer than to
// fill them.
constexpr index least_kept = index(1) << 20, most_kept = index(16) << 20;

// ---- views ------------------------------------------------------------------

// Its base is no ndarray: else NumPy would let views of the view refer to what is under
// it, and nobody could count them.
py::object writable_view(const py::object& object) {
    const Array* const array = as_array(object);
    if (!array || !(array->flags & py::array::c_style))
        throw py::type_error("array: expected a C-contiguous ndarray");
    const auto& numpy = py::detail::npy_api::get();
    const py::tuple owner = py::make_tuple(object);
    Py_INCREF(array->descr);  // NewFromDescr takes it over
    const auto view = py::reinterpret_steal<py::object>(numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, array->descr, array->nd, array->dimensions, nullptr,
        array->data, py::detail::npy_api::NPY_ARRAY_WRITEABLE_, nullptr));
    if (!view || numpy.PyArray_SetBaseObject_(view.ptr(), owner.inc_ref().ptr()) != 0)
        throw py::error_already_set();
    return view;
}

py::object made(PyObject* object) {
    if (!object) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

py::dict dict(const py::object& object, const char* name) {
    if (!PyDict_Check(object.ptr()))
        throw py::type_error(std::string(name) + ": expected a dict");
    return py::reinterpret_borrow<py::dict>(object);
}

py::object writable_views(const py::dict& arrays) {
    py::object views = made(PyDict_New());
    for (const auto& [name, array] : arrays) {
        const auto view = writable_view(py::reinterpret_borrow<py::object>(array));
        if (PyDict_SetItem(views.ptr(), name.ptr(), view.ptr()) != 0)
            throw py::error_already_set();
    }
    return views;
}

// Takes memory only where there is a name to tell.
py::object close_views(const py::dict& views, const py::dict& given) {
    const auto is_kept = [&](py::handle name, py::handle view) {
        const bool is_given = PyDict_GetItem(given.ptr(), name.ptr()) == view.ptr();
        return Py_REFCNT(view.ptr()) > 1 + is_given;
    };
    Py_ssize_t count = 0;
    for (const auto& [name, view] : views) {
        if (!as_array(view)) throw py::type_error("views: expected ndarrays");
        py::detail::array_proxy(view.ptr())->flags &=
            ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
        count += is_kept(name, view);
    }
    py::object kept = made(PyTuple_New(count));
    for (const auto& [name, view] : views)
        if (count > 0 && is_kept(name, view))
            PyTuple_SET_ITEM(kept.ptr(), --count,
                             py::object(name, true).release().ptr());
    return kept;
}

struct WritableViewsFunction {
    static constexpr const char* name = "writable_views";
    static constexpr const char* arguments[] = {"arrays"};
    static constexpr int required = 1;

    static py::object call(const py::object* given) {
        return writable_views(dict(given[0], "arrays"));
    }
};

struct CloseViewsFunction {
    static constexpr const char* name = "close_views";
    static constexpr const char* arguments[] = {"views", "given"};
    static constexpr int required = 2;

    static py::object call(const py::object* given) {
        return close_views(dict(given[0], "views"), dict(given[1], "given"));
    }
};

}  // namespace

py::object new_array(int type, const Shape& shape, index item_size) {
    index bytes = item_size;
    for (int i = 0; i < shape.ndim; ++i)
        if (__builtin_mul_overflow(bytes, std::max<index>(shape[i], 1), &bytes))
            throw std::bad_alloc();
    std::optional<KeptPages> pages;
    if (bytes >= least_kept && bytes <= most_kept) pages.emplace();
    const auto& numpy = py::detail::npy_api::get();
    return made(numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, numpy.PyArray_DescrFromType_(type), shape.ndim,
        shape.sizes, nullptr, nullptr, 0, nullptr));
}

void register_arrays(py::module_& m) {
    find_handler();
    def_fast<WritableViewsFunction>(m);
    def_fast<CloseViewsFunction>(m);
}

}  // namespace rnnext
