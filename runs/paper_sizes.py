"""The paper's model at its true sizes with random weights: one training step of each stage, and one description.

python runs/paper_sizes.py                               CPU: all at full size but for the LLM's depth (2 of 32 layers)
python runs/paper_sizes.py --device cuda --layers 32     all of it, the LLM in bfloat16

Prints parameters, seconds and memory; random weights say nothing, so no sentence is shown.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.stored_parameters import without_weights
from semantic_cc.config import load_config
from semantic_cc.foundation import FOUNDATIONS, LanguageModel
from semantic_cc.foundation.llm import byte_tokenizer
from semantic_cc.losses import caption_loss, change_loss
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.training.stages import Stage, apply, stages_of

SENTENCE = "many houses are built along the road"
CHANGE_WEIGHT = 0.5  # lambda of eq. 9


def built(device: str, layers: int) -> SemanticCCModel:
    """The preset `paper` with random weights and an LLM of full width and so many layers."""
    sizes = LlamaConfig(**{**FOUNDATIONS["vicuna-7b"].sizes, "num_hidden_layers": layers})
    with torch.device(device):
        llm = LlamaForCausalLM(sizes).to(torch.bfloat16 if device.startswith("cuda") else torch.float32)
        config = without_weights(load_config("paper").model)
        return build_model(config, llm=LanguageModel(llm.eval(), byte_tokenizer(), "random")).to(device)


def step(model: SemanticCCModel, stage: Stage, pair: tuple[torch.Tensor, torch.Tensor]) -> float:
    """One optimiser step of `stage` on one pair of 256 x 256; its loss."""
    apply(stage, model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05)
    said = [[SENTENCE]] if stage.caption else None
    with torch.autocast(pair[0].device.type, torch.bfloat16, enabled=pair[0].is_cuda):
        output = model(*pair, sentences=said, instructions=[INSTRUCTIONS[0]], change=stage.change)
        loss = torch.zeros((), device=pair[0].device)
        if stage.caption:
            loss = loss + caption_loss(output.caption_logits, output.caption_targets)
        if stage.change:
            label = torch.zeros(pair[0].shape[0], *pair[0].shape[2:], dtype=torch.long, device=loss.device)
            loss = loss + (CHANGE_WEIGHT if stage.caption else 1.0) * change_loss(output.change_logits, label)
    loss.backward()
    without = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    assert not without, f"{without[0]} gets no gradient in stage {stage.name}"
    optimizer.step()
    return float(loss.detach())


def timed(work: Callable[[], object], device: str) -> tuple[object, float]:
    start = time.perf_counter()
    result = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


def peak(device: str) -> str:
    used = (
        torch.cuda.max_memory_allocated()
        if device.startswith("cuda")
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return f"{used / 2**30:.1f} GiB at most so far"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", type=int, default=2, help="layers of the LLM [2]")
    parser.add_argument("--steps", type=int, default=2, help="steps of each stage; the last is timed [2]")
    given = parser.parse_args(argv)
    torch.manual_seed(0)
    model, seconds = timed(lambda: built(given.device, given.layers), given.device)
    total = sum(parameter.numel() for parameter in model.parameters())
    print(f"built in {seconds:.1f} s: {total:,} parameters, {given.layers} LLM layers, {peak(given.device)}")
    before, after = torch.rand(2, 1, 3, 256, 256, device=given.device)
    for stage in stages_of(["change", "caption", "joint"], model.config):
        for _ in range(given.steps):
            loss, seconds = timed(lambda stage=stage: step(model, stage, (before, after)), given.device)
        print(
            f"stage {stage.name}: {seconds:.2f} s a step of one pair, loss {loss:.3f}, {peak(given.device)}"
        )
    model.eval()
    passes: list[int] = []
    hook = model.caption_decoder.llm.get_decoder().register_forward_hook(
        lambda module, given, output: passes.append(len(output.last_hidden_state))
    )
    prediction, seconds = timed(lambda: model.predict(before, after), given.device)
    hook.remove()
    spoken = prediction.timings["sentence"]
    print(
        f"description under {len(INSTRUCTIONS)} instructions: {seconds:.2f} s, {sum(passes)} tokens, "
        f"{sum(passes) / spoken:.1f} tokens/s, {peak(given.device)}"
    )


if __name__ == "__main__":
    main()
