"""AIM and MST over the `mbi` engine, as their author's scripts run them.

The package on PyPI holds the engine; the mechanisms are scripts in its repository and cannot be
installed. This driver follows the published loops step by step (McKenna et al. 2022, algorithm 1;
McKenna, Miklau, Sheldon 2021), with the scripts' own settings: 1,000 mirror-descent iterations a
round for AIM, 2,500 and 10,000 for MST, warm starts, NumPy's Gaussian noise, JAX in its default
single precision, the engine's own sampler, and for MST the compression of rare codes.

One thing differs, in the peer's favour, unless `--as-written` is given: AIM's candidates are
scored with compilation off. As written, every round compiles a new program for each candidate,
which on Adult costs 90 CPU seconds a round and ends, in round seven, at the 65,530 memory mappings
that Linux allows a process by default.
"""

import itertools
import math
import sys

import jax
import networkx as nx
import numpy as np
from _job import Job, read_job
from mbi import Dataset, Domain, LinearMeasurement, estimation, junction_tree
from scipy.cluster.hierarchy import DisjointSet
from scipy.special import softmax

AIM_ITERATIONS = 1000
MST_SELECT_ITERATIONS = 2500
MST_FIT_ITERATIONS = 10000

Clique = tuple[str, ...]


def main() -> None:
    """Runs the job on the command line."""
    job = read_job()
    columns = {name: job.codes[:, i] for i, name in enumerate(job.sizes)}
    data = Dataset(columns, Domain.fromdict(job.sizes))
    synthetic = (aim if job.mechanism == "aim" else mst)(job, data)
    job.write({name: synthetic.data[name] for name in job.sizes})


def measure(data: Dataset, clique: Clique, sigma: float) -> LinearMeasurement:
    """One noisy marginal."""
    exact = np.asarray(data.project(clique).datavector())
    return LinearMeasurement(exact + np.random.normal(0, sigma, exact.size), clique, stddev=sigma)


def choose(scores: np.ndarray, epsilon: float, sensitivity: float) -> int:
    """The exponential mechanism."""
    probabilities = softmax(0.5 * epsilon / sensitivity * (scores - scores.max()))
    return int(np.random.choice(scores.size, p=probabilities))


def closure(cliques: list[Clique]) -> list[Clique]:
    """Every non-empty subset of every clique, smallest first."""
    found = {
        subset
        for clique in cliques
        for size in range(1, len(clique) + 1)
        for subset in itertools.combinations(clique, size)
    }
    return sorted(found, key=len)


def aim(job: Job, data: Dataset) -> Dataset:
    """Algorithm 1 of McKenna et al. 2022."""
    domain, rho = data.domain, job.rho
    workload = list(itertools.combinations(job.sizes, job.workload))
    weights = {
        clique: float(sum(len(set(clique) & set(other)) for other in workload))
        for clique in closure(workload)
    }
    answers = {clique: np.asarray(data.project(clique).datavector()) for clique in weights}
    estimator = estimation.MirrorDescent()

    rounds = 16 * len(domain)
    sigma = math.sqrt(rounds / (2 * 0.9 * rho))
    epsilon = math.sqrt(8 * 0.1 * rho / rounds)
    one_way = [clique for clique in weights if len(clique) == 1]
    measurements = [measure(data, clique, sigma) for clique in one_way]
    rho_used = len(one_way) * 0.5 / sigma**2
    model = estimator.estimate(domain, measurements, iters=AIM_ITERATIONS)

    last = False
    while not last:
        if rho - rho_used < 2 * (0.5 / sigma**2 + epsilon**2 / 8):
            remaining = rho - rho_used
            sigma = math.sqrt(1 / (2 * 0.9 * remaining))
            epsilon = math.sqrt(8 * 0.1 * remaining)
            last = True
        rho_used += epsilon**2 / 8 + 0.5 / sigma**2

        limit = job.max_model_mb * rho_used / rho
        free = set(closure([tuple(clique) for clique in model.cliques]))
        candidates = [
            clique
            for clique in weights
            if clique in free
            or junction_tree.hypothetical_model_size(domain, [*model.cliques, clique]) <= limit
        ]
        bias = math.sqrt(2 / math.pi) * sigma
        with jax.disable_jit(disable=not job.as_written):
            estimates = [np.asarray(model.project(c).datavector()) for c in candidates]
        scores = np.array(
            [
                weights[c] * (np.abs(answers[c] - estimate).sum() - bias * domain.size(c))
                for c, estimate in zip(candidates, estimates, strict=True)
            ]
        )
        sensitivity = max(weights[clique] for clique in candidates)
        clique = candidates[choose(scores, epsilon, sensitivity)]

        measurements.append(measure(data, clique, sigma))
        before = estimates[candidates.index(clique)]
        model = estimator.estimate(domain, measurements, iters=AIM_ITERATIONS, warm_start=model)
        after = np.asarray(model.project(clique).datavector())
        print(f"{rho_used / rho:.3f} of the budget, measured {clique}", file=sys.stderr)
        if np.abs(after - before).sum() <= bias * domain.size(clique):
            sigma, epsilon = sigma / 2, epsilon * 2

    model = estimator.estimate(domain, measurements, iters=AIM_ITERATIONS, warm_start=model)
    return model.synthetic_data()


def mst(job: Job, data: Dataset) -> Dataset:
    """MST: one-way marginals, a tree of pairs chosen privately, those pairs."""
    rho = job.rho
    sigma = math.sqrt(3 / (2 * rho))
    one_way = [(name,) for name in job.sizes]
    scale = sigma * math.sqrt(len(one_way))
    measurements = [measure(data, clique, scale) for clique in one_way]
    mapping = rare_codes_merged(measurements)
    compressed = [measurement.compress(mapping, data.domain) for measurement in measurements]
    data = data.compress(mapping)
    tree = select(data, rho / 3, compressed)
    scale = sigma * math.sqrt(len(tree))
    pairs = [measure(data, clique, scale) for clique in tree]
    model = estimation.MirrorDescent().estimate(
        data.domain, compressed + pairs, iters=MST_FIT_ITERATIONS
    )
    return model.synthetic_data().decompress(mapping)


def rare_codes_merged(measurements: list[LinearMeasurement]) -> dict[str, np.ndarray]:
    """Merges the codes whose noisy count is under three standard deviations into one."""
    mapping = {}
    for measurement in measurements:
        kept = np.asarray(measurement.noisy_measurement) >= 3 * measurement.stddev
        if not kept.all():
            mapping[measurement.clique[0]] = np.where(kept, np.cumsum(kept) - 1, kept.sum())
    return mapping


def select(data: Dataset, rho: float, measurements: list[LinearMeasurement]) -> list[Clique]:
    """A spanning tree of the pairs that independence serves worst, edge by edge."""
    model = estimation.MirrorDescent().estimate(
        data.domain, measurements, iters=MST_SELECT_ITERATIONS
    )
    names = data.domain.attributes
    scores = {
        pair: float(
            np.abs(
                np.asarray(data.project(pair).datavector())
                - np.asarray(model.project(pair).datavector())
            ).sum()
        )
        for pair in itertools.combinations(names, 2)
    }
    tree, components = nx.Graph(), DisjointSet(names)
    epsilon = math.sqrt(8 * rho / (len(names) - 1))
    for _ in range(len(names) - 1):
        open_pairs = [pair for pair in scores if not components.connected(*pair)]
        pair = open_pairs[choose(np.array([scores[p] for p in open_pairs]), epsilon, 1.0)]
        tree.add_edge(*pair)
        components.merge(*pair)
    return [tuple(edge) for edge in tree.edges]


if __name__ == "__main__":
    main()
