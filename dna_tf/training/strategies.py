"""Strategies of training: one device, several, several machines, or a TPU."""

import os

import tensorflow as tf

from dna_tf.common import checks
from dna_tf.training import workers

NAMES = ("auto", "cpu", "mirrored", "multi_worker", "tpu")


def make(name, tpu=""):
    """Makes the strategy of a run; call it before any other work of TensorFlow.

    Args:
        name: one of `NAMES`. `auto` takes a TPU if one is named, all GPUs if there are
            several, the one GPU, or the CPU. `mirrored` copies the model to all GPUs of
            this machine (or all logical CPUs). `multi_worker` reads the environment
            variable TF_CONFIG, which lists the workers.
        tpu: name or address of the TPU; "" or "local" for the one of this machine.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: the name is unknown, or its devices or settings are missing.
    """
    if name not in NAMES:
        raise ValueError(
            f"There is no strategy {name!r}.{checks.near_names(name, NAMES)} "
            f"Known strategies: {list(NAMES)}."
        )
    if name == "tpu" or name == "auto" and tpu:
        return _tpu(tpu)
    if name == "multi_worker":
        return _multi_worker()  # before devices are listed: it configures them
    if name == "cpu":
        return _cpu()
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one"
    if name == "mirrored":
        cpus = tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in gpus or cpus])
    return tf.distribute.get_strategy()


def _cpu():
    if tf.config.list_physical_devices("GPU"):
        try:
            # Work outside of a strategy, such as evaluation, must not use them either.
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:  # TensorFlow has begun to use them
            return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.get_strategy()


def _tpu(name):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(tpu=name)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"No TPU can be reached as {name!r}: {str(error).splitlines()[0]} Check its name "
            "or address, or run on a machine with a TPU."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _multi_worker():
    addresses, index = workers.read(os.environ.get("TF_CONFIG"))
    try:
        with workers.waiting(addresses, index):
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        raise ValueError(
            f"Worker {index} cannot join the workers {', '.join(addresses)}: "
            f"{(str(error).strip().splitlines() or [repr(error)])[0]} Check the addresses in "
            "TF_CONFIG, that each process has an index of its own, and that its port is free."
        ) from error


def is_chief(strategy):
    """Whether this process writes the files of the run."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_id == 0


def local_devices(strategy):
    """The names of this machine's devices on which a strategy runs, for work besides training.

    Returns:
        A tuple; empty if it is one device, or if only compiled steps run on them (TPUs).
    """
    is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if strategy.num_replicas_in_sync == 1 or is_tpu:
        return ()
    devices = tuple(strategy.extended.worker_devices)
    return devices if len(devices) > 1 else ()


def check_batch(strategy, field, batch_size):
    """Checks that a global batch divides among the replicas.

    Raises:
        ValueError: it does not; the message has both numbers and near sizes that do.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        below = batch_size // replicas * replicas
        near = [size for size in (below, below + replicas) if size]
        raise ValueError(
            f"{field}={batch_size} does not divide among {replicas} replicas. Near ones that do: "
            f"{' or '.join(map(str, near))}."
        )


def distribute(strategy, dataset_of, batch_size):
    """Splits global batches among the replicas, in order.

    Args:
        strategy: a `tf.distribute.Strategy`.
        dataset_of: `dataset_of(shard)` with `shard = (index, count)` returns the
            `tf.data.Dataset` of one of several workers, with its part of each batch.
        batch_size: images of a global batch.

    Returns:
        An iterable of batches for `strategy.run`; joined in the order of the replicas they
        are the batches of a single device.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return dataset_of((0, 1))

    def of_worker(context):
        dataset = dataset_of((context.input_pipeline_id, context.num_input_pipelines))
        return dataset.rebatch(batch_size // replicas).prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_worker)


def wait_for_all(strategy):
    """Waits until every process of the strategy has called this."""
    resolver = strategy.cluster_resolver
    if resolver is not None and resolver.task_type:

        def meet():
            return tf.distribute.get_replica_context().all_reduce("sum", tf.constant(1.0))

        met = tf.function(lambda: strategy.run(meet))()
        float(strategy.experimental_local_results(met)[0])
