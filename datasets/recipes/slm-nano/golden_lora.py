#!/usr/bin/env python3
"""Makes tests/golden/slm/lora: an adapter as PEFT writes it, for the random model in ../llama-tied, with golden numbers.

    python golden_lora.py

golden.json holds the input of golden.py's long row, the logits with the adapter, the mean loss of predicting each next
token, and the gradient of that loss by each of the adapter's tensors. Run golden.py first. Seeds are fixed.
"""

import json
import shutil

import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from golden import ENGINE, GOLDEN, INPUTS, numbers, write_rows

BASE, FOLDER = GOLDEN / "llama-tied", GOLDEN / "lora"
RANK, ALPHA, SEED = 4, 8, 11


def adapted() -> torch.nn.Module:
    """The base with an adapter on all linear layers; B is not zero, as it would be before training."""
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    base.config._name_or_path = base.name_or_path = "llama-tied"
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    torch.manual_seed(SEED)
    for name, value in sorted(model.named_parameters()):
        if "lora_" in name:
            value.data = 0.2 * torch.randn(value.shape)
    return model.eval()


def golden(model: torch.nn.Module) -> dict:
    ids = torch.tensor([INPUTS[0]])
    out = model(input_ids=ids, labels=ids)
    out.loss.backward()
    gradients = {
        name.replace(".default", ""): numbers(value.grad)
        for name, value in sorted(model.named_parameters())
        if value.grad is not None
    }
    return {
        "engine": f"peft {peft.__version__}, {ENGINE}",
        "input": INPUTS[0],
        "logits": numbers(out.logits[0].detach()),
        "loss": float(f"{out.loss.item():.7g}"),
        "gradients": gradients,
    }


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    model = adapted()
    model.save_pretrained(FOLDER)
    (FOLDER / "README.md").unlink(missing_ok=True)
    config = FOLDER / "adapter_config.json"
    settings = json.loads(config.read_text()) | {"base_model_name_or_path": "llama-tied"}
    settings["target_modules"] = sorted(settings["target_modules"])
    config.write_text(json.dumps(settings, indent=2) + "\n")
    write_rows(FOLDER / "golden.json", golden(model))


if __name__ == "__main__":
    main()
