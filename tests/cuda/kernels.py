"""Which operations have a CUDA kernel, by torch's own table of its operations, which every build of torch brings."""

import functools
import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

OF_FLOATS = {
    "mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot",
    "convolution", "_convolution", "convolution_backward", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices",
    "max_pool3d_with_indices", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
}  # fmt: skip
"""Products, convolutions and pools that CUDA's libraries have for floating point alone; a CPU takes integers too."""


@functools.cache
def without_kernel() -> frozenset[str]:
    """The operations, `name.overload`, that a CPU has and CUDA has not."""
    spec = find_spec("torchgen")
    assert spec is not None
    assert spec.submodule_search_locations
    table = Path(spec.submodule_search_locations[0]) / "packaged" / "ATen" / "native" / "native_functions.yaml"
    devices: dict[str, set[str]] = {}
    delegates: dict[str, str] = {}
    for entry in table.read_text().split("\n- func: ")[1:]:
        name = entry.partition("(")[0]
        devices[name] = set()
        if found := re.search(r"\n  dispatch:\n((?:    .*\n?)+)", entry):
            lines = re.findall(r"^    ([\w, ]+):", found[1], re.MULTILINE)
            devices[name] = {device.strip() for line in lines for device in line.split(",")}
        if found := re.search(r"\n  structured_delegate: (\S+)", entry):
            delegates[name] = found[1]
    known = {name: devices[delegates.get(name, name)] for name in devices}

    return frozenset(
        name
        for name, keys in known.items()
        if "CPU" in keys and "CUDA" not in keys and not any(key.startswith("Composite") for key in keys)
    )


def lacks_kernel(function: torch._ops.OpOverload, tensors: list[Tensor]) -> bool:
    """Whether CUDA has no kernel of this operation for these tensors."""
    name = function.name().removeprefix("aten::")
    if name in without_kernel():
        return True
    return name.partition(".")[0] in OF_FLOATS and not tensors[0].dtype.is_floating_point
