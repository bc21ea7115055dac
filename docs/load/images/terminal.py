"""Turns what a terminal shows, with its escape sequences, into a page that shows the same."""

import html
import re
import sys

COLOURS = {
    30: "#1a212a", 31: "#ff8f87", 32: "#6fd79b", 33: "#ffd479",
    34: "#6fb1ff", 35: "#e89bff", 36: "#5fd3ee", 37: "#e7ecf1", 90: "#7d8a97",
}
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; background: #11161c; }
pre { margin: 0; padding: 16px; color: #e7ecf1; font: 14px/16px "DejaVu Sans Mono", monospace; }
</style><pre>%s</pre>"""


def apply(style: dict[str, str], codes: list[int]) -> None:
    while codes:
        code = codes.pop(0)
        if code == 38 and len(codes) >= 2 and codes[0] == 5:
            # A colour of the palette: the first eight, then their bright ones.
            number = codes[1]
            code = 30 + number if number < 8 else 82 + number
            del codes[:2]
        if code == 0:
            style.clear()
        elif code == 1:
            style["font-weight"] = "bold"
        elif code == 2:
            style["opacity"] = "0.6"
        elif code == 22:
            style.pop("font-weight", None)
            style.pop("opacity", None)
        elif code == 39:
            style.pop("color", None)
        elif code in COLOURS:
            style["color"] = COLOURS[code]


def main() -> None:
    style: dict[str, str] = {}
    out = []
    for part in re.split(r"(\x1b\[[0-9;]*m)", sys.stdin.read()):
        if part.startswith("\x1b"):
            apply(style, [int(code or 0) for code in part[2:-1].split(";")])
        elif part:
            css = ";".join(f"{name}:{value}" for name, value in style.items())
            out.append(f'<span style="{css}">{html.escape(part)}</span>')
    sys.stdout.write(PAGE % "".join(out))


main()
