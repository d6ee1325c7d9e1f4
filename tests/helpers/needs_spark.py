"""Where Spark can't run, its tests are skipped."""

import os
import shutil

import pytest


def needs_spark() -> None:
    """Skip a test where Spark can't run."""
    pytest.importorskip("pyspark", reason="the spark extra is not installed")
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        pytest.skip("there is no Java, which Spark runs on")
