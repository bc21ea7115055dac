//! What is wrong with a plan, and how it is said.

use super::{read_with, with_group, with_step};

/// The error must contain `want`.
fn check(text: &str, want: &str) {
    let got = read_with(text, &[]).expect_err(text);
    assert!(got.contains(want), "{text}\n  said: {got}\n  want: {want}");
}

fn check_step(step: &str, want: &str) {
    check(&with_step(step), want);
}

fn check_group(fields: &str, want: &str) {
    check(&with_group(fields), want);
}

#[test]
fn texts_that_are_no_plans() {
    check("target = ", "p.toml:1: ");
    check("target = 'http://h'\ntarget = 1", "p.toml:2: duplicate key: `target`");
    check("", "p.toml: target is missing: expected text");
    check("target = 'http://h'", "p.toml: groups is missing: expected at least one [[groups]]");
    check("target = 'http://h'\ntraget = 1", "p.toml:2: traget: unknown field `traget`");
    check_group("users = [1]", "p.toml:4: groups[0].users: invalid type: sequence, expected a");
    check_group("users = 2020-01-01", "groups[0].users: invalid type: map, expected a string");
    check_step("append = { sizes = 1 }", "p.toml:8: groups[0].steps[0].append.sizes: unknown");
    check_step("append = { size = [1] }", "expected a string, a number or a table");
    check_step("head = {}\nassert = [{ status = {} }]", "a string, a number or a list of them");
    check("groups = 5", "p.toml:1: groups: invalid type: integer `5`, expected a sequence");
}

#[test]
fn values() {
    let top = |line: &str| format!("{line}\n{}", with_group("users = 1\niterations = 1"));
    check(&top("seed = -1"), "p.toml:1: seed = -1: expected a whole number");
    check(&top("seed = 1.5"), "seed = 1.5: expected a whole number");
    check(&top("drain = 5"), "drain = 5: expected a duration such as \"30s\"");
    check(&top("drain = '30'"), "drain = \"30\": expected a duration");
    check(&top("drain = '9999h'"), "expected at most 7 days");
    check(&top("timeout = '0s'"), "timeout = \"0s\": expected more than nothing");
    check(&top("connect_rate = 0"), "connect_rate = 0: expected 0.000001 to 10000000 per second");
    check(&top("name = ''"), "name = \"\": expected a name on one line");
    check(&top(&format!("name = '{}'", "x".repeat(257))), "257 bytes are more than the 256");
    check(&top("bearer = ''"), "bearer = \"\": expected a token");
    check(&top("bearer = \"a\\nb\""), "bearer: a header field is one line");
    check(&top("bearer = '${'"), "bearer: `${` has no closing brace");
    check(&top("bearer = '${x}'"), "p.toml:1: bearer: there is no variable \"x\"");
    check(&top("headers = { Host = 'x' }"), "headers.Host: every request has this field");
    check(&top("headers = { 'a b' = 'x' }"), "headers.\"a b\" = \"a b\": expected the name");
    check(
        &top("headers = { authorization = 'x' }\nbearer = 'y'"),
        "headers.authorization: `bearer` sets this field already",
    );
    check(&top("drain = '${x}'"), "drain: `${x}` must be known before the run");
    check(&top("drain = '${__P(x)}'"), "drain = \"1\": expected a duration");
    check(&top("thresholds = ['p99 < 250']"), "thresholds[0] = \"p99 < 250\": expected a dur");
    check(&top("variables = { 'a}' = 1 }"), "variables.\"a}\": not the name of a variable");
    check(&top("variables = { a = '${b}', b = '${a}' }"), "variables.a: its value depends on its");
    check(&top("variables = { a = '${c}' }"), "variables.a: there is no variable \"c\"");
    check("target = 'ftp://h/'\n", "p.toml:1: target = \"ftp://h/\": expected a URL like");
}

#[test]
fn streams() {
    let set = |fields: &str| {
        let group = with_group("users = 1\niterations = 1");
        format!("{group}[[streams]]\n{fields}")
    };
    check(&set(""), "p.toml:6: streams[0].name is missing: expected what steps call");
    check(&set("name = 's'\ncount = 0"), "streams[0].count = 0: expected 1 to 1000000");
    check(&set("name = 's'\ncount = 2000000"), "2000000 streams are more than the 1000000");
    check(&set("name = 's'\npath = 'a b'"), "streams[0].path = \"a b\": expected a path such as");
    check(&set("name = 's'\nlive_path = 'a b'"), "live_path = \"a b\": expected a path such as");
    check(&set("name = 's'\nlive_path = 'a?b=\"'"), "live_path = \"a?b=\\\"\": expected");
    check(&set("name = 's'\ncount = 2\nlive_path = 'a?b=c'"), "live_path: it has a query");
    check(&set("name = 'a b'"), "streams[0].path = \"a b\"");
    check(&set("name = 's'\ncontent_type = 'x'"), "expected a type such as text/plain");
    check(&set("name = 's'\n[[streams]]\nname = 's'"), "p.toml:9: streams[1].name: another set");
    check(
        &set("name = 's'\nchoice = 'random'"),
        "choice = \"random\": expected one of \"uniform\", \"round-robin\", \"per-user\"",
    );
    check(&set("name = 's'\nchoice = { zipf = 0 }"), "zipf = 0: expected a number greater than");
    check(&set("name = 's'\nchoice = { zipf = -1.5 }"), "zipf = -1.5: expected");
    check(&set("name = 's'\nchoice = { zipf = nan }"), "zipf = NaN: expected");
    check(&set("name = 's'\nchoice = { zipf = 21 }"), "zipf = 21: expected at most 20");
    check(&set("name = 's'\nchoice = {}"), "choice: expected one of zipf, hot_streams and");
    check(&set("name = 's'\nchoice = { hot_streams = '10%' }"), "hot_operations is missing");
    check(
        &set("name = 's'\nchoice = { hot_streams = 1, hot_operations = 0.5 }"),
        "hot_streams = 1: expected a part such as",
    );
    check(&set("name = 's'\ncreate = 'yes'"), "create = \"yes\": expected true or false");
}

#[test]
fn data() {
    let data = |fields: &str| {
        let group = with_group("users = 1\niterations = 1");
        format!("{group}[[data]]\n{fields}")
    };
    check(&data(""), "data[0].file is missing");
    check(&data("file = 'x.csv'"), "data[0].file: there is no data file \"x.csv\"");
    check(&data("file = 'u.csv'\nvariables = ['a']"), "u.csv:1: 2 columns: expected 1");
    check(&data("file = 'u.csv'\nvariables = []"), "u.csv has no columns");
    check(&data("file = 'u.csv'\nvariables = ['a', '${']"), "variables[1]: `${` has no closing");
    check(&data("file = 'u.csv'\nskip_first_row = true"), "the first row is the names");
    check(&data("file = 'u.csv'\ndelimiter = ', '"), "delimiter = \", \": expected one character");
    let got = read_with(&data("file = 'u.csv'"), &[("id", "1")]).unwrap_err();
    assert!(got.contains("data[0]: -J id fixes what is set here"), "{got}");
}

#[test]
fn groups() {
    check_group("", "p.toml:2: groups[0]: expected `rate` and `duration` (an open group)");
    check_group("rate = 0\nduration = '1s'", "groups[0].rate = 0: expected 0.000001 to");
    check_group("rate = 'fast'\nduration = '1s'", "rate = \"fast\": expected a rate such as 50");
    check_group("rate = 1", "groups[0].duration is missing: expected a duration");
    check_group("rate = 1\nduration = '0s'", "duration = \"0s\": expected more than nothing");
    check_group("rate = 1\nusers = 1", "p.toml:5: groups[0].users: it belongs to a group with");
    check_group(
        "users = 1\nhold = '1s'\nduration = '1s'",
        "duration: it belongs to a group with a",
    );
    check_group("users = 0\nhold = '1s'", "groups[0].users = 0: expected 1 to 1000000");
    check_group("users = 2000000\nhold = '1s'", "2000000 users are more than the 1000000");
    check_group("users = 1", "groups[0].hold is missing: expected a duration such as");
    check_group("users = 1\nhold = '0s'", "all stages together take no time");
    check_group("users = 1\niterations = 0", "iterations = 0: expected 1 or more");
    check_group("users = 1\niterations = 1\nramp_down = '1s'", "ramp_down: it needs a `hold`");
    check_group("stages = [{ duration = '1s' }]", "stages[0].rate is missing: expected `rate` or");
    check_group("stages = [{ duration = '1s', rate = 0 }]", "stages: the rate is 0 all the time");
    check_group("stages = [{ duration = '1s', users = 0 }]", "there are 0 users all the time");
    check_group("stages = [{ users = 1 }]", "stages[0].duration is missing");
    check_group(
        "stages = [{ duration = '1s', users = 1 }, { duration = '1s', rate = 1 }]",
        "stages[1].rate: other stages of the group have `users`",
    );
    check_group("rate = 1\nstages = [{ duration = '1s', rate = 1 }]", "rate: `stages` say it");
    check_group("users = 1\niterations = 1\non_error = 'stop'", "expected one of \"continue\", ");
    let stages = "{ duration = '1s', rate = 1 }, ".repeat(1001);
    check_group(&format!("stages = [{stages}]"), "1001 stages are more than the 1000");
    let group = "[[groups]]\nname = 'a'\nusers = 1\niterations = 1\nsteps = [{ pause = '1s' }]\n";
    check(&format!("target = 'http://h'\n{group}"), "groups[0].steps: the group has pauses only");
    let http = group.replace("pause = '1s'", "http = { path = '/' }");
    check(&format!("target = 'http://h'\n{http}{http}"), "groups[1].name: another group is called");
    check("target = 'http://h'\n[[groups]]\nusers = 1\nhold = '1s'", "steps is missing");
    let many = format!("target = 'http://h'\n{}", "[[groups]]\n".repeat(257));
    check(&many, "groups: 257 groups are more than the 256");
}

#[test]
fn steps() {
    check_step("label = 'x'", "groups[0].steps[0]: expected one of create, append, append_batch,");
    check_step("head = {}\nfork = {}", "steps[0]: `head` and `fork` are both here");
    check_step("pause = '1s'\nlabel = 'x'", "steps[0].label: it has no meaning with `pause`");
    check_step("loop = {}\nassert = [{ status = 1 }]", "assert: it has no meaning with `loop`");
    check_step("append = { stream = 'ss' }", "append.stream: there is no stream set \"ss\"; did y");
    check_step("append = { size = 1, body = '1' }", "append: `body` and `size` are both here");
    check_step("append = { body = '' }", "append.body = \"\": expected a message");
    check_step(
        "append = { body = 'x' }",
        "append.body = \"x\": expected JSON, as the streams \"s\"",
    );
    check_step("append = { body = '${x}' }", "p.toml:8: groups[0].steps[0].append.body: there is");
    check_step("append = { size = '1GiB' }", "1073741824 bytes are more than the 67108864");
    check_step("append = { size = -1 }", "size = -1: expected bytes such as 100, \"4KiB\"");
    check_step(
        "append = { size = { min = 2, max = 1 } }",
        "size.max = 1: expected min, 2, or more",
    );
    check_step("append = { size = { min = 2 } }", "size.max is missing");
    check_step("append = { size = { median = 0, p99 = 1 } }", "median = 0: expected 1 to the p99");
    check_step("append = { size = { median = 1, p99 = 9, max = 2 } }", "max = 2: expected the p99");
    check_step("append = { size = { min = 1, max = 2, p99 = 3 } }", "are both here");
    check_step("append = { size = { weighted = [] } }", "size.weighted is missing: expected at");
    check_step(
        "append = { size = { weighted = [{ size = 1, weight = 0 }] } }",
        "size.weighted[0].weight = 0: expected a number greater than zero",
    );
    check_step("append_batch = { messages = 0 }", "messages = 0: expected 1 to 100000");
    check_step("append_batch = { messages = 9000, size = '8KiB' }", "bytes in a batch are more");
    check_step("read = { max_pages = 0 }", "max_pages = 0: expected 1 to");
    check_step("read = { from = '' }", "from = \"\": expected \"beginning\", \"now\" or an offset");
    check_step("http = {}", "http.path is missing: expected a URL, or a path");
    check_step("http = { path = '' }", "http.path = \"\": expected a URL");
    check_step("http = { path = 'a b' }", "http.path = \"a b\": expected");
    check_step("http = { path = '/', method = 'G T' }", "http.method = \"G T\": expected a method");
    check_step("pause = { min = '2s', max = '1s' }", "pause.max = 1s: expected min, 2s, or more");
    check_step("pause = { mean = '2s' }", "pause.deviation is missing");
    check_step(
        "pause = { min = '2s', lambda = '1s' }",
        "`min and max` and `offset and lambda` are",
    );
    check_step("pause = {}", "pause: expected one of min and max, mean and deviation,");
    check_step("pause = '8d'", "steps[0].pause = \"8d\": expected a duration");
    check_step("pause = '200h'", "expected at most 7 days");
    check_step("loop = { times = 0, steps = [{ head = {} }] }", "loop.times = 0: expected 1 to");
    check_step("loop = { times = 2 }", "loop.steps is missing: expected at least one step");
    check_step("loop = { steps = [{ pause = '1s' }] }", "it repeats pauses without end");
    check_step("if = { steps = [{ head = {} }] }", "if.condition is missing");
    check_step("if = { condition = 'x', steps = [{ head = {} }] }", "if.condition = \"x\": expec");
    check_step(
        "if = { condition = '${x} == 1', steps = [{ head = {} }] }",
        "if.condition: there is no variable \"x\"",
    );
    let deep = (0..17).fold("{ head = {} }".to_owned(), |inner, _| {
        format!("{{ loop = {{ times = 1, steps = [{inner}] }} }}")
    });
    check_step(
        &format!("loop = {{ times = 1, steps = [{deep}] }}"),
        "17 levels of steps within steps are more than the 16",
    );
    let many = "{ head = {} }, ".repeat(10_000);
    check_step(&format!("loop = {{ steps = [{many}] }}"), "10001 steps in the plan are more than");
}

#[test]
fn checks_of_answers() {
    let check_assert = |text: &str, want: &str| {
        check_step(&format!("head = {{}}\nassert = [{text}]"), want);
    };
    check_assert("{}", "assert[0]: expected one of status, header, body, json_path");
    check_assert("{ status = 200, size = 1 }", "`status` and `size` are both here");
    check_assert("{ status = 99 }", "assert[0].status = 99: expected a status such as 200");
    check_assert("{ status = [] }", "assert[0].status = []: expected at least one");
    check_assert("{ body = {} }", "body: expected one of equals, contains, find, matches");
    check_assert("{ body = { name = 'x', equals = '' } }", "only a header field has a name");
    check_assert("{ body = { find = '(' } }", "body.find = \"(\": expected a regular expression (");
    check_assert("{ body = { find = 'a{9999}{9999}' } }", "expected a regular expression (");
    check_assert("{ body = { equals = '${x}' } }", "assert[0]: there is no variable \"x\"");
    check_assert("{ header = { equals = '' } }", "header.name is missing");
    check_assert("{ header = { name = 'a b', equals = '' } }", "expected the name of a header");
    check_assert("{ json_path = 'a' }", "json_path = \"a\": expected a JSON path as in RFC 9535");
    check_assert("{ json_path = {} }", "json_path.path is missing");
    check_assert("{ duration = '0s' }", "duration = \"0s\": expected more than nothing");
    check_assert("{ size = '~5' }", "size = \"~5\": expected bytes such as 100, or a comparison");
    let check_extract = |text: &str, want: &str| {
        check_step(&format!("head = {{}}\nextract = [{text}]"), want);
    };
    check_extract("{ header = 'a' }", "extract[0].variable is missing");
    check_extract("{ variable = 'a b}', header = 'a' }", "expected the name of a variable");
    check_extract("{ variable = 'a' }", "extract[0]: expected one of header, json_path, regex");
    check_extract("{ variable = 'a', regex = 'a' }", "expected a regular expression with a group");
    check_extract("{ variable = 'a', header = 'a b' }", "expected the name of a header field");
}

#[test]
fn contradictions() {
    let open =
        |step: &str| with_step(step).replace("users = 1\nhold = '1s'", "rate = 1\nduration = '1s'");
    check(&open("tail = {}"), "tail: a live reader stays until its group ends, so arrivals in the");
    check(&open("pause = { precise_throughput = 1 }"), "an open group has its rate");
    check(&open("loop = { steps = [{ head = {} }] }"), "p.toml:8: groups[0].steps[0].loop.times i");
    let binary = |step: &str| {
        with_step(step).replace("name = 's'", "name = 's'\ncontent_type = 'image/png'")
    };
    check(&binary("append = {}"), "are image/png, and stamped messages are text");
    check(&binary("create = { size = 1 }"), "are image/png, and stamped messages are text");
    check(&binary("append_batch = { body = 'x' }"), "a batch is a JSON array");
    assert!(read_with(&binary("append = { body = 'x' }"), &[]).is_ok());
    check_step("tail = { mode = 'events', from = 'now' }", "tail.from: with `mode = \"events\"`");
    check_step("tail = { pause = '1s' }", "tail.pause: it belongs to `mode = \"catch-up\"`");
    check_step("tail = { away = '1s' }", "tail.away: a reader that always stays is never away");
    check_step("tail = { bytes_per_second = 0 }", "bytes_per_second = 0: expected 1 or more");
    check_step("tail = {}\nassert = [{ status = 200 }]", "steps[0].assert: a live reader has no");
    check_step("tail = {}\nextract = [{ variable = 'a', header = 'b' }]", "steps[0].extract: a li");
    check_step("loop = { times = 2, steps = [{ tail = {} }] }", "outside of loops, conditions and");
    check_step("tail = {}\n[[groups.steps]]\nhead = {}", "groups[0].steps[1]: it is never reached");
    check_step(
        "loop = { steps = [{ head = {} }] }\n[[groups.steps]]\nhead = {}",
        "the loop before it has no `times`",
    );
    check(
        &with_step("tail = {}").replace("hold = '1s'", "iterations = 1"),
        "tail: a live reader never ends its iteration: expected `hold`",
    );
    check_step(
        "label = 'x'\nhead = {}\n[[groups.steps]]\nlabel = 'x'\nfork = {}",
        "steps[1].label: \"x\" is the label of a head and of a fork",
    );
    check_step(
        "label = 'x'\nhead = {}\n[[groups.steps]]\nlabel = 'x'\nappend = {}",
        "steps[1].label: \"x\" is the label of a head and of an append",
    );
    check(
        &format!("warm_up = '1s'\n{}", with_step("head = {}")),
        "p.toml:1: warm_up = 1s: expected less than the groups last, 1s",
    );
    let two = with_step("head = {}").replace("[[streams]]", "[[streams]]\nname = 't'\n[[streams]]");
    check(&two, "head.stream is missing: expected one of t, s");
    let none = with_step("head = {}").replace("[[streams]]\nname = 's'\n", "");
    check(&none, "head.stream: the plan has no [[streams]]");
    let threshold = |text: &str| format!("thresholds = ['{text}']\n{}", with_step("head = {}"));
    check(&threshold("lost == 0"), "p.toml:1: thresholds[0]: it is about deliveries, and the plan");
    check(&threshold("haed: p99 < 1s"), "there is no label \"haed\"; did you mean \"head\"?");
    check(&threshold("head: lost == 0"), "expected the label of a `tail`, and \"head\" is a head");
    check(&threshold("head: lateness_p99 < 1s"), "lateness is the generator's");
}

#[test]
fn depth_is_bounded_whatever_it_is_made_of() {
    for depth in [20, 26, 27, 40, 100, 10_000] {
        let step = |open: &str, close: &str| {
            with_step(&format!("{}head = {{}}{}", open.repeat(depth), close.repeat(depth)))
        };
        assert!(read_with(&step("loop = { steps = [{ ", " }] }"), &[]).is_err(), "{depth}");
        assert!(read_with(&step("append.", ""), &[]).is_err(), "{depth}");
        let lists = format!("thresholds = {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read_with(&lists, &[]).is_err(), "{depth}");
        let tables = format!("{}{}", "[a".to_owned() + &".a".repeat(depth), "]");
        assert!(read_with(&tables, &[]).is_err(), "{depth}");
        let header = format!("[[groups{}]]", ".steps.loop".repeat(depth));
        assert!(read_with(&header, &[]).is_err(), "{depth}");
        let text = format!("target = '{}'", "${__P(a,".repeat(depth));
        assert!(read_with(&text, &[]).is_err(), "{depth}");
    }
}

#[test]
fn properties_that_nothing_uses() {
    let plan = with_group("rate = '${__P(rate,5)}'\nduration = '1s'");
    let got = read_with(&plan, &[("raet", "5")]).unwrap_err();
    assert_eq!(
        got,
        "-J raet: the plan p.toml does not use a property of this name; did you mean \"rate\"?"
    );
    let got = read_with(&plan, &[("rate", "none")]).unwrap_err();
    assert!(got.contains("p.toml:4: groups[0].rate = \"none\": expected a rate"), "{got}");
}
