"""Adam that passes over those rows of a table only that a step has used.

A step reads a few hundred rows of the embedding tables, which are most of a small network's values. thinc's Adam passes
over all of them, since what has no gradient moves all the same: by its momentum and by weight decay, and its average
follows. In steps without a gradient all of that is linear, so a row makes up for several such steps at once.
"""

from collections.abc import Iterator
from typing import Any

import numpy
import spacy
from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.types import FloatsXd

# The name of a parameter, as thinc passes it.
Key = tuple[int, str]
# After so many steps all rows make up for what they missed: what the network reads of a row lags by so many at most.
LAG = 16
# So many rows at once stay in a processor's cache.
BLOCK = 128


class RowAdam(Optimizer):
    """Adam with decoupled weight decay and averages: the result is that of thinc's `Adam.v1`, up to rounding, but that
    a row without a gradient is brought up to date some steps later.

    A row is up to date when it has a gradient, every `LAG` steps, and whenever the averages are asked for, which is
    before each evaluation.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._averages: dict[Key, FloatsXd] | None = None
        # None for a parameter that isn't a table.
        self._tables: dict[Key, _Table | None] = {}
        super().__init__(*args, **kwargs)

    @property
    def averages(self) -> dict[Key, FloatsXd] | None:
        """The averages of all parameters, which are up to date then, as are the parameters."""
        for table in self._tables.values():
            if table:
                table.catch_up()
        return self._averages

    @averages.setter
    def averages(self, values: dict[Key, FloatsXd] | None) -> None:
        self._averages = values

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update one parameter in place, and set its gradient to 0."""
        if len(gradient) < 1:
            return weights, gradient
        self.nr_update[key] += 1
        number, rate = self.nr_update[key], lr_scale * self.learn_rate
        if self._averages is not None and key not in self._averages:
            self._averages[key] = weights * 0
        if key not in self._tables:
            self._tables[key] = self._new_table(key, weights, gradient)
        if table := self._tables[key]:
            table.weights = _rows(weights)
            table.step(_rows(gradient), number, rate, self.grad_clip, self.L2)
            return weights, gradient
        ops = get_array_ops(weights)
        if self.grad_clip:
            gradient = ops.clip_gradient(gradient, self.grad_clip)
        weights, gradient = self._adam(ops, weights, gradient, lr_scale, key, number)
        weights *= 1 - rate * self.L2
        if self._averages is not None:
            ops.update_averages(self._averages[key], weights, number)
        return weights, gradient

    def _new_table(self, key: Key, weights: FloatsXd, gradient: FloatsXd) -> "_Table | None":
        """The state of a table: a parameter on a CPU of whose rows the first step has used less than half."""
        if type(weights) is not numpy.ndarray or weights.ndim < 2 or _rows(gradient).any(axis=1).mean() >= 0.5:
            return None
        average = None if self._averages is None else _rows(self._averages[key])
        return _Table(_rows(weights), average, self.b1, self.b2, self.eps)


class _Table:
    """A table with the moments and the average of each row.

    Attributes:
        weights: The table's rows.
        average: The average of each row; None where there are none.
        first: The first moment of each row.
        second: The second moment.
        steps: What each step since all rows were up to date did to a row without a gradient: how far it moves, what
            weight decay leaves of it, and what stays of its average.
        done: For each row, how many of these steps it has made.
    """

    def __init__(self, weights: numpy.ndarray, average: numpy.ndarray | None, b1: float, b2: float, eps: float) -> None:
        self.weights = weights
        self.average = numpy.zeros_like(weights) if average is None else average
        self.first, self.second = numpy.zeros_like(weights), numpy.zeros_like(weights)
        self.b1, self.b2, self.eps = b1, b2, eps
        self.steps: list[tuple[float, float, float]] = []
        self.done = numpy.zeros(len(weights), "i")

    def step(self, gradient: numpy.ndarray, number: int, rate: float, grad_clip: float, decay: float) -> None:
        """Make a step: the rows that have a gradient move by it, the others wait."""
        squares = numpy.einsum("ij,ij->i", gradient, gradient)
        used = numpy.flatnonzero(squares)
        norm = float(squares.sum()) ** 0.5
        clip = grad_clip / norm if grad_clip and norm >= grad_clip else 1.0
        state = [values[used] for values in self._state()]
        self._make_up(_factors(self.b1, self.b2, self.steps)[self.done[used]], *state)
        weights, average, first, second = state
        new = gradient[used]
        gradient[used] = 0
        new *= clip * (1 - self.b1)
        first *= self.b1
        first += new
        new *= new
        new *= (1 - self.b2) / (1 - self.b1) ** 2
        second *= self.b2
        second += new
        move = rate * (1 - self.b2**number) ** 0.5 / (1 - self.b1**number)
        kept, stays = 1 - rate * decay, min((1 + number) / (10 + number), 0.9999)
        weights -= move * self._unit(first, second)
        weights *= kept
        average += (1 - stays) * (weights - average)
        for values, of_used in zip(self._state(), state, strict=True):
            values[used] = of_used
        self.steps.append((move, kept, stays))
        self.done[used] = len(self.steps)
        if len(self.steps) >= LAG:
            self.catch_up()

    def catch_up(self) -> None:
        """Bring all rows up to date."""
        factors = _factors(self.b1, self.b2, self.steps)
        for start in range(0, len(self.done) if self.steps else 0, BLOCK):
            block = slice(start, start + BLOCK)
            self._make_up(factors[self.done[block]], *(values[block] for values in self._state()))
        self.steps.clear()
        self.done[:] = 0

    def _make_up(
        self,
        factors: numpy.ndarray,
        weights: numpy.ndarray,
        average: numpy.ndarray,
        first: numpy.ndarray,
        second: numpy.ndarray,
    ) -> None:
        """Let rows make the steps that they have missed."""
        w_of_w, w_of_u, a_of_a, a_of_w, a_of_u, of_first, of_second = factors.T[..., None]
        unit = self._unit(first, second)
        average *= a_of_a
        average += a_of_w * weights
        average += a_of_u * unit
        weights *= w_of_w
        unit *= w_of_u
        weights += unit
        first *= of_first
        second *= of_second

    def _unit(self, first: numpy.ndarray, second: numpy.ndarray) -> Any:
        """The movement of a step of length 1."""
        unit = numpy.sqrt(second)
        unit += self.eps
        return numpy.divide(first, unit, out=unit)

    def _state(self) -> tuple[numpy.ndarray, ...]:
        return self.weights, self.average, self.first, self.second


def _factors(b1: float, b2: float, steps: list[tuple[float, float, float]]) -> numpy.ndarray:
    """By what the values of a row are multiplied that makes all steps from a number on without a gradient.

    Such a step changes a row's weights w, average a and unit of movement u (the first moment, divided by the root of
    the second) to

        u' = u * b1 / sqrt(b2)      w' = kept * (w - move * u')      a' = stays * a + (1 - stays) * w'

    The steps are put together from the last to the first. `eps` counts as shrinking with the root of the second moment,
    which in so few steps makes no difference above rounding.

    Returns:
        For each number of steps that a row has made already, what w' has of w and u, what a' has of a, w and u, and
        what stays of both moments.
    """
    shrink = b1 / b2**0.5
    row = (1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0)
    rows = [row]
    for move, kept, stays in reversed(steps):
        w_of_w, w_of_u, a_of_a, a_of_w, a_of_u, of_first, of_second = row
        a_of_new = a_of_a * (1 - stays) + a_of_w
        row = (
            w_of_w * kept,
            shrink * (w_of_u - w_of_w * kept * move),
            a_of_a * stays,
            a_of_new * kept,
            shrink * (a_of_u - a_of_new * kept * move),
            of_first * b1,
            of_second * b2,
        )
        rows.append(row)
    return numpy.array(rows[::-1], "f")


def _rows(values: FloatsXd) -> Any:
    """The same values in two dimensions."""
    return values.reshape(-1, values.shape[-1])


@spacy.registry.optimizers("spacy_domain_ner.row_adam.v1")
def create_row_adam(
    learn_rate: float | Iterator[float] = 0.001,
    L2: float = 0.01,  # noqa: N803 (as in thinc's Adam.v1)
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    grad_clip: float = 1.0,
    use_averages: bool = True,
) -> Optimizer:
    """Make the optimizer for `[training.optimizer]`. Only training needs it: no model refers to it.

    Args:
        learn_rate: The learning rate: a number, or a schedule.
        L2: The weight decay, as with `L2_is_weight_decay = true` in thinc's `Adam.v1`.
        beta1: As in thinc's `Adam.v1`.
        beta2: As in thinc's `Adam.v1`.
        eps: As in thinc's `Adam.v1`.
        grad_clip: As in thinc's `Adam.v1`.
        use_averages: As in thinc's `Adam.v1`.
    """
    return RowAdam(
        learn_rate,
        L2=L2,
        L2_is_weight_decay=True,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        grad_clip=grad_clip,
        use_averages=use_averages,
        use_radam=False,
    )
