"""The supernets by the name of their space."""

from model import CHILDREN, Zhang64
from model_darts import Darts
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
# A few children of darts, normal cells before reductions: every candidate in both; two edges a node; a node of zeros, and a first input that nobody reads.
DARTS_CHILDREN = [
    "2-3-4-5-6-7-8-1-2-3-4-5-6-7-4-5-6-7-8-2-3-1-4-4-5-2-6-8",
    "5-6-7-1-4-1-2-1-3-1-1-8-1-4-2-4-1-3-4-5-1-8-1-1-1-1-6-7",
    "1-1-1-6-5-1-8-4-2-1-3-7-5-4-1-1-4-8-6-4-2-3-5-7-4-6-1-5",
]
ALL_CHILDREN = {"zhang64": CHILDREN, "nasbench201": NASBENCH201_CHILDREN, "darts": DARTS_CHILDREN}


def supernet(space, channels, cells, classes, image_channels, affine=False, tracked=False, bias=False):
    """In float64. The last three are of nasbench201's cells; its default is that of the embedded space."""
    if space == "zhang64":
        return Zhang64(channels, cells, classes, image_channels).double()
    if space == "darts":
        return Darts(channels, cells, classes, image_channels).double()
    return Nasbench201(channels, cells, classes, image_channels, affine, tracked, bias).double()
