"""The optimizer gives what thinc's Adam gives."""

import numpy
import pytest
from thinc.api import Adam, Model, Optimizer, warmup_linear

from spacy_domain_ner.training.row_adam import LAG, create_row_adam

SHAPES = {"table": (60, 4), "characters": (3, 20, 4), "dense": (5, 2, 3), "bias": (7,), "empty": (0, 4)}


def trained(optimizer: Optimizer, steps: int) -> dict[str, tuple[numpy.ndarray, numpy.ndarray]]:
    """Parameters after a number of steps, and their averages. Those of tables get gradients for few rows at a time."""
    generator = numpy.random.default_rng(0)
    weights = {name: generator.normal(size=shape).astype("f") for name, shape in SHAPES.items()}
    gradients = {name: numpy.zeros(shape, "f") for name, shape in SHAPES.items()}
    for step in range(steps):
        for number, (name, gradient) in enumerate(gradients.items()):
            assert not gradient.any()
            rows = gradient.reshape(-1, gradient.shape[-1])
            # Once a step uses no row of a table, and once all of them.
            share = {20: 0, 21: 1}.get(step, 0.2) if name in ("table", "characters") else 1
            used = generator.permutation(len(rows))[: int(share * len(rows))]
            rows[used] = generator.normal(size=(len(used), rows.shape[1])) * (0.01, 1)[step % 2]
            optimizer((number, name), weights[name], gradient)
        optimizer.step_schedules()
    averages = optimizer.averages or {}
    return {name: (weights[name], averages.get((number, name), weights[name])) for number, name in enumerate(weights)}


@pytest.mark.parametrize("steps", [1, LAG - 1, LAG, 3 * LAG + 5])
@pytest.mark.parametrize(
    "settings",
    [{}, {"L2": 0.0}, {"grad_clip": 0.0}, {"use_averages": False}, {"beta1": 0.8, "beta2": 0.99}],
    ids=str,
)
def test_it_gives_what_thincs_adam_gives(settings: dict[str, float], steps: int) -> None:
    values = {"L2": 0.01, "grad_clip": 1.0, "use_averages": True, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **settings}
    theirs = Adam(warmup_linear(0.01, 10, 100), L2_is_weight_decay=True, **values)
    ours = create_row_adam(warmup_linear(0.01, 10, 100), **values)
    expected, found = trained(theirs, steps), trained(ours, steps)
    for name in SHAPES:
        for one, other in zip(found[name], expected[name], strict=True):
            numpy.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)


def test_parameters_are_updated_where_they_are_and_layers_keep_theirs() -> None:
    model: Model = Model("table", lambda *_: None, params={"E": numpy.ones((9, 2), "f")})
    gradient = numpy.zeros((9, 2), "f")
    gradient[3] = 1
    model.inc_grad("E", gradient)
    model.finish_update(create_row_adam(0.1))
    changed = model.get_param("E")
    assert changed[3, 0] < 0.95
    assert (changed[4] == 1).all()
    assert not model.get_grad("E").any()
