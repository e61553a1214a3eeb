"""Paths that were taken to parts are put together as they were."""

from __future__ import annotations

import numpy as np

from auditor.data.image_files import path_in_manifest, path_in_tar, path_of_object
from auditor.data.image_names import ImageNames
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
    assert list(found[2:4]) == paths[2:4]


def test_names_are_held_once_where_paths_end_with_them():
    ids = ImageNames.of(["a/1.jpg", "b/2.jpg", "row-3"])
    inside = path_in_manifest("/data/rooms.parquet", "image", 2)
    found = ImagePaths.of(["/photos/a/1.jpg", "/photos/b/2.jpg", inside], names=ids)
    assert found.names is ids
    assert list(found) == ["/photos/a/1.jpg", "/photos/b/2.jpg", inside]


def test_none_are_none():
    none = ImagePaths.of([], names=[])
    assert list(none) == []
