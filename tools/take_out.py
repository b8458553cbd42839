"""Make the exercises of the notebooks from their solutions: python tools/take_out.py

In each notebook the cells from "## Exercises" up to "## Next" become those of its solution, without the cells tagged
"solution", and without what stands between nbgrader's markers, "### BEGIN SOLUTION" and "### END SOLUTION": a function
is left with `return ...`, a value with `= ...`. Run the notebook afterwards if this has changed code.
"""

import re
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def without_answer(source):
    """Put ... in place of each answer."""

    def emptied(answer):
        values = [f"{name} = ..." for name in re.findall(r"^(\w+) = ", answer[2], re.MULTILINE)]
        return f"{answer[1]}return ..." if answer[1] else "\n".join(values)

    marked = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION$", re.MULTILINE | re.DOTALL)
    return marked.sub(emptied, source)


def position(cells, heading):
    (found,) = [number for number, cell in enumerate(cells) if cell.source.startswith(f"## {heading}")]
    return found


def exercises(path):
    """Return the cells that a solution's notebook should have as its exercises."""
    cells = nbformat.read(path, as_version=4).cells
    made = []
    for cell in cells[position(cells, "Exercises") :]:
        if "solution" in cell.metadata.get("tags", []):
            continue
        new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}[cell.cell_type]
        # What a check says before anything is attempted is exact, so nbval compares it.
        metadata = (
            {"tags": ["nbval-check-output"]} if re.search(r"^exercises\.\w+\(", cell.source, re.MULTILINE) else {}
        )
        metadata["slideshow"] = {"slide_type": "skip"}
        made.append(new(without_answer(cell.source), id=f"exercise-{len(made) + 1:02}", metadata=metadata))
    return made


def put_into(path, made):
    """Replace the exercises of a notebook; code that has not changed keeps its output."""
    notebook = nbformat.read(path, as_version=4)
    start, end = position(notebook.cells, "Exercises"), position(notebook.cells, "Next")
    old = {cell.source: cell for cell in notebook.cells[start:end] if cell.cell_type == "code"}
    for cell in made:
        if cell.source in old and cell.cell_type == "code":
            cell.update(outputs=old[cell.source].outputs, execution_count=old[cell.source].execution_count)
    notebook.cells[start:end] = made
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for solution in sorted(NOTEBOOKS.glob("solutions/*.ipynb")):
        put_into(NOTEBOOKS / solution.name, exercises(solution))
