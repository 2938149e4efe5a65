"""Makes the files beside it: tiny random models, adapters as PEFT writes them, and loss trajectories of 20 steps by
PEFT and PyTorch, which the tests of training hold theirs against.

`check FOLDER` loads adapters that the tests have trained and written (FOLDER is target/tmp) and compares their losses.

Versions: torch 2.13.0, transformers 5.23.0, peft 0.21.2, safetensors 0.8.0. No network.
usage: golden_peft.py [check FOLDER]
"""
import json, math, pathlib, shutil, sys
import torch, torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).parent
STEPS, VOCABULARY = 20, 96
torch.set_num_threads(1)
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
COMMON = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=256, attn_implementation="eager")
MODELS = {
    "plain": lambda: LlamaForCausalLM(LlamaConfig(**COMMON, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    "llama3": lambda: LlamaForCausalLM(LlamaConfig(**COMMON, head_dim=16, rms_norm_eps=1e-6, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64))),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**COMMON, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=1e6, factor=4.0))),
}
# The rule's numbers are written out, so that no default has to agree.
CASES = [
    dict(name="adamw", model="plain", targets="all-linear", r=4, alpha=8, rslora=False, top=0, factors="AB",
         rule=dict(adamw=dict(beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01)), rate=5e-3, schedule="cosine",
         warm_up=3, clip=1.0, accumulation=2),
    dict(name="sgd", model="llama3", targets=["q_proj", "v_proj"], r=3, alpha=6, rslora=True, top=0, factors="AB",
         rule=dict(sgd=dict(momentum=0.9, weight_decay=0.01)), rate=2e-1, schedule="linear", warm_up=0, clip=None,
         accumulation=1),
    dict(name="adafactor", model="qwen2", targets="all-linear", r=4, alpha=16, rslora=False, top=0, factors="AB",
         rule=dict(adafactor=dict(beta2_decay=-0.8, clip=1.0, weight_decay=0.01)), rate=2e-2, schedule="constant",
         warm_up=2, clip=1.0, accumulation=1),
    dict(name="lion", model="plain", targets=["self_attn.o_proj", "mlp.down_proj"], r=2, alpha=4, rslora=False, top=1,
         factors="B", rule=dict(lion=dict(beta1=0.9, beta2=0.99, weight_decay=0.1)), rate=1e-3, schedule="constant",
         warm_up=0, clip=0.5, accumulation=2),
    dict(name="qwen2", model="qwen2", targets=["q_proj", "k_proj", "v_proj"], r=4, alpha=8, rslora=False, top=0,
         factors="A", rule=dict(adamw=dict(beta1=0.8, beta2=0.99, eps=1e-6, weight_decay=0.0)), rate=1e-2,
         schedule="linear", warm_up=5, clip=0.1, accumulation=1),
]


class Lion(torch.optim.Optimizer):  # Chen et al. 2023, algorithm 2
    def __init__(self, params, lr, beta1, beta2, weight_decay):
        super().__init__(params, dict(lr=lr, b1=beta1, b2=beta2, wd=weight_decay))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - g["lr"] * g["wd"])
                p.sub_(g["lr"] * torch.sign(g["b1"] * m + (1 - g["b1"]) * p.grad))
                m.mul_(g["b2"]).add_(p.grad, alpha=1 - g["b2"])


def optimiser(rule, params, lr):
    (kind, o), = rule.items()
    if kind == "adamw":
        return torch.optim.AdamW(params, lr=lr, betas=(o["beta1"], o["beta2"]), eps=o["eps"], weight_decay=o["weight_decay"])
    if kind == "sgd":
        return torch.optim.SGD(params, lr=lr, momentum=o["momentum"], weight_decay=o["weight_decay"])
    if kind == "adafactor":
        return torch.optim.Adafactor(params, lr=lr, beta2_decay=o["beta2_decay"], d=o["clip"], weight_decay=o["weight_decay"])
    return Lion(params, lr, **o)


def factor(kind, step, warm_up):  # as transformers.get_scheduler
    if step < warm_up:
        return step / warm_up
    done = (step - warm_up) / max(1, STEPS - warm_up)
    return dict(constant=1.0, linear=max(0.0, 1 - done), cosine=max(0.0, 0.5 * (1 + math.cos(math.pi * done))))[kind]


def examples(generator, count):  # a language with something to learn: each token mostly follows from the last
    out = []
    for _ in range(count):
        length = int(torch.randint(6, 20, (1,), generator=generator))
        tokens = [int(torch.randint(0, VOCABULARY, (1,), generator=generator))]
        for _ in range(length - 1):
            jump = int(torch.randint(0, 3, (1,), generator=generator))
            tokens.append((tokens[-1] * 5 + 7 + jump) % VOCABULARY)
        prompt = int(torch.randint(1, 4, (1,), generator=generator))
        out.append(dict(tokens=tokens, weights=[0.0 if i < prompt else 1.0 for i in range(length)]))
    return out


def run(case, number):
    torch.manual_seed(100 + number)
    base = MODELS[case["model"]]()
    base.load_state_dict(torch.load(HERE / f"{case['model']}.pt", weights_only=True))
    layers = list(range(2 - case["top"], 2)) if case["top"] else None
    config = LoraConfig(r=case["r"], lora_alpha=case["alpha"], use_rslora=case["rslora"], lora_dropout=0.0,
                        target_modules=ALL if case["targets"] == "all-linear" else case["targets"],
                        layers_to_transform=layers, task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    named = {n: p for n, p in model.named_parameters() if "lora_" in n}
    with torch.no_grad():
        for n, p in named.items():
            if "lora_B" in n and case["factors"] == "A":  # with B zero, A has no gradient
                p.normal_(std=0.1)
    folder = HERE / case["name"]
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    for extra in folder.glob("README*"):
        extra.unlink()
    params = [p for n, p in named.items() if n.split("lora_")[1][0] in case["factors"]]
    for n, p in named.items():
        p.requires_grad_(n.split("lora_")[1][0] in case["factors"])
    generator = torch.Generator().manual_seed(number)
    data = examples(generator, 12)
    steps = [[torch.randperm(12, generator=generator)[:3].tolist() for _ in range(case["accumulation"])] for _ in range(STEPS)]
    opt, losses = optimiser(case["rule"], params, case["rate"]), []
    for step, batches in enumerate(steps):
        for group in opt.param_groups:
            group["lr"] = case["rate"] * factor(case["schedule"], step, case["warm_up"])
        scored = sum(sum(data[i]["weights"][1:]) for batch in batches for i in batch)
        total = 0.0
        opt.zero_grad()
        for batch in batches:
            rows = [data[i] for i in batch]
            width = max(len(r["tokens"]) for r in rows)
            ids = torch.tensor([r["tokens"] + [0] * (width - len(r["tokens"])) for r in rows])
            mask = torch.tensor([[1] * len(r["tokens"]) + [0] * (width - len(r["tokens"])) for r in rows])
            labels = torch.tensor([[t if w else -100 for t, w in zip(r["tokens"], r["weights"])] + [-100] * (width - len(r["tokens"])) for r in rows])
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum") / scored
            loss.backward()
            total += loss.item()
        if case["clip"]:
            torch.nn.utils.clip_grad_norm_(params, case["clip"])
        opt.step()
        losses.append(total)
    print(case["name"], f"{losses[0]:.5f} -> {losses[-1]:.5f}")
    config = base.config
    rope = {k: v for k, v in config.rope_parameters.items()}
    shape = dict(vocabulary=VOCABULARY, hidden=32, intermediate=48, layers=2, heads=4, kv_heads=2,
                 head_dim=getattr(config, "head_dim", None) or 8, norm_eps=config.rms_norm_eps, rope=rope,
                 tied=config.tie_word_embeddings, qkv_bias=case["model"] == "qwen2")
    return case | dict(shape=shape, examples=data, steps=steps, losses=losses)


def check(folder):
    for case in json.loads((HERE / "cases.json").read_text()):
        base = MODELS[case["model"]]()
        base.load_state_dict(load_file(HERE / f"{case['model']}.safetensors"), strict=False)
        base.tie_weights()
        here, total, scored = pathlib.Path(folder) / f"peft-{case['name']}", 0.0, 0.0
        model = PeftModel.from_pretrained(base, here)
        for e in case["examples"]:
            with torch.no_grad():
                losses = F.cross_entropy(model(input_ids=torch.tensor([e["tokens"]])).logits[0, :-1], torch.tensor(e["tokens"][1:]), reduction="none")
            weights = torch.tensor(e["weights"][1:])
            total, scored = total + (losses * weights).sum().item(), scored + weights.sum().item()
        ours = float((here / "loss").read_text())
        print(f"{case['name']:10} ours {ours:.6f} PEFT's {total / scored:.6f}")
        assert abs(ours - total / scored) < 1e-4


if sys.argv[1:2] == ["check"]:
    check(sys.argv[2])
    sys.exit()
for number, (name, make) in enumerate(MODELS.items()):
    torch.manual_seed(number)
    model = make()
    with torch.no_grad():  # larger than a model is started with, so that every part matters
        for n, p in model.named_parameters():
            p.copy_(torch.rand_like(p) + 0.5 if "norm" in n else torch.randn_like(p) * (0.3 if "bias" in n else 0.15))
    state = model.state_dict()
    torch.save(state, HERE / f"{name}.pt")
    tied = model.config.tie_word_embeddings
    save_file({n: t.contiguous().clone() for n, t in state.items() if not (tied and n == "lm_head.weight")}, HERE / f"{name}.safetensors")
cases = [run(case, number) for number, case in enumerate(CASES)]
for name in MODELS:
    (HERE / f"{name}.pt").unlink()
(HERE / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
