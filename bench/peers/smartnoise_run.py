"""`smartnoise-synth`'s AIM and MST.

Defaults, except: budget, workload degree, model size, and the domain: the label transformer has
no argument for it, so it is fitted beforehand on a public table that lists every code.
`sample()` returns the exact number of private rows, its default.
"""

import pandas as pd
from _job import read_job
from snsynth.aim import AIMSynthesizer
from snsynth.mst import MSTSynthesizer
from snsynth.transform import LabelTransformer
from snsynth.transform.table import TableTransformer


def main() -> None:
    """Runs the job on the command line."""
    job = read_job()
    frame = pd.DataFrame(job.codes, columns=list(job.sizes))
    largest = max(job.sizes.values())
    every_code = pd.DataFrame(
        {name: [row % size for row in range(largest)] for name, size in job.sizes.items()}
    )
    transformer = TableTransformer([LabelTransformer(nullable=False) for _ in job.sizes])
    transformer.fit(every_code)
    if job.mechanism == "aim":
        synthesizer = AIMSynthesizer(
            epsilon=job.epsilon,
            delta=job.delta,
            max_model_size=job.max_model_mb,
            degree=job.workload,
        )
    else:
        synthesizer = MSTSynthesizer(epsilon=job.epsilon, delta=job.delta)
    synthesizer.fit(frame, transformer=transformer)
    synthetic = synthesizer.sample()
    job.write({name: synthetic[name].to_numpy() for name in job.sizes})


if __name__ == "__main__":
    main()
