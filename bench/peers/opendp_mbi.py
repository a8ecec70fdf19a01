"""OpenDP's AIM and MST (`opendp.extras.mbi`), through its context API.

Defaults, except: the budget (zCDP with the rho of the tight conversion, since every key is given
and so delta has no use), the workload's degree, the model size, and the keys of every column.
"""

import opendp.prelude as dp
import polars as pl
from _job import read_job


def main() -> None:
    """Runs the job on the command line."""
    dp.enable_features("contrib")
    job = read_job()
    frame = pl.LazyFrame({name: job.codes[:, i] for i, name in enumerate(job.sizes)})
    algorithm = (
        dp.mbi.AIM(queries=job.workload, max_size=job.max_model_mb)
        if job.mechanism == "aim"
        else dp.mbi.MST()
    )
    context = dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=1),
        privacy_loss=dp.loss_of(rho=job.rho),
    )
    # With the whole rho, MST's own parts add up to more than its filter holds by a rounding error
    # in the last digit ("insufficient budget for query"), so it is offered 0.01 % less.
    table = (
        context.query(rho=job.rho * 0.9999)
        .contingency_table(
            keys={name: list(range(size)) for name, size in job.sizes.items()},
            algorithm=algorithm,
        )
        .release()
    )
    synthetic = table.synthesize()
    job.write({name: synthetic[name].cast(pl.Int64).fill_null(-1).to_numpy() for name in job.sizes})


if __name__ == "__main__":
    main()
