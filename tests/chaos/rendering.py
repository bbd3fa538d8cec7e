"""The report, for people: plain text that is good Markdown too."""

from tests.chaos.report import Report

_EXAMPLES = 20


def text(report: Report) -> str:
    """Write a report down."""
    found = report.as_json()
    names = (
        "attempted",
        "acknowledged",
        "delivered",
        "cancelled",
        "refused",
        "lost",
        "unexpected",
        "duplicated",
        "recovered",
    )
    lines = [f"Chaos in the {report.house}, seed {report.seed}", "", "| | |", "| --- | ---: |"]
    lines += [f"| {name} | {found[name]} |" for name in names]
    lines += ["", "| outside | calls | keys | called again | most for a key |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {service} | {o['calls']} | {o['keys']} | {o['repeated']} | {o['most']} |"
        for service, o in report.outside.items()
    ]
    lines += [
        "",
        "| fault | struck | recovered after, median | maximum | never |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {kind} | {f['struck']} | {f['median']} s | {f['max']} s | {f['never']} |"
        for kind, f in report.faults.items()
    ]
    if report.parked:
        parked = ", ".join(f"{handler} {number}" for handler, number in report.parked.items())
        lines += ["", f"Parked, and delivered after `pizzeria dead retry`: {parked}."]
    lines += ["", *found["problems"][:_EXAMPLES]]
    if len(found["problems"]) > _EXAMPLES:
        lines.append(f"… and {len(found['problems']) - _EXAMPLES} more.")
    return "\n".join(lines).rstrip()
