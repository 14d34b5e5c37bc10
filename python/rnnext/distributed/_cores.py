"""How many threads a rank may use where other ranks live on the same host."""

from __future__ import annotations

import os
from collections import Counter

from mpi4py import MPI

import rnnext


def fair_threads(comm: MPI.Comm) -> int:
    """Threads of this rank, so that the ranks of its host share out the CPUs.

    A CPU counts for a rank as one part in the number of ranks that may run on it, so
    ranks that `mpiexec` has bound to CPUs of their own use all of those, and ranks
    that may run anywhere get equal parts of everything.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks of this host.

    Returns
    -------
    int
        At least 1. What `rnnext.get_num_threads` says when RNNEXT_NUM_THREADS is set:
        who set it knows better.
    """
    limit = rnnext.get_num_threads()
    mine = _cpus()
    everyone = comm.allgather(mine)
    if os.environ.get("RNNEXT_NUM_THREADS", "").strip():
        return limit
    ranks = Counter(cpu for cpus in everyone for cpu in cpus)
    # A container may allow less time than its CPUs have: the limit knows.
    part = min(limit / len(mine), 1.0) * sum(1 / ranks[cpu] for cpu in mine)
    return max(1, int(part + 1e-9))


def _cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))
