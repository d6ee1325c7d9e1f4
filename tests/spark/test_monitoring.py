"""What is counted on Spark is what `monitor drift` counts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from spacy_domain_ner import extract_files, measure_drift
from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.models import identity_in
from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.measures import Measures
from spacy_domain_ner.monitoring.reference import Reference
from spacy_domain_ner.monitoring.vocabulary import Vocabulary
from spacy_domain_ner.spark import extract_entities_df, measure_drift_df


@pytest.fixture(scope="module")
def evaluated(
    model: Path, make_passages: Callable[[], list[Passage]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The model with the reference that a package carries."""
    folder = tmp_path_factory.mktemp("evaluated") / "model-best"
    shutil.copytree(model, folder)
    passages = make_passages()
    labels = ["INFRA", "SERVICE"]
    measures = Measures(Vocabulary.of(passages), labels)
    rows = [
        measures.count(
            passage.text, [Found(span.start, span.end, span.label, 0.9) for span in passage.spans], {"INFRA": 1.1}, 2, 2
        )
        for passage in passages
    ]
    reference = Reference(identity_in(folder), labels, {}, measures.vocabulary, "passage", numpy.array(rows))
    (folder / "reference.json").write_text(json.dumps(reference.to_dict()), encoding="utf8")
    return folder


def test_a_window_on_spark_is_compared_as_one_of_files(
    spark: Any, evaluated: Path, texts: list[str | None], tmp_path: Path
) -> None:
    rows = [{"body": text} for text in texts + texts[:30]]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    extract_files(evaluated, [tmp_path / "in.jsonl"], tmp_path / "live.jsonl", text_key="body", expected=True)
    wanted = measure_drift([tmp_path / "live.jsonl"], evaluated, text_key="body")
    df = spark.createDataFrame(rows, "body string").repartition(3)
    entities = df.transform(extract_entities_df, model=evaluated, text="body", expected=True)
    entities.write.parquet(str(tmp_path / "entities"))
    live = spark.read.parquet(str(tmp_path / "entities"))
    drift = measure_drift_df(live, evaluated, "body", output=tmp_path / "drift.json")
    for name in ("state", "model", "passages", "words", "entities", "alarming", "notes"):
        assert getattr(drift, name) == getattr(wanted, name), name
    values, others = ({one.statistic.name: one.value for one in each.statistics} for each in (drift, wanted))
    assert values == pytest.approx(others)
    assert json.loads((tmp_path / "drift.json").read_text(encoding="utf8"))["passages"] == drift.passages
    named = "named_struct('name', 'en_x', 'version', '1', 'digest', '') AS model"
    both = live.select("body", "entities", "model").union(live.selectExpr("body", "entities", named))
    with pytest.raises(UserError, match="several models"):
        measure_drift_df(both, evaluated, "body")
    for columns, what in (("body", "no column 'entities'"), ("entities", "no column 'body'")):
        with pytest.raises(UserError, match=what):
            measure_drift_df(live.select(columns), evaluated, "body")
    with pytest.raises(UserError, match="There is not a row with entities"):
        measure_drift_df(live.where("false"), evaluated, "body")
