"""The same model trained by PyTorch on the CPU, as a measured process; see contestant.ts.

Reads config.json and model.safetensors itself, so that both sides start from the same weights and
their first losses can be compared. Needs torch only.
"""
import json
import resource
import struct
import sys
import time

import torch
import torch.nn.functional as F

task = json.loads(sys.argv[1])
torch.set_num_threads(task["threads"])
config = json.load(open(task["directory"] + "/config.json"))
LAYERS, HEADS = config["num_hidden_layers"], config["num_attention_heads"]
KV_HEADS, WIDTH = config["num_key_value_heads"], config["hidden_size"]
HEAD = WIDTH // HEADS
BATCH, LENGTH = task["batch"], task["sequenceLength"]


def read_weights():
    with open(task["directory"] + "/model.safetensors", "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        weights[name] = flat.reshape(entry["shape"]).clone().requires_grad_()
    return weights


weights = read_weights()
frequencies = config.get("rope_theta", 10000.0) ** (-torch.arange(0, HEAD, 2).float() / HEAD)
angles = torch.arange(LENGTH).float()[:, None] * frequencies[None, :]
cos, sin = torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin()


def rotate(x):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def norm(x, name):
    return F.rms_norm(x, (WIDTH,), weights[name], config["rms_norm_eps"])


def loss_of(tokens):
    x = F.embedding(tokens, weights["model.embed_tokens.weight"])
    for layer in range(LAYERS):
        def project(x, name):
            return F.linear(x, weights[f"model.layers.{layer}.{name}.weight"])

        def heads(x, count):
            return x.view(BATCH, LENGTH, count, HEAD).transpose(1, 2)

        a = norm(x, f"model.layers.{layer}.input_layernorm.weight")
        q = rotate(heads(project(a, "self_attn.q_proj"), HEADS))
        k = rotate(heads(project(a, "self_attn.k_proj"), KV_HEADS))
        v = heads(project(a, "self_attn.v_proj"), KV_HEADS)
        attended = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=HEADS != KV_HEADS)
        x = x + project(attended.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH), "self_attn.o_proj")
        m = norm(x, f"model.layers.{layer}.post_attention_layernorm.weight")
        gated = F.silu(project(m, "mlp.gate_proj")) * project(m, "mlp.up_proj")
        x = x + project(gated, "mlp.down_proj")
    logits = F.linear(norm(x[:, :-1], "model.norm.weight"), weights["lm_head.weight"])
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1).long())


tokens = (torch.arange(BATCH * LENGTH).pow(2) % config["vocab_size"]).view(BATCH, LENGTH)
optimizer = torch.optim.AdamW(
    weights.values(), lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
a = torch.full((task["productEdge"],) * 2, 0.5)
b = torch.full((task["productEdge"],) * 2, 0.25)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(tokens)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
    optimizer.step()
    return loss.item()


def product():
    torch.mm(a, b)


actions = {"product": product, "step": step}
for line in sys.stdin:
    start, processor = time.perf_counter(), time.process_time()
    loss = actions[json.loads(line)]()
    milliseconds = 1000 * (time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({
        "milliseconds": milliseconds,
        "processorMilliseconds": 1000 * (time.process_time() - processor),
        "graphMilliseconds": milliseconds,
        "kernelMilliseconds": 0,
        "sharedMilliseconds": 0,
        "peakBytes": peak, "loss": loss,
    }), flush=True)
