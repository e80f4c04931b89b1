"""Runs: their configuration and their log."""
import yaml

from viewneti import experiment, training

from .corpus import GONE, JSON_BOMBS, YAML_BOMBS, add, bombs, edit_yaml, expect, kind, rewrite, wrong_types


def read_run():
    run = experiment.Run("run")
    return run, run.objects, run.prompt, run.load_scene(), run.checkpoint()


def read_log():
    run = experiment.Run("run")
    at = training.Learning(run, None, None, {}, 3, callbacks=[journal := training.Journal(progress=False)])
    journal.on_start(at)
    journal.close(at)
    training.plot_losses(run)
    return run.log


def bad_runs():
    data = ("run", "data")
    kind("config.yaml of a run", "run/config.yaml", read_run, lambda found: found[0].config.steps >= 0
         and found[3].train, True, data)
    bombs("config.yaml of a run", YAML_BOMBS)
    add("config.yaml of a run", "half its lines", lambda f: rewrite(f, lambda b: b"".join(b.splitlines(True)[:25])))
    wrong_types("config.yaml of a run", [(k,) for k in yaml.safe_load(yaml.safe_dump(vars(experiment.FitConfig())))],
                edit_yaml)
    for what, names, changes in (
            ("unknown mode", "", dict(mode="magic")), ("unknown field", "", dict(magic=1)),
            ("no prompt", "", dict(prompt=None)),
            ("scenes without tokens", "", dict(mode="scenes", scenes=["data/Rectified/scan1"])),
            ("no scene", "", dict(scene="")),
            ("two scenes, one token", "", dict(mode="scenes", scenes=["a", "b"], object_tokens=["<a>"])),
            ("a scene with zero", "a", dict(scene="a\0b")), ("a scene with lines", "a\nb", dict(scene="a\nb")),
            ("a scene of nobody", "~nobody-here/x", dict(scene="~nobody-here/x")),
            ("no split", "scan1", dict(split="77"))):
        add("config.yaml of a run", what, edit_yaml(lambda c, changes=changes: c | changes), names=names)
    expect("config.yaml of a run", ("masks: huge", "masks: text"), blamed="masks")

    kind("log.jsonl", "run/log.jsonl", read_log, lambda log: all(set(line) >= {"step", "loss"} for line in log), True,
         data,
         "run")
    expect("log.jsonl", ("empty", "twice", *GONE), refused=False)
    bombs("log.jsonl", JSON_BOMBS)
    for what, line in dict(no_step='{"loss": 1}', no_loss='{"step": 1}', text='{"step": "1", "loss": 1}',
                           list='{"step": [1], "loss": 1}',
                           loss_as_text='{"step": 1, "loss": "1"}', cut='{"step": 1, "lo').items():
        add("log.jsonl", what, line + "\n")
