"""PyTorch's half of `tests/bench-train`, and the comparison. Called by that script, in its virtual environment.

Ours and PyTorch's run in turns, a process each, several rounds; the figures are medians over the rounds. Both train the same
net, with the same loss and optimizer, on one prepared batch of noise: forward, loss, backward, clipping, step. Ours is channels
last; PyTorch's layout is a choice, contiguous by default because that was the faster one where this was written.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

WARM_UP = 2


def conv_norm(cin, cout, kernel, stride=1, groups=1, pad=None, act=False):
    from torch import nn

    pad = kernel[0] // 2 if pad is None else pad
    conv = nn.Conv2d(cin, cout, kernel, stride, pad, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), *([nn.PReLU(cout)] if act else []))


def backbone(net):
    """The chain that host/src/net builds from the same table."""
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, cin, inner, cout, stride):
            super().__init__()
            self.chain = nn.Sequential(
                conv_norm(cin, inner, (1, 1), act=True),
                conv_norm(inner, inner, (3, 3), stride, groups=inner, act=True),
                conv_norm(inner, cout, (1, 1)),
            )
            self.residual = stride == 1 and cin == cout

        def forward(self, x):
            return x + self.chain(x) if self.residual else self.chain(x)

    if net["width"] != 1.0 or net["activation"] != "prelu":
        sys.exit("bench: PyTorch's half knows nets of width 1 with prelu only")
    channels = net["stem"]
    columns, rows = ((side + 1) // 2 for side in net["input"])
    layers = [
        conv_norm(1 if net["order"] == "grey" else 3, channels, (3, 3), 2, act=True),
        conv_norm(channels, channels, (3, 3), groups=channels, act=True),
    ]
    for block in net["blocks"]:
        for i in range(block["repeat"]):
            stride = block["stride"] if i == 0 else 1
            layers.append(Bottleneck(channels, channels * block["expand"], block["channels"], stride))
            channels = block["channels"]
            columns, rows = ((side + stride - 1) // stride for side in (columns, rows))
    head = net["head"]
    layers += [
        conv_norm(channels, head, (1, 1), act=True),
        conv_norm(head, head, (rows, columns), groups=head, pad=0),
        conv_norm(head, net["embedding"], (1, 1)),
        nn.Flatten(),
    ]
    # The embedding's shift is not learnt.
    layers[-2][1].bias.requires_grad_(False)
    return nn.Sequential(*layers)


def macs_of(model, pixels):
    """Multiply-accumulates of the convolutions for one image, from the shapes that pass by."""
    import torch

    total = 0

    def count(layer, _, out):
        nonlocal total
        total += layer.weight.numel() * out.shape[2] * out.shape[3]

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    with torch.no_grad():
        model.eval()(pixels)
    for hook in hooks:
        hook.remove()
    return total


def step(spec, threads, seconds, layout):
    """Times PyTorch's steps on one net."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    net, classes, margin, batch = spec["net"], spec["classes"], 0.5, spec["batch"]
    model = backbone(net).train()
    weight = nn.Parameter(torch.randn(classes, net["embedding"]))
    scale = spec["scale"]
    parameters = [*(p for p in model.parameters() if p.requires_grad), weight]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": spec["weight_decay"]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=spec["rate"], momentum=spec["momentum"], foreach=True)
    columns, rows = net["input"]
    pixels = torch.randn(batch, 1 if net["order"] == "grey" else 3, rows, columns)
    if layout == "channels_last":
        model, pixels = model.to(memory_format=torch.channels_last), pixels.to(memory_format=torch.channels_last)
    labels = torch.tensor([i * 7 % classes for i in range(batch)])

    def once():
        cosines = functional.linear(functional.normalize(model(pixels)), functional.normalize(weight))
        cosines = cosines.clamp(-1 + 1e-6, 1 - 1e-6)
        target = cosines.gather(1, labels[:, None])
        sine = (1 - target * target).sqrt()
        moved = target * math.cos(margin) - sine * math.sin(margin)
        moved = torch.where(target > -math.cos(margin), moved, target - margin * math.sin(margin))
        loss = functional.cross_entropy(scale * cosines.scatter(1, labels[:, None], moved), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, spec["clip"])
        optimizer.step()
        return loss.item()

    for _ in range(WARM_UP):
        once()
    times, begun = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        loss = once()
        times.append(time.perf_counter() - start)
    count = sum(p.numel() for p in parameters)
    speed = batch / statistics.median(times)
    return {"images_per_s": speed, "loss": loss, "parameters": count, "macs": macs_of(model, pixels[:1])}


# So that glibc keeps large maps instead of asking the system for them at every step, as our allocator does.
KEEPS = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}


def called(*command):
    """The JSON that a process prints."""
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **KEEPS})
    if run.returncode != 0:
        sys.exit(f"bench: {' '.join(command[:3])} ended with status {run.returncode}")
    return json.loads(run.stdout.splitlines()[-1])


def compare(ours, spec, args):
    """Runs both in turns on one net."""
    name, threads, seconds = spec["name"], str(args.threads), str(args.seconds)
    rounds, products = [], []
    for i in range(args.rounds):
        products.append(called(ours, "matmul", threads, "1")["flops_per_s"])
        theirs = [sys.executable, __file__, "--step", json.dumps(spec), "--layout", args.layout, "--threads", threads,
                  "--seconds", seconds]
        runs = [[ours, "step", name, threads, seconds, str(args.replicas), "cpu"], theirs]
        # Who is first changes from round to round.
        results = [called(*run) for run in (runs if i % 2 == 0 else runs[::-1])]
        a, b = results if i % 2 == 0 else results[::-1]
        for what in ("parameters", "macs"):
            if a[what] != b[what]:
                sys.exit(f"bench: {name} is not the same net: {what} {a[what]} here, {b[what]} in PyTorch")
        for who, run in (("arcgate", a), ("PyTorch", b)):
            if not math.isfinite(run["loss"]):
                sys.exit(f"bench: the loss of {who} on {name} is {run['loss']}")
        print(f"{name} round {i + 1}: arcgate {a['images_per_s']:.1f}, PyTorch {b['images_per_s']:.1f} images/s", file=sys.stderr)
        rounds.append((a, b))
    ours_s, theirs_s = (statistics.median(r[side]["images_per_s"] for r in rounds) for side in (0, 1))
    first = rounds[0][0]
    flops = statistics.median(products)
    # A forward pass is one multiply and one add a MAC; the gradients of a layer's input and weights are as much each.
    useful = 3 * 2 * first["macs"] * ours_s
    on_gpu = {}
    if args.gpu:
        ran = called(ours, "step", name, threads, seconds, "1", "gpu")
        print(f"{name} on {ran['adapter']}: {ran['images_per_s']:.1f} images/s", file=sys.stderr)
        on_gpu = {"gpu": ran["adapter"], "gpu_images_per_s": round(ran["images_per_s"], 2)}
    return {
        "net": name,
        "images_per_s": round(ours_s, 2),
        "pytorch_images_per_s": round(theirs_s, 2),
        "ratio": round(ours_s / theirs_s, 3),
        "fraction_of_matmul_peak": round(useful / flops, 3),
        "matmul_gflops": round(flops / 1e9, 1),
        "macs": first["macs"],
        "parameters": first["parameters"],
        "batch": spec["batch"],
        **on_gpu,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours")
    parser.add_argument("--step")
    parser.add_argument("--layout", default="contiguous", choices=["contiguous", "channels_last"])
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 100), metavar="N")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--net", default="")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.step:
        print(json.dumps(step(json.loads(args.step), args.threads, args.seconds, args.layout)))
        return
    import torch

    specs = [s for s in called(args.ours, "nets") if args.net in s["name"]]
    if not specs:
        sys.exit(f"bench: no net's name contains {args.net!r}")
    nets = [compare(args.ours, spec, args) for spec in specs]
    report = {"threads": args.threads, "replicas": args.replicas, "pytorch": torch.__version__, "nets": nets}
    print(f"\n{args.threads} threads, PyTorch {torch.__version__}")
    print(f"{'net':<20}{'MACs':>14}{'images/s':>10}{'PyTorch':>10}{'ratio':>8}{'of matmul':>11}")
    for n in nets:
        print(f"{n['net']:<20}{n['macs']:>14,}{n['images_per_s']:>10.1f}{n['pytorch_images_per_s']:>10.1f}"
              f"{n['ratio']:>8.2f}{n['fraction_of_matmul_peak']:>11.2f}")
    if args.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
