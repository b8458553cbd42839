"""Print the README's two commands, a line each: the one that runs the series, and the one that runs the tests."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def commands(text):
    """Return what stands in each ```bash block that makes a virtual environment and goes on."""
    blocks = re.findall(r"^```bash\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if block.startswith("python3 -m venv .venv && ")]


if __name__ == "__main__":
    found = commands(README.read_text(encoding="utf-8"))
    if len(found) != 2 or "\n" in "".join(found):
        sys.exit(f"README.md should hold two commands of one line that make a virtual environment, but holds {found}")
    print("\n".join(found))
