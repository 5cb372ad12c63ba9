#!/usr/bin/env python3
"""Makes tests/golden/*.tsv: what an independent implementation (PyTorch, in double
precision) says of our networks. Run by hand, from the root of the tree:

    python3 tests/golden/make_golden.py [NAME-VARIANT ...]   # PyTorch 2.x and NumPy

Pictures, labels, tokens and initial weights are integer formulas that t_golden.c evaluates
to the same bits, so that the files hold results only: the losses of ten steps and,
of the first step's gradients, norms, projections and some elements; of running means
and variances norms and projections after the tenth. Dropout is left out on both sides.
A step of sequences begins with the state that the one before it left, where a network
carries one; its inputs are the same in each.

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


# ---- sequences: torch.nn's layers where it has them, equations where it has not


class Input:
    """Noise, or integers of [low, high); at and behind step `until` of each sample, an input, they are `pad`."""

    def __init__(self, name, shape, low=0, high=0, until=None, pad=0):
        self.name, self.shape, self.low, self.high, self.until, self.pad = name, shape, low, high, until, pad

    def values(self, batch, stream, others):
        count = batch * int(np.prod(self.shape, dtype=int))
        if not self.high:
            return torch.from_numpy(noise(stream, count)).double().reshape(batch, *self.shape)
        x = self.low + (noise(stream, count).astype(np.float64) * 2**23 + 2**23).astype(np.int64) % (self.high - self.low)
        x = torch.from_numpy(x).reshape(batch, *self.shape)
        if self.until:
            x[torch.arange(self.shape[0]) >= others[self.until][:, None]] = self.pad
        return x

    def describe(self, stream, out):
        out.write(f"input\t{self.name}\t{stream}\t{self.low}\t{self.high}\t{self.until or '-'}\t{self.pad}\n")


class Sequences(nn.Module):
    """Parameters are named <row>.<what> as torch.nn's are, without the number of the layer; `tokens` and
    `lengths` are what our networks are told about their inputs before they are built."""

    inputs, tokens, lengths = [], {}, {}

    def named_parameters(self, *args, **options):
        for name, p in super().named_parameters(*args, **options):
            yield re.sub("_l0$", "", re.sub(r"hidden\.(.*)_l0_reverse", r"backward.\1", name)), p

    def parameters(self, recurse=True):
        return (p for _, p in self.named_parameters(recurse=recurse))

    def cell(self, name, kind, i, h):
        """A layer of torch.nn, or the parameters of one that it has not."""
        usual = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        if kind == "relu":
            layer = nn.RNN(i, h, batch_first=True, nonlinearity="relu")
        elif kind in usual:
            layer = usual[kind](i, h, batch_first=True)
        else:
            layer, gates = nn.Module(), {"peephole": 4, "1997": 3, "before": 3, "one bias": 4}[kind]
            layer.weight_ih, layer.weight_hh = nn.Parameter(torch.empty(gates * h, i)), nn.Parameter(torch.empty(gates * h, h))
            layer.bias_ih = nn.Parameter(torch.empty(gates * h))
            if kind not in ("before", "one bias"):
                layer.bias_hh = nn.Parameter(torch.empty(gates * h))
            if kind == "peephole":
                layer.peep = nn.Parameter(torch.empty(3, h))
        layer.kind = kind
        self.add_module(name, layer)

    def run(self, name, x, length=None, state=None, reverse=False):
        """All hidden states, and the last of each sample: h, or of an LSTM (h, c). State alike, or None."""
        layer = self.get_submodule(name)
        length = torch.full((len(x),), x.shape[1]) if length is None else length
        x = backwards(x, length) if reverse else x
        if hasattr(layer, "batch_first"):
            y, state = run_torch(layer, x, length, state)
        else:
            y, state = run_equations(layer, x, length, state)
        return backwards(y, length) if reverse else y, state


def backwards(x, length):
    """Each sample's steps from the last to the first, what lies behind them as it was."""
    t, length = torch.arange(x.shape[1])[None], length[:, None]
    return x.gather(1, torch.where(t < length, length - 1 - t, t)[..., None].expand_as(x))


def run_torch(layer, x, length, state):
    cells = isinstance(layer, nn.LSTM)
    if state is not None:
        state = tuple(s[None] for s in state) if cells else state[None]
    packed = nn.utils.rnn.pack_padded_sequence(x, length, batch_first=True, enforce_sorted=False)
    y, state = layer(packed, state)
    y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    return y, tuple(s[0] for s in state) if cells else state[0]


def peephole(p, a, u, h, c):
    """Gers & Schmidhuber 2000: input and forget gate see the cell as it was, the output gate as it is."""
    i, f, g, o = (a + u).chunk(4, 1)
    i, f = torch.sigmoid(i + p.peep[0] * c), torch.sigmoid(f + p.peep[1] * c)
    c = f * c + i * torch.tanh(g)
    return torch.sigmoid(o + p.peep[2] * c) * torch.tanh(c), c


def one_bias(p, a, u, h, c):
    """An LSTM without bias_hh, as Keras has it."""
    i, f, g, o = (a + u).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm_1997(p, a, u, h, c):
    """Hochreiter & Schmidhuber 1997 with today's squashing functions: no forget gate."""
    i, g, o = (a + u).chunk(3, 1)
    c = c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_before(p, a, u, h, c):
    """Cho et al. 2014: the reset gate acts on the state, not on its product."""
    n = len(a[0]) // 3
    r, z = torch.sigmoid(a[:, :2 * n] + h @ p.weight_hh[:2 * n].T).chunk(2, 1)
    return (1 - z) * torch.tanh(a[:, 2 * n:] + (r * h) @ p.weight_hh[2 * n:].T) + z * h, c


def run_equations(p, x, length, state):
    step = {"peephole": peephole, "1997": lstm_1997, "before": gru_before, "one bias": one_bias}[p.kind]
    zero = x.new_zeros(len(x), p.weight_hh.shape[1])
    cells = p.kind != "before"
    h, c = (zero, zero) if state is None else state if cells else (state, zero)
    a, y = F.linear(x, p.weight_ih, p.bias_ih), []
    for t in range(x.shape[1]):
        alive = (t < length)[:, None]
        u = None if p.kind == "before" else F.linear(h, p.weight_hh, getattr(p, "bias_hh", None))
        new_h, new_c = step(p, a[:, t], u, h, c)
        h, c = torch.where(alive, new_h, h), torch.where(alive, new_c, c)
        y.append(torch.where(alive, h, 0 * h))
    return torch.stack(y, 1), (h, c) if cells else h


def score(logits, next, smoothing=0.0):
    """Over all steps that count."""
    return F.cross_entropy(logits.flatten(0, 1), next.flatten(), ignore_index=-1, label_smoothing=smoothing)


class TwoLayers(Sequences):
    """tests/plugins/recurrent.c: all that a layer can be given."""

    steps, units, classes = 7, 19, 6
    inputs = [Input("values", (steps, 5)), Input("length", (), 1, steps + 1),
              Input("next", (steps,), 0, classes, "length", -1)]

    def __init__(self, kind, reverse=False):
        super().__init__()
        self.has_cell, self.reverse = kind in ("lstm", "peephole", "1997"), reverse
        self.begin = nn.Linear(5, self.units)
        if self.has_cell:
            self.add_module("cell_", nn.Linear(5, self.units))
        self.cell("first", kind, 5, self.units)
        self.cell("second", kind, self.units, self.units)
        self.output = nn.Linear(self.units, self.classes)

    def named_parameters(self, *args, **options):
        for name, p in super().named_parameters(*args, **options):
            yield name.replace("cell_.", "cell."), p

    def forward(self, values, length, next):
        state = torch.tanh(self.begin(values[:, 0]))
        if self.has_cell:
            state = state, torch.tanh(self.cell_(values[:, 0]))
        y, state = self.run("first", values, length, state, self.reverse)
        y, _ = self.run("second", y, None, state, self.reverse)
        return score(self.output(y), next)


class RowByRow(Sequences):
    """A picture line by line; its class is said at the end."""

    shape = (784,)

    def __init__(self, kind, hidden=128):
        super().__init__()
        self.cell("hidden", kind, 28, hidden)
        self.output = nn.Linear(hidden, 10)

    def forward(self, x, label):
        y, _ = self.run("hidden", x.reshape(-1, 28, 28))
        return F.cross_entropy(self.output(y[:, -1]), label)


class Adding(Sequences):
    """Pairs of numbers; one number is said at the end."""

    lengths = {"values": 20}
    inputs = [Input("values", (20, 2)), Input("target", (1,))]

    def __init__(self, kind, hidden=128):
        super().__init__()
        self.cell("hidden", kind, 2, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, values, target):
        y, _ = self.run("hidden", values)
        return F.mse_loss(self.output(y[:, -1]), target)


class Characters(Sequences):
    """Two layers that say the next character and go on where the step before ended."""

    tokens, lengths = {"tokens": 30, "next": 30}, {"tokens": 9}
    inputs = [Input("tokens", (9,), 0, 30), Input("next", (9,), 0, 30)]

    def __init__(self, kind, hidden=128):
        super().__init__()
        self.cell("hidden1", kind, 30, hidden)
        self.cell("hidden2", kind, hidden, hidden)
        self.output = nn.Linear(hidden, 30)
        self.carried = [None, None]

    def forward(self, tokens, next):
        x = F.one_hot(tokens, 30).to(self.output.weight.dtype)
        for i in range(2):
            x, end = self.run(f"hidden{i + 1}", x, None, self.carried[i])
            self.carried[i] = tuple(e.detach() for e in end) if isinstance(end, tuple) else end.detach()
        return score(self.output(x), next)


class Names(Sequences):
    """Read from both ends: one module of torch.nn in both directions."""

    lengths = {"tokens": 12}
    inputs = [Input("length", (), 1, 13), Input("tokens", (12,), 0, 57, "length", 0), Input("label", (), 0, 18)]

    def __init__(self, hidden=128):
        super().__init__()
        self.hidden = nn.LSTM(57, hidden, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, 18)

    def forward(self, length, tokens, label):
        x = F.one_hot(tokens, 57).to(self.output.weight.dtype)
        packed = nn.utils.rnn.pack_padded_sequence(x, length, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.hidden(packed)
        return F.cross_entropy(self.output(torch.cat([h[0], h[1]], 1)), label)


class Addition(Sequences):
    """Read backwards; what has been read is given to each step of a second layer."""

    inputs = [Input("source_length", (), 3, 8), Input("source", (7,), 0, 12, "source_length", 0),
              Input("next", (4,), 0, 12)]

    def __init__(self, hidden=128):
        super().__init__()
        self.cell("backward", "one bias", 12, hidden)
        self.cell("decoder", "one bias", hidden, hidden)
        self.output = nn.Linear(hidden, 12)

    def forward(self, source_length, source, next):
        x = F.one_hot(source, 12).to(self.output.weight.dtype)
        _, (h, _) = self.run("backward", x, source_length, None, True)
        y, _ = self.run("decoder", h[:, None].expand(-1, next.shape[1], -1))
        return score(self.output(y), next)


class Stacks(Sequences):
    """Sutskever et al. 2014: two layers read the source from its end, two write."""

    tokens, lengths = {"source": 40, "target": 30, "next": 30}, {"source": 6, "target": 5}
    inputs = [Input("source_length", (), 1, 7), Input("source", (6,), 0, 40, "source_length", 0),
              Input("target", (5,), 0, 30, "source_length", 0), Input("next", (5,), 0, 30, "source_length", -1)]
    width, hidden = 256, 384

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(40, self.width), nn.Embedding(30, self.width)
        for i in (1, 2):
            self.cell(f"encoder{i}", "lstm", self.width if i == 1 else self.hidden, self.hidden)
            self.cell(f"decoder{i}", "lstm", self.width if i == 1 else self.hidden, self.hidden)
        self.output = nn.Linear(self.hidden, 30)

    def forward(self, source_length, source, target, next):
        x, y = self.source(source), self.target(target)
        for i in (1, 2):
            x, end = self.run(f"encoder{i}", x, source_length, None, True)
            y, _ = self.run(f"decoder{i}", y, None, end)
        return score(self.output(y), next, 0.1)


class Attention(Sequences):
    """Bahdanau et al. 2015 with PyTorch's GRU: read from both ends; each step of the writer attends first."""

    tokens, lengths = {"source": 20, "target": 15, "next": 15}, {"source": 7, "target": 6}
    inputs = [Input("source_length", (), 1, 8), Input("source", (7,), 0, 20, "source_length", 0),
              Input("target", (6,), 0, 15, "source_length", 0), Input("next", (6,), 0, 15, "source_length", -1)]

    def __init__(self, width=32, read=64, hidden=128, keys=64):
        super().__init__()
        self.source, self.target = nn.Embedding(20, width), nn.Embedding(15, width)
        self.cell("encoder_forward", "gru", width, read)
        self.cell("encoder_backward", "gru", width, read)
        self.begin, self.keys = nn.Linear(2 * read, hidden), nn.Linear(2 * read, keys)
        self.cell("decoder", "gru", width + 2 * read, hidden)
        self.decoder.query, self.decoder.v = nn.Parameter(torch.empty(keys, hidden)), nn.Parameter(torch.empty(keys))
        self.output = nn.Linear(hidden + 2 * read + width, 15)

    def attend(self, h, keys, values, length):
        e = torch.tanh((h @ self.decoder.query.T)[:, None] + keys) @ self.decoder.v
        e = e.masked_fill(torch.arange(e.shape[1]) >= length[:, None], -torch.inf)
        return (torch.softmax(e, 1)[..., None] * values).sum(1)

    def forward(self, source_length, source, target, next):
        x, y, d = self.source(source), self.target(target), self.decoder
        forward, end = self.run("encoder_forward", x, source_length)
        backward, first = self.run("encoder_backward", x, source_length, None, True)
        values = torch.cat([forward, backward], 2)
        h, keys, known = torch.tanh(self.begin(torch.cat([end, first], 1))), self.keys(values), []
        for t in range(y.shape[1]):
            c = self.attend(h, keys, values, source_length)
            h = torch.gru_cell(torch.cat([y[:, t], c], 1), h, d.weight_ih_l0, d.weight_hh_l0, d.bias_ih_l0, d.bias_hh_l0)
            known.append(torch.cat([h, c, y[:, t]], 1))
        return score(self.output(torch.stack(known, 1)), next)


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
    ("recurrent", "rnn", (TwoLayers, "rnn"), 6, SGD, 0.3, 0.9, 0, 0),
    ("recurrent", "rnn-relu", (TwoLayers, "relu"), 6, SGD, 0.1, 0.9, 0, 0),
    ("recurrent", "rnn-reverse", (TwoLayers, "rnn", True), 6, SGD, 0.3, 0.9, 0, 1),
    ("recurrent", "lstm", (TwoLayers, "lstm"), 6, SGD, 0.3, 0.9, 0, 0),
    ("recurrent", "lstm-reverse", (TwoLayers, "lstm", True), 6, ADAM, 0.01, 0.9, 0, 0),
    ("recurrent", "lstm-peephole", (TwoLayers, "peephole"), 6, SGD, 0.3, 0.9, 0, 0),
    ("recurrent", "lstm-1997", (TwoLayers, "1997"), 6, SGD, 0.3, 0.9, 0, 0),
    ("recurrent", "gru", (TwoLayers, "gru"), 6, SGD, 0.3, 0.9, 0, 0),
    ("recurrent", "gru-reverse", (TwoLayers, "gru", True), 6, ADAM, 0.01, 0.9, 0, 0),
    ("recurrent", "gru-before", (TwoLayers, "before"), 6, SGD, 0.3, 0.9, 0, 0),
    ("rnn", "row", (RowByRow, "rnn"), 8, SGD, 0.02, 0.9, 0, 1),
    ("rnn", "adding", (Adding, "rnn"), 8, ADAM, 1e-3, 0.9, 0, 1),
    ("lstm", "row", (RowByRow, "lstm"), 8, SGD, 0.1, 0.9, 0, 1),
    ("lstm", "adding", (Adding, "lstm"), 8, ADAM, 1e-3, 0.9, 0, 1),
    ("lstm", "char", (Characters, "lstm"), 6, ADAM, 2e-3, 0.9, 0, 1),
    ("lstm", "names", (Names,), 8, ADAM, 1e-3, 0.9, 0, 1),
    ("lstm", "peephole", (RowByRow, "peephole"), 8, SGD, 0.1, 0.9, 0, 1),
    ("lstm", "no-forget", (RowByRow, "1997"), 8, SGD, 0.1, 0.9, 0, 1),
    ("lstm", "addition", (Addition,), 8, ADAM, 1e-3, 0.9, 0, 1),
    ("gru", "row", (RowByRow, "gru"), 8, SGD, 0.1, 0.9, 0, 1),
    ("gru", "adding", (Adding, "gru"), 8, ADAM, 1e-3, 0.9, 0, 1),
    ("gru", "char", (Characters, "gru"), 6, SGD, 0.3, 0.9, 0, 1),
    ("gru", "before", (RowByRow, "before"), 8, SGD, 0.1, 0.9, 0, 1),
    ("seq2seq", "plain", (Stacks,), 4, ADAM, 1e-3, 0.9, 0, 1),
    ("seq2seq", "dates", (Attention,), 6, ADAM, 3e-3, 0.9, 0, 1),
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


def inputs(net, batch, stream):
    """What forward() takes, by name; of sequences each from a stream of its own."""
    if hasattr(net, "shape"):
        x = noise(stream, batch * int(np.prod(net.shape)))
        return {"x": torch.from_numpy(x).double().reshape(batch, *net.shape), "label": labels(batch)}
    x = {}
    for k, i in enumerate(net.inputs):
        x[i.name] = i.values(batch, input_stream(stream, k), x)
    return x


def input_stream(stream, k):
    return 3000 + 10 * stream + k


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
        net(**inputs(net, batch, stream))
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


def describe_inputs(net, stream, out):
    for name, count in net.tokens.items():
        out.write(f"tokens\t{name}\t{count}\n")
    for name, steps in net.lengths.items():
        out.write(f"length\t{name}\t{steps}\n")
    for k, i in enumerate(net.inputs):
        i.describe(input_stream(stream, k), out)


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
    if isinstance(net, Sequences):
        describe_inputs(net, stream, out)
    describe_params(net, streams, out)
    net.to(dtype)
    x = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs(net, batch, stream).items()}
    opt = optimizer_of(kind, net.parameters(), rate, momentum, decay)
    losses, grads = [], []
    for step in range(STEPS):
        opt.zero_grad()
        loss = net(**x)
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
