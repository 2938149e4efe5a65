"""The same work as bench_joined.rs by PEFT and PyTorch, one device after another: CPU seconds of a step for 16 devices.
Usage: bench_peft.py [FOLDER]: SmolLM2-135M as smollm2_prepare.py leaves it; without one, a model of slm-nano's shape."""
import sys, time, torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
torch.set_num_threads(1)
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
for name, targets in (("q,v", ["q_proj", "v_proj"]), ("all-linear", ALL)):
    if sys.argv[1:]:
        base = LlamaForCausalLM.from_pretrained(f"{sys.argv[1]}/hf", dtype=torch.float32)
    else:
        base = LlamaForCausalLM(LlamaConfig(vocab_size=2048, hidden_size=160, intermediate_size=432, num_hidden_layers=6,
            num_attention_heads=4, num_key_value_heads=2, head_dim=40, tie_word_embeddings=True))
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=targets, lora_dropout=0.0))
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=5e-3, weight_decay=0.0)
    for b, t in ((2, 48), (1, 24)):
        x, best = torch.randint(0, 2048, (b, t)), 1e9
        for _ in range(3 if sys.argv[1:] else 8):
            c = time.process_time()
            for _ in range(16):
                opt.zero_grad()
                logits = model(input_ids=x, use_cache=False).logits
                F.cross_entropy(logits[:, :-1].flatten(0, 1), x[:, 1:].flatten()).backward()
                torch.nn.utils.clip_grad_norm_(params, 1.0)
                opt.step()
            best = min(best, time.process_time() - c)
        print(f"{name:10} D=16 B={b} T={t}: one by one in PEFT {best * 1e3:.1f} ms of CPU", flush=True)
