"""Loading the model where the work is done, once per process, and seeing that it is the same model everywhere."""

import gc
import importlib
import platform
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.models import data_folder, identity_in, load_model, model_folder
from spacy_domain_ner.spark.shipping import package_in, unpacked
from spacy_domain_ner.version import __version__

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_domain_ner.extraction.extractor import Extractor

# Models that a process keeps: two, for a job that compares them.
_KEPT = 2


@lru_cache(maxsize=_KEPT)
def load_extractor(model: str, settings: tuple[tuple[str, Any], ...], same: tuple[tuple[str, str], ...]) -> "Extractor":
    """Load a model, or take it from what this process has loaded before.

    Args:
        model: Its folder, the name of its package, or what `ship_model` gave.
        settings: What else `Extractor` takes, by name.
        same: What must be the same here, from `what_must_be_the_same`. It tells apart models that were at one place
            one after the other, too: a process may live longer than a model.

    Raises:
        UserError: It can't be loaded, a setting does not fit, or something is not the same.
    """
    from spacy_domain_ner.extraction.extractor import Extractor

    wanted = dict(same)
    _compare(wanted, versions())
    extractor = Extractor(load_pipeline(model, wanted["digest"]), **dict(settings))
    _compare(wanted, extractor.identity)
    if "pyspark.worker" in sys.modules:
        # Spark's workers collect garbage after each task, which took 0.14 s with a pipeline's 270,000 objects. Frozen
        # ones are not looked at.
        gc.collect()
        gc.freeze()
    return extractor


@lru_cache(maxsize=_KEPT)
def load_pipeline(model: str, digest: str) -> "Language":
    """Load a pipeline, or take it from what this process has loaded before.

    Args:
        model: Its folder, the name of its package, or what `ship_model` gave.
        digest: The digest of what is wanted, for the cache.
    """
    if (folder := unpacked(model)) is None:
        return load_model(model)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
    return load_model(package_in(folder))


def what_must_be_the_same(model: str) -> tuple[tuple[str, str], ...]:
    """What must be the same on all machines for the results to be, by name: the versions, and the model.

    Args:
        model: A model's folder, the name of its package, or what `ship_model` gave.

    Raises:
        UserError: There is not such a model.
    """
    shipped = unpacked(model)
    folder = model_folder(model) if shipped is None else data_folder(shipped / package_in(shipped))
    return tuple({**versions(), **identity_in(folder)}.items())


def versions() -> dict[str, str]:
    """The versions that the results depend on."""
    import spacy

    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "spaCy": spacy.__version__,
        "spacy-domain-ner": __version__,
    }


def _compare(wanted: dict[str, str], here: dict[str, str]) -> None:
    for name, value in here.items():
        if wanted[name] != value:
            what = name if name in versions() else f"the model's {name}"
            raise UserError(
                f"{platform.node()} has {what} {value}, and the job was made with {wanted[name]}",
                "All machines must have the same: install it there, or send it with the job.",
            )
