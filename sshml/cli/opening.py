"""Runs and datasets that commands open."""

from sshml.errors import SSHMLError


def load(path):
    """Return the run of a file, its compressed layers too."""
    from sshml.classifier import load_run
    from sshml.compression import LAYERS

    return load_run(path, layers=LAYERS)


def dataset_for(run, path):
    """Open a dataset after checking that its chains have the size the run was trained on."""
    from sshml.dataset import open_dataset, spec_from_json

    dataset = open_dataset(path)
    spec = spec_from_json(run.data) if run.data else dataset.spec
    if spec.sites != dataset.spec.sites:
        raise SSHMLError(f"{path} has chains of {dataset.spec.sites} sites; the run was trained on {spec.sites} sites.")
    if spec.windings != dataset.spec.windings:
        raise SSHMLError(
            f"{path} has the winding numbers {dataset.spec.windings}; the run was trained on {spec.windings}."
        )
    return dataset
