"""Imported first by the process that runs are forked from, so that nothing starts threads of OpenMP there.

They do not survive a fork, and a run forked after them waits forever for the first parallel operation of its own.
One starts as soon as an import computes: nodes of a quadrature are eigenvalues.
"""

from auglik.system.process import begin_no_threads

begin_no_threads()
