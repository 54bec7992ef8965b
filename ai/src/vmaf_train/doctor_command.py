"""The command ``vmaf-train doctor``."""

from __future__ import annotations

import dataclasses
import json

import typer

from vmaf_train.command_options import Json

__all__ = ["doctor"]


def doctor(
    as_json: Json = False,
) -> None:
    """Try what this machine and installation can do, and say what to mend."""
    from vmaf_train.doctor import examine

    findings = examine()
    ok = all(finding.state != "broken" for finding in findings)
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"ok": ok, "findings": rows}, indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for item in findings:
            step = f"; {item.next_step}" if item.next_step else ""
            print(f"{item.state:6}  {item.name:{width}}  {item.found}{step}")
        print("what a run needs is there" if ok else "mend what is broken first: no model can be made")
    if not ok:
        raise typer.Exit(1)
