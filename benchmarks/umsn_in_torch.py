"""The published layers of ``umsn`` in PyTorch, including what its authors compute at inference, for
``benchmarks.inference --beside_torch``. The network is untrained: only its time is meaningful.

Widths, blocks and connections are those of ``deblur_zoo.models.umsn``, and the F-Nets' image heads run as well. The
confidence network does not.
"""

import os

# Threads waiting for work would take the CPU from the network that is timed next.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


class Smoothing(nn.Module):
    """One 3x3 kernel for all channels."""

    def __init__(self):
        super().__init__()
        self.taps = nn.Parameter(torch.zeros(1, 1, 3, 3))

    def forward(self, features):
        channels = features.shape[1]
        return functional.conv2d(features, self.taps.expand(channels, 1, 3, 3), padding=1, groups=channels)


class DenseBlock(nn.Module):
    def __init__(self, channels, growth, hidden, dilations=(1, 1, 1), smoothed=False, batch=False, dense=True):
        super().__init__()
        self.dense = dense
        self.normalizations, self.convolutions = nn.ModuleList(), nn.ModuleList()
        widths, taken = [hidden] * len(dilations) + [growth], channels
        for place, width in enumerate(widths):
            dilation, size = (1, *dilations)[place], 1 if place == 0 else 3
            self.normalizations.append(nn.BatchNorm2d(taken) if batch else nn.InstanceNorm2d(taken))
            padding = dilation if size == 3 else 0
            self.convolutions.append(nn.Conv2d(taken, width, size, padding=padding, dilation=dilation, bias=False))
            taken = width
        self.smoothing = Smoothing() if smoothed else None
        self.shortcut = nn.Conv2d(channels, growth, 1, bias=False)

    def forward(self, features):
        hidden = features
        for place, convolution in enumerate(self.convolutions):
            hidden = functional.relu(self.normalizations[place](hidden))
            if place == len(self.convolutions) - 1 and self.smoothing is not None:
                hidden = self.smoothing(hidden)
            hidden = convolution(hidden)
        result = self.shortcut(features) + hidden
        return torch.cat([features, result], 1) if self.dense else result


class Transition(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.normalization, self.convolution = nn.InstanceNorm2d(channels), nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, features):
        return self.convolution(functional.relu(self.normalization(features)))


def halve(features):
    return functional.avg_pool2d(features, 2)


def double(features, times=1):
    for _ in range(times):
        features = functional.interpolate(features, scale_factor=2)
    return features


def bilinear_double(features):
    return functional.interpolate(features, scale_factor=2, mode="bilinear")


def convolution(channels, width, size=3, bias=True):
    return nn.Conv2d(channels, width, size, padding=size // 2, bias=bias)


def leaky(features):
    return functional.leaky_relu(features, 0.2)


class Head(nn.Module):
    """Nested difference, residual and the image minus the residual."""

    def __init__(self, found, own):
        super().__init__()
        self.own, self.found, self.residual = convolution(own, 16), convolution(found, 16), convolution(16, 3)
        self.refinements = nn.Sequential(convolution(3, 8, 7), nn.LeakyReLU(0.2), convolution(8, 3), nn.Tanh())

    def forward(self, inputs, found):
        return torch.tanh(self.residual(leaky(self.own(inputs)) - leaky(self.found(found))))

    def image(self, images, residual):
        return self.refinements(images - residual)


class SemanticNetwork(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        growth, taken = width - 3, [width + 3, width, width, width, 2 * width, 2 * width]
        self.first = DenseBlock(3, growth, 3 * growth, (1, 2, 1))
        self.inner = nn.ModuleList(DenseBlock(c, width, 4 * width, (2, 2), smoothed=True, batch=True) for c in taken)
        widths = [width, *(c + width for c in taken[:5]), 3 * width + 4]
        self.transitions = nn.ModuleList(Transition(c, width) for c in widths)
        self.last, self.last_transition = DenseBlock(width, width, 3 * width, (1, 2, 1)), Transition(2 * width, 16)
        self.maps = nn.ModuleList(convolution(width, 1) for _ in range(7))
        self.head, self.logits = convolution(16 + 7, 16), convolution(16, 4)
        self.head_half, self.logits_half = convolution(3 * width, 16), convolution(16, 4)

    def forward(self, images):
        run = [lambda x, i=i: self.transitions[i + 1](self.inner[i](x)) for i in range(5)]
        x1 = halve(self.transitions[0](self.first(images)))
        x2 = halve(run[0](torch.cat([x1, halve(images)], 1)))
        x3 = run[1](x2)
        x4 = run[2](x3)
        x5 = run[3](x4)
        x6 = double(run[4](torch.cat([x5, x2], 1)))
        dense = self.inner[5](torch.cat([x6, x1], 1))
        guess = self.logits_half(leaky(self.head_half(dense))).softmax(1)
        x7 = double(self.transitions[6](torch.cat([dense, guess], 1)))
        found = [self.last_transition(self.last(x7))]
        for layer, features, times in zip(self.maps, [x7, x6, x5, x4, x3, x2, x1], (0, 1, 2, 2, 2, 2, 1), strict=True):
            found.append(double(leaky(layer(features)), times))
        return self.logits(leaky(self.head(torch.cat(found, 1))))


class FeatureNetwork(nn.Module):
    def __init__(self, width=16, count=3):
        super().__init__()
        growth, taken = 2 * width - 4, [width] * (count - 1) + [2 * width]
        self.first = DenseBlock(4, growth, 3 * growth)
        self.blocks = nn.ModuleList(DenseBlock(c, width, 3 * width, (1, 2, 2), smoothed=True) for c in taken)
        self.transitions = nn.ModuleList(Transition(c, width) for c in (4 + growth, *(c + width for c in taken)))
        self.doubled, self.last = convolution(width, width, bias=False), DenseBlock(width + 4, width, 3 * width)
        self.last_transition, self.head = Transition(2 * width + 4, width), Head(width, 4)

    def forward(self, inputs):
        first = features = halve(self.transitions[0](self.first(inputs)))
        for place, block in enumerate(self.blocks):
            if place and place == len(self.blocks) - 1:
                features = torch.cat([features, first], 1)
            features = self.transitions[place + 1](block(features))
        whole = torch.cat([self.doubled(bilinear_double(features)), inputs], 1)
        residual = self.head(inputs, self.last_transition(self.last(whole)))
        return features, self.head.image(inputs[:, :3], residual)


class Umsn(nn.Module):
    """S-Net, four F-Nets with their heads, B-Net: float (N, 3, H, W) in [0, 1] to images in [-1, 1]."""

    def __init__(self, width=64):
        super().__init__()
        half, hidden = width // 2, 3 * width
        self.parser, self.networks = SemanticNetwork(width), nn.ModuleList(FeatureNetwork() for _ in range(4))
        self.first = DenseBlock(7, width - 7, 3 * (width - 7))
        self.first_transition = Transition(width, half)
        self.merge = DenseBlock(4 * 16, half, 3 * half, (1, 1), dense=False)
        taken = [width + 3, *[width] * 4, 2 * width]
        self.blocks = nn.ModuleList(
            DenseBlock(c, width, hidden, (1, 2, 1)) if i in (0, 5) else
            DenseBlock(c, width, hidden, (1, 2, 2), smoothed=True) for i, c in enumerate(taken)
        )  # fmt: skip
        self.transitions = nn.ModuleList(Transition(c + width, width) for c in taken[:5])
        self.doubling, self.doubled = Transition(3 * width + 3, width), convolution(width, width, bias=False)
        self.last, self.last_transition = DenseBlock(width + 7, width, hidden), Transition(2 * width + 7, 16)
        self.maps = nn.ModuleList(convolution(width, 1) for _ in range(7))
        self.head_half, self.head = Head(3 * width, 3), Head(16 + 7, 7)

    def forward(self, images):
        maps = self.parser(images).softmax(1)
        images = 2 * images - 1
        found = [network(torch.cat([images, maps[:, i : i + 1]], 1)) for i, network in enumerate(self.networks)]
        inputs = torch.cat([images, maps], 1)
        first = halve(self.first_transition(self.first(inputs)))
        beside, images_half = [first, self.merge(torch.cat([features for features, _ in found], 1))], halve(images)
        steps, hidden = [torch.cat(beside, 1)], torch.cat([*beside, images_half], 1)
        for block, transition in zip(self.blocks[:-1], self.transitions, strict=True):
            hidden = transition(block(hidden))
            steps.append(hidden)
        dense = self.blocks[-1](torch.cat([hidden, *beside], 1))
        guess = self.head_half(images_half, dense)
        hidden = self.doubled(bilinear_double(self.doubling(torch.cat([dense, guess], 1))))
        last = [self.last_transition(self.last(torch.cat([hidden, inputs], 1)))]
        for place, (layer, features) in enumerate(zip(self.maps, [hidden, *reversed(steps)], strict=True)):
            last.append(double(leaky(layer(features)), min(place, 1)))
        residual = self.head(inputs, torch.cat(last, 1))
        return self.head.image(images, residual), [image for _, image in found]


def inference(batch_size, crop_size):
    """A function that runs the network once, and its multiply-adds."""
    model, images = Umsn().eval(), torch.rand(batch_size, 3, crop_size, crop_size)
    counted = []

    def count(layer, _, output):
        counted.append(output.numel() * layer.weight[0].numel())

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, nn.Conv2d)]

    def run():
        with torch.inference_mode():
            model(images)

    run()
    for hook in hooks:
        hook.remove()
    return run, sum(counted)
