#!/usr/bin/env python3
"""Makes tests/golden/*.tsv: what an independent implementation (PyTorch, in double
precision) says of our networks. Run by hand, from the root of the tree:

    python3 tests/golden/make_golden.py [NAME-VARIANT ...]   # PyTorch 2.x and NumPy

Pictures, labels and initial weights are integer formulas that t_golden.c evaluates
to the same bits, so that the files hold results only: the losses of ten steps and,
of the first step's gradients, norms, projections and some elements; of running means
norms and projections after the tenth. Dropout is left out on both sides.

Rectifiers and maxima have kinks, and where a number lies on one, single precision may
take the other side, which moves some gradients by up to 4e-2 of their norm, in PyTorch's
single precision as in ours; otherwise both agree with double precision within 1e-5. So
the pictures are that stream of noise, of the first 40, whose first step stays farthest
away from all kinks, for which PyTorch in single precision must agree with itself in double."""
import contextlib
import io
import re
import sys
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS, ELEMENTS, STREAMS = 10, 6, 40


def noise(stream, n):
    """n numbers in [-1, 1), exact in float32: a hash of (stream, index)."""
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
    """A network of rows: parameters and running means are named <row>.<what>."""

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
        r = self.of(name)
        return F.batch_norm(x, r.running_mean, r.running_var, r.gain, r.bias, True, self.momentum, self.epsilon)

    def run(self, name, x, stride=1, pad=None, groups=1):
        """A convolution with its bias, or with the batch norm that replaces it."""
        r = self.of(name)
        pad = r.weight.shape[2] // 2 if pad is None else pad
        if hasattr(r, "gain"):
            return self.norm(name, F.conv2d(x, r.weight, None, stride, pad, 1, groups))
        return F.conv2d(x, r.weight, r.bias, stride, pad, 1, groups)

    def full(self, name, x):
        return F.linear(x, self.of(name).weight, self.of(name).bias)


class AlexNet(Table):
    """Krizhevsky et al. 2012, Section 3, in one column a third as wide or less: kernels 5, 3, 3, 3, 3;
    after the first two layers pooled, then responses normalised."""

    shape = (1, 28, 28)
    layers = [(1, 32, 5), (32, 64, 3), (64, 96, 3), (96, 96, 3), (96, 64, 3)]

    def __init__(self):
        super().__init__()
        for i, (c, o, kernel) in enumerate(self.layers):
            self.conv(f"conv{i + 1}", c, o, kernel)
        for name, i, o in [("fc6", 64 * 2 * 2, 512), ("fc7", 512, 512), ("fc8", 512, 10)]:
            self.linear(name, i, o)

    def forward(self, x, label):
        for i in range(len(self.layers)):
            x = F.relu(self.run(f"conv{i + 1}", x))
            if i in (0, 1, 4):
                x = F.max_pool2d(x, 3, 2)
            if i < 2:
                x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)
        x = F.relu(self.full("fc7", F.relu(self.full("fc6", x.flatten(1)))))
        return F.cross_entropy(self.full("fc8", x), label)


class Vgg(Table):
    """Simonyan & Zisserman 2014, Table 1, column B, a quarter as wide, without the last stage and
    the full layers; batch norm as in the models released later, which kept the biases."""

    shape = (1, 28, 28)
    names = [(stage, i) for stage in (1, 2, 3, 4) for i in (1, 2)]

    def __init__(self):
        super().__init__()
        channels = 1
        for stage, i in self.names:
            out = 16 * 2 ** (stage - 1)
            self.conv(f"conv{stage}_{i}", channels, out, 3)
            norm = self.row(f"norm{stage}_{i}", norm=True, weight=(out,))
            del norm.weight
            channels = out
        self.linear("fc8", 128, 10)

    def forward(self, x, label):
        for stage, i in self.names:
            x = F.relu(self.norm(f"norm{stage}_{i}", self.run(f"conv{stage}_{i}", x)))
            if i == 2:
                x = F.max_pool2d(x, 2)
        return F.cross_entropy(self.full("fc8", x.flatten(1)), label)


class ResNet(Table):
    """He et al. 2015, Section 4.2: 6n + 2 layers, here 20, with shortcuts A, B or none."""

    def __init__(self, shape, width, shortcut="A", pooled=False):
        super().__init__()
        self.pooled = pooled
        self.shape, self.blocks, self.shortcut = shape, [], shortcut
        self.conv("conv1", shape[0], width, 3, bias=False, norm=True)
        channels = width
        for stage in range(3):
            for block in range(3):
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
    """Szegedy et al. 2014, Table 1 to inception (4b), a quarter as wide, with batch norm."""

    shape, epsilon = (1, 28, 28), 1e-3
    table = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
    }

    def __init__(self):
        super().__init__()
        conv = lambda name, i, o, kernel: self.conv(name, i, o // 4, kernel, bias=False, norm=True)
        conv("conv1/3x3", 1, 64, 3)
        conv("conv2/3x3_reduce", 16, 64, 1)
        conv("conv2/3x3", 16, 192, 3)
        i = 48
        for module, (one, reduce3, three, reduce5, five, pool) in self.table.items():
            name = f"inception_{module}/"
            conv(name + "1x1", i, one, 1)
            conv(name + "3x3_reduce", i, reduce3, 1)
            conv(name + "3x3", reduce3 // 4, three, 3)
            conv(name + "5x5_reduce", i, reduce5, 1)
            conv(name + "5x5", reduce5 // 4, five, 5)
            conv(name + "pool_proj", i, pool, 1)
            i = (one + three + five + pool) // 4
        self.linear("loss3/classifier", i, 10)

    def layer(self, name, x):
        return F.relu(self.run(name, x))

    def forward(self, x, label):
        x = F.max_pool2d(self.layer("conv1/3x3", x), 3, 2, ceil_mode=True)
        x = self.layer("conv2/3x3", self.layer("conv2/3x3_reduce", x))
        for module in self.table:
            if module == "4a":
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            name = f"inception_{module}/"
            x = torch.cat([
                self.layer(name + "1x1", x),
                self.layer(name + "3x3", self.layer(name + "3x3_reduce", x)),
                self.layer(name + "5x5", self.layer(name + "5x5_reduce", x)),
                self.layer(name + "pool_proj", F.max_pool2d(x, 3, 1, 1)),
            ], 1)
        return F.cross_entropy(self.full("loss3/classifier", x.mean((2, 3))), label)


class EfficientNet(Table):
    """Tan & Le 2019, Table 1 scaled by 0.35 in width and 1/2 in depth, with the released code's rounding."""

    shape, epsilon, momentum = (1, 28, 28), 1e-3, 0.01
    table = [(1, 3, 16, 1), (6, 3, 24, 2), (6, 5, 40, 2), (6, 3, 80, 3), (6, 5, 112, 3), (6, 5, 192, 4), (6, 3, 320, 1)]
    strides = [2, 1, 2, 1, 1, 2, 1]

    @staticmethod
    def round_filters(filters):
        wish = filters * 0.35
        new = max(8, int(wish + 4) // 8 * 8)
        return new + 8 if new < 0.9 * wish else new

    def __init__(self):
        super().__init__()
        self.blocks, i = [], self.round_filters(32)
        self.conv("stage1", 1, i, 3, bias=False, norm=True)
        for stage, (expand, kernel, channels, repeats) in enumerate(self.table):
            for block in range(-(-repeats // 2)):
                name, o, wide = f"stage{stage + 2}_{block + 1}/", self.round_filters(channels), i * expand
                if expand > 1:
                    self.conv(name + "expand", i, wide, 1, bias=False, norm=True)
                self.conv(name + "depthwise", wide, wide, kernel, wide, bias=False, norm=True)
                self.linear(name + "squeeze", wide, i // 4)
                self.linear(name + "excite", i // 4, wide)
                self.conv(name + "project", wide, o, 1, bias=False, norm=True)
                stride = self.strides[stage] if block == 0 else 1
                self.blocks.append((name, expand > 1, wide, stride, stride == 1 and i == o))
                i = o
        self.conv("stage9", i, 4 * i, 1, bias=False, norm=True)
        self.linear("fc", 4 * i, 10)

    def forward(self, x, label):
        x = F.silu(self.run("stage1", x))
        for name, expands, wide, stride, shortcut in self.blocks:
            y = F.silu(self.run(name + "expand", x)) if expands else x
            y = F.silu(self.run(name + "depthwise", y, stride, groups=wide))
            s = F.silu(self.full(name + "squeeze", y.mean((2, 3))))
            y = y * torch.sigmoid(self.full(name + "excite", s))[:, :, None, None]
            y = self.run(name + "project", y)
            x = x + y if shortcut else y
        x = F.silu(self.run("stage9", x)).mean((2, 3))
        return F.cross_entropy(self.full("fc", x), label, label_smoothing=0.1)


def resnet(*how):
    return lambda: ResNet(*how)


# ---- name, variant, network, batch, optimizer as in struct nn_recipe

SGD, ADAM, ADAMW = "sgd", "adam", "adamw"
GOLDEN = [
    ("mlp", "300-100", Mlp, 32, ADAM, 1e-3, 0.9, 1e-4, 0),
    ("lenet5", "modern", LeNetModern, 32, SGD, 0.05, 0.9, 1e-3, 0),
    ("lenet5", "original", LeNetOriginal, 32, SGD, 1e-4, 0.9, 0, 50),
    ("filters", "gabor", Gabor, 32, ADAMW, 5e-3, 0.9, 1e-2, 1),
    ("alexnet", "fashion", AlexNet, 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("vgg", "fashion", Vgg, 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("googlenet", "fashion", GoogLeNet, 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("resnet", "fashion", resnet((1, 28, 28), 16, "A", True), 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("resnet", "20", resnet((3, 32, 32), 16), 16, SGD, 0.002, 0.9, 5e-4, 0),
    ("resnet", "20-b", resnet((3, 32, 32), 16, "B"), 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("resnet", "plain-20", resnet((3, 32, 32), 16, ""), 16, SGD, 0.01, 0.9, 5e-4, 0),
    ("efficientnet", "fashion", EfficientNet, 16, SGD, 0.01, 0.9, 2e-4, 0),
]


def optimizer_of(kind, parameters, rate, momentum, decay):
    if kind == SGD:
        return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay)
    cls = torch.optim.Adam if kind == ADAM else torch.optim.AdamW
    return cls(parameters, lr=rate, betas=(momentum, 0.999), eps=1e-8, weight_decay=decay)


def scale_of(name, p):
    """Rounded to float32 where used; gains of subsampling are 1 + noise / 4."""
    fan_in = p[0].numel() if p.dim() > 1 else 16
    return float("%.4g" % (1.5 / np.sqrt(fan_in))) if not name.endswith("gain") else 0.25


def start(net, out):
    for i, (name, p) in enumerate(net.named_parameters()):
        scale, offset = scale_of(name, p), 1.0 if name.endswith("gain") else 0.0
        w = np.float32(scale) * noise(100 + i, p.numel()) + np.float32(offset)
        p.data = torch.from_numpy(w.astype(np.float64)).reshape(p.shape)
        if name in getattr(net, "mask", {}):
            p.data = p.data * net.mask[name]
        out.write(f"param\t{name}\t{100 + i}\t{scale:.9g}\t{offset:.9g}\n")


def describe_grads(net, out):
    for i, (name, p) in enumerate(net.named_parameters()):
        g = p.grad.flatten()
        projection = float(g @ torch.from_numpy(noise(200 + i, g.numel())).to(g.dtype))
        at = [k * (g.numel() - 1) // (ELEMENTS - 1) for k in range(ELEMENTS)]
        fields = [f"{float(g.norm()):.12g}", f"{float(g.abs().max()):.12g}", str(200 + i), f"{projection:.12g}"]
        fields += [f"{k}:{float(g[k]):.12g}" for k in at]
        out.write("grad\t" + name + "\t" + "\t".join(fields) + "\n")


def describe_buffers(net, out):
    for i, (name, b) in enumerate(net.named_buffers()):
        projection = float(b @ torch.from_numpy(noise(1000 + i, b.numel())).to(b.dtype))
        out.write(f"buffer\t{name}\t{float(b.norm()):.12g}\t{1000 + i}\t{projection:.12g}\n")


def pictures(net, batch, stream, dtype):
    x = noise(stream, batch * int(np.prod(net.shape)))
    return torch.from_numpy(x).to(dtype).reshape(batch, *net.shape)


def relu_margin(z):
    return z.abs().min() / z.square().mean().sqrt()


def pool_margin(x, kernel, stride, padding=0, ceil_mode=False):
    """Between the largest element of a window and the next one. Equal ones are rectified zeros, which pass no gradient."""
    room = (padding, padding + stride - 1 if ceil_mode else padding) * 2
    windows = F.pad(x, room, value=-torch.inf).unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)
    largest = windows.amax(-1)
    next_one = windows.masked_fill(windows == largest[..., None], -torch.inf).amax(-1)
    return (largest - next_one).min() / x.square().mean().sqrt()


@contextlib.contextmanager
def watched_kinks(margins):
    """Inside, relu() and max_pool2d() note how near to a kink they come, in units of their input's size."""
    relu, max_pool2d = F.relu, F.max_pool2d

    def watched_relu(z):
        margins.append(float(relu_margin(z)))
        return relu(z)

    def watched_pool(x, *args, **options):
        margins.append(float(pool_margin(x, *args, **options)))
        return max_pool2d(x, *args, **options)

    F.relu, F.max_pool2d = watched_relu, watched_pool
    yield
    F.relu, F.max_pool2d = relu, max_pool2d


def margin(net, batch, stream):
    margins = [np.inf]
    with torch.no_grad(), watched_kinks(margins):
        net(pictures(net, batch, stream, torch.float64), labels(batch))
    return min(margins)


def best_stream(row):
    """max() takes the first where there are no kinks."""
    net, batch = row[2](), row[3]
    start(net, io.StringIO())
    margins = {stream: margin(net, batch, stream) for stream in range(1, STREAMS + 1)}
    stream = max(margins, key=margins.get)
    agreement = disagreement(row, stream)
    print(f"{row[0]}:{row[1]} stream {stream}: {margins[stream]:.1e} from a kink, agrees within {agreement:.1e}")
    assert agreement < 5e-5
    return stream


def train(row, stream, dtype, out):
    """Ten steps; the losses and the first gradients."""
    name, variant, cls, batch, kind, rate, momentum, decay, clip = row
    torch.manual_seed(0)
    net = cls()
    start(net, out)
    net.to(dtype)
    x, label = pictures(net, batch, stream, dtype), labels(batch)
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
        out.write(f"loss\t{step}\t{loss.item():.12g}\n")
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        opt.step()
    describe_buffers(net, out)
    return np.array(losses), grads


def disagreement(row, stream):
    """Of single and double precision: the worst of losses, and of gradients in units of their norm."""
    losses, grads = train(row, stream, torch.float64, io.StringIO())
    single, single_grads = train(row, stream, torch.float32, io.StringIO())
    largest = max(float(g.norm()) for g in grads)
    worst = max(abs(single - losses) / losses)
    for g, s in zip(grads, single_grads):
        if float(g.norm()) > 1e-9 * largest:  # others are zero but for rounding
            worst = max(worst, float((g - s).norm() / g.norm()))
    return worst


def make(row):
    name, variant, _, batch, kind, rate, momentum, decay, clip = row
    stream = best_stream(row)
    with open(f"tests/golden/{name}-{variant}.tsv", "w") as out:
        out.write("# made by make_golden.py with PyTorch %s in double precision\n" % torch.__version__.split("+")[0])
        out.write(f"run\t{name}\t{variant}\t{batch}\t{kind}\t{rate:g}\t{momentum:g}\t{decay:g}\t{clip:g}\t{stream}\n")
        train(row, stream, torch.float64, out)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    for row in GOLDEN:
        if f"{row[0]}-{row[1]}" in sys.argv[1:] or not sys.argv[1:]:
            make(row)
