"""Data-parallel training over MPI: several processes, one set of parameters.

Every process (a rank) computes the gradients of its part of the batch, `Workers`
averages them, and every rank takes the same step. Start ranks with ``mpiexec -n 2``.
They need the extra ``distributed``.

_workers   what a program holds: rank, size, average, broadcast, shard
_average   gradients in one flat buffer per dtype, summed in the order of the ranks
_cores     the threads of a rank, so that ranks of one host share out its CPUs
_ending    what a rank says when the job is ended around it
"""

try:
    from mpi4py import MPI as _MPI  # noqa: F401
except (ImportError, RuntimeError) as error:
    # RuntimeError: mpi4py is there and finds no MPI library.
    raise ImportError(
        'rnnext.distributed needs mpi4py and an MPI: pip install "rnnext[distributed]"'
    ) from error

from ._workers import Workers

__all__ = ["Workers"]
