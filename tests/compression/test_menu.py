from torch import nn

from sshml.compression import Choice, Plan
from sshml.compression.menu import Menu


def test_operations_are_those_of_the_forms():
    net = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Flatten(), nn.Linear(8 * 36, 12), nn.Linear(12, 10))
    menu, seen = Menu(net, None, ("svd", "mpo", "prune")), set()
    for name, options in menu.options.items():
        path = menu.sites[name].path
        for method, size, flops in zip(options.method, options.size, options.flops, strict=True):
            if method != "dense":
                form = menu.apply(Plan({name: Choice(method, size)})).get_submodule(path)
                assert form.flops == flops, (name, method, size)
                seen.add((path, method))
    assert {("0", "svd"), ("2", "svd"), ("2", "mpo"), ("2", "prune")} <= seen
