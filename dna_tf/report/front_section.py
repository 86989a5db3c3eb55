"""The report's section on the front: what is optimal, what wins, and published networks."""

from dna_tf.common import formatting
from dna_tf.report import choice_plot, diagram, figures, html, run_data
from dna_tf.report.html import paragraph
from dna_tf.space import cost_limits, zoo


def section(run, drawn):
    """The section on the front, as HTML.

    Args:
        run: a `run_data.Run`.
        drawn: the `html.Figures` that collects figures.
    """
    parts = [html.notes(run, "architectures")]
    entries = run.front["entries"] if run.front is not None else []
    networks = [
        {
            "name": name,
            "role": {"search": "searched", "control": "control"}.get(one.origin.get("by"), "other"),
            "rating": one.rating,
            "costs": one.costs(),
            "blocks": one.describe(),
        }
        for name in run_data.ordered_names(run)
        if (one := run.architectures.get(name)) is not None and one.rating is not None
    ]
    networks += published(run)
    if not entries and not networks:
        return "".join(parts)
    if entries:
        weighted = set(run.front.get("weights", ())) - {1.0}
        rating, note = "rating", ""
        if weighted:
            shown = ", ".join(f"{weight:g}" for weight in run.front["weights"])
            rating = "weighted rating"
            note = f" The blocks' ratings were weighted {shown}; drawn are those without weights."
        parts.append(
            paragraph(
                f"Of {formatting.large_count(run.front['num_architectures'])} architectures these "
                f"{len(entries):,} are beaten by none in both {rating} and cost. The search is "
                f"exact.{note} Choose a point to see its blocks."
            )
        )
    if any(network["role"] == "published" for network in networks):
        parts.append(
            paragraph(
                "Published networks of this space are drawn at the ratings that their paths have "
                "here and at their MACs. Nothing about them was trained or measured here; their "
                "accuracies are published ones, on ImageNet.",
                "soft",
            )
        )
    limited = [run.architectures[n].origin.get("limits") or {} for n in run.searched()]
    budgets = [asked["max_macs"] for asked in limited if "max_macs" in asked]
    parts.append(drawn.add("front", figures.pareto_front(entries, networks, budgets)))
    buttons = [
        f'<button type="button" aria-pressed="false" data-network="{len(entries) + index}">'
        f"{html.text(network['name'])}</button>"
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
    parts.append(html.data_script("networks", html.json_for_script(data)))
    parts += [_choices(entries), _other_fronts(run)]
    return "".join(parts)


def published(run):
    """Published networks that the ratings of a run can rate, as points of the front's figure.

    Those are the networks of `zoo` for images of the run's size whose cells and ops are all
    in the run's space, with the same stem and head.
    """
    task = run_data.task(run)
    if not run.ratings or task is None or (task.image_size, task.channels) != (224, 3):
        return []
    made = []
    for name in zoo.NAMES:
        one = zoo.get_architecture(name).adapted(num_classes=task.num_classes)
        rating = _rated(run, one)
        if rating is not None:
            top1 = zoo.PUBLISHED_TOP1_PERCENT[name]
            made.append(
                {
                    "name": f"{name}, published",
                    "role": "published",
                    "note": f"top-1 {top1} % on ImageNet, published, not measured here",
                    "rating": rating,
                    "costs": one.costs(),
                    "blocks": one.describe(),
                }
            )
    return made


def _rated(run, one):
    """The sum of the ratings of a network's paths, or `None` if the space has not all."""
    space, total = run.space, 0.0
    if one.frame != space.frame or len(one.blocks) != len(space.blocks):
        return None
    for b, (block, choice) in enumerate(zip(space.blocks, one.blocks, strict=True)):
        cells = [(cell.layers, cell.width) for cell in block.cells]
        wanted = (len(choice.ops), choice.width)
        known = set(choice.ops) <= set(space.ops)
        if block.stride != choice.stride or wanted not in cells or not known:
            return None
        c = cells.index(wanted)
        path = [space.ops.index(op) for op in choice.ops]
        total += float(run.ratings[b, c][space.path_index(b, c, path)])
    return total


def _choices(entries):
    drawn = choice_plot.svg(entries)
    if not drawn:
        return ""
    text = (
        "From left to right the budget grows: what the best architecture under each has, layer by "
        "layer. k5e6 is a kernel of 5 and an expansion of 6; a light colour is a small expansion. "
        "Where a row is empty, the chosen cell has no such layer. Point at a field for its range."
    )
    return (
        "<h3>What wins as the budget grows</h3>"
        + paragraph(text)
        + f'<div class="scroll">{drawn}</div>'
    )


def _other_fronts(run):
    if not run.fronts:
        return ""
    rows = []
    for name, front in run.fronts.items():
        entries = front["entries"]
        limited = cost_limits.Limits(front.get("limits")).text()
        share = front.get("rounding") or 0
        loss = f"costs rounded, by less than {100 * share:.3g} %" if share else "exact"
        ends = (
            [f"{one['rating']:.4f}" for one in (entries[0], entries[-1])] if entries else ["–"] * 2
        )
        rows.append([name, f"{len(entries):,}", *ends, limited, loss])
    heads = ["front over", "entries", "best rating", "worst rating", "limits", "how"]
    return "<h3>Other fronts in the workdir</h3>" + html.table(heads, rows)


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
    """Height and width of each block's output in a student; `None` when not known."""
    if run.chosen() is None:
        return None
    return [row.size for row in diagram.block_rows(run.architectures[run.chosen()])[1:-1]]
