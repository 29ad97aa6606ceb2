"""auglik: under which likelihood should a classifier be trained when its inputs are augmented?

The public names are in `__init__.pyi`. Each is imported on first use, so that `auglik.objectives` needs
torch alone and the command line answers at once.
"""

from pathlib import Path

import lazy_loader

if not (_here := Path(__file__).parent).joinpath("objectives").is_dir():
    __path__.append(str(_here.parent))  # of a checkout that is imported as it lies: objectives/, cli/, studies/

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
