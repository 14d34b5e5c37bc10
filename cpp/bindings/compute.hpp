// SPDX-License-Identifier: BSD-3-Clause
//
// Long work: without the interpreter's lock, but open to Ctrl-C.
#pragma once

#include <pthread.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include "../pool.hpp"

namespace rnnext {

namespace py = pybind11;

inline bool finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

inline bool signal_pending() {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

// Signals reach Python in its main thread alone.
inline std::atomic<unsigned long> main_thread{0};

// At import. In a forked child the thread that forked is the main one.
inline void find_main_thread() {
    if (main_thread != 0) return;
    const auto threading = py::module_::import("threading");
    main_thread = threading.attr("main_thread")().attr("ident").cast<unsigned long>();
    pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
}

// Taking the lock of an interpreter that is going away unwinds the thread, and objects
// would be given back without the lock: the thread waits for the end of the process
// instead. The end may begin while the lock is waited for: hence the second look.
inline void take_lock(PyThreadState* state) {
    const auto wait = [] { std::this_thread::sleep_for(std::chrono::seconds(1)); };
    while (finalizing()) wait();
#ifdef __GLIBCXX__
    try {
        PyEval_RestoreThread(state);
    } catch (abi::__forced_unwind&) {
        for (;;) wait();
    }
#else
    PyEval_RestoreThread(state);
#endif
}

// Runs f without the GIL when it takes long enough to matter; Ctrl-C comes through.
template <class F> void compute(double flops, F f) {
    constexpr double worth_releasing = 1e6;
    if (flops < worth_releasing) return f(Interrupt{nullptr});
    const bool hears_signals = PyThread_get_thread_ident() == main_thread;
    const Interrupt interrupt{hears_signals ? signal_pending : nullptr};
    bool interrupted = false;
    std::exception_ptr error;
    PyThreadState* const state = PyEval_SaveThread();
    try {
        f(interrupt);
    } catch (const Interrupted&) {
        interrupted = true;
    } catch (...) {
        error = std::current_exception();
    }
    take_lock(state);
    if (interrupted) throw py::error_already_set();
    if (error) std::rethrow_exception(error);
}

}  // namespace rnnext
