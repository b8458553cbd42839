"""Pictures of one's own: what notebook 08 reads from a folder, and models of colour images."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image, ImageOps
from train_models import shown_in

import utils

prepare = shown_in("08", "prepare", Image=Image)
from_folder = shown_in("08", "from_folder", prepare=prepare, Image=Image, ImageOps=ImageOps)
coloured = shown_in("08", "coloured", ImageOps=ImageOps)
convolutional_vae = shown_in("08", "convolutional_vae")


@pytest.fixture
def pictures(tmp_path):
    """A folder with the same red flag on white, in every mode in which pictures are saved."""
    flag = Image.new("RGB", (90, 120), "white")
    flag.paste("red", (35, 20, 55, 100))
    flag.paste("red", (55, 20, 80, 45))
    flag.save(tmp_path / "0 colour.png")
    flag.convert("L").save(tmp_path / "1 grey.jpg")
    flag.convert("P").save(tmp_path / "2 palette.gif")
    flag.convert("CMYK").save(tmp_path / "3 print.jpg")
    clear = flag.convert("RGBA")
    clear.putdata([(*pixel[:3], 0 if pixel[:3] == (255, 255, 255) else 255) for pixel in clear.getdata()])
    clear.save(tmp_path / "4 transparent.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned clockwise by 90 degrees, as cameras note it
    flag.rotate(90, expand=True).save(tmp_path / "5 photo.jpg", exif=turned)
    return tmp_path


def test_pictures_of_every_kind_come_out_alike(pictures):
    """A reader's photographs or drawings would lie on their side, turn black, or stop the notebook."""
    grey = from_folder(pictures)
    assert grey.shape == (6, 28, 28)
    assert np.abs(grey - grey[0]).mean(axis=(1, 2)).max() < 0.1  # JPEG's grey edges may move it by a pixel
    assert np.abs(np.rot90(grey[0]) - grey[0]).mean() > 0.2
    in_colour = from_folder(pictures, coloured)
    assert in_colour.shape == (6, 32, 32, 3)
    assert utils.check_images(in_colour) is in_colour
    np.testing.assert_allclose(in_colour[:, 0, 0], 1, atol=0.02)
    np.testing.assert_allclose(in_colour[[0, 2, 3, 4, 5], 16, 16], [[1, 0, 0]] * 5, atol=0.1)


def test_the_noise_of_a_camera_is_no_ink(tmp_path):
    """One bright speck in the corner of a photograph would leave the reader with a digit of three pixels."""
    sheet = np.full((400, 600), 200.0)
    sheet[50:130, 80:110] = 40
    noisy = sheet + np.random.default_rng(0).normal(0, 9, sheet.shape)
    for name, pixels in ("clean", sheet), ("noisy", noisy):
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(tmp_path / f"{name}.png")
    clean, noisy = from_folder(tmp_path)
    assert np.abs(noisy - clean).mean() < 0.1


@pytest.mark.parametrize("kind", ["text", "blank", "cut", "folder"])
def test_a_picture_that_cannot_be_used_is_named(pictures, kind):
    """In a folder of thousands a reader would not find the one that stops it."""
    broken = pictures / "3b broken.png"
    if kind == "text":
        broken.write_text("no picture")
    elif kind == "blank":
        Image.new("L", (50, 50), "white").save(broken)
    elif kind == "cut":
        broken.write_bytes((pictures / "0 colour.png").read_bytes()[:150])
    else:
        broken.mkdir()
    with pytest.raises(ValueError, match="3b broken.png cannot be used: .+"):
        from_folder(pictures)


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    """NumPy's "need at least one array to stack" does not say that the path is wrong."""
    with pytest.raises(ValueError, match="no pictures in"):
        from_folder(tmp_path)


def dense_vae(shape):
    keras.utils.set_random_seed(0)
    pixels, z = keras.Input(shape), keras.Input((2,))
    h = layers.Dense(8, activation="gelu")(layers.Flatten()(pixels))
    encoder = keras.Model(pixels, [layers.Dense(2)(h), layers.Dense(2)(h)])
    decoder = keras.Model(z, layers.Reshape(shape)(layers.Dense(int(np.prod(shape)))(z)))
    vae = utils.VAE(encoder, decoder)
    vae.compile("adam")
    return vae


def test_a_colour_image_costs_what_its_pixels_cost_side_by_side():
    """A colour would be left out of the loss, or weigh more or less than a pixel."""
    x = utils.binarize(np.random.default_rng(0).random((40, 4, 6, 3)), seed=0)
    colour, grey = dense_vae((4, 6, 3)), dense_vae((4, 18))
    flat = x.reshape(40, 4, 18)
    for of_colour, of_grey in zip(utils.evaluate(colour, x).values(), utils.evaluate(grey, flat).values(), strict=True):
        assert of_colour == pytest.approx(of_grey, rel=1e-5)
    bounds = utils.log_likelihood(colour, x, 7), utils.log_likelihood(grey, flat, 7)
    np.testing.assert_allclose(*bounds, rtol=1e-5)
    losses = [vae.fit(data, shuffle=False, verbose=0).history["loss"] for vae, data in ((colour, x), (grey, flat))]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28), (12, 20), (16, 8, 3)])
def test_the_convolutional_model_takes_any_sides_that_4_divides(shape):
    """A reader's pictures would not fit, or start far from their mean image."""
    mean_image = np.random.default_rng(0).uniform(0.2, 0.8, shape).astype("float32")
    plain = convolutional_vae(3, mean_image, width=4)
    vae = utils.FlowVAE(plain.encoder, plain.decoder, utils.Flow(3))
    x = utils.binarize(np.stack([mean_image] * 20), seed=0)
    logits, *_, z = vae(x)
    assert logits.shape == (20, *shape)
    assert z.shape == (20, 3)
    assert np.isfinite(utils.log_likelihood(vae, x, 5)).all()
    (logits,) = vae.decoder.predict(np.zeros((1, 3), "float32"), verbose=0)
    np.testing.assert_allclose(logits, utils.logit(mean_image), atol=1e-4)


def test_sides_that_4_does_not_divide_are_refused():
    """Keras would say that it cannot reshape a tensor."""
    with pytest.raises(ValueError, match="4 must divide both, not 30x28"):
        convolutional_vae(3, np.zeros((30, 28), "float32"))


def test_colour_images_are_shown_in_colour():
    """A red disc would be drawn in grey."""
    figure = utils.show_digits(np.full((2, 3, 8, 8, 3), (1.0, 0.0, 0.0)))
    (shown,) = (image.get_array() for image in figure.axes[0].images)
    assert shown.shape == (20, 30, 3)
    assert np.array_equal(shown[5, 5], (1, 0, 0))
