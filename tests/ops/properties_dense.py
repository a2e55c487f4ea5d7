"""Random products: matrices, Einstein sums, attention, Fourier transforms, windows, spectra, determinants."""

from __future__ import annotations

import numpy as np
from properties import Array, Draw, Instance, family, number


@family("MatMul")
def mat_mul(d: Draw, op: str) -> Instance:
    n, k, m = d.int(1, 9), d.of(1, 3, 7, 64, 130), d.int(1, 17)
    batch = d.shape(0, 2, 3)
    a = [k] if d.int(0, 4) == 0 else [*d.narrowed(batch), n, k]
    b = [k] if d.int(0, 4) == 0 else [*d.narrowed(batch), k, m]
    kind = d.of("float32", "float32", "float32", "int32")
    node = f"y = {op}(a, b)"
    how = d.of("both", "left", "right")
    if how == "both":
        return Instance(node, {"a": d.input(a, kind), "b": d.input(b, kind)})
    if how == "left":
        return Instance(node, {"a": d.input(a, kind)}, {"b": d.array(b, kind)})
    return Instance(node, {"b": d.input(b, kind)}, {"a": d.array(a, kind)})


@family("Gemm")
def gemm(d: Draw, op: str) -> Instance:
    n, k, m = d.int(1, 5), d.of(1, 5, 33, 100), d.int(1, 13)
    flip_a, flip_b = d.int(0, 1), d.int(0, 1)
    a, b = [k, n] if flip_a else [n, k], [m, k] if flip_b else [k, m]
    attributes = f"transA={flip_a}, transB={flip_b}, alpha={d.factor()}, beta={d.factor()}"
    arrays = {"b": d.array(b)}
    operands = "a, b"
    if d.flag():
        arrays["c"] = d.array(d.of([], [1], [m], [1, m], [n, 1], [n, m]))
        operands += ", c"
    inputs = {"a": d.input(a)}
    for name in d.some(list(arrays)) if d.flag() else []:
        inputs[name] = np.stack([arrays.pop(name)] * len(inputs["a"]))
    return Instance(f"y = {op}<{attributes}>({operands})", inputs, arrays)


@family("Einsum")
def einsum(d: Draw, op: str) -> Instance:
    letters = "ijklm"[: d.int(1, 5)]
    sizes = {letter: d.int(1, 4) for letter in letters}
    terms = ["".join(d.some(letters, 1))[:3] for _ in range(d.int(1, 3))]
    present = sorted(set("".join(terms)))
    result = "".join(d.some(present))
    dots = d.shape(0, 1, 3)
    mark = "..." if dots else ""
    equation = f"{','.join(mark + term for term in terms)}->{mark}{result}"
    if not dots and d.int(0, 3) == 0:
        equation = equation.partition("->")[0]
    inputs = {name: d.input([*dots, *(sizes[i] for i in term)]) for name, term in zip("abc", terms, strict=False)}
    return Instance(f'y = {op}<equation="{equation}">({", ".join(inputs)})', inputs)


@family("Det")
def det(d: Draw, op: str) -> Instance:
    n = d.int(1, 5)
    return Instance(f"y = {op}(x)", {"x": d.input([*d.shape(0, 2, 3), n, n])}, tolerance=5e-5)


@family("Attention")
def attention(d: Draw, op: str) -> Instance:
    batch, queries, keys = d.int(1, 2), d.int(1, 5), d.int(1, 5)
    kv_heads = d.int(1, 3)
    heads = kv_heads * d.int(1, 2)
    size, value_size = d.of(2, 4, 8), d.of(2, 3)
    is_flat = d.flag()

    def tensor(count: int, length: int, width: int) -> Array:
        return d.input([batch, length, count * width] if is_flat else [batch, count, length, width])

    inputs = {
        "q": tensor(heads, queries, size),
        "k": tensor(kv_heads, keys, size),
        "v": tensor(kv_heads, keys, value_size),
    }
    attributes = [f"q_num_heads={heads}, kv_num_heads={kv_heads}"] if is_flat else []
    operands = "q, k, v"
    past = d.int(1, 3) if d.int(0, 3) == 0 else 0
    mask = d.of("", "float32", "bool")
    if mask:
        shape = d.of([queries, keys + past], [1, 1, queries, keys + past], [batch, heads, queries, keys + past])
        inputs["m"] = d.input(shape, mask)
        if mask == "bool":
            inputs["m"][..., 0] = True  # a row with nothing to look at has no meaning
        operands += ", m"
    if past:
        inputs |= {"pk": d.input([batch, kv_heads, past, size]), "pv": d.input([batch, kv_heads, past, value_size])}
        operands += (", " if mask else ", , ") + "pk, pv"
    if d.flag() and mask != "bool":
        attributes.append("is_causal=1")
    if d.flag():
        attributes.append(f"scale={d.factor()}")
    if d.flag():
        attributes.append(f"softcap={d.factor(0.5, 4.5)}")
    stated = f"<{', '.join(attributes)}>" if attributes else ""
    results = "y, pk2, pv2" if past else "y"
    return Instance(
        f"{results} = {op}{stated}({operands})", inputs, outputs=results.replace(",", ""), opset=24, by_reference=True
    )


@family("RotaryEmbedding")
def rotary(d: Draw, op: str) -> Instance:
    batch, length, heads, size = d.int(1, 2), d.int(1, 4), d.int(1, 3), d.of(4, 8)
    turned = d.of(0, 4)
    half = (turned or size) // 2
    is_flat = d.flag()
    x = d.input([batch, length, heads * size] if is_flat else [batch, heads, length, size])
    attributes = f"interleaved={d.int(0, 1)}, rotary_embedding_dim={turned}" + (
        f", num_heads={heads}" if is_flat else ""
    )
    if d.flag():
        cache, positions = [7, half], {"p": d.input([batch, length], "int64", 0, 6)}
    else:
        cache, positions = [batch, length, half], {}
    inputs = {"x": x, "c": d.input(cache), "s": d.input(cache), **positions}
    operands = ", ".join(inputs)
    return Instance(f"y = {op}<{attributes}>({operands})", inputs, opset=23, by_reference=True)


@family("DFT")
def dft(d: Draw, op: str) -> Instance:
    shape = d.shape(2, 3, 9)
    axis = d.int(0, len(shape) - 1)
    inverse = d.int(0, 1)
    one_sided = 0 if inverse else d.int(0, 1)
    parts = 1 if one_sided else 2 if inverse else d.of(1, 2)
    constants = {"a": np.asarray(axis)}
    length = ""
    if d.flag():
        constants["n"] = np.asarray(d.int(1, 12))
        length = "n"
    node = f"y = {op}<inverse={inverse}, onesided={one_sided}>(x, {length}, a)"
    return Instance(node, {"x": d.input([*shape, parts])}, constants, opset=20, tolerance=2e-5)


@family("STFT")
def stft(d: Draw, op: str) -> Instance:
    length, step = d.int(2, 12), d.int(1, 5)
    signal = length + d.int(0, 20)
    x = {"x": d.input([d.int(1, 2), signal, 1])}
    constants = {"s": np.asarray(step)}
    operands = "x, s"
    how = d.of("window", "length", "both")
    operands += ", w" if how != "length" else ", "
    if how != "length":
        constants["w"] = d.array([length])
    if how != "window":
        constants["n"] = np.asarray(length)
        operands += ", n"
    return Instance(f"y = {op}<onesided={d.int(0, 1)}>({operands})", x, constants, tolerance=2e-5)


@family("HannWindow", "HammingWindow", "BlackmanWindow")
def windows(d: Draw, op: str) -> Instance:
    size = d.int(3, 24)
    node = f"w = {op}<periodic={d.int(0, 1)}>(n) y = Mul(x, w)"
    return Instance(node, {"x": d.input([size])}, {"n": np.asarray(size)})


@family("MelWeightMatrix")
def mel(d: Draw, op: str) -> Instance:
    bins, length, rate = d.int(1, 12), d.of(16, 32, 33, 64), d.of(8000, 16000, 22050)
    low, high = d.factor(0, 400), d.factor(1000, 3900)
    constants = {
        "n": np.asarray(bins),
        "l": np.asarray(length),
        "r": np.asarray(rate),
        "a": number(low),
        "b": number(high),
    }
    return Instance(f"m = {op}(n, l, r, a, b) y = MatMul(x, m)", {"x": d.input([2, length // 2 + 1])}, constants)


@family("TfIdfVectorizer")
def runs(d: Draw, op: str) -> Instance:
    mode, longest, skip = d.of("TF", "IDF", "TFIDF"), d.int(1, 3), d.int(0, 3)
    least = d.int(1, longest)
    pool, starts = [], []
    for length in range(1, longest + 1):
        starts.append(len(pool))
        runs = {tuple(d.random.integers(0, 4, length).tolist()) for _ in range(d.int(1, 4))}
        pool += [n for run in sorted(runs) for n in run]
    ends = [*starts[1:], len(pool)]
    count = sum((end - start) // n for n, (start, end) in enumerate(zip(starts, ends, strict=True), 1))
    attributes = f'mode="{mode}", min_gram_length={least}, max_gram_length={longest}, max_skip_count={skip}'
    attributes += f", ngram_counts={starts}, ngram_indexes={d.order(count)}, pool_int64s={pool}"
    if mode != "TF":
        attributes += f", weights={[d.factor() for _ in range(count)]}"
    x = d.input([*d.shape(0, 1, 3), d.int(longest, 12)], d.of("int32", "int64"), 0, 4)
    return Instance(f"y = {op}<{attributes}>(x)", {"x": x})
