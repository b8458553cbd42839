"""Make assets/explorer.html from the weights in assets/models: python explorer/make.py

The page holds all it needs: two models, quantised, the codes of 2,000 test digits, and 80 test digits to begin with.
"""

import base64
import json
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # noqa: I001  first, because it imports Keras quietly
import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex

HERE = Path(__file__).resolve().parent
PAGE = utils.ASSETS / "explorer.html"
# A weight is stored as a whole number of steps; so many of them make the standard deviation of its column's weights.
# Few weights can be stored finely.
STEPS, STEPS_OF_A_SMALL_LAYER = 60, 1000
OFFSET = 2**15 + 128  # see network.js


def packed(data):
    """Return bytes as text: deflated, which browsers undo, and in base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def rounded(weights, inputs):
    """Round weights, (in, out), to whole numbers of steps; return these and the steps, (out,).

    Row by row, and what rounding changes in the outputs is made up for in the rows still to come, as far as the inputs,
    (n, in), are correlated (Frantar et al., *GPTQ*, ICLR 2023).
    """
    weights = weights.astype("float64")
    steps = np.sqrt((weights**2).mean(axis=0)) / (STEPS if weights.size > 20_000 else STEPS_OF_A_SMALL_LAYER)
    products = inputs.T.astype("float64") @ inputs / len(inputs)
    products += 1e-4 * np.trace(products) / len(products) * np.eye(len(products))
    factor = np.linalg.cholesky(np.linalg.inv(products)).T
    counts = np.empty(weights.shape, "int64")
    for i in range(len(weights)):
        counts[i] = np.rint(weights[i] / steps)
        error = (weights[i] - counts[i] * steps) / factor[i, i]
        weights[i + 1 :] -= factor[i, i + 1 :, None] * error
    return counts, steps


def layer(weights, bias, inputs, blob):
    """Return a layer for the page and its outputs, (n, out), before the activation; append its weights to blob."""
    counts, steps = rounded(weights, inputs)
    steps = np.array([float(f"{step:.6g}") for step in steps])
    off = (inputs @ (weights - counts * steps)).mean(axis=0)
    bias = [float(f"{b:.6g}") for b in bias + off]
    found = {"inputs": weights.shape[0], "outputs": weights.shape[1], "low": len(blob)}
    blob += ((counts + OFFSET) % 256).astype("uint8").tobytes()
    found["high"] = len(blob)
    blob += ((counts + OFFSET) // 256).astype("uint8").tobytes()
    return found | {"steps": steps.tolist(), "bias": bias}, inputs @ (counts * steps) + bias


def layers(vae, x, blob):
    """Return the model's layers for the page, each rounded with what reaches it when it sees the images x."""
    center, *arrays = vae.encoder.get_weights()
    arrays += vae.decoder.get_weights()
    made, h = {}, x.reshape(len(x), 784) - center.reshape(784)
    for i, name in enumerate(["encoder1", "encoder2", "mean", "logVar", "decoder1", "decoder2", "logits"]):
        made[name], out = layer(*arrays[2 * i : 2 * i + 2], h, blob)
        if name == "mean":
            mean = out
        elif name == "logVar":
            h = mean + np.exp(0.5 * out) * np.random.default_rng(0).standard_normal(out.shape)
        else:
            h = np.array(keras.activations.gelu(out.astype("float32")), "float64")
    return made


def model(vae, x, x_train, blob):
    """Return what the page needs of a model: its layers, its active dimensions, and what a typical digit of x costs.

    And the codes, (n, latent_dim), of x.
    """
    codes, log_var = vae.encoder.predict(x, batch_size=500, verbose=0)
    kl = 0.5 * (codes**2 + np.exp(log_var) - 1 - log_var)
    noise = np.random.default_rng(0).standard_normal(codes.shape, dtype="float32")
    logits = vae.decoder.predict(codes + np.exp(0.5 * log_var) * noise, batch_size=500, verbose=0)
    cost = np.asarray(utils.reconstruction_loss((x >= 0.5).astype("float32"), logits))
    order = np.argsort(-kl.mean(axis=0))
    active = codes.var(axis=0) > 0.01
    found = {
        "center": [float(f"{value:.5g}") for value in vae.encoder.get_weights()[0].ravel()],
        "layers": layers(vae, x_train, blob),
        "active": [{"dimension": int(d), "nats": float(kl[:, d].mean().round(3))} for d in order if active[d]],
        "typical": {"reconstruction": float(np.median(cost)), "kl": float(np.median(kl.sum(axis=1)))},
    }
    return found, codes


def page():
    """Return the page as text."""
    (x_train, _), (x_test, y_test) = utils.load_mnist()
    x = x_test.astype("float32") / 255
    seen = x_train[::6].astype("float32") / 255
    blob = bytearray()
    vaes = {name: utils.load_vae(name, [utils.ASSETS]) for name in ("digits_2d", "digits")}
    models = {name: model(vae, x, seen, blob) for name, vae in vaes.items()}
    codes = models["digits_2d"][1][::5]
    chosen = np.concatenate([np.flatnonzero(y_test == digit)[:8] for digit in range(10)])
    data = {
        "models": {name: found for name, (found, _) in models.items()},
        "dots": {
            "codes": [[float(value) for value in code] for code in codes.round(2)],
            "labels": y_test[::5].tolist(),
        },
        "digits": {"labels": y_test[chosen].tolist(), "images": packed(x_test[chosen].tobytes())},
        "colours": [to_hex(colour) for colour in plt.rcParams["axes.prop_cycle"].by_key()["color"][:10]],
    }
    parts = {path.name: path.read_text(encoding="utf-8") for path in HERE.iterdir() if path.suffix in (".css", ".js")}
    parts |= {"results": (HERE / "results.html").read_text(encoding="utf-8").strip(), "weights": packed(bytes(blob))}
    parts["data"] = json.dumps(data, separators=(",", ":"))
    text = (HERE / "template.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        assert "{{ " + name + " }}" in text, name
        text = text.replace("{{ " + name + " }}", part.rstrip("\n"))
    return text


if __name__ == "__main__":
    with utils._replacing(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(utils.ROOT)}: {PAGE.stat().st_size / 1e6:.2f} MB")
