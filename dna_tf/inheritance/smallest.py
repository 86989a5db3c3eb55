"""The smallest student that is still good enough: a bisection over the front of a search.

Whether a network is good enough shows only after its fine-tuning. On the front, where the rating
rises as the cost falls, each trial halves what is left: 4 trials for a front of 15 networks.
"""

import dataclasses

from dna_tf.common import formatting, progress
from dna_tf.inheritance import answers
from dna_tf.models import logits
from dna_tf.space import part_costs


@dataclasses.dataclass(frozen=True)
class Trial:
    """A student of a trial.

    Args:
        cost: its cost.
        drop: points of accuracy that it lies below the teacher; below 0 if it is better.
        student: what the trial returned besides.
    """

    cost: float
    drop: float
    student: object


class NoneGood(ValueError):
    """No student lies within the drop; the message has the nearest one."""


class DropFrom:
    """Measures by how many points a model lies below the teacher on the rating images.

    Nothing is trained on these here, and the test images stay a test.

    Args:
        teacher: a `cutting.Teacher`.
        images: a `labelled_images.Images`.
        has_labels: whether accuracy counts, or else agreement with the teacher.
    """

    def __init__(self, teacher, images, has_labels=True):
        self._whole, self._images = logits.with_logits(teacher.model), images
        self._has_labels = has_labels
        self._teacher = self._right(self._whole)

    def of(self, model):
        """The drop of a `keras.Model` in points; below 0 if it is better than the teacher."""
        return 100 * (self._teacher - self._right(model)) / self._images.counts["rating"]

    def _right(self, model):
        with self._images.reading():
            compared = answers.compare(model, self._whole, self._images)
        return compared.correct if self._has_labels else compared.agreed


def check(most_drop, smallest_in):
    """Checks a drop and a cost, before any training.

    Args:
        most_drop: points that a student may lie below the teacher; `None` is no drop.
        smallest_in: the cost that is to be small.

    Raises:
        ValueError: the drop is not from 0 to 100 points, or there is no such cost.
    """
    if most_drop is not None and not 0 <= most_drop < 100:
        raise ValueError(
            "max_drop is in points of accuracy, such as 1.0 for 98.2 % beside a teacher of 99.2 %. "
            f"Received: {most_drop:g}"
        )
    if smallest_in not in part_costs.SUMMED and not smallest_in.endswith("_ms"):
        raise ValueError(
            f"A student is the smallest in one of {list(part_costs.SUMMED)}, or in a latency such "
            f"as 'latency_ms'. Received: smallest_in={smallest_in!r}"
        )


def find(costs, most_drop, trial, name="macs", closeness=0.05):
    """Tries students until the smallest good one is known to within `closeness`.

    It is the smallest if a larger cost never makes a student worse. As that holds only nearly, a
    smaller one may be missed.

    Args:
        costs: of the networks of a front, without the teacher itself.
        most_drop: points that a student may lie below the teacher.
        trial: `trial(cost)` fine-tunes the best student within this cost and returns a `Trial`.
        name: of the cost, for messages.
        closeness: networks that are smaller by less than this share are not tried apart.

    Returns:
        The smallest good `Trial`.

    Raises:
        NoneGood: no student is good; the message has the nearest one and its cost.
        ValueError: there is nothing to try.
    """
    costs = _spread(costs, closeness)
    if not costs:
        raise ValueError("There is no network between the cheapest one and the teacher.")
    trials, low, high, best = [], 0, len(costs), None
    # All below `low` are too bad, all from `high` on are good, as far as is known.
    while low < high:
        middle = (low + high) // 2
        tried = trial(costs[middle])
        trials.append(tried)
        progress.say(
            f"Within {_text(tried.cost, name)}: {tried.drop:.1f} points below the teacher on the "
            f"rating images; {most_drop:g} are allowed."
        )
        if tried.drop <= most_drop:
            best, high = tried, middle
        else:
            low = middle + 1
    if best is None:
        nearest = min(trials, key=lambda each: each.drop)
        raise NoneGood(
            f"No student lies within {most_drop:g} points of the teacher. The nearest of "
            f"{len(trials)} has {_text(nearest.cost, name)} and lies {nearest.drop:.1f} points "
            "below it. Allow a larger drop, or train longer: the cells (supernet.epochs) or the "
            "student (fine_tune.epochs)."
        )
    return best


def _text(cost, name):
    return f"{formatting.format_count(cost)} {'MACs' if name == 'macs' else name}"


def _spread(costs, closeness):
    """Rising costs, each above the one before by the closeness at least."""
    spread = []
    for cost in sorted(set(costs), reverse=True):
        if not spread or cost <= spread[-1] * (1 - closeness):
            spread.append(cost)
    return spread[::-1]
