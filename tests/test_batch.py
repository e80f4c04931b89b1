"""A batch under faults, and on a Ray cluster of two nodes. Both take minutes: VIEWNETI_SLOW=1 (make test-slow)."""
import os
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT/"tools"))
slow = pytest.mark.skipif(not os.environ.get("VIEWNETI_SLOW"), reason="slow: VIEWNETI_SLOW=1 runs it")


def weights(folder):
    "All tensors of a run's last mappers, by file and name."
    last = max((Path(folder)/"run/checkpoints").glob("step-*"), key=lambda f: int(f.name[5:]))
    return {(f.name, k): v for f in last.glob("*.safetensors") for k, v in load_file(f).items()}


def test_campaign_notices_what_is_broken(tmp_path):
    from fault_campaign import broken_files
    (tmp_path/"good.json").write_text("{}")
    assert broken_files(tmp_path) == []
    (tmp_path/"half.json").write_text('{"a": ')
    (tmp_path/"half.safetensors").write_bytes(b"abc")
    (tmp_path/".step-3.9.part").mkdir()
    assert len(broken_files(tmp_path)) == 3


@slow
def test_killed_runs_end_as_if_nothing_had_been(tmp_path):
    from fault_campaign import campaign
    found = campaign(tmp_path/"faults", runs=4, at_once=2, seed=0)
    assert (found["done"], found["same"], found["broken"]) == (4, 4, 0), found
    assert sum(found["killed"].values()) >= 4


@pytest.fixture
def plan(tmp_path, monkeypatch):
    "Three runs, of which two wait for the first."
    from viewneti.world.toys import export_world
    monkeypatch.chdir(tmp_path)
    a, b, c = map(str, export_world("data", scenes=3, size=(32, 24)))
    values = dict(notebooks=["train"], cores=1, retries=3, runs=dict(first=dict(mode="scenes", scenes=[a, b])),
                  grid=dict(mode=["frozen", "transfer"]),
                  rules=[dict(when=dict(mode=["frozen", "transfer"]),
                              start_from="first")], defaults=dict(scene=c, split="3", steps=30, save_every=5,
                                                                  tracker="none", sampling_steps=2))
    Path("plan.yaml").write_text(yaml.safe_dump(values))
    return "plan.yaml"


def check(rows, folder, others):
    "All is done, and the weights are those that the local pool learned."
    assert {r["state"] for r in rows} == {"done"}, rows
    for row, other in zip(rows, others):
        one, two = weights(Path(folder)/row["id"]), weights(Path("runs/local")/other["id"])
        assert row["id"] == other["id"] and one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@slow
def test_two_nodes_give_the_same_numbers_and_one_may_die(plan):
    from ray.cluster_utils import Cluster

    from viewneti.batch.batches import batch, batch_status
    local = batch(plan, folder="runs/local", at_once=2, progress=False)
    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, object_store_memory=80_000_000,
                                                                include_dashboard=False))
    try:
        node = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        check(batch(plan, folder="runs/ray", executor="ray", address=cluster.address, progress=False), "runs/ray",
              local)
        struck = []

        def kill_a_node():
            "As soon as two runs are at work, each node has one: take one away."
            while not struck:
                time.sleep(.5)
                if not Path("runs/killed/batch.json").is_file(): continue
                if [r["state"] for r in batch_status("runs/killed")].count("running") < 2: continue
                cluster.remove_node(node, allow_graceful=False)
                struck.append(time.time())
        thread = threading.Thread(target=kill_a_node, daemon=True)
        thread.start()
        check(batch(plan, folder="runs/killed", executor="ray", address=cluster.address, progress=False), "runs/killed",
              local)
        assert struck
    finally:
        import ray
        ray.shutdown()
        cluster.shutdown()
