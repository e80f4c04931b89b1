"""Configurations of runs, and plans of many."""
import yaml

from viewneti import cli, experiment
from viewneti.batch import plans
from viewneti.core import InputError
from viewneti.original.commands import train_options

from .corpus import CASES, YAML_BOMBS, add, bombs, edit_yaml, expect, kind, wrong_types


def read_fit():
    translated = train_options(["--config_path", "fit.yaml"])
    return experiment.resolve(translated or experiment.FitConfig(**cli.read_options(experiment.FitConfig, "fit.yaml")))


def read_batch_plan():
    plan = plans.read_plan("plan.yaml")
    try: return plans.jobs_of(plan)
    except InputError as e: raise InputError(f"plan.yaml: {e}") from None  # a run is to blame


def good_jobs(jobs): return 0 < len(jobs) <= 20 and all("/" not in job["name"] for job in jobs)


def bad_configurations():
    kind("FitConfig", "fit.yaml", read_fit, lambda c: isinstance(c, experiment.FitConfig), True)
    bombs("FitConfig", YAML_BOMBS)
    expect("FitConfig", ("empty", "nothing"), blamed="scene")  # the field that it lacks
    wrong_types("FitConfig", [(k,) for k in yaml.safe_load(yaml.safe_dump(vars(experiment.FitConfig())))], edit_yaml)
    for c in CASES:  # the field is enough: one file was given
        if c.kind.name == "FitConfig" and ":" in c.name: c.names = c.name.split(":")[0].replace(" ", "_")
    for what, changes in dict(hidden=dict(hidden=10**9), size=dict(size=[10**6, 10**6]), lr=dict(lr=float("nan")),
                              alpha=dict(alpha=float("inf")),
                              betas=dict(betas=[.9]), magic=dict(magic=1), mode=dict(mode="magic")).items():
        add("FitConfig", what, edit_yaml(lambda c, changes=changes: c | changes), names=what)
    kind("plan", "plan.yaml", read_batch_plan, good_jobs, True, ("plan.yaml", "data"))
    bombs("plan", YAML_BOMBS)
    fields = [(k,) for k in vars(plans.Plan())] + [("grid", "seed"), ("grid", "seed", 0), ("exclude", 0), ("rules", 0),
              ("rules", 0, "when"), ("rules", 0, "set"), ("runs", "more"), ("defaults", "steps"),
              ("evaluation", "sampling_steps")]
    wrong_types("plan", fields, edit_yaml)
    for what, changes in dict(no_runs=dict(grid={}, runs={}), unknown_field=dict(magic=1), unknown_option=dict(
            defaults=dict(magic=1)), unknown_notebook=dict(notebooks=["magic"]), too_many=dict(grid={
            k: [0]*1000 for k in ("seed", "steps", "batch", "hidden")}),
            starts_from_itself=dict(rules=[dict(start_from="more")])).items():
        add("plan", what, edit_yaml(lambda c, changes=changes: c | changes))
    add("plan", "a run above", edit_yaml(lambda c: c | dict(runs={"../../x": c["runs"]["more"]})), refused=False)
