import json

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import VGG, DenseNet, ResNet, TrainingSpec, fit, load_run, save_run
from sshml.classifier.deep import Standardize
from sshml.dataset import ImageSplit
from sshml.errors import SSHMLError

IMAGENET_HEAD = (25088 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("configuration", "millions"), [("C", 134), ("D", 138), ("E", 144)])
def test_vgg_has_the_convolutions_of_simonyan_and_zisserman(configuration, millions):
    """Table 2 counts them with the head for ImageNet and biases, which batch normalisation makes idle here."""
    with torch.device("meta"):
        convolutions = [m for m in VGG(configuration) if isinstance(m, nn.Conv2d)]
    numbers = sum(m.weight.numel() + m.out_channels for m in convolutions)
    assert round((numbers + IMAGENET_HEAD) / 1e6) == millions
    assert len(convolutions) == {"C": 13, "D": 13, "E": 16}[configuration]


@pytest.mark.parametrize(("depth", "k", "millions"), [(26, 10, 36.5), (38, 4, 8.9), (14, 8, 11.0)])
def test_resnet_has_the_numbers_of_zagoruyko_and_komodakis(depth, k, millions):
    """WRN-28-10, WRN-40-4 and WRN-16-8, whose depths count the two projections too."""
    with torch.device("meta"):
        assert n_parameters(ResNet(depth, k)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(("depth", "growth", "millions"), [(40, 12, 1.0), (100, 12, 7.0), (100, 24, 27.2)])
def test_densenet_has_the_numbers_of_huang(depth, growth, millions):
    with torch.device("meta"):
        assert n_parameters(DenseNet(depth, growth)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "network",
    [
        lambda channels: VGG("C", channels, 7),
        lambda channels: VGG("E", channels, 7, flat=True),
        lambda channels: ResNet(8, 2, channels, 7),
        lambda channels: DenseNet(7, 4, channels, 7),
    ],
    ids=["VGG", "flat", "ResNet", "DenseNet"],
)
def test_images_of_32_pixels_become_logits(network, channels):
    torch.manual_seed(0)
    model = network(channels).eval()
    x = torch.rand(2, channels, 32, 32)
    assert model(x).shape == (2, 7)
    torch.testing.assert_close(model(3 * x + 1), model(x), atol=1e-4, rtol=1e-4)  # every image is standardised


def test_flat_vgg_has_linear_layers_where_the_source_has_mpos():
    for configuration, place in (("C", 0), ("E", 2)):
        with torch.device("meta"):
            dense, flat = VGG(configuration), VGG(configuration, flat=True)
        sizes = [(m.out_features, m.in_features) for m in flat if isinstance(m, nn.Linear)]
        assert sizes == [(2048, 2048)] * 2 + [(4096, 512), (4096, 4096), (10, 4096)]
        convolutions = [[tuple(m.weight.shape) for m in net if isinstance(m, nn.Conv2d)] for net in (dense, flat)]
        last = len(convolutions[0]) - {"C": 3, "E": 4}[configuration] + place
        assert convolutions[0][last : last + 2] == [(512, 512, 3, 3)] * 2
        assert convolutions[1] == convolutions[0][:last] + convolutions[0][last + 2 :]


def test_an_even_image_becomes_zero():
    x = torch.stack([torch.full((1, 4, 4), 0.7), torch.arange(16.0).view(1, 4, 4)])
    found = Standardize()(x)
    assert found[0].abs().max() < 1e-6
    assert found[1].mean().abs() < 1e-6
    assert found[1].std(correction=0) == pytest.approx(1)


def test_blocks_shortcut_what_they_can():
    """Without its convolutions a block passes the image on as it is; only where the shape changes there are others."""
    model = ResNet(14, 1)
    blocks = [m for m in model if hasattr(m, "shortcut")]
    assert [block.shortcut is None for block in blocks] == [True, True, False, True, False, True]
    x = torch.randn(2, 16, 8, 8)
    nn.init.zeros_(blocks[0].second[2].weight)
    torch.testing.assert_close(blocks[0](x), x)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: VGG("B"), "configuration"),
        (lambda: VGG(channels=0), "channels"),
        (lambda: VGG(flat=2), "flat"),
        (lambda: ResNet(21), "6 n"),
        (lambda: ResNet(2), "depth"),
        (lambda: ResNet(20, 0), "k"),
        (lambda: DenseNet(41), "3 n"),
        (lambda: DenseNet(40, growth=0), "growth"),
        (lambda: DenseNet(classes=0), "classes"),
    ],
)
def test_networks_that_do_not_exist(make, word):
    with pytest.raises(SSHMLError, match=word), torch.device("meta"):
        make()


def test_they_are_trained_saved_and_read(rng, tmp_path):
    pixels = rng.integers(0, 255, (12, 1, 32, 32), dtype="uint8")
    split = ImageSplit(pixels, rng.integers(0, 3, 12))
    run = fit(lambda: ResNet(8, 1, 1, 3), split, split, TrainingSpec(epochs=1, batch_size=6), seeds=2, device="cpu")
    save_run(run, tmp_path / "run.h5")
    again = load_run(tmp_path / "run.h5")
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(again.model(1)(x), run.model(1)(x))


def test_numbers_of_numpy_are_kept_as_plain_ones():
    """What a network was made from goes into files as JSON."""
    kept = VGG("D", channels=np.int64(1), classes=np.int32(4)).arguments
    assert json.loads(json.dumps(kept)) == {"configuration": "D", "channels": 1, "classes": 4, "flat": False}
