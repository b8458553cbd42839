"""The learned prior that notebook 07 builds: a flow of affine couplings, and a VAE that has it as its prior."""

import math

import keras
import numpy as np
from keras import layers, ops

from utils import VAE, build_vae


@keras.saving.register_keras_serializable("vae")
class Flow(layers.Layer):
    """Map z (n, d) to noise (n, d) and log |det Jacobian| (n,) by affine couplings (Dinh et al., 2017)."""

    def __init__(self, d, couplings=6, width=128, **kwargs):
        super().__init__(**kwargs)
        self.config = {"d": d, "couplings": couplings, "width": width}
        self.half, rng = d // 2, np.random.default_rng(0)
        self.orders = [rng.permutation(d) for _ in range(couplings)]
        self.nets = [self.net(d, width) for _ in range(couplings)]
        self.built = True

    def net(self, d, width):
        kept = keras.Input((self.half,))
        h = layers.Dense(width, activation="gelu")(kept)
        h = layers.Dense(width, activation="gelu")(h)
        h = layers.Dense(2 * (d - self.half), kernel_initializer="zeros")(h)
        scale, shift = ops.split(h, 2, axis=1)
        return keras.Model(kept, [2 * ops.tanh(scale / 2), shift])  # no coupling scales by more than e²

    def call(self, z):
        log_det = 0.0
        for order, net in zip(self.orders, self.nets, strict=True):
            z = ops.take(z, order, axis=1)
            kept, changed = z[:, : self.half], z[:, self.half :]
            scale, shift = net(kept)
            z = ops.concatenate([kept, changed * ops.exp(scale) + shift], axis=1)
            log_det = log_det + ops.sum(scale, axis=1)
        return z, log_det

    def inverse(self, noise):
        """Go back from noise (n, d) to z (n, d)."""
        for order, net in zip(self.orders[::-1], self.nets[::-1], strict=True):
            kept, changed = noise[:, : self.half], noise[:, self.half :]
            scale, shift = net(kept)
            noise = ops.concatenate([kept, (changed - shift) * ops.exp(-scale)], axis=1)
            noise = ops.take(noise, np.argsort(order), axis=1)
        return noise

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable("vae")
class FlowVAE(VAE):
    """A VAE with a learned prior: z is what standard normal noise becomes on its way back through a flow."""

    def __init__(self, encoder, decoder, flow, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.flow = flow

    def log_prior(self, z):
        noise, log_det = self.flow(z)
        return super().log_prior(noise) + log_det

    def from_noise(self, noise):
        return self.flow.inverse(ops.convert_to_tensor(noise, "float32"))

    def call(self, x):
        mean, log_var = self.encoder(x)
        z = self.sampling(mean, log_var)
        return self.decoder(z), mean, log_var, z

    def divergence(self, mean, log_var, z):
        log_q = -0.5 * ops.sum(ops.square(z - mean) / ops.exp(log_var) + log_var + math.log(2 * math.pi), axis=-1)
        return log_q - self.log_prior(z)

    def get_config(self):
        return {**super().get_config(), "flow": self.flow}


def build_flow_vae(latent_dim, mean_image=None, hidden_units=500):
    """Build the VAE of utils.build_vae with a flow as its prior; compiled."""
    plain = build_vae(latent_dim, mean_image, hidden_units)
    vae = FlowVAE(plain.encoder, plain.decoder, Flow(latent_dim))
    vae.compile()
    return vae
