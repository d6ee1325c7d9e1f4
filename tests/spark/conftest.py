"""A model that knows twenty passages by heart, and one Spark for all tests, on two cores of this machine."""

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.memorized import memorized
from helpers.needs_spark import needs_spark

from spacy_domain_ner.corpus import Passage

# Of the packaged model.
NAME = "by_heart"


@pytest.fixture(scope="session")
def model(make_passages: Callable[[], list[Passage]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of this plugin."""
    path = tmp_path_factory.mktemp("model") / "model-best"
    memorized("spacy_domain_ner_biluo_v1", make_passages()).to_disk(path)
    return path


@pytest.fixture(scope="session")
def texts(make_passages: Callable[[], list[Passage]]) -> list[str | None]:
    """Texts as they come: good ones, missing, empty and hostile ones, a long one."""
    good: list[str | None] = [passage.text for passage in make_passages()]
    redis = "0: The billing-api-0 fails since Redis is slow."
    odd = [
        None,
        "",
        " \t\n",
        f"\0\x1b[31m{redis}\x7f",
        f"🚀👩‍💻é {redis}",
        f"\u202e{redis}\ufeff\r\n\u2028",
        "a" * 30_000,
    ]
    return [*good, *odd, f"{redis} " * 40]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session of Spark."""
    needs_spark()
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        settings = {
            "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "OFF",
            "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "700m",
            # A JVM that lives for half a minute is not compiled to the last.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }  # fmt: skip
        builder = SparkSession.builder.master("local[2]")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="session")
def make_wheel(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the wheel of the model, as a packaged model looks; without a file, if one is named."""

    def make_wheel(without: str = "") -> Path:
        path = tmp_path_factory.mktemp("wheel") / "en_by_heart-0.0.0-py3-none-any.whl"
        package = f"en_{NAME}"
        init = (
            "from pathlib import Path\nfrom spacy.util import load_model_from_init_py\n"
            "def load(**overrides):\n    return load_model_from_init_py(__file__, **overrides)\n"
        )
        meta = json.dumps({"lang": "en", "name": NAME, "version": "0.0.0"})
        with zipfile.ZipFile(path, "w") as archive:
            files = {
                f"{package}/__init__.py": init, f"{package}/meta.json": meta,
                f"{package}-0.0.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.0.0\n",
            }  # fmt: skip
            for name, text in files.items():
                if not without or not name.endswith(without):
                    archive.writestr(name, text)
            for file in sorted(model.rglob("*")):
                if file.is_file():
                    place = f"{package}/{package}-0.0.0/{file.relative_to(model)}"
                    archive.writestr(place, meta_of(file) if file == model / "meta.json" else file.read_bytes())
        return path

    def meta_of(file: Path) -> str:
        return json.dumps({**json.loads(file.read_text()), "lang": "en", "name": NAME, "version": "0.0.0"})

    return make_wheel
