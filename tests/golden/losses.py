#!/usr/bin/env python3
"""Golden values of the losses, written from the papers' formulas with numpy alone, one sample after the other.

    python3 tests/golden/losses.py > tests/golden/losses.json

The unit tests of host/src/loss hold the Rust losses against them. Nothing here is shared with that code.
"""
import json
import math

import numpy as np

random = np.random.default_rng(20061)
X = np.round(random.normal(size=(7, 5)), 3)
W = np.round(random.normal(size=(4, 5)), 3)
LABELS = [0, 2, 0, 1, 2, 1, 0]
# The last sample lies nearly opposite to its class: beyond pi with any margin, in the last piece of psi.
X = np.vstack([X, np.round(-1.2 * W[3] + [0.05, -0.08, 0.02, 0.06, -0.03], 3)])
LABELS.append(3)
# Which branch of which formula was taken.
TAKEN = set()


def cross_entropy(rows):
    """Mean of -log of the label's share, for (logits, label)."""
    total = 0.0
    for logits, label in rows:
        top = max(logits)
        total += top + math.log(sum(math.exp(v - top) for v in logits)) - logits[label]
    return total / len(rows)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def classified(logits_of):
    return cross_entropy([(logits_of(x, y), y) for x, y in zip(X, LABELS)])


def with_target(scale, target):
    """scale * cos for every class, scale * target(theta) for the label's."""

    def logits(x, y):
        cosines = [cosine(x, w) for w in W]
        return [scale * (target(math.acos(c)) if j == y else c) for j, c in enumerate(cosines)]

    return classified(logits)


def arcface(margin):
    def target(theta):
        TAKEN.add(("arcface beyond pi", theta + margin > math.pi))
        if theta + margin <= math.pi:
            return math.cos(theta + margin)
        return math.cos(theta) - margin * math.sin(margin)

    return target


def half_turns(angle):
    """(-1)^k cos(angle) - 2k."""
    k = math.floor(angle / math.pi)
    TAKEN.add(("half turns", k))
    return (-1) ** k * math.cos(angle) - 2 * k


def sphereface(margin, lam):
    def logits(x, y):
        norm = math.sqrt(float(x @ x))
        out = []
        for j, w in enumerate(W):
            c = cosine(x, w)
            out.append(norm * ((lam * c + half_turns(margin * math.acos(c))) / (1 + lam) if j == y else c))
        return out

    return classified(logits)


def curricularface(scale, margin, t):
    def logits(x, y):
        cosines = [cosine(x, w) for w in W]
        target = arcface(margin)(math.acos(cosines[y]))
        hard = [c * (t + c) if c > target else c for c in cosines]
        TAKEN.update(("curricularface hard", c > target) for j, c in enumerate(cosines) if j != y)
        return [scale * (target if j == y else c) for j, c in enumerate(hard)]

    return classified(logits)


def unit(rows):
    return [x / math.sqrt(float(x @ x)) for x in rows]


def squared(a, b):
    return float((a - b) @ (a - b))


def contrastive(margin, rows):
    same, different = [], []
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            d = math.sqrt(squared(rows[i], rows[j]))
            if LABELS[i] == LABELS[j]:
                same.append(d * d / 2)
            else:
                different.append(max(0.0, margin - d) ** 2 / 2)
    within = sum(d > 0 for d in different)
    TAKEN.add(("beyond the margin", within < len(different)))
    return sum(same) / len(same) + sum(different) / max(within, 1)


def triplet(margin, hard):
    rows = unit(X)
    losses = []
    for a, x in enumerate(rows):
        positives = [squared(x, rows[p]) for p in range(len(rows)) if p != a and LABELS[p] == LABELS[a]]
        negatives = [squared(x, rows[n]) for n in range(len(rows)) if LABELS[n] != LABELS[a]]
        if not positives:
            continue
        if hard:
            losses.append(max(0.0, max(positives) - min(negatives) + margin))
        else:
            for p in positives:
                beyond = [n for n in negatives if n > p]
                TAKEN.add(("semi-hard", bool(beyond)))
                losses.append(max(0.0, p - (min(beyond) if beyond else max(negatives)) + margin))
    return sum(losses) / len(losses)


CENTRES = np.round(random.normal(size=(4, 5)), 3)


def center(lam):
    softmax = classified(lambda x, y: [float(x @ w) for w in W])
    pull = sum(squared(x, CENTRES[y]) for x, y in zip(X, LABELS)) / len(X) / 2
    return softmax + lam * pull


def centres_after(alpha):
    out = CENTRES.copy()
    for j in range(len(CENTRES)):
        mine = [x for x, y in zip(X, LABELS) if y == j]
        delta = sum((CENTRES[j] - x for x in mine), np.zeros(5)) / (1 + len(mine))
        out[j] = CENTRES[j] - alpha * delta
    return out


def case(loss, **parameters):
    return {"parameters": parameters, "loss": loss}


golden = {
    "softmax": case(classified(lambda x, y: [float(x @ w) for w in W])),
    "normface": case(with_target(9.0, math.cos), scale=9.0),
    "cosface": case(with_target(8.0, lambda theta: math.cos(theta) - 0.35), scale=8.0, margin=0.35),
    "arcface": case(with_target(8.0, arcface(0.5)), scale=8.0, margin=0.5),
    "combined": case(
        with_target(7.0, lambda theta: half_turns(1.3 * theta + 0.25) - 0.15), scale=7.0, m1=1.3, m2=0.25, m3=0.15
    ),
    "sphereface": case(sphereface(4, 3.0), margin=4, **{"lambda": 3.0}),
    "curricularface": case(curricularface(6.0, 0.4, 0.3), scale=6.0, margin=0.4, t=0.3),
    "contrastive": case(contrastive(1.2, unit(X)), margin=1.2),
    "contrastive_raw": case(contrastive(3.5, list(X)), margin=3.5),
    "triplet_semihard": case(triplet(0.2, False), margin=0.2),
    "triplet_batchhard": case(triplet(0.2, True), margin=0.2),
    "center": case(center(0.03), alpha=0.5, **{"lambda": 0.03})
    | {"centres": CENTRES.tolist(), "centres_after": centres_after(0.5).tolist()},
}
for branch in ("arcface beyond pi", "curricularface hard", "semi-hard"):
    assert {(branch, False), (branch, True)} <= TAKEN, branch
assert ("beyond the margin", True) in TAKEN
assert {("half turns", k) for k in (0, 1, 2, 3)} <= TAKEN
print(json.dumps({"x": X.tolist(), "w": W.tolist(), "labels": LABELS, "losses": golden}))
