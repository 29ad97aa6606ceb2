"""The layout of pixels on the device, such that one gather fetches every channel of a pixel."""

import torch
from torch import Tensor


def pack(levels: Tensor) -> Tensor:
    """Images uint8 [V,c,H,W] -> [V, H W]: uint8 for one channel, for three int32 holding the bytes R, G, B, 0."""
    V, c, H, W = levels.shape
    planes = levels.flatten(2)
    if c == 1:
        return planes[:, 0].contiguous()
    rgbx = torch.zeros(V, H * W, 4, dtype=torch.uint8, device=levels.device)
    rgbx[..., :3] = planes.transpose(1, 2)
    return rgbx.view(torch.int32)[..., 0]
