"""Chapter 05's networks, and the program that trains them: what they compute, learn and refuse."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import data, plots
from helpers.book import ROOT
from helpers.exercises import source

N_USERS, N_ITEMS = 7, 11
JOB = ROOT / "chapters" / "ncf_job"
NETWORKS = ("gmf", "mlp", "neumf")


def two_tastes(n_users=40, n_items=30):
    """Even users click even items, odd users odd ones, three in four of them."""
    pairs = [(u, i) for u in range(n_users) for i in range(u % 2, n_items, 2) if (u + i // 2) % 4]
    table = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(rating=5.0, timestamp=0)
    return data.Interactions.from_frame(table, name="two tastes")


def loaded(name):
    """A file of the chapter's job as a module."""
    spec = importlib.util.spec_from_file_location(f"job_{name}", JOB / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chapters(name):
    """A function of the chapter's networks."""
    return getattr(loaded("network"), name)


def test_the_jobs_networks_are_those_of_the_chapters_cells():
    text = (JOB / "network.py").read_text(encoding="utf-8")
    cells = "\n".join(source.cells_of("05"))
    for part in text.split("\n\n\n")[1:]:
        answer = textwrap.indent(source.worked("05.7"), "    ")
        ours = part.strip().replace(f"{answer}", "") if part.startswith("def tower") else part
        assert ours.strip() in cells, part


@pytest.mark.parametrize("name, tower", [("gmf", False), ("mlp", True), ("neumf", True)])
def test_a_network_has_its_tables_its_tower_and_one_chance(name, tower):
    model = chapters(name)(N_USERS, N_ITEMS, 3)
    tables = 2 * 3 * (N_USERS + N_ITEMS) if name == "neumf" else 3 * (N_USERS + N_ITEMS)
    reads = {"gmf": 3, "mlp": 8, "neumf": 11}[name]
    layers = 6 * 64 + 64 + 64 * 32 + 32 + 32 * 16 + 16 + 16 * 8 + 8
    assert model.count_params() == tables + tower * layers + reads + 1
    chances = np.asarray(model({"user": np.array([0, 6]), "item": np.array([10, 0])}))
    assert chances.shape == (2, 1) and (chances > 0).all() and (chances < 1).all()


def test_decay_is_half_the_squared_vectors_of_a_pair():
    model, rng = chapters("gmf")(N_USERS, N_ITEMS, 3, decay=0.5), np.random.default_rng(0)
    sizes = {"user": N_USERS, "item": N_ITEMS}
    batch = {side: rng.integers(0, size, 10).astype(np.int32) for side, size in sizes.items()}
    model(batch)
    tables = {side: model.get_layer(f"{side}_gmf").get_weights()[0] for side in sizes}
    expected = sum(0.25 * (tables[side][batch[side]] ** 2).sum() / 10 for side in sizes)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_tells_two_tastes_apart(program, name):
    import keras

    clicks = two_tastes()
    pairs = [clicks.frame[column].to_numpy() for column in ("user", "item")]
    shape = clicks.n_users, clicks.n_items
    keras.utils.set_random_seed(0)
    model = chapters(name)(*shape, 8)
    losses = program.train(model, *pairs, shape, epochs=25, batch_size=256, learning_rate=0.02)
    assert len(losses) == 25 and losses[-1] < 0.5 * losses[0]
    users, items = np.divmod(np.arange(np.prod(shape), dtype=np.int32), shape[1])
    chances, own = np.asarray(model({"user": users, "item": items}))[:, 0], (users + items) % 2 == 0
    assert chances[own].mean() > chances[~own].mean() + 0.4


def test_training_repeats_with_its_seed(program):
    import keras

    users, items, runs = np.arange(40) % 7, np.arange(40) % 11, []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(0)
        model = chapters("gmf")(7, 11, 4)
        runs.append(program.train(model, users, items, (7, 11), epochs=2, seed=seed, negatives=1))
    assert runs[0] == runs[1] != runs[2]


def test_a_network_is_drawn_with_the_shapes_of_its_layers():
    figure = plots.layers(chapters("gmf")(N_USERS, N_ITEMS, 3))
    shown = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    both = next(place[0] for text, place in shown.items() if text.endswith("\nMultiply\n3"))
    assert shown["user"][0] < shown[f"user_gmf\nEmbedding\n{N_USERS} × 3"][0] < both
    assert both < shown["chance\nDense\n3 × 1"][0]
    assert len(figure.axes[0].lines) == 5
    plt.close(figure)


@pytest.fixture
def program():
    """The program of the job, which knows nothing of the course."""
    return loaded("ncf")


def test_the_program_draws_no_click_as_a_negative(program):
    clicked = np.zeros((3, 5), dtype=bool)
    users, items = np.array([0, 0, 1, 2], np.int32), np.array([0, 1, 4, 2], np.int32)
    clicked[users, items] = True
    for alpha in (0.0, 1.0):
        generator = np.random.default_rng(0)
        *drawn, labels = program.draw_epoch(users, items, clicked, 50, alpha, generator)
        assert len(labels) == 4 * 51 and labels.sum() == 4
        assert np.array_equal(clicked[tuple(drawn)], labels == 1)
        never = np.isin(drawn[1], [3])  # nobody clicked it
        assert never.any() == (alpha == 0)


@pytest.mark.parametrize(
    "rows, sentence",
    [([[0, 0, 1], [3, 164979, 1]], "raw ids"), ([[0, 0, 1], [0, 1, 0]], "clicks only")],
)
def test_the_program_refuses_raw_ids_and_ready_made_negatives(program, tmp_path, rows, sentence):
    np.save(tmp_path / "train.npy", np.array(rows, np.int32))
    with pytest.raises(SystemExit, match=sentence):
        program.read_clicks(tmp_path, 671, 9066)


def test_two_workers_get_the_sum_of_both_arrays(program, monkeypatch):
    """The second, which starts first here, finds the other by SageMaker's own variables."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("SM_HOSTS", json.dumps(["algo-1", "algo-2"]))
    monkeypatch.setenv("SM_MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("SM_MASTER_PORT", str(port))
    code = (
        f"import sys; sys.path.insert(0, {str(JOB)!r}); import ncf, numpy as np\n"
        "workers, rank, add_up = ncf.join_workers()\n"
        "print(workers, rank, *add_up(np.float32([10, 20])))"
    )
    own = os.environ | {"SM_CURRENT_HOST": "algo-2"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as second:
        monkeypatch.setenv("SM_CURRENT_HOST", "algo-1")
        workers, rank, add_up = program.join_workers()
        assert (workers, rank, *add_up(np.float32([1, 2]))) == (2, 0, 11, 22)
        assert second.communicate(timeout=60)[0].split() == ["2", "1", "11.0", "22.0"]
