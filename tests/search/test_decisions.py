"""Architectures as chains of decisions."""

import dataclasses

import numpy as np

from dna_tf.search import decisions
from tests.helpers import search_cases


def _walks(problem, count, seed):
    positions, rng = decisions.Decisions(problem), np.random.default_rng(seed)
    draw = lambda position, _: int(rng.integers(positions.sizes[position]))  # noqa: E731
    return positions, [positions.walk(draw, rng) for _ in range(count)]


def test_walks_reach_all_architectures_and_no_path_that_is_left_out():
    several = 0
    for seed in range(40):
        problem = search_cases.problem(np.random.default_rng(seed), ties=False)
        if problem.num_architectures() > 60:
            continue
        if seed % 2:  # leave out a third of the paths
            rng = np.random.default_rng(seed)
            opened = {
                key: paths[np.sort(rng.permutation(len(paths))[: -(-2 * len(paths) // 3)])]
                for key, paths in problem.open_paths.items()
            }
            problem = dataclasses.replace(problem, open_paths=opened)
        listed = {(one.cells, one.paths) for one in search_cases.all_architectures(problem)}
        _, walks = _walks(problem, 40 * len(listed), seed)
        assert {(walk.cells, walk.path_indices) for walk in walks} == listed
        several += len(listed) > 1
    assert several > 10


def test_the_steps_of_a_walk_lead_to_it_again():
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    positions, walks = _walks(problem, 50, 1)
    for walk in walks:
        options = {position: option for position, _, option in walk.steps}
        again = positions.walk(lambda p, _, options=options: options[p], np.random.default_rng(0))
        assert again == walk
        before = [decisions.START, *(option for _, _, option in walk.steps)]
        assert [step[1] for step in walk.steps] == before[:-1]


def test_a_pick_that_only_leads_to_a_left_out_path_ends():
    problem = search_cases.problem(np.random.default_rng(8), ties=False)
    key = next(key for key, paths in problem.open_paths.items() if len(paths) > 3)
    block, cell = key
    opened = {(b, c): paths for (b, c), paths in problem.open_paths.items() if b != block}
    for c in range(len(problem.space.blocks[block].cells)):
        opened[block, c] = problem.open_paths[key][1:] if c == cell else np.array([], np.int64)
    problem = dataclasses.replace(problem, open_paths=opened)
    positions = decisions.Decisions(problem)
    walk = positions.walk(lambda position, _: 0, np.random.default_rng(0))
    assert walk.path_indices[block] in problem.open_paths[key]
    assert max(option for _, _, option in walk.steps) > 0
