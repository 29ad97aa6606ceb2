"""auglik: under which likelihood should a classifier be trained when its inputs are augmented?

The public names stand in `__init__.pyi`. Each is imported when it is first used, so that `auglik.objectives` needs
torch alone and the command line answers at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
