"""Putting trained models in the place of the earlier ones, all at once and only when training has ended."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from spacy_domain_ner.files import replacing_path


@contextmanager
def replacing_models(output_dir: Path) -> Iterator[Path]:
    """Give a scratch folder whose `model-*` replace those of `output_dir` when the block ends without an error.

    RAISES: UserError where `output_dir` can't be written.
    """
    with ExitStack() as targets:
        best = targets.enter_context(replacing_path(output_dir / "model-best"))
        with TemporaryDirectory(prefix=".training.", dir=output_dir) as scratch:
            yield Path(scratch)
            (Path(scratch) / "model-best").rename(best)
            for other in sorted(Path(scratch).glob("model-*")):
                other.rename(targets.enter_context(replacing_path(output_dir / other.name)))
