"""`dpmm`'s AIM and MST through its pipelines.

Defaults, except: budget, workload degree, model size, and the domain. Binning is switched off
(the table is coded), which also spares the pipeline's extra `proc_epsilon`. The exact row count
is asked for, since `generate` must be given one.
"""

import pandas as pd
from _job import read_job
from dpmm.pipelines import AIMPipeline, MSTPipeline


def main() -> None:
    """Runs the job on the command line."""
    job = read_job()
    frame = pd.DataFrame(job.codes, columns=list(job.sizes))
    is_aim = job.mechanism == "aim"
    pipeline = (AIMPipeline if is_aim else MSTPipeline)(
        epsilon=job.epsilon,
        delta=job.delta,
        max_model_size=job.max_model_mb,
        disable_processing=True,
        gen_kwargs={"degree": job.workload} if is_aim else None,
    )
    pipeline.fit(frame, domain=job.sizes)
    synthetic = pipeline.generate(n_records=len(frame))
    job.write({name: synthetic[name].to_numpy() for name in job.sizes})


if __name__ == "__main__":
    main()
