"""The encoder computes what spaCy's own does."""

import numpy
import pytest
from spacy.ml.models import MaxoutWindowEncoder
from thinc.api import Adam, NumpyOps, fix_random_seed, set_dropout_rate

from spacy_domain_ner.components.window_encoder import _dropout_mask, create_maxout_window_encoder

LENGTHS = [[1], [5], [3, 0, 1, 30], [0, 2], [7] * 20, [200]]


def vectors_of(lengths, width=8):
    generator = numpy.random.default_rng(0)
    return [generator.normal(size=(length, width)).astype("f") for length in lengths]


def encoders(window_size=1, maxout_pieces=2, depth=4):
    """Spacy's, and this one with the same parameters, none of which is what it was initialized with."""
    settings = {"width": 8, "window_size": window_size, "maxout_pieces": maxout_pieces, "depth": depth}
    model = create_maxout_window_encoder(**settings)
    theirs = MaxoutWindowEncoder(**settings)
    for one in (model, theirs):
        one.initialize(X=vectors_of([3]), Y=vectors_of([3]))
    generator = numpy.random.default_rng(1)
    for node in model.walk():
        for name in node.param_names:
            node.set_param(name, generator.normal(size=node.get_param(name).shape).astype("f"))
    theirs.from_bytes(model.layers[0].to_bytes())
    return theirs, model


def assert_same(found, expected):
    assert [rows.shape for rows in found] == [rows.shape for rows in expected]
    for one, other in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize(
    "settings", [{}, {"depth": 1}, {"window_size": 2}, {"maxout_pieces": 1}, {"maxout_pieces": 3, "depth": 2}], ids=str
)
def test_it_predicts_what_spacys_does(settings, lengths):
    theirs, ours = encoders(**settings)
    given = vectors_of(lengths)
    before = [rows.copy() for rows in given]
    assert_same(ours.predict(given), theirs.predict(given))
    # What came in belongs to others.
    assert_same(given, before)


def test_it_trains_as_spacys_does():
    theirs, ours = encoders()
    given = vectors_of([5, 9])
    for model in (theirs, ours):
        optimizer = Adam(0.01)
        for _ in range(3):
            found, backprop = model(given, is_train=True)
            backprop(found)
            model.finish_update(optimizer)
    assert_same(ours.predict(given), theirs.predict(given))
    assert ours.get_dim("nO") == theirs.get_dim("nO")


def test_passages_do_not_see_each_other_but_for_spacys_padding():
    theirs, ours = encoders()
    one, other, third = vectors_of([5, 40, 5])
    assert_same(ours.predict([one, other, third]), theirs.predict([one, other, third]))
    assert_same([ours.predict([one, other])[0]], [ours.predict([one, third])[0]])


def test_what_was_predicted_has_no_gradient():
    _, ours = encoders()
    found, backprop = ours(vectors_of([3]), is_train=False)
    with pytest.raises(ValueError, match="no gradient"):
        backprop(found)


def test_it_comes_back_from_bytes():
    _, ours = encoders()
    again = create_maxout_window_encoder(8, 1, 2, 4)
    again.initialize(X=vectors_of([3]), Y=vectors_of([3]))
    assert_same(again.from_bytes(ours.to_bytes()).predict(vectors_of([9])), ours.predict(vectors_of([9])))
    assert_same(ours.copy().predict(vectors_of([9])), ours.predict(vectors_of([9])))


def test_other_operations_than_numpys_are_left_to_compute_it():
    class OtherOps(NumpyOps):
        calls = 0

        def maxout(self, X):  # noqa: N803 (as in thinc)
            OtherOps.calls += 1
            return super().maxout(X)

    theirs, ours = encoders()
    ours._to_ops(OtherOps())
    assert_same(ours.predict(vectors_of([9])), theirs.predict(vectors_of([9])))
    assert OtherOps.calls == 4


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    fix_random_seed(0)
    _, model = encoders()
    set_dropout_rate(model, 0.25)
    given = vectors_of([400])
    seen = []
    for _ in range(2):
        fix_random_seed(1)
        seen.append(model(given, is_train=True)[0])
    assert_same(*seen)
    mask = _dropout_mask((400, 100), 0.25)
    assert abs((mask == 0).mean() - 0.25) < 0.01
    assert abs(mask.mean() - 1) < 0.01
