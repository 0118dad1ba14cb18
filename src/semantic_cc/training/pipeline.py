"""The training pipeline: the phases of a configuration in order, from foundation weights to a calibrated model.

Each phase starts from the model that the previous phase saved. A resumed run skips finished phases and continues an
interrupted phase from its state. A run killed at any moment gives the same model, byte for byte.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.fabric import Fabric

from semantic_cc.config import Config, ModelConfig, PhaseConfig
from semantic_cc.data.dataset_checks import check_dataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.files import new_folder
from semantic_cc.training.devices import fabric_of, on_first
from semantic_cc.training.finetuning.calibration import open_calibration_phase
from semantic_cc.training.finetuning.keyword_head import open_keyword_phase, with_keywords
from semantic_cc.training.initialisation import (
    needs_vocabulary,
    refuse_untrained_foundations,
    require_flags,
    start,
    with_vocabulary,
)
from semantic_cc.training.loggers import require_loggers
from semantic_cc.training.loop import fit
from semantic_cc.training.pretraining.encoder import open_encoder_phase
from semantic_cc.training.pretraining.llm import open_llm_phase
from semantic_cc.training.pretraining.qformer import open_qformer_phase
from semantic_cc.training.sampling import schedules_of
from semantic_cc.training.staged_task import StagedTask
from semantic_cc.training.stages import stages_of
from semantic_cc.training.state import RunFolder, load_finished, open_run, save_finished
from semantic_cc.training.task import OpenedData, PhaseRun
from semantic_cc.training.validate import Validation, validation_pairs


@dataclass(frozen=True)
class OpenedPhase:
    """A phase whose data and settings have been checked.

    Attributes:
        run: the phase.
        data: training data.
        validation: scores on the val split, None without validation.
    """

    run: PhaseRun
    data: OpenedData
    validation: Validation | None


def train(
    config: Config, *, resume: bool = False, phase: str | None = None, first: str | None = None
) -> Path:
    """Runs the phases of `config`, in every process of the run.

    Args:
        config: configuration of the run.
        resume: continue the run in `config.out`; start a new one if there is none.
        phase: run this phase only.
        first: run this phase and those after it.

    Returns:
        The folder of the trained model, for `load_pretrained`.

    Raises:
        DataError: no such dataset, or it lacks what a phase needs.
        OutputError: `config.out` cannot be written, or contains a run and `resume` is off.
        ConfigError: no such phase; no model to start it from; resumed with a different configuration; a randomly
            initialised part is frozen; hardware or a package is missing.
        FoundationWeightsError: SAM's or the LLM's weights are not found.
        TrainingError: the loss is not finite.
    """
    require_loggers(config)
    config = prepared(config)
    names = selected(config, phase, first)
    folder = RunFolder(Path(config.out))
    init = _start_of(config, names[0], folder)
    refuse_untrained_foundations(
        replace(config, train=replace(config.train, init=init)),
        any(reads_sentences(config.phases[name], config.model) for name in names),
    )
    fabric = fabric_of(config.train.precision, config.hardware)
    opened = [open_phase(config, name, fabric, folder) for name in names]
    on_first(fabric, lambda: _check_datasets(opened))
    on_first(fabric, lambda: open_run(config, names, resume))
    for one in opened:
        _run_phase(one, init)
        init = str(one.run.folder.model)
    if phase is not None:
        return opened[-1].run.folder.model
    on_first(fabric, lambda: _publish(opened[-1].run.folder.model, folder.model))
    return folder.model


def prepared(config: Config) -> Config:
    """`config` with what it takes from the training sentences: a vocabulary, and frequent keywords.

    Raises:
        DataError: no such dataset, or no word occurs often enough.
        CheckpointError: `train.init` contains no complete model.
    """
    config = with_keywords(config)
    if not needs_vocabulary(config.model):
        return config
    phases = [phase for phase in config.phases.values() if reads_sentences(phase, config.model)]
    read = dict.fromkeys(config.data if phase.data is None else phase.data for phase in phases)
    return with_vocabulary(config, (open_dataset(data, "train") for data in read))


def selected(config: Config, phase: str | None = None, first: str | None = None) -> list[str]:
    """The phases that run, in order, without those that do not apply to the model.

    Args:
        config: the run.
        phase: this one only.
        first: this one and those after it.

    Raises:
        ConfigError: no such phase, or none is left.
    """
    wanted = phase or first
    if wanted is not None and wanted not in config.phases:
        raise ConfigError(f"no phase {wanted!r}; the configuration has {', '.join(config.phases) or 'none'}")
    names = [name for name, own in config.phases.items() if left_out(own, config.model) is None]
    if wanted is not None and wanted not in names:
        raise ConfigError(f"phase {wanted} is left out: {left_out(config.phases[wanted], config.model)}")
    if not names:
        raise ConfigError("configuration: no phase trains a part of this model; name phases (phases.NAME)")
    if phase is not None:
        return [phase]
    return names if first is None else names[names.index(first) :]


def left_out(phase: PhaseConfig, model: ModelConfig) -> str | None:
    """Why a phase does not apply to a model; None if it does."""
    ours = model.method == "semantic-cc"
    reasons = {
        "stages": (
            not stages_of(phase.stages, model),
            f"method {model.method}, change task {'on' if model.change_task else 'off'}, has none of its stages",
        ),
        "encoder": (
            not model.has_sam or model.encoder.adapt != "full" or model.encoder.weights is not None,
            "the encoder has weights or is not trained whole (model.encoder)",
        ),
        "qformer": (
            not ours or model.qformer.frozen,
            "there is no Q-Former that trains (model.qformer.frozen)",
        ),
        "llm": (not ours, f"method {model.method} has no language model that trains"),
        "keyword_head": (not model.keywords, "the model has no keywords (model.keywords)"),
        "calibration": (not model.flag_head, "the model has no flag head (model.flag_head)"),
    }
    wrong, why = reasons[phase.kind]
    return why if wrong else None


def reads_sentences(phase: PhaseConfig, model: ModelConfig) -> bool:
    """Whether a phase trains on sentences."""
    if phase.kind == "stages":
        return any(stage.caption for stage in stages_of(phase.stages, model))
    return phase.kind in ("qformer", "llm", "keyword_head")


def open_phase(config: Config, name: str, fabric: Fabric, folder: RunFolder) -> OpenedPhase:
    """Opens a phase's data and checks it before anything runs.

    Raises:
        DataError: the data lacks what the phase needs.
        ConfigError: a recipe is invalid.
    """
    own = replace(config, phases={name: config.phases[name]})
    run = PhaseRun(name, own, fabric, folder.phase(name))
    pairs = validation_pairs(run)
    return OpenedPhase(run, open_data(run), None if pairs is None else Validation(run, pairs))


def open_data(run: PhaseRun) -> OpenedData:
    """The checked training data of a phase.

    Raises:
        As `open_phase`.
    """
    open_kind = {
        "stages": _open_stages,
        "encoder": open_encoder_phase,
        "qformer": open_qformer_phase,
        "llm": open_llm_phase,
        "keyword_head": open_keyword_phase,
        "calibration": open_calibration_phase,
    }
    return open_kind[run.phase.kind](run)


def _open_stages(run: PhaseRun) -> OpenedData:
    pairs, model = open_dataset(run.data, "train"), run.config.model
    plan = schedules_of(run.phase, model, pairs, run.config.train)
    if model.learns_flag and any(schedule.stage.caption for schedule in plan):
        require_flags(pairs)
    visits, steps = (sum(counts) for counts in zip(*((own.visits, own.steps) for own in plan), strict=True))
    return OpenedData(visits, run.phase.epochs * steps, lambda model: StagedTask(run, model, pairs))


def _check_datasets(opened: list[OpenedPhase]) -> None:
    """Checks the image sizes and label values of all phases before the first one starts.

    Raises:
        DataError: names the first invalid file.
    """
    read = {(one.run.data, "train") for one in opened if one.run.phase.kind not in ("encoder", "calibration")}
    read |= {
        (one.run.val_data, "val")
        for one in opened
        if one.validation is not None or one.run.phase.kind == "calibration"
    }
    for data, split in sorted(read, key=str):
        check_dataset(open_dataset(data, split))


def _start_of(config: Config, name: str, folder: RunFolder) -> str | None:
    """Initial model of a run's first phase: the previous phase's, `train.init`, or None = foundation weights.

    Raises:
        ConfigError: the phase is not the first of the configuration, and there is no model to start from.
    """
    names = selected(config)
    before = names[: names.index(name)]
    if not before:
        return config.train.init
    model = folder.phase(before[-1]).model
    if folder.phase(before[-1]).finished.exists():
        return str(model)
    if config.train.init is None:
        raise ConfigError(
            f"phase {name} starts from the model of phase {before[-1]}, and {model} is not finished; run that phase "
            "first, or name a trained model as train.init"
        )
    return config.train.init


def _run_phase(opened: OpenedPhase, init: str | None) -> None:
    run = opened.run
    if load_finished(run.folder, run.config):
        _say(run, f"phase {run.name}: finished already")
        return
    _say(run, f"phase {run.name}: starts from {init or 'foundation weights'}")
    model, history = start(replace(run.config, train=replace(run.config.train, init=init)))
    fit(run, model, opened.data.task_of(model), opened.validation, history)
    on_first(run.fabric, lambda: save_finished(run.folder, run.config, {"model": str(run.folder.model)}))


def _publish(model: Path, out: Path) -> None:
    """Copies the last phase's model to the run's folder atomically."""
    if out.exists():
        shutil.rmtree(out)
    with new_folder(out) as work:
        shutil.copytree(model, work, dirs_exist_ok=True)


def _say(run: PhaseRun, line: str) -> None:
    if run.fabric.is_global_zero:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
