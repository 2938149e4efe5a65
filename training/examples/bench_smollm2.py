"""One device on SmolLM2-135M, LoRA r=8 on queries and values, B=4 T=256: this crate against PEFT and PyTorch, each in a process
of its own with one thread. Tokens a CPU second (user + system), and the most memory of the process (VmHWM).

Usage: bench_smollm2.py FOLDER PROGRAM [B T steps]: FOLDER is what smollm2_prepare.py made, PROGRAM the example bench_smollm2.
"""
import os, re, subprocess, sys

def peft(folder, checkpoint, b, t, steps):
    import time, torch
    import torch.nn.functional as F
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM
    torch.set_num_threads(1)
    base = LlamaForCausalLM.from_pretrained(f"{folder}/hf", dtype=torch.float32)
    if checkpoint:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        base.enable_input_require_grads()
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], lora_dropout=0.0))
    model.train()
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=5e-3, weight_decay=0.0)
    x = torch.tensor([[(n * 31 + i * 7) % 997 + 100 for i in range(t)] for n in range(b)])
    losses, c = [], 0.0
    for step in range(steps + 1):
        if step == 1:
            c = time.process_time()
        opt.zero_grad()
        logits = model(input_ids=x, use_cache=False).logits
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), x[:, 1:].flatten())
        del logits
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        losses.append(round(loss.item(), 4))
    seconds = (time.process_time() - c) / steps
    peak = int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e6
    print(f"PEFT f32     checkpoint {str(checkpoint).lower():5} B={b} T={t}: {b * t / seconds:7.1f} tokens a CPU second ({seconds:.2f} s a step), "
          f"peak {peak:.0f} MB, losses {losses}")

if sys.argv[1] == "peft":
    peft(sys.argv[2], sys.argv[3] == "checkpoint", *map(int, sys.argv[4:7]))
    sys.exit()
folder, program, (b, t, steps) = sys.argv[1], sys.argv[2], (sys.argv[3:6] + ["4", "256", "4"][len(sys.argv) - 3:])
alone = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
def run(*command):
    line = subprocess.run(command, env=alone, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[-1]
    print(line, flush=True)
    return float(re.search(r"([\d.]+) tokens", line)[1])
for checkpoint in ("no", "checkpoint"):
    # In turns: what else the machine does falls on both.
    rows = [[run(program, folder, "stored", checkpoint, b, t, steps), run(sys.executable, __file__, "peft", folder, checkpoint, b, t, steps)]
            for _ in range(int(os.environ.get("REPEATS", "2")))]
    ours, theirs = (max(column) for column in zip(*rows))
    print(f"checkpoint {checkpoint}: best of each, ours / PEFT = {ours / theirs:.2f}", flush=True)
    for storage in ("f32", "bf16"):
        run(program, folder, storage, checkpoint, b, t, steps)
