"""Make assets/explorer.html from docs/explorer/ and the weights in assets/models: python tools/make_explorer.py

The page holds all it needs: three models, quantised, the codes of 2,000 test digits, 80 test digits to begin with, and
5,000 training digits, in black and white, to train on.
"""

import base64
import json
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex

import utils

SOURCES = utils.ASSETS.parent / "docs" / "explorer"
PAGE = utils.ASSETS / "explorer.html"
# A weight is stored as a whole number of steps; this many make the root mean square of its column. Twice as many
# would halve the errors, and make the page half a megabyte larger.
STEPS = 200
OFFSET = 2**15  # see network.js


def packed(data):
    """Return bytes as text: deflated, which browsers undo, and in base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def layer(weights, bias, blob):
    """Return a layer for the page, and append its weights, (in, out), rounded to whole numbers of steps, to blob."""
    steps = np.array([float(f"{step:.6g}") for step in np.sqrt((weights**2).mean(axis=0)) / STEPS])
    counts = np.rint(weights / steps).astype("int64") + OFFSET
    found = {"inputs": len(weights), "outputs": len(bias), "low": len(blob), "high": len(blob) + counts.size}
    blob += (counts % 256).astype("uint8").tobytes() + (counts // 256).astype("uint8").tobytes()
    return found | {"steps": steps.tolist(), "bias": [float(f"{value:.6g}") for value in bias]}


def stack(names, arrays, blob):
    """Return the layers with these names; arrays are their weights and biases in turn."""
    pairs = zip(arrays[::2], arrays[1::2], strict=True)
    return {name: layer(*pair, blob) for name, pair in zip(names, pairs, strict=True)}


DECODER = ["decoder1", "decoder2", "logits"]


def model(vae, x, blob):
    """Return what the page needs of a model: its layers, its active dimensions, and what a typical digit costs.

    And return x's codes (n, latent_dim).
    """
    codes, log_var = vae.encoder.predict(x, batch_size=500, verbose=0)
    kl = 0.5 * (codes**2 + np.exp(log_var) - 1 - log_var)
    noise = np.random.default_rng(0).standard_normal(codes.shape, dtype="float32")
    logits = vae.decoder.predict(codes + np.exp(0.5 * log_var) * noise, batch_size=500, verbose=0)
    cost = np.asarray(utils.reconstruction_loss((x >= 0.5).astype("float32"), logits))
    order = np.argsort(-kl.mean(axis=0))
    active = codes.var(axis=0) > 0.01
    center, *arrays = vae.encoder.get_weights() + vae.decoder.get_weights()
    found = {
        "center": [float(f"{value:.5g}") for value in center.ravel()],
        "layers": stack(["encoder1", "encoder2", "mean", "logVar", *DECODER], arrays, blob),
        "active": [{"dimension": int(d), "nats": float(kl[:, d].mean().round(3))} for d in order if active[d]],
        "typical": {"reconstruction": float(np.median(cost)), "kl": float(np.median(kl.sum(axis=1)))},
    }
    return found, codes


def flow_model(vae, blob):
    """Return what turns noise into digits: a decoder, and a flow to go back through."""
    orders = [order.tolist() for order in vae.flow.orders]
    nets = [stack(["hidden1", "hidden2", "out"], net.get_weights(), blob) for net in vae.flow.nets]
    return {"layers": stack(DECODER, vae.decoder.get_weights(), blob), "flow": {"orders": orders, "nets": nets}}


def hundredths(codes):
    return np.rint(100 * codes).astype("<i2").tobytes()


def bits(x):
    """Return grey images, binarised, as text with a bit for each pixel."""
    return packed(np.packbits(utils.binarize(x, 0).astype("uint8").reshape(len(x), -1), axis=1).tobytes())


def load(name):
    return utils.load_vae(name, utils.ASSETS)


def page():
    """Return the page as text."""
    (x_train, _), (x_test, y_test) = utils.load_mnist()
    x, blob = x_test.astype("float32") / 255, bytearray()
    models = {name: model(load(name), x, blob) for name in ("digits_2d", "digits")}
    (twin, codes), (main, main_codes) = models.values()
    active = [each["dimension"] for each in main["active"]]
    chosen = np.concatenate([np.flatnonzero(y_test == digit)[:8] for digit in range(10)])
    # The test set's first half is the easier one, so a hundred, and five hundred, are taken from all of it.
    spread = np.concatenate([np.arange(first, 10_000, 100) for first in range(0, 100, 20)])
    data = {
        "models": {"digits_2d": twin, "digits": main, "digits_flow": flow_model(load("digits_flow"), blob)},
        "dots": {
            "two": packed(hundredths(codes[::5])),
            "many": packed(hundredths(main_codes[::5, active])),
            "labels": y_test[::5].tolist(),
        },
        "digits": {"labels": y_test[chosen].tolist(), "images": packed(x_test[chosen].tobytes())},
        "learning": {
            "images": bits(x_train[:5000].astype("float32") / 255),
            "test": bits(x[spread]),
            "labels": y_test[spread].tolist(),
        },
        "colours": [to_hex(colour) for colour in plt.rcParams["axes.prop_cycle"].by_key()["color"][:10]],
    }
    parts = {
        path.name: path.read_text(encoding="utf-8") for path in SOURCES.iterdir() if path.suffix in (".css", ".js")
    }
    results = (SOURCES / "results.html").read_text(encoding="utf-8").strip()
    parts |= {f"results-{tab}": results.replace("TAB", tab) for tab in ("two", "many")}
    parts |= {"data": json.dumps(data, separators=(",", ":")), "weights": packed(bytes(blob))}
    text = (SOURCES / "template.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        assert "{{ " + name + " }}" in text, name
        text = text.replace("{{ " + name + " }}", part.rstrip("\n"))
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1e6:.2f} MB")
