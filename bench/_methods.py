"""The synthesizers that are compared, and the command that runs each of them.

Ours runs as a user runs it, through `mezzotint synthesize`, start-up included. A peer runs
through a driver under `peers/` inside an environment of its own under `.envs/`, which is made on
demand from `peers/<environment>.txt`: every package pinned, installed with `--no-deps`.
"""

import hashlib
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"
REQUIREMENTS = HERE / "peers"


@dataclass(frozen=True)
class Setting:
    """One problem: a coded table on disk, a budget, a workload, a model size.

    Attributes:
        data: CSV of codes.
        domain: JSON of sizes.
        epsilon: Budget.
        delta: Budget.
        workload: All marginals of this many attributes.
        max_model_mb: Junction-tree limit in MB; None for the method's own default.
    """

    data: Path
    domain: Path
    epsilon: float
    delta: float
    workload: int
    max_model_mb: float | None


@dataclass(frozen=True)
class Method:
    """One synthesizer of one package.

    Attributes:
        name: How the command line and the results name it.
        label: How the tables name it.
        mechanism: `aim`, `mst` and so on.
        environment: Stem of its requirements file; None for ours.
        driver: Script under `peers/`.
        package: Distribution whose version is recorded.
        options: More arguments for the driver.
    """

    name: str
    label: str
    mechanism: str
    environment: str | None = None
    driver: str = ""
    package: str = "mezzotint"
    options: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether it is Mezzotint's."""
        return self.environment is None

    @property
    def uses_workload(self) -> bool:
        """Whether the workload and the model size change what it does."""
        return self.mechanism not in ("mst", "independent")

    def command(self, setting: Setting, out: Path) -> list[str]:
        """The command that writes a synthetic coded table to `out`."""
        budget = ["--epsilon", str(setting.epsilon), "--delta", str(setting.delta)]
        shape = ["--workload", str(setting.workload)] if self.uses_workload else []
        if self.uses_workload and setting.max_model_mb is not None:
            shape += ["--max-model-mb", str(setting.max_model_mb)]
        if self.environment is None:
            program = [str(Path(sys.executable).parent / "mezzotint"), "synthesize"]
            table = [str(setting.data), "--domain", str(setting.domain)]
            output = ["-o", str(out), "--json"]
        else:
            python = environment_python(self.environment)
            program = [str(python), str(REQUIREMENTS / self.driver)]
            table = ["--data", str(setting.data), "--domain", str(setting.domain)]
            output = ["--out", str(out), *self.options]
        return [*program, *table, "--mechanism", self.mechanism, *budget, *shape, *output]


_PACKAGES = (
    # environment, label, distribution, driver
    ("mbi", "mbi", "mbi", "mbi_reference.py"),
    ("opendp", "OpenDP", "opendp", "opendp_mbi.py"),
    ("dpmm", "dpmm", "dpmm", "dpmm_run.py"),
    ("smartnoise", "smartnoise-synth", "smartnoise-synth", "smartnoise_run.py"),
)


def _peers(mechanism: str) -> list[Method]:
    return [
        Method(
            name=f"{environment}-{mechanism}",
            label=f"{label} {mechanism.upper()}",
            mechanism=mechanism,
            environment=environment,
            driver=driver,
            package=package,
        )
        for environment, label, package, driver in _PACKAGES
    ]


METHODS: tuple[Method, ...] = (
    Method("mezzotint-own", "**Mezzotint**, own mechanism", "mezzotint"),
    Method("mezzotint-aim", "**Mezzotint AIM**", "aim"),
    *_peers("aim"),
    Method(
        "mbi-aim-as-written",
        "mbi AIM, script as written",
        "aim",
        environment="mbi",
        driver="mbi_reference.py",
        package="mbi",
        options=("--as-written",),
    ),
    Method("mezzotint-mst", "**Mezzotint MST**", "mst"),
    *_peers("mst"),
    Method("mezzotint-independent", "Mezzotint Independent", "independent"),
)
PEERS: tuple[str, ...] = tuple(dict.fromkeys(m.environment for m in METHODS if m.environment))


def environment_python(environment: str) -> Path:
    """The interpreter of a peer's environment, whether it exists or not."""
    return ENVIRONMENTS / environment / "bin" / "python"


def is_installed(environment: str) -> bool:
    """Whether the environment holds what its requirements file names now."""
    stamp = ENVIRONMENTS / environment / ".requirements"
    return stamp.exists() and stamp.read_text() == _fingerprint(environment)


def install(environment: str) -> None:
    """Makes the environment, unless it stands already.

    Raises:
        subprocess.CalledProcessError: pip failed (no network, say).
    """
    if is_installed(environment):
        return
    print(f"installing {environment} into {ENVIRONMENTS / environment}", file=sys.stderr)
    venv.create(ENVIRONMENTS / environment, with_pip=True, clear=True)
    requirements = REQUIREMENTS / f"{environment}.txt"
    python = environment_python(environment)
    pip: Sequence[str] = [str(python), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-r", str(requirements)], check=True, stdout=sys.stderr)
    (ENVIRONMENTS / environment / ".requirements").write_text(_fingerprint(environment))


def package_version(method: Method) -> str | None:
    """The version of a method's package, from the requirements file or from ours."""
    if method.environment is None:
        from importlib.metadata import version

        return version(method.package)
    for line in (REQUIREMENTS / f"{method.environment}.txt").read_text().splitlines():
        if line.startswith(f"{method.package}=="):
            return line.partition("==")[2]
    return None


def _fingerprint(environment: str) -> str:
    text = (REQUIREMENTS / f"{environment}.txt").read_bytes()
    return hashlib.sha256(text + sys.version.encode()).hexdigest()
