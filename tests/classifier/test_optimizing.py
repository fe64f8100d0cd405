import pytest
import torch
from torch import nn

from sshml.classifier import MLP, TrainingSpec, stack
from sshml.classifier.optimizing import Average, Steps


def stacked(members=2):
    torch.manual_seed(0)
    return stack([MLP((6, 5, 3)) for _ in range(members)])


def test_moments_are_those_of_each_parameter_in_its_shape():
    model = stacked()
    steps = Steps(model, TrainingSpec(optimizer="sgd", momentum=0.9), 4)
    assert all(found == {} for found in steps.moments().values())
    model(torch.rand(2, 4, 6)).square().sum().backward()
    steps.step()
    for name, found in steps.moments().items():
        parameter = dict(model.named_parameters())[name]
        torch.testing.assert_close(found["momentum_buffer"], parameter.grad)
    found = steps.moments()["1.weight"]["momentum_buffer"]
    found.zero_()  # a view: what is written counts
    assert steps.moments()["1.weight"]["momentum_buffer"].abs().max() == 0


def test_each_member_is_clipped_alone():
    model = stacked()
    steps = Steps(model, TrainingSpec(optimizer="sgd", learning_rate=1.0, clip=0.1), 1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    weight = torch.tensor([1e-4, 100.0])[:, None, None]
    (model(torch.rand(2, 4, 6)) * weight).sum().backward()
    steps.step()
    moved = [
        torch.cat([(before[name] - p.detach())[m].flatten() for name, p in model.named_parameters()]).norm().item()
        for m in range(2)
    ]
    assert moved[0] < 0.01
    assert moved[1] == pytest.approx(0.1, rel=1e-4)


def test_the_rate_follows_the_schedule():
    model = stacked()
    training = TrainingSpec(optimizer="sgd", epochs=2, learning_rate=0.4, schedule="cosine")
    steps = Steps(model, training, 2)
    rates = []
    for _ in range(4):
        model(torch.rand(2, 4, 6)).sum().backward()
        steps.step()
        rates.append(steps.param_groups[0]["lr"])
    assert rates == pytest.approx([training.rate(t) for t in (0, 0.5, 1, 1.5)])


def test_an_average_is_shown_for_a_while_only():
    model = nn.Sequential(*stacked().children())
    average = Average(model, 0.5)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    average.step(1)  # the first decay is 1 / 10
    with average.shown():
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.detach(), start[name] + 0.9)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), start[name] + 1)


@pytest.mark.parametrize("frozen_later", [False, True])
def test_adam_at_once_is_the_optimizers_own_step(frozen_later):
    """The function alone gives the bytes of `Adam.step`, which is called where a gradient is missing."""
    training = TrainingSpec(learning_rate=0.01, weight_decay=0.1, schedule="cosine", epochs=3)
    models = [stacked(), stacked()]
    one, other = (Steps(model, training, 2) for model in models)
    other._is_adam = False
    for number in range(5):
        torch.manual_seed(number)
        x = torch.rand(2, 4, 6)
        for steps, model in ((one, models[0]), (other, models[1])):
            steps.zero()
            model(x).square().sum().backward()
            if frozen_later and number == 3:
                model[1].bias.grad = None
            steps.step()
    assert one._state is not None
    for mine, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(mine, theirs)
