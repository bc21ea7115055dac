#!/bin/sh
# Takes the pictures in docs/load: make.sh REPORT.html CAPTURE
#
# REPORT.html is a report. CAPTURE is what a terminal shows of the live view, with its colours:
#   tmux new-session -d -x 120 -y 40 'thalweg load run PLAN.toml'
#   tmux capture-pane -p -e > CAPTURE
# Needs Chromium (another one by CHROMIUM=...) and Python 3.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 REPORT.html CAPTURE" >&2; exit 2; }
report=$(realpath "$1")
capture=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shoot URL PICTURE WIDTH HEIGHT dark|light
shoot() {
    scheme=1
    [ "$5" = light ] || scheme=0
    "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --hide-scrollbars --user-data-dir="$work/profile" --virtual-time-budget=5000 \
        --blink-settings=preferredColorScheme=$scheme \
        --window-size="$3,$4" --screenshot="$2" "$1" 2>/dev/null
    size=$(wc -c <"$2")
    [ "$size" -lt 300000 ] || echo "$2 is large for the repository: $size bytes" >&2
}

python3 "$here/terminal.py" <"$capture" >"$work/live.html"
rows=$(wc -l <"$capture")

shoot "file://$report" "$here/report-light.png" 1320 1240 light
# A scrolled page comes out blank, so what stands above the charts is hidden instead.
sed -E 's/<header>/<header hidden>/; s/<section id="(verdict|run|deliveries|operations|apdex)"/& hidden/' \
    "$report" >"$work/charts.html"
shoot "file://$work/charts.html" "$here/report-dark.png" 1320 990 dark
shoot "file://$work/live.html" "$here/live.png" 1044 $((rows * 16 + 32)) dark
