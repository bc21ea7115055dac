//! Several thread groups: what a failed sampler does, schedulers, rows that come to an end.

use super::jmx::{defaults, element, get, group, group_with, plan};
use super::{PlanFile, check_both, table};

#[test]
fn both_programs_run_them() {
    let fails = |name| get(name, "/status/404", &[]);
    let good = |name| get(name, "/echo", &[]);
    let on_error = |what| [("ThreadGroup.on_sample_error", what)];
    let visit = |below: &[String]| {
        let properties = [
            ("TransactionController.parent", "false"),
            ("TransactionController.includeTimers", "false"),
        ];
        element("TransactionController", "Visit", &properties, below)
    };
    let in_time = [
        ("ThreadGroup.scheduler", "true"),
        ("ThreadGroup.duration", "60"),
        ("ThreadGroup.delay", "1"),
    ];
    let next_loop = on_error("startnextloop");
    let stop_thread = on_error("stopthread");
    let text = plan(
        &[],
        &[
            defaults("${__P(port,80)}", &[("by", "default ä")]),
            group("Goes on", "2", "3", &[good("A"), fails("A fails"), good("A goes on")]),
            group_with(
                "Next loop",
                "2",
                "3",
                &next_loop,
                &[visit(&[good("B"), fails("B fails"), good("B never")]), good("B never either")],
            ),
            group_with(
                "Stops",
                "2",
                "3",
                &stop_thread,
                &[good("C"), fails("C fails"), good("C never")],
            ),
            group_with("Scheduled", "2", "4", &in_time, &[good("D")]),
            group_with("Ramp", "4", "2", &[("ThreadGroup.ramp_time", "1")], &[good("E")]),
        ],
    );
    let want = table(&[
        ("A", 6, 0),
        ("A fails", 6, 6),
        ("A goes on", 6, 0),
        ("B", 6, 0),
        ("B fails", 6, 6),
        ("Visit", 6, 6),
        ("C", 2, 0),
        ("C fails", 2, 2),
        ("D", 8, 0),
        ("E", 8, 0),
    ]);
    check_both(&PlanFile::new(&text, &[]).path, &[], &want);
}

#[test]
fn a_thread_without_a_row_stops() {
    let rows = [
        ("filename", "rows.csv"),
        ("variableNames", "a,b"),
        ("ignoreFirstLine", "true"),
        ("delimiter", "\\t"),
        ("quotedData", "false"),
        ("recycle", "false"),
        ("stopThread", "true"),
        ("shareMode", "shareMode.all"),
    ];
    let steps = [element("CSVDataSet", "Rows", &rows, &[]), get("Row", "/echo/${a}/${b}", &[])];
    let text = plan(&[], &[defaults("${__P(port,80)}", &[]), group("Users", "3", "-1", &steps)]);
    let rows = "first\tline\n1\tä\n2\tb\n3\tc,c\n4\td\n5\te\n6\tf\n7\tg\n";
    let file = PlanFile::new(&text, &[("rows.csv", rows)]);
    check_both(&file.path, &[], &table(&[("Row", 7, 0)]));
}
