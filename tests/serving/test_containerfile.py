"""The steps of a project's Containerfile, one by one in a fresh environment: no container engine is at hand."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

import spacy_domain_ner as ner


def steps(containerfile: Path) -> list[tuple[str, str]]:
    lines = containerfile.read_text(encoding="utf8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.slow
def test_its_steps_give_a_server_that_answers_and_is_healthy(model, tmp_path):
    project = ner.new_project("software", output_dir=tmp_path)
    described = "".join(f"  - name: {name}\n    definition: What {name} is.\n" for name in ("SERVICE", "INFRA"))
    (project / "entity_types.yml").write_text(f"entity_types:\n{described}", encoding="utf8")
    scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 9}
    types = {key: {**scores, "verdict": "ready", "certainty": ""} for key in ("SERVICE", "INFRA")}
    gates = {"production": 0.85, "fallback": 0.8}
    metrics = {"passages": 9, "gates": gates, "micro": scores, "types": types}
    counts = {key: {"mentions": 9, "forms": 1, "verdict": "few"} for key in ("SERVICE", "INFRA")}
    for path, value in (
        ("metrics.json", metrics),
        ("check.json", {"passages": 9, "without_entities": 0, "types": counts}),
    ):
        (project / path).write_text(json.dumps(value), encoding="utf8")
    ner.package_model(
        model, project / "packages", name="software_ner", schema=project / "entity_types.yml",
        metrics=project / "metrics.json", counts=project / "check.json", about=project / "configs/about.json",
    )  # fmt: skip

    # What FROM stands for: Python, with this environment's packages in place of an index.
    venv.create(tmp_path / "env", with_pip=True)
    [packages] = (tmp_path / "env").glob("lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))}
    (packages / "packages.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in sorted(paths))
    )
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'env/bin'}:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1",
    }  # fmt: skip
    values, command, health, users = {}, [], [], []
    for step, text in steps(project / "Containerfile"):
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)
        if step == "ARG":
            name, _, value = text.partition("=")
            values[name] = value
        elif step == "COPY":
            source, target = text.split()
            (tmp_path / "root" / target.strip("/")).mkdir(parents=True)
            for file in (project / source).iterdir():
                (tmp_path / "root" / target.strip("/") / file.name).write_bytes(file.read_bytes())
        elif step == "RUN" and text.startswith("useradd"):
            # This machine gets no user.
            users.append(shlex.split(text)[-1])
        elif step == "RUN":
            line = text.replace(" /", f" {tmp_path / 'root'}/")
            done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        elif step == "USER":
            assert text in users
        elif step == "HEALTHCHECK":
            health = json.loads(text.partition("CMD ")[2])
        elif step == "ENTRYPOINT":
            command = json.loads(text)
        else:
            assert step in ("FROM", "WORKDIR", "EXPOSE")

    command += ["--port", "0", "--host", "127.0.0.1"]
    script = tmp_path / "env/bin/domain-ner"
    if not script.exists():
        # The package itself is this environment's.
        command = [str(tmp_path / "env/bin/python"), "-m", "spacy_domain_ner", *command[1:]]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        line = process.stderr.readline()
        assert line.startswith("en_software_ner 0.1.0"), line + process.stderr.read()
        port = line.split("127.0.0.1:")[1].split(",")[0]
        health = [part.replace("8000", port) for part in health]
        assert subprocess.run(health, env=environment).returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/model") as answer:
            assert json.load(answer)["types"]["INFRA"]["definition"] == "What INFRA is."
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stderr.close()
