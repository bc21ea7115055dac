//! The streams of a plan, made before the run and deleted after it. Not measured.
//!
//! Invariant: a run that is stopped waits for no answer longer than [`GIVE_UP`].

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, StatusCode};

use super::clock::Clock;
use super::exchange::on_one_line;
use super::http2::{Line as Standing, Trunk};
use super::options::Stop;
use super::program::Program;
use super::wire::{Connection, Response};
use crate::plan::{Piece, Plan, Template};
use crate::schedule::user_rng;
use crate::user::{Context, Counter, Names, Variables, compile, render};
use crate::{LoadError, net};

/// Connections that make streams at the same time.
const AT_ONCE: u32 = 16;
/// How long a run that is stopped waits for what is under way.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// Creates the streams of all sets that ask for it, or finds them there.
pub(crate) fn create(program: &Arc<Program>, clock: Clock, stop: &Stop) -> Result<(), LoadError> {
    let plan = &program.plan;
    let sets: Vec<_> = (0..plan.streams.len()).filter(|set| plan.streams[*set].create).collect();
    match each(program, clock, stop, &sets, &Method::PUT, StatusCode::is_success)? {
        true => Ok(()),
        false => Err(LoadError::Plan("stopped during the set-up")),
    }
}

/// Deletes the streams of all sets that ask for it. Whether it got to all of them: a run that is
/// stopped leaves those that are not under way.
pub(crate) fn delete(program: &Arc<Program>, clock: Clock, stop: &Stop) -> Result<bool, LoadError> {
    let plan = &program.plan;
    let sets: Vec<_> = (0..plan.streams.len()).filter(|set| plan.streams[*set].delete).collect();
    let gone = |status: &StatusCode| status.is_success() || *status == StatusCode::NOT_FOUND;
    each(program, clock, stop, &sets, &Method::DELETE, gone)
}

/// Whether it got to all streams.
fn each(
    program: &Arc<Program>,
    clock: Clock,
    stop: &Stop,
    sets: &[usize],
    method: &Method,
    good: impl Fn(&StatusCode) -> bool + Copy + 'static,
) -> Result<bool, LoadError> {
    if sets.is_empty() {
        return Ok(true);
    }
    let fields = fields(&program.plan, clock)?;
    net::block_on(async {
        let standing = Standing::default();
        for set in sets.iter().copied() {
            let workers: Vec<_> = (0..AT_ONCE.min(program.plan.streams[set].count))
                .map(|first| {
                    let line = Line {
                        program: Arc::clone(program),
                        clock,
                        stop: stop.clone(),
                        set,
                        method: method.clone(),
                        fields: fields.clone(),
                        standing: standing.clone(),
                    };
                    monoio::spawn(line.some(first, good))
                })
                .collect();
            let mut all = true;
            for worker in workers {
                all &= worker.await?;
            }
            if !all {
                return Ok(false);
            }
        }
        Ok(true)
    })?
}

/// One of the connections that make the streams of a set.
struct Line {
    program: Arc<Program>,
    clock: Clock,
    stop: Stop,
    set: usize,
    method: Method,
    fields: String,
    standing: Standing,
}

impl Line {
    /// Every [`AT_ONCE`]th stream; whether it got to its last one.
    async fn some(self, first: u32, good: impl Fn(&StatusCode) -> bool) -> Result<bool, LoadError> {
        let mut connection = None;
        for index in (first..self.program.plan.streams[self.set].count).step_by(AT_ONCE as usize) {
            if self.stop.is_stopped() {
                return Ok(false);
            }
            let path = self.program.path(self.set, index);
            let made = unless_stopped(&self.stop, self.one(&mut connection, &path)).await;
            let Some(answer) = made.transpose()? else { return Ok(false) };
            if !good(&answer.status) {
                return Err(self.failed(&path, format!("the answer is {}", answer.status)));
            }
            connection = connection.filter(|_| answer.keep_alive);
        }
        Ok(true)
    }

    async fn one(
        &self,
        connection: &mut Option<Connection>,
        path: &str,
    ) -> Result<Response, LoadError> {
        let Line { program, method, set, .. } = self;
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        request.push_str(&format!("host: {}\r\ncontent-length: 0\r\n", program.target.host));
        if *method == Method::PUT {
            let content_type = &program.plan.streams[*set].content_type;
            request.push_str(&format!("content-type: {content_type}\r\n"));
        }
        request.push_str(&self.fields);
        request.push_str("\r\n");
        let mut open = match connection.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        let timeout = program.plan.timeout.max(Duration::from_secs(10));
        let (answer, _) = open.exchange(self.clock, method, request.into_bytes(), timeout).await;
        *connection = Some(open);
        answer.map_err(|error| self.failed(path, error.to_string()))
    }

    async fn connect(&self) -> Result<Connection, LoadError> {
        let (target, timeout) = (&self.program.target, self.program.plan.timeout);
        let refused = |source| LoadError::Connect { address: target.address, source };
        let connecting = async {
            let stream = net::connect(target, 0, 1).await?;
            if !self.program.plan.transport.http2 {
                return Ok(Connection::new(stream));
            }
            let trunk = Trunk::open(stream, self.clock, &self.standing, target.scheme(), 1).await;
            trunk.map(Connection::over).map_err(io::Error::other)
        };
        let connected = monoio::time::timeout(timeout, connecting).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(refused)
    }

    fn failed(&self, path: &str, reason: String) -> LoadError {
        LoadError::Prepare { what: format!("{} {path}", self.method), reason }
    }
}

/// What comes of some work, unless the run has been stopped for [`GIVE_UP`].
async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut end = pin!(async {
        while !stop.is_stopped() {
            monoio::time::sleep(LOOK).await;
        }
        monoio::time::sleep(GIVE_UP).await;
    });
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The plan's fields of every request, with the values that its variables begin with.
fn fields(plan: &Plan, clock: Clock) -> Result<String, LoadError> {
    let bearer = plan.bearer.as_ref().map(|bearer| ("authorization", "Bearer ", bearer));
    let others = plan.fields.iter().map(|(name, value)| (name.as_str(), "", value));
    let templates: Vec<_> = bearer.into_iter().chain(others).collect();
    for (name, _, template) in &templates {
        if let Some(variable) = without_value(plan, template) {
            return Err(LoadError::Refused(format!(
                "the field {name} of every request needs ${{{variable}}}, which has no value yet \
                 when streams are created or deleted: expected one of the plan's [variables], or \
                 streams with create = false and delete = false"
            )));
        }
    }
    let mut names = Names::of(plan);
    let compiled: Vec<_> = templates
        .into_iter()
        .map(|(name, before, template)| (name, before, compile(template, &mut names)))
        .collect();
    let mut context = Context {
        variables: &mut Variables::new(&names),
        rng: &mut user_rng(plan.seed, 0, 0),
        user_number: 1,
        counter: &mut Counter::new(1, 1),
        now: &clock,
    };
    names.begin(&mut context);
    let mut out = String::new();
    for (name, before, value) in &compiled {
        let mut bytes = Vec::new();
        render(value, &mut context, &mut bytes);
        on_one_line(&mut bytes);
        out.push_str(&format!("{name}: {before}{}\r\n", String::from_utf8_lossy(&bytes)));
    }
    Ok(out)
}

/// A variable that a text needs and that only a row of data or an answer gives a value to.
fn without_value<'a>(plan: &'a Plan, template: &'a Template) -> Option<&'a str> {
    let mut waiting = vec![template];
    let mut seen = HashSet::new();
    while let Some(template) = waiting.pop() {
        for piece in &template.0 {
            let Piece::Variable(name) = piece else { continue };
            match plan.variables.iter().find(|(known, _)| *known == name) {
                None => return Some(name),
                Some((name, value)) if seen.insert(name) => waiting.push(value),
                Some(_) => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlanFormat, PlanSource};

    fn plan(variables: &str, rest: &str) -> Plan {
        let text = format!(
            "target = \"http://127.0.0.1:1/s\"\n{rest}\n[variables]\n{variables}\n\
             [[groups]]\nrate = 5\nduration = \"1s\"\nsteps = [{{ http = {{ path = \"/\" }} }}]\n"
        );
        let source = PlanSource {
            file: "p.toml".into(),
            format: PlanFormat::Toml,
            text,
            properties: std::collections::BTreeMap::new(),
            data: std::collections::BTreeMap::new(),
            skip_unknown: false,
        };
        source.resolve().unwrap().plan
    }

    #[test]
    fn fields_have_the_values_of_variables() {
        let check = |variables: &str, rest: &str, want: Result<&str, &str>| {
            let got = fields(&plan(variables, rest), Clock::start()).map_err(|e| e.to_string());
            match (&got, want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{got}"),
                _ => panic!("{got:?}, not {want:?}"),
            }
        };
        check("", "", Ok(""));
        check("", "bearer = \"abc\"", Ok("authorization: Bearer abc\r\n"));
        let two = "word = \"x${end}\"\nend = \"y\"";
        check(two, "bearer = \"${word}\"", Ok("authorization: Bearer xy\r\n"));
        check("end = \"y\"", "headers = { a = \"<${end}>\" }", Ok("a: <y>\r\n"));
        check("end = \"y\\r\\nz: 1\"", "headers = { a = \"${end}\" }", Ok("a: y  z: 1\r\n"));
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        let mut plan = plan("a = \"1\"", "");
        let text = |name: &str| Template(vec![Piece::Variable(name.to_owned())]);
        assert_eq!(without_value(&plan, &text("a")), None);
        assert_eq!(without_value(&plan, &text("row")), Some("row"));
        plan.bearer = Some(text("row"));
        let error = fields(&plan, Clock::start()).unwrap_err().to_string();
        assert!(error.contains("authorization") && error.contains("${row}"), "{error}");
    }

    #[test]
    fn a_stop_ends_the_wait_for_an_answer() {
        // Accepts and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut plan = plan("", "[[streams]]\nname = \"s\"");
        plan.target = format!("http://{}/s", silent.local_addr().unwrap());
        let program = Arc::new(Program::new(&plan).unwrap());
        let stop = Stop::default();
        let stopped = std::thread::scope(|scope| {
            let creating = scope.spawn(|| create(&program, Clock::start(), &stop));
            let _connection = silent.accept().unwrap();
            stop.stop();
            creating.join().unwrap()
        });
        // Not the timeout, which is an error of the request.
        assert!(matches!(stopped, Err(LoadError::Plan(_))), "{stopped:?}");
        assert!(!delete(&program, Clock::start(), &stop).unwrap() || !plan.streams[0].delete);
    }
}
