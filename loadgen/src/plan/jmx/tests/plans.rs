//! Whole plans: thread groups, scopes, controllers, data sets.

use super::*;
use crate::plan::{OnError, SamplerKind, Timer};

fn group(threads: &str, more: &[(&str, &str)]) -> Plan {
    let properties = group_properties(threads, &properties(more));
    plan(&in_plan(&element("ThreadGroup", "Users", &properties, &sampler("/", "", ""))))
}

#[test]
fn thread_groups() {
    let check = |threads, more: &[(&str, &str)], want: &str, delay: u64, on_error| {
        let plan = group(threads, more);
        assert_eq!(load(&plan, 0), want, "{more:?}");
        assert_eq!((plan.groups[0].delay.as_secs(), plan.groups[0].on_error), (delay, on_error));
    };
    let scheduled = |duration| {
        [
            ("ThreadGroup.scheduler", "true"),
            ("ThreadGroup.duration", duration),
            ("ThreadGroup.delay", "5"),
        ]
    };
    check("7", &[], "7@10 7@end Some(3)", 0, OnError::Continue);
    check("${__P(threads,4)}", &[], "4@10 4@end Some(3)", 0, OnError::Continue);
    check("7", &scheduled("60"), "7@10 7@50 Some(3)", 5, OnError::Continue);
    check("7", &scheduled("10"), "7@10 7@0 Some(3)", 5, OnError::Continue);
    // At 5 s those due at 0, 1, 2, 3 and 4 s have come.
    check("10", &scheduled("5"), "5@5 Some(3)", 5, OnError::Continue);
    check("1", &[("ThreadGroup.delay", "5")], "1@10 1@end Some(3)", 0, OnError::Continue);
    let on_error = |how| [("ThreadGroup.on_sample_error", how)];
    check("1", &on_error("startnextloop"), "1@10 1@end Some(3)", 0, OnError::NextIteration);
    check("1", &on_error("stopthread"), "1@10 1@end Some(3)", 0, OnError::StopUser);
    check("1", &on_error("stoptestnow"), "1@10 1@end Some(3)", 0, OnError::StopRun);
}

#[test]
fn loops_without_end() {
    let forever = |loops, forever| {
        let controller = format!(
            "<elementProp name=\"ThreadGroup.main_controller\" elementType=\"LoopController\">\
             <boolProp name=\"LoopController.continue_forever\">{forever}</boolProp>\
             <intProp name=\"LoopController.loops\">{loops}</intProp></elementProp>\
             <intProp name=\"ThreadGroup.num_threads\">2</intProp>"
        );
        load(&plan(&in_plan(&element("ThreadGroup", "U", &controller, &sampler("/", "", "")))), 0)
    };
    assert_eq!(forever("-1", "false"), "2@0 2@end None");
    assert_eq!(forever("5", "true"), "2@0 2@end None");
    assert_eq!(forever("5", "false"), "2@0 2@end Some(5)");
}

#[test]
fn what_is_switched_off_is_not_there() {
    let off = |xml: String| xml.replace("enabled=\"true\"", "enabled=\"false\"");
    let elements = [
        off(element("JSR223Sampler", "Script", "", &sampler("/below", "", ""))),
        off(sampler("/off", "", "")),
        sampler("/on", "", &off(header("A", "b"))),
    ];
    let plan = plan(&in_group(&elements.concat()));
    let found = samplers(&plan.groups[0].steps);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fields, []);
}

#[test]
fn what_applies_is_beside_or_above() {
    let delay = |ms| element("ConstantTimer", "T", &properties(&[("ConstantTimer.delay", ms)]), "");
    let inner = element(
        "GenericController",
        "Inner",
        "",
        &[sampler("/b", "", &delay("4")), delay("2"), header("Name", "inner")].concat(),
    );
    let elements = [sampler("/a", "", ""), inner, delay("1"), header("name", "outer")].concat();
    let outer = [
        header("Other", "plan"),
        element("ThreadGroup", "U", &group_properties("1", ""), &elements),
    ];
    let plan = plan(&in_plan(&outer.concat()));
    let pauses: Vec<u128> = plan.groups[0]
        .steps
        .iter()
        .map(|step| match step {
            Step::Pause(Timer::Constant(pause)) => pause.as_millis(),
            Step::Sample(_) => 0,
            step => panic!("{step:?}"),
        })
        .collect();
    assert_eq!(pauses, [1, 0, 4, 2, 1, 0]);
    let fields: Vec<String> = samplers(&plan.groups[0].steps)
        .iter()
        .map(|one| one.fields.iter().map(|(n, v)| format!("{n}={} ", written(v))).collect())
        .collect();
    assert_eq!(fields, ["name=outer Other=plan ", "Name=inner Other=plan "]);
}

#[test]
fn controllers_in_each_other() {
    let loops = |times, below: &str| {
        element("LoopController", "L", &properties(&[("LoopController.loops", times)]), below)
    };
    let condition = |condition, all, below: &str| {
        let properties = properties(&[
            ("IfController.condition", condition),
            ("IfController.useExpression", "true"),
            ("IfController.evaluateAll", all),
        ]);
        element("IfController", "I", &properties, below)
    };
    let transaction = element(
        "TransactionController",
        "T ${x}",
        &properties(&[("TransactionController.includeTimers", "false")]),
        &sampler("/t", "", ""),
    );
    let two = [sampler("/a", "", ""), sampler("/b", "", "")].concat();
    let elements = [
        variables(&[("x", "1"), ("y", "${__UUID}")]),
        loops("2", &loops("-1", &transaction)),
        condition("${__jexl3(${y} &lt; 3)}", "false", &two),
        condition("${__jexl3(${y} &lt; 3)}", "true", &two),
        condition("${__jexl3(${x} == 1)}", "false", &sampler("/c", "", "")),
        condition("true", "false", &sampler("/d", "", "")),
        condition("false", "false", &sampler("/e", "", "")),
        loops("3", ""),
    ];
    let (plan, notes) = notes(&in_group(&elements.concat()));
    assert_eq!(notes, ["Test Plan > Users > I (IfController): its condition is never true"]);
    assert_eq!(
        plan.groups[0].steps.iter().map(shape).collect::<String>(),
        "loop 2 [loop end [T 1 without pauses [S]]] if [S S] if [S] if [S] if [S] S "
    );
    assert_eq!(written(&plan.variables["x"]), "1");
}

fn shape(step: &Step) -> String {
    let below = |steps: &[Step]| steps.iter().map(shape).collect::<String>().trim().to_owned();
    match step {
        Step::Sample(sampler) => format!("{} ", sampler.label),
        Step::Pause(pause) => format!("{pause:?} "),
        Step::Loop { times: Some(times), steps } => format!("loop {times} [{}] ", below(steps)),
        Step::Loop { times: None, steps } => format!("loop end [{}] ", below(steps)),
        Step::If { steps, .. } => format!("if [{}] ", below(steps)),
        Step::Transaction { label, steps, include_pauses } => {
            let with = if *include_pauses { "with" } else { "without" };
            format!("{label} {with} pauses [{}] ", below(steps))
        }
    }
}

#[test]
fn a_rate_is_shared_by_all_that_it_applies_to() {
    let timer =
        element("ConstantThroughputTimer", "Rate", &properties(&[("throughput", "120")]), "");
    let twice = element(
        "LoopController",
        "L",
        &properties(&[("LoopController.loops", "3")]),
        &sampler("/b", "", ""),
    );
    let steps = steps(&in_group(&[timer, sampler("/a", "", ""), twice].concat()));
    let mut rates = Vec::new();
    collect_rates(&steps, &mut rates);
    assert_eq!(rates, [30.0, 90.0]);
}

fn collect_rates(steps: &[Step], out: &mut Vec<f64>) {
    for step in steps {
        match step {
            Step::Pause(Timer::ConstantThroughput { per_minute, .. }) => out.push(*per_minute),
            Step::Loop { steps, .. } => collect_rates(steps, out),
            _ => {}
        }
    }
}

fn data_set(more: &[(&str, &str)]) -> String {
    element("CSVDataSet", "Rows", &properties(more), "")
}

#[test]
fn data_sets() {
    let check = |more: &[(&str, &str)], file: &str, names: &[&str], rows: &[&[&str]]| {
        let all = [&[("filename", "${__P(dir,d)}/r.csv")], more].concat();
        let mut source = source(&in_group(&[data_set(&all), sampler("/${a}", "", "")].concat()));
        source.data.insert("d/r.csv".into(), file.into());
        let (plan, _) = read(&source).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (plan.data[0].variables.as_slice(), plan.data[0].recycle),
            (names.map_owned().as_slice(), true)
        );
        assert_eq!(plan.data[0].rows, rows.iter().map(|row| row.map_owned()).collect::<Vec<_>>());
    };
    check(&[], "a,b\n1,2\n3,4\n", &["a", "b"], &[&["1", "2"], &["3", "4"]]);
    check(&[("variableNames", "a, b")], "1,2\r\n3\r\n", &["a", "b"], &[&["1", "2"], &["3", ""]]);
    let header = [("variableNames", "a"), ("ignoreFirstLine", "true")];
    check(&header, "\u{feff}x,y\n1,2\n", &["a"], &[&["1"]]);
    let quoted = [("quotedData", "true"), ("delimiter", ";")];
    check(&quoted, "a;b\n\"1;\"\"\n\";2\n", &["a", "b"], &[&["1;\"\n", "2"]]);
    check(&[("delimiter", "\\t")], "a\tb\n\"1\t2\n", &["a", "b"], &[&["\"1", "2"]]);
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

#[test]
fn data_files_by_name() {
    let file = |name| data_set(&[("filename", name)]);
    let elements = [variables(&[("dir", "d")]), file("${dir}/a.csv"), file("b.csv"), file("b.csv")];
    let text = in_group(&elements.concat());
    let names =
        |properties| super::super::data_files("p.jmx".as_ref(), &text, &properties).expect("names");
    assert_eq!(names(BTreeMap::new()), ["d/a.csv", "b.csv"]);
}

#[test]
fn there_is_one_server() {
    let defaults = |domain| {
        let properties = properties(&[("HTTPSampler.domain", domain), ("HTTPSampler.port", "81")]);
        element("ConfigTestElement", "D", &properties, "")
            .replace("ConfigTestElementGui", "HttpDefaultsGui")
    };
    let own = sampler("b?x", "", "").replace(">h<", ">near<").replace(">1<", ">81<");
    let unnamed = element("HTTPSamplerProxy", "A", &properties(&[("HTTPSampler.path", "/a")]), "");
    let whole = element(
        "HTTPSamplerProxy",
        "W",
        &properties(&[("HTTPSampler.path", "http://near:81?q")]),
        "",
    );
    let elements = [defaults("near"), unnamed, own, whole].concat();
    let group = element("ThreadGroup", "U", &group_properties("1", ""), &elements);
    let plan = plan(&in_plan(&[defaults("far"), group].concat()));
    assert_eq!(plan.target, "http://near:81");
    let paths: Vec<String> = samplers(&plan.groups[0].steps)
        .iter()
        .map(|sampler| match &sampler.kind {
            SamplerKind::Http { path, .. } => written(path),
            kind => panic!("{kind:?}"),
        })
        .collect();
    assert_eq!(paths, ["/a", "/b?x", "/?q"]);
}

#[test]
fn a_transaction_is_not_called_like_a_sampler() {
    let transaction = element("TransactionController", "S", "", &sampler("/", "", ""));
    let (plan, notes) = notes(&in_group(&transaction));
    assert_eq!(shape(&plan.groups[0].steps[0]), "S (transaction) with pauses [S] ");
    assert_eq!(notes.len(), 1);
}
