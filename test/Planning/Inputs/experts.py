"""Prints a plan module that only places the experts of 48 layers, in the order in which a checkpoint has them."""

LAYERS, EXPERTS, SIZE_BYTES = 48, 128, 768 * 2048 * 2

weights, stacks = [], []
for layer in range(LAYERS):
    names = {"gate": [], "up": [], "down": []}
    for expert in range(EXPERTS):
        for matrix in names:
            name = f'@"{layer}.{expert}.{matrix}"'
            weights.append(f"plan.weight {name} file 0 at {1000 + len(weights) * SIZE_BYTES} rows 768 x 4096 pitch 4096")
            names[matrix].append(name)
    gate_up = [name for pair in zip(names["gate"], names["up"]) for name in pair]
    for label, members in (("gate_up", gate_up), ("down", names["down"])):
        size = len(members) * SIZE_BYTES
        stacks.append(f"  %{label}{layer} = plan.weights [{', '.join(members)}] : !plan.range<{size}>")

print("\n".join(weights))
for entry in ("decode role decode_greedy", "prefill role prefill"):
    print(f"plan.entry @{entry} rows 1 {{")
    print("\n".join(stacks))
    print("}")
