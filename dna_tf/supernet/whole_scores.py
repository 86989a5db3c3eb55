"""Scores of whole networks that were rated already, in memory and in a file.

A search draws from its seed alone and asks for scores. So a killed search that is started again
gets the scores of before from the file, goes the same way, and ends with the same result.
"""

import math
import time

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.supernet import whole_network, whole_rater

_HINT = "Delete it and search again."


class WholeScores:
    """The scores of paths; each path is rated once.

    Args:
        space: the `spaces.SearchSpace`.
        rater: function from a path to its `whole_rater.Score`.
        made_from: fingerprint of all that scores depend on.
        path: the file; `None` keeps none.
        seconds: time between two savings: a killed search loses as much.

    Attributes:
        rated: how many paths were rated by this object, without those of the file.

    Raises:
        ValueError: the file is damaged. One that was made from something else is replaced.
    """

    def __init__(self, space, rater, made_from, path=None, seconds=math.inf):
        self._space, self._rater, self._made_from = space, rater, made_from
        self._path, self._seconds = path, seconds
        self._scores, self.rated = {}, 0
        self._saved_at, self._is_saved = time.monotonic(), True
        if path is not None and path.exists():
            self._read()

    def __len__(self):
        return len(self._scores)

    def score(self, path_indices):
        """The `whole_rater.Score` of a network.

        Args:
            path_indices: for each block an index into `SearchSpace.paths`.
        """
        path = whole_network.path_of(self._space, path_indices)
        if path not in self._scores:
            self._scores[path] = self._rater(path)
            self.rated += 1
            self._is_saved = False
            if time.monotonic() - self._saved_at > self._seconds:
                self.save()
        return self._scores[path]

    def objective(self, cells, path_indices):
        """What searches minimise: errors first, then cross-entropy; see `Score.value`.

        Args:
            cells: for each block its cell, which is 0.
            path_indices: as of `score`.
        """
        return self.score(path_indices).value

    def networks(self):
        """All scored networks: a list of `(path_indices, score)`."""
        return [(whole_network.indices_of(self._space, p), s) for p, s in self._scores.items()]

    def save(self):
        """Writes the file, if there are new scores."""
        if self._path is None or self._is_saved:
            return
        scores = {
            ",".join(map(str, path)): [score.correct, score.cross_entropy]
            for path, score in sorted(self._scores.items())
        }
        images = next(iter(self._scores.values())).images
        content = {"made_from": self._made_from, "images": images, "scores": scores}
        files.write_json(self._path, {"kind": workdirs.WHOLE_SCORES_KIND, **content})
        self._saved_at, self._is_saved = time.monotonic(), True

    def _read(self):
        content = files.read_json(self._path, workdirs.WHOLE_SCORES_KIND, _HINT)
        if content["made_from"] != self._made_from:
            return  # of another training or other images
        images = content["images"]
        for text, (correct, cross_entropy) in content["scores"].items():
            try:
                path = tuple(map(int, text.split(",")))
                whole_network.indices_of(self._space, path)
                if correct != int(correct) or correct > images:
                    raise ValueError(f"{correct} of {images} images are right.")
            except ValueError as error:
                raise ValueError(
                    f"The score of {text!r} in {self._path} cannot be used. {error} {_HINT}"
                ) from error
            self._scores[path] = whole_rater.Score(int(correct), images, cross_entropy)
