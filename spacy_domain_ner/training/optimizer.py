"""What fine-tuning a transformer on few passages needs beyond spaCy's own optimizer."""

from collections.abc import Callable, Iterator
from typing import Any

import spacy
from spacy.language import Language
from thinc.api import Optimizer
from thinc.types import FloatsXd


class TwoRates(Optimizer):
    """Adam with a higher learning rate for new layers than for pre-trained ones.

    One rate can't suit both: at a rate that preserves the pre-trained weights, an entity recognizer with random initial
    weights has learned little after thirty passes over a few hundred passages.
    """

    def __init__(self, *args: Any, new_layers: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.new_layers = new_layers

    def __call__(
        self, key: tuple[int, str], weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update one parameter. The names of a PyTorch module's parameters have dots, those of thinc's own don't."""
        if "." not in key[1]:
            lr_scale *= self.new_layers
        return super().__call__(key, weights, gradient, lr_scale=lr_scale)


@spacy.registry.optimizers("spacy_domain_ner.two_rates.v1")
def create_two_rates(
    learn_rate: float | Iterator[float],
    new_layers: float = 10.0,
    L2: float = 0.01,  # noqa: N803 (as in thinc's Adam.v1)
    L2_is_weight_decay: bool = True,  # noqa: N803
    grad_clip: float = 1.0,
    use_averages: bool = True,
) -> Optimizer:
    """Make the optimizer for `[training.optimizer]`. Only training needs it: no model refers to it.

    Args:
        learn_rate: The learning rate of the pre-trained weights: a number, or a schedule.
        new_layers: How many times faster the layers learn that are not pre-trained.
        L2: As in thinc's `Adam.v1`.
        L2_is_weight_decay: As in thinc's `Adam.v1`.
        grad_clip: As in thinc's `Adam.v1`.
        use_averages: As in thinc's `Adam.v1`.
    """
    return TwoRates(
        learn_rate,
        new_layers=new_layers,
        L2=L2,
        L2_is_weight_decay=L2_is_weight_decay,
        grad_clip=grad_clip,
        use_averages=use_averages,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        use_radam=False,
    )


@spacy.registry.callbacks("spacy_domain_ner.freeze_embeddings.v1")
def create_freeze_embeddings() -> Callable[[Language], Language]:
    """Make the callback for `[initialize.after_init]` that freezes a transformer's word-piece embeddings.

    They are up to half of the weights, and few passages touch few of them. Without them, training is faster and a step
    needs less memory.
    """

    def freeze(nlp: Language) -> Language:
        for name, pipe in nlp.pipeline:
            if nlp.get_pipe_meta(name).factory == "transformer":
                pipe.model.transformer.get_input_embeddings().weight.requires_grad_(False)
        return nlp

    return freeze
