"""Sending a packaged model, and this package, to executors that have only spaCy."""

import atexit
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.models import data_folder, model_digest
from spacy_domain_ner.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What the driver has unpacked, by the name under which it was sent.
_HERE: dict[str, Path] = {}
# What was sent to which session: Spark refuses a second archive of a name.
_SENT: set[tuple[str, str]] = set()


def ship_model(spark: "SparkSession", wheel: str | Path) -> str:
    """Send a packaged model to the executors of a session, with the code that reads texts with it.

    The executors need spaCy and pyarrow, and whatever else the model itself requires. Python workers that a session
    starts from then on find the model; so do the executors that it gets later.

    Args:
        spark: The session.
        wheel: The model's wheel, as `domain-ner package` makes it.

    Returns:
        What to give as `model`.

    Raises:
        UserError: It is not a wheel of a model.
    """
    folder = _unpack(Path(wheel))
    package = package_in(folder)
    name = f"{data_folder(folder / package).name}-{model_digest(data_folder(folder / package))}"
    _HERE.setdefault(name, folder)
    session = _session(spark)
    if (session, name) not in _SENT:
        archive = shutil.make_archive(str(folder.parent / name), "zip", folder)
        _send(spark, f"{archive}#{name}", is_archive=True)
        _SENT.add((session, name))
    if (session, "") not in _SENT:
        _send(spark, str(_code(folder.parent)), is_archive=False)
        _SENT.add((session, ""))
    return name


def unpacked(model: str) -> Path | None:
    """Where a model is that `ship_model` has sent: on the driver, or on an executor; None for any other.

    Args:
        model: What may be the name under which it was sent.
    """
    if model in _HERE:
        return _HERE[model]
    try:
        from pyspark import SparkFiles
    except ImportError:
        return None
    # A process that has nothing to do with Spark has not got such a folder.
    root = getattr(SparkFiles, "_root_directory", None)
    folder = Path(root, model) if root and model and Path(model).name == model else None
    return folder if folder is not None and folder.is_dir() else None


def package_in(folder: Path) -> str:
    """The name of the model's package in an unpacked wheel.

    Raises:
        UserError: There is none.
    """
    found = [meta.parent for meta in sorted(folder.glob("*/meta.json")) if (meta.parent / "__init__.py").is_file()]
    if not found or not data_folder(found[0]).is_dir():
        raise UserError("it holds no spaCy model")
    return found[0].name


def _unpack(wheel: Path) -> Path:
    """Unpack a wheel into a folder that is removed when this process ends."""
    hint = "Give the wheel that `domain-ner package` has made (packages/.../dist/*.whl)."
    if not wheel.is_file():
        raise UserError(f"There is no wheel {wheel}", hint)
    scratch = Path(tempfile.mkdtemp(prefix="domain-ner-spark-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "wheel")
        package_in(scratch / "wheel")
    except (zipfile.BadZipFile, UserError, KeyError, ValueError) as error:
        raise UserError(f"{wheel} is not the wheel of a model: {reason(error)}", hint) from None
    return scratch / "wheel"


def _code(folder: Path) -> Path:
    """Write the modules of this package into an archive that Python imports from."""
    path = folder / f"spacy_domain_ner-{__version__}.zip"
    root = Path(__file__).parents[1]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in sorted(root.rglob("*.py")):
            archive.write(module, module.relative_to(root.parent))
    return path


def _send(spark: "SparkSession", path: str, *, is_archive: bool) -> None:
    if is_connect(spark):
        spark.addArtifacts(path, archive=is_archive, pyfile=not is_archive)
    elif is_archive:
        spark.sparkContext.addArchive(path)
    else:
        spark.sparkContext.addPyFile(path)


def is_connect(spark: "SparkSession") -> bool:
    """Whether a session is that of Spark Connect, where the driver is another process."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def _session(spark: "SparkSession") -> str:
    return str(spark.session_id if is_connect(spark) else spark.sparkContext.applicationId)
