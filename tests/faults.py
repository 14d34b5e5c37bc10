"""Allocations that fail on request: `faults.cpp` compiled, loaded and steered."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

SET_HANDLER = 304  # of NumPy's table of functions


def build(folder):
    """Compile `faults.cpp` into a folder; the path of the library."""
    path = Path(folder, "faults.so")
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++")))
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    source = Path(__file__).with_name("faults.cpp")
    subprocess.run([compiler, *flags, source, "-o", path, "-ldl"], check=True)
    return path


class Faults:
    """Load before the extension, as what is loaded first is what it finds."""

    def __init__(self, path):
        self._library = library = ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        library.faults_arm.argtypes = [ctypes.c_long, ctypes.c_int]
        for name in ("faults_disarm", "faults_taken", "faults_live"):
            getattr(library, name).restype = ctypes.c_long
        self.arm = library.faults_arm
        self.disarm = library.faults_disarm
        self.taken = library.faults_taken
        self.live = library.faults_live
        self.forbid_threads = library.faults_forbid_threads
        self._handle_numpy()

    def _handle_numpy(self):
        api = ctypes.pythonapi
        api.PyCapsule_New.restype = ctypes.py_object
        api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        api.PyCapsule_GetPointer.restype = ctypes.c_void_p
        api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        table = api.PyCapsule_GetPointer(np._core._multiarray_umath._ARRAY_API, None)
        functions = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))
        function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
        handler = ctypes.addressof(ctypes.c_char.in_dll(self._library, "numpy_handler"))
        self._capsule = api.PyCapsule_New(handler, b"mem_handler", None)
        function(functions[SET_HANDLER])(self._capsule)
        assert np._core.multiarray.get_handler_name() == "rnnext_tests"
