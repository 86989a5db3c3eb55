"""The report's section on the Pareto front: its entries, their choices, published networks."""

from dna_tf.common import formatting
from dna_tf.report import choice_plot, diagram, figures, markup, run_data
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import rating_cell
from dna_tf.space import cost_limits, zoo


def section(run, page_figures):
    """The section, as HTML.

    Args:
        run: a `run_data.Run`.
        page_figures: the `markup.Figures` of the page.
    """
    parts = [markup.notes(run, "architectures")]
    entries = run.front["entries"] if run.front is not None else []
    networks = [
        {
            "name": name,
            "role": {"search": "searched", "control": "control"}.get(
                architecture.origin.get("by"), "other"
            ),
            "rating": architecture.rating,
            "costs": architecture.costs(),
            "blocks": architecture.describe(),
        }
        for name in run_data.ordered_names(run)
        if (architecture := run.architectures.get(name)) is not None
        and architecture.rating is not None
    ]
    networks += published_networks(run)
    if not entries and not networks:
        return "".join(parts)
    if entries:
        weighted = set(run.front.get("weights", ())) - {1.0}
        rating, note = "rating", ""
        if weighted:
            weights = ", ".join(f"{weight:g}" for weight in run.front["weights"])
            rating = "weighted rating"
            note = f" The weights of the blocks are {weights}; the figure shows unweighted ratings."
        parts.append(
            paragraph(
                f"Of {formatting.large_count(run.front['num_architectures'])} architectures these "
                f"{len(entries):,} are the best: no other one is better in both {rating} and "
                f"cost. The search is exact.{note} Choose a point to see its blocks."
            )
        )
    if any(network["role"] == "published" for network in networks):
        parts.append(
            paragraph(
                "Published networks of this space are drawn with their MACs and the sum of the "
                "ratings that their paths have in this run. They were not trained or measured "
                "here; their accuracies on ImageNet are the published ones.",
                "soft",
            )
        )
    all_limits = [run.architectures[n].origin.get("limits") or {} for n in run.searched()]
    budgets = [limits["max_macs"] for limits in all_limits if "max_macs" in limits]
    parts.append(page_figures.add("front", figures.pareto_front(entries, networks, budgets)))
    buttons = [
        f'<button type="button" aria-pressed="false" data-network="{len(entries) + index}">'
        f"{markup.text(network['name'])}</button>"
        for index, network in enumerate(networks)
    ]
    names = [network["name"] for network in networks]
    first = len(entries) + names.index(run.chosen()) if run.chosen() in names else 0
    data = {
        "first": first,
        "sizes": _block_sizes(run),
        "networks": [_panel_entry(entry, i) for i, entry in enumerate([*entries, *networks])],
    }
    parts.append(f'<div class="chips">{"".join(buttons)}</div>')
    parts.append('<div class="panel" id="architecture" aria-live="polite"></div>')
    parts.append(markup.data_script("networks", markup.json_for_script(data)))
    parts += [_choices_html(entries), _other_fronts(run)]
    return "".join(parts)


def published_networks(run):
    """The published networks that the ratings of a run can rate, for the figure of the front.

    These are the networks of `zoo` for 224x224 images whose stem, head, cells and ops are all in
    the run's space, if the run has images of that size.

    Returns:
        A list of dicts as `figures.pareto_front` takes them.
    """
    task = run_data.task(run)
    if not run.ratings or task is None or (task.image_size, task.channels) != (224, 3):
        return []
    networks = []
    for name in zoo.NAMES:
        architecture = zoo.get_architecture(name).adapted(num_classes=task.num_classes)
        rating = _rating_in_run(run, architecture)
        if rating is not None:
            top1 = zoo.PUBLISHED_TOP1_PERCENT[name]
            networks.append(
                {
                    "name": f"{name}, published",
                    "role": "published",
                    "note": f"top-1 {top1} % on ImageNet, published, not measured here",
                    "rating": rating,
                    "costs": architecture.costs(),
                    "blocks": architecture.describe(),
                }
            )
    return networks


def _rating_in_run(run, architecture):
    """The sum of the ratings of an architecture's paths; `None` if it is not in the space."""
    space, total = run.space, 0.0
    if architecture.frame != space.frame or len(architecture.blocks) != len(space.blocks):
        return None
    for b, (block, choice) in enumerate(zip(space.blocks, architecture.blocks, strict=True)):
        cells = [(cell.layers, cell.width) for cell in block.cells]
        cell = (len(choice.ops), choice.width)
        has_ops = set(choice.ops) <= set(space.ops)
        if block.stride != choice.stride or cell not in cells or not has_ops:
            return None
        c = cells.index(cell)
        path = [space.ops.index(op) for op in choice.ops]
        total += float(run.ratings[b, c][space.path_index(b, c, path)])
    return total


def _choices_html(entries):
    plot = choice_plot.svg(entries)
    if not plot:
        return ""
    text = (
        "The budget grows from left to right. Below each budget stand the cell and the op of every "
        "layer of the best architecture. k5e6 is a kernel of 5 and an expansion of 6; a light "
        "colour is a small expansion. Where a row is empty, the chosen cell has fewer layers. "
        "Point at a field for its range of budgets."
    )
    return (
        "<h3>What wins as the budget grows</h3>"
        + paragraph(text)
        + f'<div class="scroll">{plot}</div>'
    )


def _other_fronts(run):
    if not run.fronts:
        return ""
    rows = []
    for name, front in run.fronts.items():
        entries = front["entries"]
        limits = cost_limits.Limits(front.get("limits")).text()
        share = front.get("rounding") or 0
        accuracy = f"costs rounded, by less than {100 * share:.3g} %" if share else "exact"
        ends = (entries[0]["rating"], entries[-1]["rating"]) if entries else (None, None)
        rows.append([name, f"{len(entries):,}", *map(rating_cell, ends), limits, accuracy])
    heads = ["front over", "entries", "best rating", "worst rating", "limits", "accuracy"]
    return "<h3>Other fronts of the run</h3>" + markup.table(heads, rows)


def _panel_entry(entry, index):
    costs = entry["costs"]
    facts = [f"rating {entry['rating']:.4f}", f"{formatting.format_count(costs['macs'])} MACs"]
    if "params" in costs:
        facts.append(f"{formatting.format_count(costs['params'])} parameters")
    if "note" in entry:
        facts.append(entry["note"])
    blocks = [block.partition(": ") for block in entry["blocks"].split(" | ")]
    return {
        "title": entry.get("name", f"entry {index + 1} of the front"),
        "facts": " · ".join(facts),
        "macs": costs["macs"],
        "rating": entry["rating"],
        "blocks": [[width, ops.split()] for width, _, ops in blocks],
    }


def _block_sizes(run):
    """Height and width of each block's output in the chosen student, or `None`."""
    if run.chosen() is None:
        return None
    return [row.size for row in diagram.block_rows(run.architectures[run.chosen()])[1:-1]]
