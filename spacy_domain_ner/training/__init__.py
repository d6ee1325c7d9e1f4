"""Training with early stopping, by the framework that the config asks for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spacy_domain_ner.confidence.calibration import calibrate_model
from spacy_domain_ner.files import at_work, replacing_path
from spacy_domain_ner.training.frameworks import find_framework
from spacy_domain_ner.training.gpu import choose_gpu
from spacy_domain_ner.training.recipe import Recipe, read_set

__all__ = ["Recipe", "train"]


def train(recipe: Recipe, output_dir: str | Path) -> None:
    """Train with early stopping on F1, and calibrate the confidence of the kept model on the early-stopping set.

    Args:
        recipe: What is trained on, and how.
        output_dir: The folder for `model-best`, and with spaCy also `model-last`. Earlier ones are replaced when
            training has ended; whatever else is in the folder is left alone.

    Raises:
        UserError: If a set has no entities, a file or a package is missing, a value can't be trained with, the models
            can't be written, or another training into the same folder is running.
    """
    config = recipe.read_config()
    framework = find_framework(config)
    gpu, line = choose_gpu(str(recipe.gpu_id), transformer=framework.trains_transformer(config))
    print(line, flush=True)
    # Both are read before anything is made.
    _, dev = [read_set(path) for path in recipe.sets(framework.reads)]
    with at_work(Path(output_dir) / "model-best"), _replacing_models(Path(output_dir)) as scratch:
        framework.train(recipe, scratch, gpu)
        # The model was chosen by these passages, but did not learn from them.
        calibrate_model(scratch / "model-best", dev)


@contextmanager
def _replacing_models(output_dir: Path) -> Iterator[Path]:
    """Give a scratch folder whose `model-*` replace those of `output_dir` when the block ends without an error."""
    with ExitStack() as targets:
        best = targets.enter_context(replacing_path(output_dir / "model-best", folder=True))
        # Beside it, so that a killed training's folder is removed with it.
        scratch = best.with_name("training")
        scratch.mkdir()
        yield scratch
        (scratch / "model-best").rename(best)
        for other in sorted(scratch.glob("model-*")):
            other.rename(targets.enter_context(replacing_path(output_dir / other.name, folder=True)))
