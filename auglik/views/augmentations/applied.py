"""Reports of augmentations that do one thing to a view."""

import numpy as np
from numpy.typing import NDArray

from auglik.views.augmentation import OPERATIONS, Applied


def one_operation(
    operation: str, done: NDArray[np.bool_], magnitude: NDArray[np.floating], visibility: NDArray[np.floating]
) -> list[Applied]:
    """One branch of one step: `operation` where it was `done`, else identity; arrays [n]."""
    return [
        Applied(
            share=np.ones(len(done), np.float32),
            operation=np.where(done, OPERATIONS.index(operation), OPERATIONS.index("identity"))[:, None].astype(
                np.uint8
            ),
            magnitude=np.where(done, magnitude, 0)[:, None].astype(np.float32),
            visibility=np.where(done, visibility, 1)[:, None].astype(np.float32),
        )
    ]
