"""A step of a cell against twins: eager autodiff without a choice, and Adam in NumPy."""

import types

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from dna_tf.supernet import cell_models, cell_trainer, packed_ops, row_adam
from dna_tf.training import strategies

SPACE = SearchSpace(
    "tiny",
    (Op(3, 2), Op(5, 1)),
    (Block(2, (Cell(1, 4),)), Block(1, (Cell(2, 4),))),
    Frame(stem_width=4, stem_output_width=3, head_width=8),
)
SHAPES = [(8, 8, 3), (2, 2, 6), (2, 2, 5)]
IMAGES = 6
RATE = 0.01


def _cell(block):
    return cell_models.TrainableCell(SPACE, block, 0, SHAPES[block], SHAPES[block + 1][-1])


def _batch(block, number=0, images=IMAGES):
    rng = np.random.default_rng([block, number])
    x = rng.uniform(0, 255, (images, *SHAPES[0])) if block == 0 else None
    x = rng.normal(0, 1, (images, *SHAPES[block])) if x is None else x
    target = rng.normal(1, 2, (images, *SHAPES[block + 1]))
    return x.astype(np.float32), target.astype(np.float32)


def _trainer(block=1, seed=0, before=(), train_before=False, cell=None, **options):
    step_options = cell_trainer.StepOptions(**options)
    return cell_trainer.CellTrainer(cell or _cell(block), seed, step_options, before, train_before)


def _state(trainer):
    """Weights, both moments and counts of the trained units: four lists of arrays."""
    units = sum(len(cell.rows) for cell in trainer.trained)
    values = [variable.numpy() for variable in trainer.variables]
    assert len(values) == 4 * units + 2
    return [values[start * units : (start + 1) * units] for start in range(4)]


def _bits(trainer):
    """The bits of all variables but the step of the failure, which stands before the last."""
    values = [variable.numpy().tobytes() for variable in trainer.variables]
    return values[:-2] + values[-1:]


def _ops(trainer, number, kind="uniform"):
    """For each unit of the cells that train the op that a step draws, the stem's included."""
    ops = []
    for cell, path in zip(trainer.chain, trainer.draw(number, kind), strict=True):
        if cell in trainer.trained:
            ops += [0] * cell.fixed_units + [int(op) for op in path]
    return ops


def _gradients(trainer, number):
    """The gradient that a fresh trainer saw at its only step, for each drawn row."""
    means = _state(trainer)[1]
    ops = _ops(trainer, number, trainer.options.sampling)
    return [mean[op].astype(np.float64) / 0.1 for mean, op in zip(means, ops, strict=True)]


def _twin(trainer, x, target, number, groups=1):
    """Loss and gradients of the drawn rows, eager, without a choice, group by group."""
    paths = [[int(op) for op in path] for path in trainer.draw(number)]
    watched, losses, gradients = [], [], []
    for cell, path in zip(trainer.chain, paths, strict=True):
        ops = [0] * cell.fixed_units + path
        rows = [tf.constant(rows.numpy()[op]) for rows, op in zip(cell.rows, ops, strict=True)]
        watched.append((cell, ops, rows))
    trained = [row for cell, _, rows in watched if cell in trainer.trained for row in rows]
    for part, part_target in zip(np.split(x, groups), np.split(target, groups), strict=True):
        with tf.GradientTape() as tape:
            tape.watch(trained)
            y = tf.constant(part)
            for cell, ops, rows in watched:
                y = y / 127.5 - 1.0 if cell.rescale else y
                for specs, op, row in zip(cell.units, ops, rows, strict=True):
                    y, _ = packed_ops.run(y, row, specs[op])
            loss = tf.reduce_mean((y - part_target) ** 2)
        losses.append(float(loss))
        gradients.append([gradient.numpy() for gradient in tape.gradient(loss, trained)])
    return np.mean(losses), [np.mean(parts, axis=0) for parts in zip(*gradients, strict=True)]


def _close(arrays, expected, relative=1e-4):
    """Gradients are equal but for rounding, measured by the largest of their row."""
    assert len(arrays) == len(expected)
    for one, other in zip(arrays, expected, strict=True):
        assert np.abs(one - other).max() <= relative * max(np.abs(other).max(), 1e-6)


def _norm(gradients):
    return np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in gradients))


def _is_kernel(spec, size):
    """Where kernels lie in a row, from the names of its weights."""
    marks = np.concatenate(
        [
            np.full(int(np.prod(shape)), name.endswith("_kernel") or name == "conv_kernel")
            for name, shape in spec.weights().items()
        ]
    )
    return np.concatenate([marks, np.zeros(size - len(marks), bool)])


def test_weight_decay_pulls_kernels_and_nothing_else():
    x, target = _batch(0)
    plain, decayed = _trainer(0), _trainer(0, weight_decay=0.5)
    start = [rows.numpy() for rows in plain.cell.rows]
    loss = plain.step(x, target, 3, RATE)
    assert float(decayed.step(x, target, 3, RATE)) == float(loss)  # it is no part of the loss
    ops, (_, twin) = _ops(plain, 3), _twin(_trainer(0), x, target, 3)
    _close(_gradients(plain, 3), twin)
    pairs = zip(_gradients(plain, 3), _gradients(decayed, 3), strict=True)
    for unit, (without, with_decay) in enumerate(pairs):
        row, spec = start[unit][ops[unit]], plain.cell.units[unit][ops[unit]]
        kernels = _is_kernel(spec, len(row))
        assert 0 < kernels.sum() < spec.params <= len(row)
        pull = with_decay - without
        rounding = 1e-6 * max(np.abs(without).max(), 1.0)
        np.testing.assert_allclose(pull[kernels], 0.5 * row[kernels], rtol=0, atol=rounding)
        assert not pull[~kernels].any()  # batch norm, biases, and what the op does not use


def test_the_norm_of_a_paths_gradient_is_clipped():
    x, target = _batch(1)
    _, gradients = _twin(_trainer(1), x, target, 3)
    norm = _norm(gradients)
    assert norm > 0.1
    for limit, factor in ((norm / 4, 0.25), (norm * 1.5, 1.0)):
        clipped = _trainer(1, clip_norm=float(limit))
        clipped.step(x, target, 3, RATE)
        _close(_gradients(clipped, 3), [factor * gradient for gradient in gradients])
        assert _norm(_gradients(clipped, 3)) == pytest.approx(factor * norm, rel=1e-5)


def test_groups_of_images_have_statistics_of_their_own():
    x, target = _batch(0)
    whole, grouped = _trainer(0), _trainer(0, norm_images=2)
    expected, gradients = _twin(grouped, x, target, 3, groups=3)
    assert float(grouped.step(x, target, 3, RATE)) == pytest.approx(expected, rel=1e-5)
    _close(_gradients(grouped, 3), gradients)
    assert float(whole.step(x, target, 3, RATE)) != pytest.approx(expected, rel=1e-3)
    for norm_images in (IMAGES, IMAGES + 1):  # one group
        same = _trainer(0, norm_images=norm_images)
        same.step(x, target, 3, RATE)
        assert _bits(same) == _bits(whole)


def test_groups_that_do_not_divide_a_batch_are_refused():
    with pytest.raises(ValueError, match=r"norm_images=4 does not divide .* 6 images"):
        _trainer(1, norm_images=4).step(*_batch(1), 0, RATE)
    # What is shown of training has the statistics of the whole batch, as rating has.
    x, _ = _batch(1)
    imitated = _trainer(1, norm_images=4).imitate(x, -1)
    np.testing.assert_array_equal(imitated, _trainer(1).imitate(x, -1))


def _graphs(graph):
    """A graph and those of all functions that its ops call."""
    graphs, todo = {}, [("", graph)]
    while todo:
        name, graph = todo.pop()
        graphs[name] = graph
        for op in graph.get_operations():
            for value in op.node_def.attr.values():
                called = [value.func.name] if value.HasField("func") else []
                for inner in called + [function.name for function in value.list.func]:
                    if inner not in graphs:
                        todo.append((inner, graph._get_function(inner).graph))
    return list(graphs.values())


def _traced(trainer, x, target):
    """All ops of a step, and of the functions that it calls."""
    rate, number = tf.constant(RATE), tf.constant(0, tf.int64)
    step = tf.function(trainer.replica_step).get_concrete_function(
        tf.constant(x), tf.constant(target), trainer.draw(0), rate, number
    )
    return [op for graph in _graphs(step.graph) for op in graph.get_operations()]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("mixed_bfloat16", tf.bfloat16), ("mixed_float16", tf.float16)]
)
def test_ops_compute_in_low_precision_and_all_else_stays_float32(precision, dtype):
    x, target = _batch(0)
    full, low = _trainer(0), _trainer(0, precision=precision)
    low.variables[-1].assign([2.0**8, 0.0])  # so small a map has large gradients
    expected = float(full.step(x, target, 3, RATE))
    loss = low.step(x, target, 3, RATE)
    assert loss.dtype == tf.float32
    assert float(loss) == pytest.approx(expected, rel=0.02)
    assert float(loss) != expected
    for variable in low.variables[:-2]:
        assert variable.dtype == tf.float32
    for one, other in zip(_gradients(low, 3), _gradients(full, 3), strict=True):
        cosine = np.sum(one * other) / np.sqrt(np.sum(one**2) * np.sum(other**2))
        assert cosine > 0.99 and 0.9 < _norm([one]) / _norm([other]) < 1.1
    assert low.imitate(x, -1).dtype == tf.float32
    ops = _traced(low, x, target)
    for kind, least in (("Conv2D", 3), ("MatMul", 5), ("Depthwise", 5), ("FusedBatchNorm", 5)):
        of_kind = [op for op in ops if op.type.startswith(kind)]
        assert len(of_kind) >= least
        assert {op.get_attr("T") for op in of_kind} == {dtype}, kind
    norms = [op for op in ops if op.type.startswith("FusedBatchNorm")]
    assert {op.get_attr("U") for op in norms} == {tf.float32}  # its statistics
    assert dtype in {op.get_attr("T") for op in ops if op.type == "Mul"}
    kept = _traced(full, x, target)
    assert not any(output.dtype == dtype for op in kept for output in op.outputs)


def test_float16_doubles_its_scale_and_halves_it_when_a_gradient_overflows(monkeypatch):
    monkeypatch.setattr(cell_trainer, "SCALE_GROWS_AFTER", 3)
    trainer = _trainer(1, precision="mixed_float16")
    scale = trainer.variables[-1]
    np.testing.assert_array_equal(scale, [2.0**15, 0])
    scale.assign([2.0**8, 0])  # so small a map has large gradients
    seen, first = [], None
    for number in range(3):
        trainer.step(*_batch(1, number), number, RATE)
        seen.append(scale.numpy().tolist())
        first = first or _gradients(trainer, 0)
    assert seen == [[2.0**8, 1], [2.0**8, 2], [2.0**9, 0]]
    # The scale itself is no part of what is learned.
    other = _trainer(1, precision="mixed_float16")
    other.variables[-1].assign([2.0**6, 0.0])
    other.step(*_batch(1), 0, RATE)
    _close(_gradients(other, 0), first, 1e-2)
    scale.assign([2.0**100, 2.0])
    before = _state(trainer)
    loss = trainer.step(*_batch(1, 3), 3, RATE)
    assert np.isfinite(loss)
    np.testing.assert_array_equal(scale, [2.0**99, 0])
    for old, new in zip(before, _state(trainer), strict=True):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(old, new, strict=True))
    assert int(trainer.failed_at.numpy()) == -1
    scale.assign([1.0, 0.0])
    trainer.step(*_batch(1, 4), 4, RATE)  # and it goes on
    assert _bits(trainer)[:-1] != [a.tobytes() for kind in before for a in kind]


def _broken_image(x, target):
    x[2, 3, 3, 1] = np.nan
    return x, target


def _broken_target(x, target):
    target[0, 0, 0, 0] = np.nan
    return x, target


def _enormous_target(x, target):
    return x, np.where(target > 0, 1e25, target).astype(np.float32)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_cell_that_diverged_does_not_move_by_a_bit(precision):
    trainer, number = _trainer(0, precision=precision, weight_decay=0.01), 0
    for spoil in (_broken_image, _broken_target, _enormous_target):
        trainer.failed_at.assign(-1)  # as if nothing had happened
        trainer.variables[-1].assign([2.0**8, 0.0])  # so small a map has large gradients
        moved = _bits(trainer)
        trainer.step(*_batch(0, number), number, RATE)
        before = _bits(trainer)
        assert before != moved and int(trainer.failed_at.numpy()) == -1
        failed_at = number + 1
        assert not np.isfinite(trainer.step(*spoil(*_batch(0, failed_at)), failed_at, RATE))
        assert int(trainer.failed_at.numpy()) == failed_at
        assert _bits(trainer) == before
        for number in range(failed_at + 1, failed_at + 3):
            assert np.isfinite(trainer.step(*_batch(0, number), number, RATE))
            trainer.step(*spoil(*_batch(0, number)), number, RATE)
        assert int(trainer.failed_at.numpy()) == failed_at  # the first one
        assert _bits(trainer) == before


def test_a_loss_far_beyond_that_of_a_map_of_zeros_is_a_divergence(monkeypatch):
    x, target = _batch(1)
    loss, _ = _twin(_trainer(1), x, target, 3)
    bound = loss / (np.mean(np.square(target, dtype=np.float64)) + 1.0)
    for factor, failed_at in ((1.001, -1), (0.999, 3)):
        monkeypatch.setattr(cell_trainer, "DIVERGED", bound * factor)
        trainer = _trainer(1)
        before = _bits(trainer)
        trainer.step(x, target, 3, RATE)
        assert int(trainer.failed_at.numpy()) == failed_at
        assert (_bits(trainer) == before) == (failed_at >= 0)


def test_an_enormous_learning_rate_stops_a_cell_before_its_weights_are_no_numbers():
    trainer = _trainer(1)
    for number in range(12):
        trainer.step(*_batch(1, number), number, 1e12)
    assert int(trainer.failed_at.numpy()) >= 0
    assert all(np.isfinite(value).all() for kind in _state(trainer) for value in kind)


def test_fair_sampling_trains_every_op_of_every_layer_equally_often():
    trainer = _trainer(0, sampling="fair")
    ops, stem = len(SPACE.ops), trainer.cell.fixed_units
    for number in range(3 * ops):
        trainer.step(*_batch(0, number), number, RATE)
        counts = _state(trainer)[3]
        assert all(count.tolist() == [number + 1] for count in counts[:stem])
        for count in counts[stem:]:
            assert count.max() - count.min() <= 1 and count.sum() == number + 1
    assert all(count.tolist() == [3] * ops for count in counts[stem:])
    uniform = _trainer(0)
    for number in range(3 * ops):
        uniform.step(*_batch(0, number), number, RATE)
    assert any(count.tolist() != [3] * ops for count in _state(uniform)[3][stem:])


@pytest.mark.parametrize("train_before", [True, False], ids=["S1", "S2"])
def test_chains_from_the_image_on(train_before):
    first, last = _cell(0), _cell(1)
    trainer = _trainer(cell=last, before=[first], train_before=train_before, weight_decay=0.1)
    assert trainer.trained == ([first, last] if train_before else [last])
    x, _ = _batch(0)
    _, target = _batch(1)
    start = {cell.name: [rows.numpy() for rows in cell.rows] for cell in (first, last)}
    expected, twin = _twin(trainer, x, target, 5)
    assert float(trainer.step(x, target, 5, RATE)) == pytest.approx(expected, rel=1e-5)
    ops, (_, means, squares, counts) = _ops(trainer, 5), _state(trainer)
    assert len(ops) == (5 if train_before else 2)
    units = [(cell, unit) for cell in trainer.trained for unit in range(len(cell.rows))]
    for index, (cell, unit) in enumerate(units):
        old, new, drawn = start[cell.name][unit], cell.rows[unit].numpy(), ops[index]
        decay = 0.1 * old[drawn] * _is_kernel(cell.units[unit][drawn], old.shape[1])
        gradient = twin[index] + decay
        _close([means[index][drawn] / 0.1], [gradient])
        _close([squares[index][drawn] / 0.001], [gradient**2], 2e-3)
        assert not np.array_equal(new[drawn], old[drawn])
        for op in set(range(len(old))) - {drawn}:
            assert new[op].tobytes() == old[op].tobytes()
            assert not means[index][op].any() and not squares[index][op].any()
        assert counts[index].tolist() == [float(op == drawn) for op in range(len(old))]
    if not train_before:
        for rows, old in zip(first.rows, start[first.name], strict=True):
            assert rows.numpy().tobytes() == old.tobytes()
    imitated = trainer.imitate(x, -1)
    paths = trainer.draw(-1)
    np.testing.assert_allclose(imitated, last(first(x, paths[0]), paths[1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [0, 1])
def test_many_steps_are_adam_in_numpy(block):
    trainer = _trainer(block)
    for number in range(8):
        x, target = _batch(block, number)
        loss, twin = _twin(trainer, x, target, number)
        before, ops = _state(trainer), _ops(trainer, number)
        assert float(trainer.step(x, target, number, RATE)) == pytest.approx(loss, rel=1e-5)
        after = _state(trainer)
        for unit, (op, gradient) in enumerate(zip(ops, twin, strict=True)):
            row, mean, square, count = (kind[unit][op].astype(np.float64) for kind in before)
            new_row, new_mean, new_square, new_count = (kind[unit][op] for kind in after)
            assert new_count == count + 1
            _close([new_mean], [0.9 * mean + 0.1 * gradient])
            _close([new_square], [0.999 * square + 0.001 * gradient**2], 1e-3)
            # From the moments as they are: where they are rounding alone, too.
            step = new_mean.astype(np.float64) / (1 - 0.9**new_count)
            step /= np.sqrt(new_square.astype(np.float64) / (1 - 0.999**new_count)) + 1e-8
            np.testing.assert_allclose(new_row, row - RATE * step, rtol=1e-5, atol=2e-6)
    assert max(count.max() for count in after[3]) > 1


def test_a_step_scatters_into_no_variable_where_there_is_a_gpu(monkeypatch):
    """On GPUs, a scatter that is deterministic copies the whole variable to the host and back."""
    x, target = _batch(0)
    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
        trainer = _trainer(0, weight_decay=0.1, clip_norm=1.0)
    types_of = [op.type for op in _traced(trainer, x, target)]
    assert not [kind for kind in types_of if "Scatter" in kind]
    # A row of each packed variable, of its moments and of its counts.
    assert types_of.count("ResourceStridedSliceAssign") == 4 * len(trainer.cell.rows)


def test_running_ops_again_in_the_backward_pass_changes_nothing():
    x, target = _batch(0)
    plain, again = _trainer(0), _trainer(0, rematerialize=True)
    expected = float(plain.step(x, target, 3, RATE))
    # TensorFlow fuses swish where its gate is not kept: other rounding.
    assert float(again.step(x, target, 3, RATE)) == pytest.approx(expected, rel=1e-6)
    _close(_gradients(again, 3), _gradients(plain, 3), 1e-5)

    def kept(trainer):
        return sum(op.type == "DepthwiseConv2dNative" for op in _traced(trainer, x, target))

    assert kept(again) > kept(plain)  # the ops stand in the backward pass, too


MAY_HOLD_SPACE = ("FusedBatchNormV3", "PartitionedCall", "Placeholder", "ZerosLike", "Identity")
HOST = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "PrintV2", "Assert", "Where", "Unique")


def _xla(trainer, x, target, number):
    """A whole step as XLA compiles it, choice and Adam included; with its arguments."""
    rate, step = tf.constant(RATE), tf.constant(number, tf.int64)
    paths = trainer.draw(number, trainer.options.sampling)
    arguments = (tf.constant(x), tf.constant(target), paths, rate, step)
    return tf.function(trainer.replica_step, jit_compile=True), arguments


@pytest.mark.parametrize("rematerialize", [True, False])
def test_a_step_compiled_by_xla_is_the_same_step(rematerialize):
    x, target = _batch(1)
    options = {"rematerialize": rematerialize, "weight_decay": 0.01, "clip_norm": 1.0}
    plain = _trainer(1, **options)
    compiled = _trainer(1, **options)
    step, arguments = _xla(compiled, x, target, 3)
    loss = float(plain.step(x, target, 3, RATE))
    assert float(step(*arguments)) == pytest.approx(loss, rel=1e-5)
    _close(_gradients(compiled, 3), _gradients(plain, 3), 1e-3)
    for one, other in zip(_state(compiled)[3], _state(plain)[3], strict=True):
        np.testing.assert_array_equal(one, other)
    before, ops = _state(_trainer(1))[0], _ops(plain, 3)
    for unit, rows in enumerate(_state(compiled)[0]):
        for op in range(2):
            assert (rows[op].tobytes() == before[unit][op].tobytes()) == (op != ops[unit])


@pytest.mark.parametrize(
    "options",
    [{"precision": "mixed_bfloat16", "weight_decay": 0.01}, {"norm_images": 3, "clip_norm": 1.0}],
    ids=["bfloat16", "groups"],
)
def test_a_step_for_a_tpu_has_static_shapes_and_no_host_ops(options):
    x, target = _batch(0)
    trainer = _trainer(0, rematerialize=True, sampling="fair", **options)
    step, arguments = _xla(trainer, x, target, 0)
    text = step.experimental_get_compiler_ir(*arguments)(stage="hlo")
    assert "convolution(" in text and "conditional(" in text
    # The row to write is no constant: one program serves all paths.
    updates = [line for line in text.splitlines() if "ResourceStridedSliceAssign" in line]
    assert updates == [] and "scatter(" in text
    assert "<=" not in text  # a bounded dimension, f32[<=6,2]
    for word in ("custom-call", "infeed", "outfeed", "host"):
        assert f"{word}(" not in text and f"{word}-transfer" not in text
    ops = _traced(trainer, x, target)
    # The layer's choice, forward and backward.
    assert sum(op.type in ("Case", "StatelessCase") for op in ops) == 2
    assert {op.type for op in ops}.isdisjoint(HOST)
    for op in ops:
        for output in op.outputs:
            static = output.shape.is_fully_defined()
            # A space of the kernel's own, without a shape, goes from batch norm to its gradient.
            may_be_unknown = output.shape.rank is None and op.type in MAY_HOLD_SPACE
            assert static or may_be_unknown, (op.name, op.type, output.shape)


def test_a_tpu_can_scatter_into_the_variables():
    """In a TPU's step rows can only be written where a variable has no aggregation."""
    trainer = _trainer(0, weight_decay=0.1)
    assert len(trainer.variables) == 4 * 3 + 2
    for variable in trainer.variables:
        assert variable.aggregation == tf.VariableAggregation.NONE


def test_batches_of_replicas_have_a_static_size():
    class Two:
        num_replicas_in_sync = 2

        @staticmethod
        def distribute_datasets_from_function(make):
            return make(types.SimpleNamespace(input_pipeline_id=0, num_input_pipelines=1))

    def dataset_of(shard):
        return tf.data.Dataset.range(24).batch(6, drop_remainder=True)

    batches = strategies.distribute(Two, dataset_of, 6)
    assert batches.element_spec.shape == (3,)
    assert [batch.numpy().tolist() for batch in batches][:3] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert row_adam.EPSILON == 1e-8  # what the twin above takes
