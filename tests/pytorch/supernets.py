"""The supernets by the name of their space."""

from model import CHILDREN, Zhang64
from model_nasbench201 import Nasbench201

# A few children of nasbench201: every candidate on every edge, edges without a way to the output, zero nodes, disconnected.
NASBENCH201_CHILDREN = [
    "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
    "|skip_connect~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
    "|nor_conv_1x1~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",
    "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|",
    "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|",
    "|none~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|none~1|none~2|",
    "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
]
ALL_CHILDREN = {"zhang64": CHILDREN, "nasbench201": NASBENCH201_CHILDREN}


def supernet(space, channels, cells, classes, image_channels, affine=False, tracked=False, bias=False):
    """In float64. The last three are of nasbench201's cells; its default is that of the embedded space."""
    if space == "zhang64":
        return Zhang64(channels, cells, classes, image_channels).double()
    return Nasbench201(channels, cells, classes, image_channels, affine, tracked, bias).double()
