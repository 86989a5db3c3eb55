"""The weights of the best epoch so far, kept beside the checkpoints of a training."""

from dna_tf import array_files, files


class BestWeights:
    """Keeps weights in `checkpoints/best.npz` of a training's folder.

    Of equal epochs the first one stays, so that a run that was killed, and offers some
    epochs again, ends with what it would have had.

    Args:
        folder: the folder of the training.
        model: the Keras model whose weights are kept.
    """

    def __init__(self, folder, model):
        self._path = files.as_path(folder) / "checkpoints" / "best.npz"
        self._model = model

    def offer(self, epoch, accuracy):
        """Keeps the model's present weights if they are better than those kept.

        Args:
            epoch: epochs done.
            accuracy: on images that neither train nor test.
        """
        known = self._read()
        if known is not None and float(known["accuracy"]) >= accuracy:
            return
        weights = {f"weight_{n}": w.numpy() for n, w in enumerate(self._model.weights)}
        array_files.write(self._path, {"epoch": epoch, "accuracy": accuracy, **weights})

    def load(self):
        """Gives the model the kept weights.

        Returns:
            `(epoch, accuracy)` of them, or `None` if none were kept.
        """
        known = self._read()
        if known is None:
            return None
        for number, weight in enumerate(self._model.weights):
            weight.assign(known[f"weight_{number}"])
        return int(known["epoch"]), float(known["accuracy"])

    def _read(self):
        if not self._path.exists():
            return None
        return array_files.read(self._path, "Delete its folder to train from the start.")
