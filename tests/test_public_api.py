"""What can be imported from the package itself: the list is pinned, each name has help, none is imported early."""

import contextlib
import io
import subprocess
import sys

import pytest

import spacy_domain_ner

PUBLIC = {
    "Assessment", "Costs", "Distilled", "Entity", "EntitySchema", "Extractor", "Gates", "HybridExtractor",
    "LiveQuality", "Passage", "Policies", "PredictedTasks", "Recipe", "Relation", "RelationTypes", "Sample", "Settings",
    "Span", "UserError", "__version__", "assess", "bootstrap", "check", "compare", "compare_successor",
    "compare_with_llm", "configure", "convert", "create_app", "distill", "estimate_llm_cost", "estimate_quality",
    "evaluate", "expected_entities", "export_annotations", "export_tasks", "extract_entities", "extract_files",
    "find_relations", "find_suspects", "import_annotations", "learn_baseline", "measure_agreement", "measure_drift",
    "measure_learning_curve", "monitor_status", "new_project", "package_model", "predict_tasks", "pull_annotations",
    "push_tasks", "read_passages", "read_presets", "read_relation_types", "read_schema", "sample_for_review",
    "score_relations", "select_passages", "serve", "spark_extract", "split", "train", "try_package", "update_project",
    "write_break_even", "write_guide", "write_interface", "write_passages",
}  # fmt: skip


def test_the_public_names_are_these():
    assert set(spacy_domain_ner.__all__) == PUBLIC
    assert dir(spacy_domain_ner) == spacy_domain_ner.__all__


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_a_public_name_can_be_imported_and_has_help(name):
    value = getattr(spacy_domain_ner, name)
    assert value.__name__ == name
    assert value.__module__.startswith("spacy_domain_ner.")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        help(value)
    assert value.__doc__.strip().splitlines()[0] in shown.getvalue()


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        spacy_domain_ner.nothing  # noqa: B018


@pytest.mark.usefixtures("pytorch")
def test_importing_the_package_imports_neither_spacy_nor_what_is_heavy():
    code = "import sys, spacy_domain_ner; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"spacy", "torch", "thinc", "numpy", "pydantic", "jinja2", "typer"} & {*done.stdout.split()}
