"""Imported first by the process that runs are forked from, so that nothing starts threads of OpenMP there.

They do not survive a fork, and a run forked after them waits forever for the first parallel operation of its own.
One starts as soon as an import computes: nodes of a quadrature are eigenvalues.
"""

import torch

torch.set_num_threads(1)  # of that process; a run sets its own
