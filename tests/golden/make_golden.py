#!/usr/bin/env python3
"""Makes tests/golden/*.tsv: what an independent implementation (PyTorch, in double
precision) says of our networks. Run by hand, from the root of the tree:

    python3 tests/golden/make_golden.py          # PyTorch 2.x and NumPy

Pictures, labels and initial weights are integer formulas that t_golden.c evaluates
to the same bits, so that the files hold results only: the losses of ten steps and,
of the first step's gradients, norms, projections and some elements."""
import re
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH, STEPS, ELEMENTS = 32, 10, 6


def noise(stream, n):
    """n numbers in [-1, 1), exact in float32: a hash of (stream, index)."""
    x = (np.arange(n, dtype=np.uint64) * 2654435761 + stream * 40503 + 12345) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    x = (x * 3266489917) & 0xFFFFFFFF
    x ^= x >> 16
    return ((x >> 8).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32)


def labels():
    x = (np.arange(BATCH, dtype=np.uint64) * 2654435761 + 12345) & 0xFFFFFFFF
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
        x = F.conv2d(x, self.C3.weight * self.mask["C3.weight"], self.C3.bias)
        x = self.squash(self.S4(self.squash(x)))
        x = self.squash(self.F6(self.squash(self.C5(x)).flatten(1)))
        y = ((x[:, None, :] - self.codes[None]) ** 2).sum(-1)
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
        x = F.avg_pool2d(F.conv2d(x, self.bank, padding=3).abs(), 4)
        return F.cross_entropy(self.classifier(x.flatten(1)), label)


# ---- name, variant, network, optimizer as in struct nn_recipe

SGD, ADAM, ADAMW = "sgd", "adam", "adamw"
GOLDEN = [
    ("mlp", "300-100", Mlp, ADAM, 1e-3, 0.9, 1e-4, 0),
    ("lenet5", "modern", LeNetModern, SGD, 0.05, 0.9, 1e-3, 0),
    ("lenet5", "original", LeNetOriginal, SGD, 1e-4, 0.9, 0, 50),
    ("filters", "gabor", Gabor, ADAMW, 5e-3, 0.9, 1e-2, 1),
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
        projection = float(g @ torch.from_numpy(noise(200 + i, g.numel()).astype(np.float64)))
        at = [k * (g.numel() - 1) // (ELEMENTS - 1) for k in range(ELEMENTS)]
        fields = [f"{float(g.norm()):.12g}", f"{float(g.abs().max()):.12g}", str(200 + i), f"{projection:.12g}"]
        fields += [f"{k}:{float(g[k]):.12g}" for k in at]
        out.write("grad\t" + name + "\t" + "\t".join(fields) + "\n")


def make(name, variant, cls, kind, rate, momentum, decay, clip):
    torch.manual_seed(0)
    net = cls()
    x = torch.from_numpy(noise(1, BATCH * int(np.prod(cls.shape))).astype(np.float64)).reshape(BATCH, *cls.shape)
    label = labels()
    with open(f"tests/golden/{name}-{variant}.tsv", "w") as out:
        out.write("# made by make_golden.py with PyTorch %s in double precision\n" % torch.__version__.split("+")[0])
        out.write(f"run\t{name}\t{variant}\t{BATCH}\t{kind}\t{rate:g}\t{momentum:g}\t{decay:g}\t{clip:g}\n")
        start(net, out)
        opt = optimizer_of(kind, net.parameters(), rate, momentum, decay)
        for step in range(STEPS):
            opt.zero_grad()
            loss = net(x, label)
            loss.backward()
            if step == 0:
                describe_grads(net, out)
            out.write(f"loss\t{step}\t{loss.item():.12g}\n")
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            opt.step()


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    for row in GOLDEN:
        make(*row)
