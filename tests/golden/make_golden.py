#!/usr/bin/env python3
"""Makes tests/golden/*.tsv: what an independent implementation (PyTorch, in double
precision) says of our networks. Run by hand, from the root of the tree:

    python3 tests/golden/make_golden.py [NAME-VARIANT ...]   # PyTorch 2.x and NumPy

Pictures, labels and initial weights are integer formulas that t_golden.c evaluates
to the same bits, so that the files hold results only: the losses of ten steps and,
of the first step's gradients, norms, projections and some elements; of running means
and variances norms and projections after the tenth. Dropout is left out on both sides.

Rectifiers and maxima have kinks, and where a number lies on one, single precision may
take the other side, which moves some gradients by up to 4e-2 of their norm, in PyTorch's
single precision as in ours; otherwise both agree with double precision within 1e-5. So
the first step is kept away from kinks: the bias before each rectifier is that of 1000
streams of noise which leaves the widest gap around zero, and the pictures are the first
of 64 streams with which the nearest kink is far enough away, or farthest. PyTorch in single precision must then
agree with itself in double, or nothing is written."""
import io
import re
import sys
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS, ELEMENTS = 10, 6
STREAMS, FAR, FIRST_BIAS, CANDIDATES = 64, 1.5e-5, 10000, 1000


def noise(stream, n):
    """n numbers in [-1, 1), exact in float32: a hash of (stream, index); of an array of streams a table."""
    stream = np.asarray(stream, dtype=np.uint64)[..., None]
    x = (np.arange(n, dtype=np.uint64) * 2654435761 + stream * 40503 + 12345) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    x = (x * 3266489917) & 0xFFFFFFFF
    x ^= x >> 16
    return ((x >> 8).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32)


def labels(batch):
    x = (np.arange(batch, dtype=np.uint64) * 2654435761 + 12345) & 0xFFFFFFFF
    return torch.from_numpy(((x >> 16) % 10).astype(np.int64))


# ---- networks: written from the papers, not from our plugins


class Mlp(nn.Module):
    shape = (784,)

    def __init__(self):
        super().__init__()
        self.hidden1, self.hidden2 = nn.Linear(784, 300), nn.Linear(300, 100)
        self.output = nn.Linear(100, 10)

    def forward(self, x, label):
        x = F.relu(self.hidden1(x))
        x = F.relu(self.hidden2(x))
        return F.cross_entropy(self.output(x), label)


class LeNetModern(nn.Module):
    shape = (1, 32, 32)

    def __init__(self):
        super().__init__()
        self.C1, self.C3, self.C5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.F6, self.output = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x, label):
        x = F.avg_pool2d(torch.tanh(self.C1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.C3(x)), 2)
        x = torch.tanh(self.C5(x)).flatten(1)
        return F.cross_entropy(self.output(torch.tanh(self.F6(x))), label)


class Subsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))

    def forward(self, x):
        total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        return total * self.gain[None, :, None, None] + self.bias[None, :, None, None]


class LeNetOriginal(nn.Module):
    shape = (1, 32, 32)
    # Table I by columns: which maps of S2 feed each map of C3.
    table = "012 123 234 345 450 501 0123 1234 2345 3450 4501 5012 0134 1245 0235 012345".split()

    def __init__(self):
        super().__init__()
        self.C1, self.C3, self.C5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.S2, self.S4, self.F6 = Subsample(6), Subsample(16), nn.Linear(120, 84)
        mask = torch.zeros(16, 6, 1, 1)
        for to, sources in enumerate(self.table):
            mask[to, [int(s) for s in sources]] = 1
        self.mask = {"C3.weight": mask.expand(16, 6, 5, 5)}
        text = open("plugins/lenet5/lenet5_codes.h").read()
        rows = re.findall(r'"([.#]{7})"', text)
        assert len(rows) == 120
        bits = [[1.0 if c == "#" else -1.0 for c in "".join(rows[12 * d:12 * d + 12])] for d in range(10)]
        self.codes = torch.tensor(bits)

    @staticmethod
    def squash(a):
        return 1.7159 * torch.tanh(2 * a / 3)

    def forward(self, x, label):
        x = self.squash(self.S2(self.squash(self.C1(x))))
        x = F.conv2d(x, self.C3.weight * self.mask["C3.weight"].to(x.dtype), self.C3.bias)
        x = self.squash(self.S4(self.squash(x)))
        x = self.squash(self.F6(self.squash(self.C5(x)).flatten(1)))
        y = ((x[:, None, :] - self.codes[None].to(x.dtype)) ** 2).sum(-1)
        right = y[torch.arange(len(y)), label]
        return (right + torch.log(np.exp(-0.1) + torch.exp(-y).sum(1))).mean()


class Gabor(nn.Module):
    shape = (1, 28, 28)

    def __init__(self):
        super().__init__()
        y, x = np.mgrid[-3:4, -3:4].astype(np.float64)
        bank = []
        for f in range(16):
            angle, phase = np.pi * (f // 2) / 8, (f % 2) * np.pi / 2
            u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            w = np.exp(-(u**2 + 0.25 * v**2) / 8) * np.cos(2 * np.pi * u / 4 + phase)
            w -= w.mean()
            bank.append((w / np.sqrt((w**2).sum())).astype(np.float32))
        self.bank = torch.tensor(np.array(bank)[:, None], dtype=torch.float64)
        self.classifier = nn.Linear(784, 10)

    def forward(self, x, label):
        x = F.avg_pool2d(F.conv2d(x, self.bank.to(x.dtype), padding=3).abs(), 4)
        return F.cross_entropy(self.classifier(x.flatten(1)), label)


class Table(nn.Module):
    """A network of rows: parameters and running means are named <row>.<what>; `last` ran last."""

    epsilon, momentum = 1e-5, 0.1

    def row(self, name, bias=True, norm=False, **shapes):
        row = nn.Module()
        for what, shape in shapes.items():
            row.register_parameter(what, nn.Parameter(torch.empty(shape)))
        out = list(shapes.values())[0][0]
        if norm:
            row.gain = nn.Parameter(torch.empty(out))
            row.register_buffer("running_mean", torch.zeros(out))
            row.register_buffer("running_var", torch.ones(out))
        if bias or norm:
            row.bias = nn.Parameter(torch.empty(out))
        self.add_module(name, row)
        return row

    def conv(self, name, i, o, kernel, groups=1, bias=True, norm=False):
        self.row(name, bias, norm, weight=(o, i // groups, kernel, kernel))

    def linear(self, name, i, o):
        self.row(name, weight=(o, i))

    def of(self, name):
        return self.get_submodule(name)

    def norm(self, name, x):
        r, self.last = self.of(name), name
        return F.batch_norm(x, r.running_mean, r.running_var, r.gain, r.bias, True, self.momentum, self.epsilon)

    def run(self, name, x, stride=1, pad=None, groups=1):
        """A convolution with its bias, or with the batch norm that replaces it."""
        r, self.last = self.of(name), name
        pad = r.weight.shape[2] // 2 if pad is None else pad
        if hasattr(r, "gain"):
            return self.norm(name, F.conv2d(x, r.weight, None, stride, pad, 1, groups))
        return F.conv2d(x, r.weight, r.bias, stride, pad, 1, groups)

    def full(self, name, x):
        self.last = name
        return F.linear(x, self.of(name).weight, self.of(name).bias)


class AlexNet(Table):
    """Krizhevsky et al. 2012, Section 3, in one column. A layer is its width, its kernel, that of the
    pooling with stride 2 behind it or 0, and whether responses are normalised after that."""

    def __init__(self, shape, layers, units):
        super().__init__()
        self.shape, self.layers, (channels, side, _) = shape, layers, shape
        for i, (out, kernel, pool, _) in enumerate(layers):
            self.conv(f"conv{i + 1}", channels, out, kernel)
            channels, side = out, (side - pool) // 2 + 1 if pool else side
        for name, i, o in [("fc6", channels * side**2, units), ("fc7", units, units), ("fc8", units, 10)]:
            self.linear(name, i, o)

    def forward(self, x, label):
        for i, (_, _, pool, normalised) in enumerate(self.layers):
            x = F.relu(self.run(f"conv{i + 1}", x))
            x = F.max_pool2d(x, pool, 2) if pool else x
            x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2) if normalised else x
        x = F.relu(self.full("fc7", F.relu(self.full("fc6", x.flatten(1)))))
        return F.cross_entropy(self.full("fc8", x), label)


class Vgg(Table):
    """Simonyan & Zisserman 2014, Table 1, without the hidden full layers, on images that the
    stages' poolings make 1x1; batch norm as in the models released later, which kept the biases."""

    columns = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}

    def __init__(self, shape, column, width, stages):
        super().__init__()
        self.shape, self.convs, channels = shape, self.columns[column][:stages], shape[0]
        for stage, i in self.names():
            out = width * min(8, 2 ** (stage - 1))
            self.conv(f"conv{stage}_{i}", channels, out, 3)
            norm = self.row(f"norm{stage}_{i}", norm=True, weight=(out,))
            del norm.weight
            channels = out
        self.linear("fc8", channels, 10)

    def names(self):
        return [(stage + 1, i + 1) for stage, convs in enumerate(self.convs) for i in range(convs)]

    def forward(self, x, label):
        for stage, i in self.names():
            x = F.relu(self.norm(f"norm{stage}_{i}", self.run(f"conv{stage}_{i}", x)))
            if i == self.convs[stage - 1]:
                x = F.max_pool2d(x, 2)
        return F.cross_entropy(self.full("fc8", x.flatten(1)), label)


class ResNet(Table):
    """He et al. 2015, Section 4.2 or Table 1 behind a 3x3 stem: so many blocks of two layers in each
    stage, twice as wide as the one before; with shortcuts A, B or none."""

    def __init__(self, shape, blocks, width, shortcut, pooled=False):
        super().__init__()
        self.shape, self.blocks, self.shortcut, self.pooled = shape, [], shortcut, pooled
        self.conv("conv1", shape[0], width, 3, bias=False, norm=True)
        channels = width
        for stage, count in enumerate(blocks):
            for block in range(count):
                name, out = f"conv{stage + 2}_{block + 1}", width * 2**stage
                self.conv(name + "a", channels, out, 3, bias=False, norm=True)
                self.conv(name + "b", out, out, 3, bias=False, norm=True)
                if shortcut == "B" and channels != out:
                    self.conv(name + "s", channels, out, 1, bias=False, norm=True)
                self.blocks.append((name, 2 if stage and block == 0 else 1))
                channels = out
        self.linear("fc", channels, 10)

    def way_past(self, name, x, y, stride):
        more = y.shape[1] - x.shape[1]
        if not self.shortcut:
            return 0
        if self.shortcut == "B" and more:
            return self.run(name + "s", x, stride)
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, more // 2, more - more // 2))

    def forward(self, x, label):
        x = F.relu(self.run("conv1", x))
        if self.pooled:
            x = F.max_pool2d(x, 3, 2, 1)
        for name, stride in self.blocks:
            y = self.run(name + "b", F.relu(self.run(name + "a", x, stride)))
            x = F.relu(self.way_past(name, x, y, stride) + y)
        return F.cross_entropy(self.full("fc", x.mean((2, 3))), label)


class GoogLeNet(Table):
    """Szegedy et al. 2014, Table 1 to the module `last`, all widths divided, with batch norm and a
    3x3 stem; `pools` has the kernel of the pooling before a row, `five` that of what is named 5x5."""

    epsilon = 1e-3
    table = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }

    def __init__(self, shape, divisor, last, pools, five=5):
        super().__init__()
        self.shape, self.pools, self.modules = shape, pools, [m for m in self.table if m <= last]
        conv = lambda name, i, o, kernel: self.conv(name, i, o // divisor, kernel, bias=False, norm=True)
        conv("conv1/3x3", shape[0], 64, 3)
        conv("conv2/3x3_reduce", 64 // divisor, 64, 1)
        conv("conv2/3x3", 64 // divisor, 192, 3)
        i = 192 // divisor
        for module in self.modules:
            name, (one, reduce3, three, reduce5, wide, pool) = f"inception_{module}/", self.table[module]
            conv(name + "1x1", i, one, 1)
            conv(name + "3x3_reduce", i, reduce3, 1)
            conv(name + "3x3", reduce3 // divisor, three, 3)
            conv(name + "5x5_reduce", i, reduce5, 1)
            conv(name + "5x5", reduce5 // divisor, wide, five)
            conv(name + "pool_proj", i, pool, 1)
            i = sum(width // divisor for width in (one, three, wide, pool))
        self.linear("loss3/classifier", i, 10)

    def layer(self, name, x):
        return F.relu(self.run(name, x))

    def pooled(self, x, before):
        return F.max_pool2d(x, self.pools[before], 2, ceil_mode=True) if before in self.pools else x

    def forward(self, x, label):
        x = self.pooled(self.layer("conv1/3x3", x), "conv2")
        x = self.layer("conv2/3x3", self.layer("conv2/3x3_reduce", x))
        for module in self.modules:
            x, name = self.pooled(x, module), f"inception_{module}/"
            x = torch.cat([
                self.layer(name + "1x1", x),
                self.layer(name + "3x3", self.layer(name + "3x3_reduce", x)),
                self.layer(name + "5x5", self.layer(name + "5x5_reduce", x)),
                self.layer(name + "pool_proj", F.max_pool2d(x, 3, 1, 1)),
            ], 1)
        return F.cross_entropy(self.full("loss3/classifier", x.mean((2, 3))), label)


class EfficientNet(Table):
    """Tan & Le 2019, Table 1 scaled in width and depth, with the released code's rounding; the
    strides are those of stages 1 to 8."""

    epsilon, momentum = 1e-3, 0.01
    table = [(1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3), (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1)]

    def __init__(self, shape, width, depth, strides):
        super().__init__()
        self.shape, self.strides, self.blocks = shape, strides, []
        i = self.rounded(32 * width)
        self.conv("stage1", shape[0], i, 3, bias=False, norm=True)
        for stage, (expand, kernel, channels, repeats) in enumerate(self.table, 2):
            for block in range(int(np.ceil(depth * repeats))):
                stride = strides[stage - 1] if block == 0 else 1
                i = self.block(f"stage{stage}_{block + 1}/", i, expand, kernel, self.rounded(channels * width), stride)
        self.conv("stage9", i, 4 * i, 1, bias=False, norm=True)
        self.linear("fc", 4 * i, 10)

    @staticmethod
    def rounded(wish):
        new = max(8, int(wish + 4) // 8 * 8)
        return new + 8 if new < 0.9 * wish else new

    def block(self, name, i, expand, kernel, o, stride):
        wide = i * expand
        if expand > 1:
            self.conv(name + "expand", i, wide, 1, bias=False, norm=True)
        self.conv(name + "depthwise", wide, wide, kernel, wide, bias=False, norm=True)
        self.linear(name + "squeeze", wide, i // 4)
        self.linear(name + "excite", i // 4, wide)
        self.conv(name + "project", wide, o, 1, bias=False, norm=True)
        self.blocks.append((name, expand > 1, wide, stride, stride == 1 and i == o))
        return o

    def forward(self, x, label):
        x = F.silu(self.run("stage1", x, self.strides[0]))
        for name, expands, wide, stride, shortcut in self.blocks:
            y = F.silu(self.run(name + "expand", x)) if expands else x
            y = F.silu(self.run(name + "depthwise", y, stride, groups=wide))
            s = F.silu(self.full(name + "squeeze", y.mean((2, 3))))
            y = y * torch.sigmoid(self.full(name + "excite", s))[:, :, None, None]
            y = self.run(name + "project", y)
            x = x + y if shortcut else y
        x = F.silu(self.run("stage9", x)).mean((2, 3))
        return F.cross_entropy(self.full("fc", x), label, label_smoothing=0.1)


class Layer(nn.Module):
    """PyTorch's own loops, by the names of its cells' parameters."""

    def __init__(self, loop, inputs, hidden):
        super().__init__()
        gates = {torch.rnn_tanh: 1, torch.lstm: 4, torch.gru: 3}[loop]
        self.loop, self.hidden = loop, hidden
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden, hidden))
        self.bias_ih, self.bias_hh = (nn.Parameter(torch.empty(gates * hidden)) for _ in range(2))

    def forward(self, x):
        h = x.new_zeros(1, len(x), self.hidden)
        weights = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        return self.loop(x, (h, h) if self.loop is torch.lstm else h, weights, True, 1, 0.0, True, False, True)[0]


class Rows(nn.Module):
    """A picture line by line; its class when all have been read."""
    shape = (784,)

    def __init__(self, loop, hidden):
        super().__init__()
        self.hidden, self.output = Layer(loop, 28, hidden), nn.Linear(hidden, 10)

    def forward(self, x, label):
        return F.cross_entropy(self.output(self.hidden(x.reshape(-1, 28, 28))[:, -1]), label)


# ---- name, variant, network and its arguments, batch, optimizer as in struct nn_recipe

SGD, ADAM, ADAMW = "sgd", "adam", "adamw"
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
ALEXNET_FASHION = [(32, 5, 3, True), (64, 3, 3, True), (96, 3, 0, False), (96, 3, 0, False), (64, 3, 3, False)]
ALEXNET_CIFAR = [(64, 3, 2, False), (192, 3, 2, False), (384, 3, 0, False), (256, 3, 0, False), (256, 3, 2, False)]
GOLDEN = [
    ("mlp", "300-100", (Mlp,), 32, ADAM, 1e-3, 0.9, 1e-4, 0),
    ("lenet5", "modern", (LeNetModern,), 32, SGD, 0.05, 0.9, 1e-3, 0),
    ("lenet5", "original", (LeNetOriginal,), 32, SGD, 1e-4, 0.9, 0, 50),
    ("filters", "gabor", (Gabor,), 32, ADAMW, 5e-3, 0.9, 1e-2, 1),
    ("alexnet", "fashion", (AlexNet, GREY, ALEXNET_FASHION, 512), 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("alexnet", "cifar", (AlexNet, COLOUR, ALEXNET_CIFAR, 1024), 4, SGD, 0.005, 0.9, 5e-4, 0),
    ("vgg", "fashion", (Vgg, GREY, "B", 16, 4), 16, SGD, 5e-4, 0.9, 5e-4, 0),
    ("vgg", "11-cifar", (Vgg, COLOUR, "A", 64, 5), 8, SGD, 5e-4, 0.9, 5e-4, 0),
    ("vgg", "13-cifar", (Vgg, COLOUR, "B", 64, 5), 8, SGD, 5e-6, 0.9, 5e-4, 0),
    ("vgg", "16-cifar", (Vgg, COLOUR, "D", 64, 5), 8, SGD, 1e-6, 0.9, 5e-4, 0),
    ("vgg", "19-cifar", (Vgg, COLOUR, "E", 64, 5), 4, SGD, 1e-7, 0.9, 5e-4, 0),
    ("googlenet", "fashion", (GoogLeNet, GREY, 3, "4b", {"conv2": 3, "3a": 3, "4a": 3}), 16, SGD, 0.001, 0.9, 5e-4, 0),
    ("googlenet", "cifar", (GoogLeNet, COLOUR, 1, "5b", {"3a": 3, "4a": 3, "5a": 2}, 3), 1, SGD, 1e-6, 0.9, 5e-4, 0),
    ("resnet", "fashion", (ResNet, GREY, (3, 3, 3), 16, "A", True), 16, SGD, 0.001, 0.9, 5e-4, 0),
    ("resnet", "20-fashion", (ResNet, GREY, (3, 3, 3), 16, "A"), 8, SGD, 0.001, 0.9, 5e-4, 0),
    ("resnet", "20", (ResNet, COLOUR, (3, 3, 3), 16, "A"), 8, SGD, 0.001, 0.9, 5e-4, 0),
    ("resnet", "20-b", (ResNet, COLOUR, (3, 3, 3), 16, "B"), 8, SGD, 5e-4, 0.9, 5e-4, 0),
    ("resnet", "plain-20", (ResNet, COLOUR, (3, 3, 3), 16, ""), 8, SGD, 1e-4, 0.9, 5e-4, 0),
    ("resnet", "32", (ResNet, COLOUR, (5, 5, 5), 16, "A"), 8, SGD, 2e-4, 0.9, 5e-4, 0),
    ("resnet", "32-b", (ResNet, COLOUR, (5, 5, 5), 16, "B"), 8, SGD, 2e-4, 0.9, 5e-4, 0),
    ("resnet", "plain-32", (ResNet, COLOUR, (5, 5, 5), 16, ""), 4, SGD, 3e-7, 0.9, 5e-4, 0),
    ("resnet", "44", (ResNet, COLOUR, (7, 7, 7), 16, "A"), 4, SGD, 1e-4, 0.9, 5e-4, 0),
    ("resnet", "44-b", (ResNet, COLOUR, (7, 7, 7), 16, "B"), 4, SGD, 2e-5, 0.9, 5e-4, 0),
    ("resnet", "56-b", (ResNet, COLOUR, (9, 9, 9), 16, "B"), 4, SGD, 3e-6, 0.9, 5e-4, 0),
    ("resnet", "110", (ResNet, COLOUR, (18, 18, 18), 16, "A"), 2, SGD, 2e-6, 0.9, 5e-4, 0),
    ("resnet", "56", (ResNet, COLOUR, (9, 9, 9), 16, "A"), 4, SGD, 5e-5, 0.9, 5e-4, 0),
    ("resnet", "18-cifar", (ResNet, COLOUR, (2, 2, 2, 2), 64, "B"), 4, SGD, 2e-4, 0.9, 5e-4, 0),
    ("efficientnet", "fashion", (EfficientNet, GREY, 0.35, 0.5, (1, 2, 1, 2, 2, 1, 1, 1)), 16, SGD, 0.01, 0.9, 2e-4, 0),
    ("efficientnet", "cifar", (EfficientNet, COLOUR, 1, 1, (1, 1, 2, 2, 2, 1, 2, 1)), 8, SGD, 0.003, 0.9, 5e-4, 0),
    ("rnn", "row", (Rows, torch.rnn_tanh, 128), 32, SGD, 0.05, 0.9, 1e-3, 0),
    ("lstm", "row", (Rows, torch.lstm, 128), 32, ADAM, 1e-3, 0.9, 0, 1),
    ("gru", "row", (Rows, torch.gru, 128), 32, SGD, 0.05, 0.9, 1e-3, 0),
]


def network_of(row):
    cls, *how = row[2]
    return cls(*how)


def optimizer_of(kind, parameters, rate, momentum, decay):
    if kind == SGD:
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    cls = torch.optim.Adam if kind == ADAM else torch.optim.AdamW
    return cls(parameters, lr=rate, betas=(momentum, 0.999), eps=1e-8, weight_decay=decay)


def scale_of(name, p):
    """Rounded to float32 where used; gains of subsampling are 1 + noise / 4."""
    fan_in = p[0].numel() if p.dim() > 1 else 16
    return float("%.4g" % (1.5 / np.sqrt(fan_in))) if not name.endswith("gain") else 0.25


def offset_of(name):
    return 1.0 if name.endswith("gain") else 0.0


def initial(name, p, stream):
    """Of one stream like p, of an array of them one below the other."""
    w = np.float32(scale_of(name, p)) * noise(stream, p.numel()) + np.float32(offset_of(name))
    return torch.from_numpy(w.astype(np.float64)).reshape(*np.shape(stream), *p.shape)


def start(net, streams):
    for name, p in net.named_parameters():
        p.data = initial(name, p, streams[name]) * getattr(net, "mask", {}).get(name, 1)


def pictures(net, batch, stream):
    x = noise(stream, batch * int(np.prod(net.shape)))
    return torch.from_numpy(x).double().reshape(batch, *net.shape)


# ---- away from kinks


def distances(values, points):
    """From each point of a row to the nearest of that row's values."""
    values, points = values.sort(1).values.contiguous(), points.contiguous()
    above = torch.searchsorted(values, points).clamp(1, values.shape[1] - 1)
    return torch.minimum((points - values.gather(1, above - 1)).abs(), (points - values.gather(1, above)).abs())


def pool_margin(x, kernel, stride=None, padding=0, ceil_mode=False):
    """Between the largest element of a window and the next. Equal ones are rectified zeros, which pass no gradient."""
    stride = stride or kernel
    room = (padding, padding + stride - 1 if ceil_mode else padding) * 2
    windows = F.pad(x, room, value=-torch.inf).unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)
    largest = windows.amax(-1)
    next_one = windows.masked_fill(windows == largest[..., None], -torch.inf).amax(-1)
    return (largest - next_one).min() / x.square().mean().sqrt()


class Settling:
    """Inside `with`, a rectifier first has the bias of the row before it taken from that stream of
    noise which keeps its inputs farthest from zero; notes how near rectifiers and poolings come to
    their kinks, in units of their inputs' size."""

    def __init__(self, net, streams):
        self.net, self.streams, self.rectifier, self.pooling = net, streams, np.inf, np.inf

    def __enter__(self):
        self.usual = F.relu, F.max_pool2d
        F.relu, F.max_pool2d = self.relu, self.max_pool2d
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d = self.usual

    def nearest(self):
        return min(self.rectifier, self.pooling)

    def relu(self, z):
        if hasattr(self.net, "last"):
            z = self.settled(z, self.net.last + ".bias")
        self.rectifier = min(self.rectifier, float(z.abs().min() / z.square().mean().sqrt()))
        return torch.relu(z)

    def max_pool2d(self, x, *args, **options):
        self.pooling = min(self.pooling, float(pool_margin(x, *args, **options)))
        return self.usual[1](x, *args, **options)

    def settled(self, z, name):
        bias = self.net.get_parameter(name)
        streams = FIRST_BIAS + CANDIDATES * list(self.streams).index(name) + np.arange(CANDIDATES)
        choices = initial(name, bias, streams).T
        without = z.transpose(0, 1).flatten(1) - bias[:, None]
        best = int(distances(without, -choices).amin(0).argmax())
        shift = choices[:, best] - bias
        bias.data, self.streams[name] = choices[:, best], int(streams[best])
        return z + shift.reshape(-1, *[1] * (z.dim() - 2))


def settle(row, stream):
    """The streams of all parameters that keep these pictures away from kinks, and how far."""
    net, batch = network_of(row), row[3]
    streams = {name: 100 + i for i, (name, _) in enumerate(net.named_parameters())}
    start(net, streams)
    with torch.no_grad(), Settling(net, streams) as kinks:
        net(pictures(net, batch, stream), labels(batch))
    return streams, kinks


def best_streams(row):
    """Of pictures and of all parameters: the first that are far enough away, or those farthest away."""
    best = None
    for stream in range(1, STREAMS + 1):
        streams, kinks = settle(row, stream)
        if best is None or kinks.nearest() > best[2].nearest():
            best = stream, streams, kinks
        if kinks.nearest() > FAR:
            break
    stream, streams, kinks = best
    print(f"{row[0]}:{row[1]} stream {stream}: {kinks.rectifier:.1e} from a rectifier's kink, {kinks.pooling:.1e} "
          "from a pooling's", flush=True)
    return stream, streams


# ---- ten steps and what is told of them


def describe(tensor, stream, out):
    """Norm and product with noise."""
    product = float(tensor.double() @ torch.from_numpy(noise(stream, tensor.numel())).double())
    out.write(f"\t{float(tensor.norm()):.9g}\t{stream}\t{product:.9g}")


def describe_params(net, streams, out):
    for name, p in net.named_parameters():
        out.write(f"param\t{name}\t{streams[name]}\t{scale_of(name, p):.9g}\t{offset_of(name):.9g}\n")


def describe_grads(net, out):
    for i, (name, p) in enumerate(net.named_parameters()):
        g = p.grad.flatten()
        at = [k * (g.numel() - 1) // (ELEMENTS - 1) for k in range(ELEMENTS)]
        out.write("grad\t" + name)
        describe(g, 200 + i, out)
        out.write(f"\t{float(g.abs().max()):.9g}\t" + "\t".join(f"{k}:{float(g[k]):.9g}" for k in at) + "\n")


def describe_buffers(net, out):
    for i, (name, b) in enumerate(net.named_buffers()):
        out.write("buffer\t" + name)
        describe(b, 1000 + i, out)
        out.write("\n")


def train(row, stream, streams, dtype, out):
    """Ten steps; the losses, the first gradients and the last running means and variances."""
    name, variant, _, batch, kind, rate, momentum, decay, clip = row
    net = network_of(row)
    start(net, streams)
    describe_params(net, streams, out)
    net.to(dtype)
    x, label = pictures(net, batch, stream).to(dtype), labels(batch)
    opt = optimizer_of(kind, net.parameters(), rate, momentum, decay)
    losses, grads = [], []
    for step in range(STEPS):
        opt.zero_grad()
        loss = net(x, label)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            describe_grads(net, out)
            grads = [p.grad.double().clone() for p in net.parameters()]
        out.write(f"loss\t{step}\t{loss.item():.9g}\n")
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        opt.step()
    describe_buffers(net, out)
    return losses, grads, [b.double() for b in net.buffers()]


def disagreement(double, single):
    """Of losses, of gradients in units of their norm, of running means and variances likewise."""
    losses, grads, buffers = (list(zip(a, b)) for a, b in zip(double, single))
    largest = max(float(g.norm()) for g in double[1])
    grads = [(g, s) for g, s in grads if float(g.norm()) > 1e-9 * largest]  # others are zero but for rounding
    far = lambda pairs: max((float((a - b).norm() / a.norm()) for a, b in pairs), default=0.0)
    return max(abs(a - b) / abs(a) for a, b in losses), far(grads), far(buffers)


def make(row):
    name, variant, _, batch, kind, rate, momentum, decay, clip = row
    stream, streams = best_streams(row)
    out = io.StringIO()
    out.write("# made by make_golden.py with PyTorch %s in double precision\n" % torch.__version__.split("+")[0])
    out.write(f"run\t{name}\t{variant}\t{batch}\t{kind}\t{rate:g}\t{momentum:g}\t{decay:g}\t{clip:g}\t{stream}\n")
    double = train(row, stream, streams, torch.float64, out)
    single = train(row, stream, streams, torch.float32, io.StringIO())
    losses, grads, buffers = disagreement(double, single)
    print(f"  single precision is off by {losses:.1e} in losses, {grads:.1e} in gradients, "
          f"{buffers:.1e} in running means", flush=True)
    assert losses < 2e-4 and grads < 1e-4 and buffers < 3e-4
    with open(f"tests/golden/{name}-{variant}.tsv", "w") as file:
        file.write(out.getvalue())


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    for row in GOLDEN:
        if f"{row[0]}-{row[1]}" in sys.argv[1:] or not sys.argv[1:]:
            make(row)
