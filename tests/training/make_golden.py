"""Writes golden.h5: trainings of a tiny TarFlow by the published recipe, in float32 on a CPU.

An independent implementation in plain PyTorch of what docs/method.md section 8 states. Everything
random follows from Philox4x32-10 (written here again), so that the file needs to hold results only:
    python3 make_golden.py golden.h5        # torch 2.11, numpy, h5py
"""

import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

SIDE, P, C, K, L, CLASSES = 8, 2, 64, 2, 1, 3
T, D = (SIDE // P) ** 2, 3 * P * P
BATCH, STEPS, WARM_UP, LR, LR_MIN, STD = 4, 30, 10, 1e-3, 1e-6, 0.1
SEED = 20
KEPT = 200  # elements of a tensor that the file holds
IMAGES, LABELS, WEIGHTS, NOISE = 100, 101, 102, 4  # streams


def philox(seed, image, blocks, stream):
    """(blocks, 4) uint32 words of the counters (0..blocks-1, stream, image)."""
    c = [np.arange(blocks, dtype=np.uint64), np.full(blocks, stream, np.uint64),
         np.full(blocks, image & 0xFFFFFFFF, np.uint64), np.full(blocks, image >> 32, np.uint64)]
    k0, k1, mask = seed & 0xFFFFFFFF, seed >> 32, np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, 1).astype(np.uint32)


def uniform(seed, image, elements, stream):
    words = philox(seed, image, (elements + 3) // 4, stream).reshape(-1)[:elements]
    return (words >> 8).astype(np.float32) * np.float32(2.0**-24)


def normal(seed, image, elements, stream):
    w = philox(seed, image, (elements + 3) // 4, stream).astype(np.float64)
    out = []
    for a, b in ((0, 1), (2, 3)):
        r = np.sqrt(-2 * np.log((w[:, a] + 0.5) / 2.0**32))
        v = 2 * np.pi * w[:, b] / 2.0**32
        out += [r * np.cos(v), r * np.sin(v)]
    return np.stack(out, 1).astype(np.float32).reshape(-1)[:elements]


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.Module()
        self.attention.norm = torch.nn.LayerNorm(C)
        self.attention.qkv = torch.nn.Linear(C, 3 * C)
        self.attention.proj = torch.nn.Linear(C, C)
        self.mlp = torch.nn.Module()
        self.mlp.norm = torch.nn.LayerNorm(C)
        self.mlp.main = torch.nn.Sequential(
            torch.nn.Linear(C, 4 * C), torch.nn.GELU(), torch.nn.Linear(4 * C, C))

    def forward(self, x, mask):
        n, t, c = x.shape
        q, k, v = self.attention.qkv(self.attention.norm(x)).reshape(
            n, t, 3 * (c // 64), 64).transpose(1, 2).chunk(3, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.attention.proj(y.transpose(1, 2).reshape(n, t, c))
        return x + self.mlp.main(self.mlp.norm(x))


class Block(torch.nn.Module):
    def __init__(self, reverse, classes):
        super().__init__()
        self.reverse = reverse
        self.proj_in = torch.nn.Linear(D, C)
        self.pos_embed = torch.nn.Parameter(torch.zeros(T, C))
        if classes:
            self.class_embed = torch.nn.Parameter(torch.zeros(classes, 1, C))
        else:
            self.class_embed = None
        self.attn_blocks = torch.nn.ModuleList(Layer() for _ in range(L))
        self.proj_out = torch.nn.Linear(C, 2 * D)
        self.register_buffer("mask", torch.tril(torch.ones(T, T)).bool())

    def order(self, x, dim):
        return x.flip(dim) if self.reverse else x

    def forward(self, x, y):
        x_in = x = self.order(x, 1)
        x = self.proj_in(x) + self.order(self.pos_embed, 0)
        if self.class_embed is not None:
            m = (y < 0).float().view(-1, 1, 1)
            x = x + (1 - m) * self.class_embed[y] + m * self.class_embed.mean(dim=0)
        for layer in self.attn_blocks:
            x = layer(x, self.mask)
        x = self.proj_out(x)
        x = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        xa, xb = x.chunk(2, dim=-1)
        z = (x_in - xb) * (-xa.float()).exp().type(xa.dtype)
        return self.order(z, 1), -xa.mean(dim=[1, 2])


class Flow(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.blocks = torch.nn.ModuleList(Block(b % 2 == 1, classes) for b in range(K))

    def forward(self, images, y):
        n = images.shape[0]
        x = images.reshape(n, 3, SIDE // P, P, SIDE // P, P).permute(0, 2, 4, 1, 3, 5)
        x, logdets, squares = x.reshape(n, T, D), 0, []
        for block in self.blocks:
            x, logdet = block(x, y)
            logdets = logdets + logdet
            squares.append(x.detach().square().mean().item())
        return x, logdets, squares


def draw_weights(model):
    """Every tensor uniform within +-scale; proj_out.weight zero, as published."""
    with torch.no_grad():
        for i, (name, tensor) in enumerate(sorted(model.named_parameters())):
            values = 2 * uniform(SEED, i, tensor.numel(), WEIGHTS) - 1
            if name.endswith("norm.weight"):
                values = 1 + np.float32(0.1) * values
            elif name.endswith("proj_out.weight"):
                values = 0 * values
            else:
                values = np.float32(0.125) * values
            tensor.copy_(torch.from_numpy(values.astype(np.float32)).view_as(tensor))


def batch_of(step, kind, classes):
    """The step's images with noise, and labels of which some are -1."""
    images, labels = [], []
    for sample in range(step * BATCH, (step + 1) * BATCH):
        words = philox(SEED, sample, 3 * SIDE * SIDE // 4, IMAGES).reshape(-1)
        # smooth enough to be learnt: a ramp under the noise
        ramp = np.tile(np.arange(SIDE, dtype=np.uint32) * 24, 3 * SIDE)
        v = ((words & 63) + ramp).astype(np.float32)
        x = torch.from_numpy(v).view(3, SIDE, SIDE).div(255).sub(0.5).div(0.5)
        n = (normal if kind == "gaussian" else uniform)(SEED, sample, x.numel(), NOISE)
        n = torch.from_numpy(n).view_as(x)
        if kind == "gaussian":
            x = x + STD * n
        else:
            x = (x + 1) * (255 / 2)
            x = (x + n) / 256 * 2 - 1
        images.append(x)
        labels.append(int(philox(SEED, sample, 1, LABELS)[0, 0] % (CLASSES + 1)) - 1)
    return torch.stack(images), torch.tensor(labels) if classes else None


def rate(done):
    if done <= WARM_UP:
        return LR_MIN + done / WARM_UP * (LR - LR_MIN)
    t = (done - WARM_UP) / (STEPS - WARM_UP)
    return LR_MIN + 0.5 * (LR - LR_MIN) * (1 + np.cos(t * np.pi))


def train(kind, classes, group):
    model = Flow(classes)
    draw_weights(model)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), lr=rate(0),
                                  weight_decay=1e-4)
    losses, logdets, norms, squares = [], [], [], []
    for step in range(STEPS):
        x, y = batch_of(step, kind, classes)
        optimizer.zero_grad()
        z, logdet, square = model(x, y)
        loss = 0.5 * z.pow(2).mean() - logdet.mean()
        loss.backward()
        grads = [p.grad.flatten() for p in model.parameters()]
        norms.append(torch.cat(grads).double().norm().item())
        optimizer.step()
        for settings in optimizer.param_groups:
            settings["lr"] = rate(step + 1)
        losses.append(loss.item())
        logdets.append(logdet.mean().item())
        squares.append(square)
    print(group.name, losses[0], losses[-1])
    for name, values in (("loss", losses), ("logdet", logdets), ("norm", norms),
                         ("squares", squares)):
        group[name] = np.array(values, np.float64)
    for name, tensor in model.named_parameters():
        flat = tensor.detach().flatten()
        every = max(1, flat.numel() // KEPT)
        group[f"weights/{name}"] = flat[::every][:KEPT].numpy()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with h5py.File(sys.argv[1], "w", libver="v108") as file:
        for kind in ("gaussian", "uniform"):
            for classes in (0, CLASSES):
                name = f"{kind}_{'conditional' if classes else 'unconditional'}"
                train(kind, classes, file.create_group(name))


main()
