"""Paths that were taken to parts are put together as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auditor.data.image_files import path_in_manifest, path_in_tar, path_of_object
from auditor.data.image_paths import ImagePaths
from auditor.remote.cache import RemoteObject


def test_every_kind_of_path_is_given_back():
    there = RemoteObject("https://rooms.example/b/7.jpg", "tag abc", 1234)
    names = ["a/1.jpg", "1.jpg", "row-3", "x.png", "b/7.jpg", "2", ""]
    paths = [
        "/photos/a/1.jpg",
        "/photos/elsewhere/9.jpg",
        path_in_manifest("/data/rooms.parquet", "image", 2),
        path_in_tar("/data/rooms-0.tar", 512, 9000),
        path_of_object(there),
        path_in_manifest(path_of_object(there), "image", 12),
        "/photos/no name",
    ]
    found = ImagePaths.of(paths, names=names)
    assert list(found) == paths
    assert [found[i] for i in range(len(paths))] == paths
    assert list(found.take(np.array([5, 0]))) == [paths[5], paths[0]]
    frame = pd.DataFrame(found.columns())
    assert list(ImagePaths.of_frame(frame)) == paths
    assert list(ImagePaths.of_frame(frame.iloc[2:4].reset_index(drop=True))) == paths[2:4]
    # The name is that of the id, not another text that is equal.
    assert found.names[0] is names[0]


def test_none_are_none():
    none = ImagePaths.of([], names=[])
    assert list(none) == []
    assert list(ImagePaths.of_frame(pd.DataFrame(none.columns()))) == []
