#!/usr/bin/env python3
"""Lets the real JMeter look at a sample log, or run a plan, and prints what it counted as JSON.

  judge.py dashboard FILE.jtl [--keep DIR]        `jmeter -g`: its report over the log
  judge.py run PLAN.jmx [-J name=value]... [--keep DIR]   `jmeter -n -t`: run it, count the log

Both print one JSON object on stdout:

  {"total": {"samples": 8, "errors": 1},
   "labels": {"append": {"samples": 6, "errors": 0}, "read": {"samples": 2, "errors": 1}}}

Exit codes: 0 counted; 1 JMeter failed or complained, its words on stderr; 2 wrong arguments;
77 there is no JMeter on this machine (see setup.sh), so that a test can skip.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# A dashboard of a million samples takes JMeter about 20 s here.
TIMEOUT_SECONDS = 600


def jmeter_home():
    setup = subprocess.run([HERE / "setup.sh"], stdout=subprocess.PIPE, text=True)
    if setup.returncode != 0:
        sys.exit(setup.returncode)
    return pathlib.Path(setup.stdout.strip())


def jmeter(work, arguments):
    """Runs JMeter in `work`, and ends with its words if it failed or logged an error."""
    command = [
        "java",
        "-Xmx1g",
        # A short run is mostly the start of a virtual machine.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Djava.awt.headless=true",
        f"-Djava.util.prefs.userRoot={work}",
        "-jar",
        str(jmeter_home() / "bin" / "ApacheJMeter.jar"),
        "-j",
        str(work / "jmeter.log"),
        *arguments,
    ]
    done = subprocess.run(
        command,
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    log = work / "jmeter.log"
    # JMeter ends with 0 after some failures, so its log is what decides.
    lines = log.read_text().splitlines() if log.exists() else []
    # The exception that an error came with is on the line below it.
    complaints = [
        line
        for number, line in enumerate(lines)
        if line[24:30] == "ERROR " or (number and lines[number - 1][24:30] == "ERROR ")
    ]
    if done.returncode != 0 or complaints:
        print("\n".join(complaints) or done.stdout, file=sys.stderr)
        print(f"jmeter ended with {done.returncode}", file=sys.stderr)
        sys.exit(1)


def dashboard(options, work):
    log = pathlib.Path(options.file).resolve()
    report = work / "report"
    jmeter(work, ["-g", str(log), "-o", str(report)])
    statistics = json.loads((report / "statistics.json").read_text())
    total = statistics.pop("Total")
    return {
        "total": counts(total["sampleCount"], total["errorCount"]),
        "labels": {
            label: counts(row["sampleCount"], row["errorCount"])
            for label, row in sorted(statistics.items())
        },
    }


def run(options, work):
    log = work / "results.jtl"
    plan = pathlib.Path(options.plan).resolve()
    properties = [f"-J{pair}" for pair in options.properties]
    jmeter(work, ["-n", "-t", str(plan), "-l", str(log), *properties])
    labels, total = {}, counts(0, 0)
    with log.open(newline="") as rows:
        for row in csv.DictReader(rows):
            failed = row["success"] != "true"
            for one in (labels.setdefault(row["label"], counts(0, 0)), total):
                one["samples"] += 1
                one["errors"] += failed
    return {"total": total, "labels": dict(sorted(labels.items()))}


def counts(samples, errors):
    return {"samples": samples, "errors": errors}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keep = {"metavar": "DIR", "help": "leave JMeter's log, results and report there"}
    one = commands.add_parser("dashboard")
    one.add_argument("file")
    one.add_argument("--keep", **keep)
    one.set_defaults(work=dashboard)
    two = commands.add_parser("run")
    two.add_argument("plan")
    two.add_argument("-J", dest="properties", action="append", default=[], metavar="name=value")
    two.add_argument("--keep", **keep)
    two.set_defaults(work=run)
    options = parser.parse_args()

    if options.keep:
        work = pathlib.Path(options.keep).resolve()
        os.makedirs(work, exist_ok=True)
        print(json.dumps(options.work(options, work)))
        return
    work = pathlib.Path(tempfile.mkdtemp(prefix="jmeter-judge-"))
    try:
        print(json.dumps(options.work(options, work)))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
