import h5py
import numpy as np
import pytest

from sshml.dataset import DatasetSpec, Layout, generate, open_dataset
from sshml.dataset.shards import Shard, batches, is_complete, is_own, make_shard, shards, sources

SPEC = DatasetSpec(cells=3, disorder_v=0.5, train=40, valid=7, test=11, seed=5)
LAYOUT = Layout(SPEC)


@pytest.mark.parametrize("size", [1, 7, 9, 40, 1000])
def test_shards_tile_the_splits(size):
    found = shards(LAYOUT, size)
    assert sum(shard.count for shard in found) == 58
    for split, total in (("train", 40), ("valid", 7), ("test", 11)):
        numbers = [i for s in found if s.split == split for i in range(s.first, s.first + s.count)]
        assert numbers == list(range(total))
    assert len({shard.name for shard in found}) == len(found)
    others = shards(LAYOUT, size + 1) + shards(Layout(SPEC, recipe=True), size)
    assert not {shard.name for shard in found} & {shard.name for shard in others}  # sets can lie side by side
    assert sorted(s.name for s in found if s.split == "train") == [s.name for s in found if s.split == "train"]


def test_batches_follow_one_another():
    spec = DatasetSpec(cells=64, train=300, valid=1, test=1, disorder_v=0.1)
    parts = list(batches(Layout(spec), Shard("train", 3, 290)))
    assert len(parts) > 1
    whole = np.concatenate([part["v"] for part in parts])
    expected = np.concatenate([part["v"] for part in batches(Layout(spec), Shard("train", 0, 300))])
    np.testing.assert_array_equal(whole, expected[3:293])


def test_a_shard_is_known_by_what_it_holds(tmp_path):
    shard = Shard("train", 9, 5)
    path = tmp_path / shard.name
    assert not is_complete(path, LAYOUT, shard)
    assert make_shard(LAYOUT, tmp_path, shard) == 5
    assert is_complete(path, LAYOUT, shard)
    assert not is_complete(path, Layout(SPEC, recipe=True), shard)
    assert not is_complete(path, LAYOUT, Shard("train", 9, 6))
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_complete(path, LAYOUT, shard)
    make_shard(LAYOUT, tmp_path, shard)
    assert is_complete(path, LAYOUT, shard)


def test_the_virtual_file_is_readable_with_h5py_alone(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["train/states"].is_virtual
        assert file["train/states"].shape == (40, 6, 6)
        np.testing.assert_array_equal(file["train/v"][()], open_dataset(tmp_path / "a.h5").train.read("v"))
        assert file["train/states"].fillvalue != file["train/states"].fillvalue  # NaN where a shard is lost
        assert [shard.count for _, shard in sources(file)] == [9, 9, 9, 9, 4, 7, 9, 2]
    first = open_dataset(tmp_path / "a.h5").files[1]
    assert first.parent == tmp_path / "a.shards"
    assert first.name.startswith("train-000000000000-")
    assert is_own(first)
    first.rename(tmp_path / "notes.h5")
    assert not is_own(tmp_path / "notes.h5")
    first.symlink_to(tmp_path / "notes.h5")
    assert not is_own(first)


def test_a_moved_dataset_stays_whole(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    expected = open_dataset(tmp_path / "a.h5").test.read("states")
    (tmp_path / "elsewhere").mkdir()
    for name in ("a.h5", "a.shards"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    np.testing.assert_array_equal(open_dataset(tmp_path / "elsewhere" / "a.h5").test.read("states"), expected)
