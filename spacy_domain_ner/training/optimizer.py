"""What fine-tuning a transformer with few passages needs beyond spaCy's own optimizer."""

from collections.abc import Callable, Iterator
from typing import Any

import spacy
from spacy.language import Language
from thinc.api import Optimizer
from thinc.types import FloatsXd


class TwoRates(Optimizer):
    """Adam with a higher learning rate for what is new than for what was pre-trained.

    One rate can't suit both: at one that keeps the pre-trained weights, an entity recognizer that begins at random has
    learned little when a few hundred passages have been read thirty times.
    """

    def __init__(self, *args: Any, new_layers: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.new_layers = new_layers

    def __call__(
        self, key: tuple[int, str], weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update one parameter. Those of a PyTorch module have dotted names, thinc's own have none."""
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
    """Make the optimizer for `[training.optimizer]`. It is needed for training only: no model refers to it.

    learn_rate: Of the pre-trained weights: a number, or a schedule.
    new_layers: The layers that are not pre-trained learn so many times faster.
    L2, L2_is_weight_decay, grad_clip, use_averages: As in thinc's `Adam.v1`.
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
    """Make the callback for `[initialize.after_init]` that keeps a transformer's word-piece embeddings as they are.

    They are up to half of the weights, and few passages touch few of them: training is faster, and a step's
    memory smaller.
    """

    def freeze(nlp: Language) -> Language:
        for name, pipe in nlp.pipeline:
            if nlp.get_pipe_meta(name).factory == "transformer":
                pipe.model.transformer.get_input_embeddings().weight.requires_grad_(False)
        return nlp

    return freeze
