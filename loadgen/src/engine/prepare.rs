//! The streams of a plan, made before the run and deleted after it. Not measured.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::clock::Clock;
use super::program::Program;
use super::wire::Connection;
use crate::{LoadError, net};

/// Connections that make streams at the same time.
const AT_ONCE: u32 = 16;

/// Creates the streams of all sets that ask for it, or finds them there.
pub(crate) fn create(program: &Arc<Program>, clock: Clock) -> Result<(), LoadError> {
    let plan = &program.plan;
    let sets: Vec<_> = (0..plan.streams.len()).filter(|set| plan.streams[*set].create).collect();
    each(program, clock, &sets, &Method::PUT, StatusCode::is_success)
}

/// Deletes the streams of all sets that ask for it.
pub(crate) fn delete(program: &Arc<Program>, clock: Clock) -> Result<(), LoadError> {
    let plan = &program.plan;
    let sets: Vec<_> = (0..plan.streams.len()).filter(|set| plan.streams[*set].delete).collect();
    let gone = |status: &StatusCode| status.is_success() || *status == StatusCode::NOT_FOUND;
    each(program, clock, &sets, &Method::DELETE, gone)
}

fn each(
    program: &Arc<Program>,
    clock: Clock,
    sets: &[usize],
    method: &Method,
    good: impl Fn(&StatusCode) -> bool + Copy + 'static,
) -> Result<(), LoadError> {
    if sets.is_empty() {
        return Ok(());
    }
    net::block_on(async {
        for set in sets.iter().copied() {
            let workers: Vec<_> = (0..AT_ONCE.min(program.plan.streams[set].count))
                .map(|first| {
                    let (program, method) = (Arc::clone(program), method.clone());
                    monoio::spawn(some(program, clock, set, first, method, good))
                })
                .collect();
            for worker in workers {
                worker.await?;
            }
        }
        Ok(())
    })?
}

/// Every [`AT_ONCE`]th stream of a set.
async fn some(
    program: Arc<Program>,
    clock: Clock,
    set: usize,
    first: u32,
    method: Method,
    good: impl Fn(&StatusCode) -> bool,
) -> Result<(), LoadError> {
    let refused = |source| LoadError::Connect { index: first as usize, source };
    let mut connection = None;
    let fields = fields(&program, set, &method);
    for index in (first..program.plan.streams[set].count).step_by(AT_ONCE as usize) {
        let path = program.path(set, index);
        let request = format!("{method} {path} HTTP/1.1\r\n{fields}\r\n").into_bytes();
        let mut open = match connection.take() {
            Some(open) => open,
            None => {
                let stream = net::connect(program.target.address, 0, 1).await.map_err(refused)?;
                Connection::new(stream)
            }
        };
        let timeout = program.plan.timeout.max(Duration::from_secs(10));
        let (answer, _) = open.exchange(clock, &method, request, timeout).await;
        let answer = answer.map_err(|error| LoadError::Prepare {
            what: format!("{method} {path}"),
            reason: error.to_string(),
        })?;
        if !good(&answer.status) {
            return Err(LoadError::Prepare {
                what: format!("{method} {path}"),
                reason: format!("the answer is {}", answer.status),
            });
        }
        connection = Some(open).filter(|_| answer.keep_alive);
    }
    Ok(())
}

fn fields(program: &Program, set: usize, method: &Method) -> String {
    let mut out = format!("host: {}\r\ncontent-length: 0\r\n", program.target.host);
    if *method == Method::PUT {
        out.push_str(&format!("content-type: {}\r\n", program.plan.streams[set].content_type));
    }
    let text = |template: &crate::plan::Template| {
        let pieces = template.0.iter().map(|piece| match piece {
            crate::plan::Piece::Text(text) => text.as_str(),
            _ => "",
        });
        pieces.collect::<String>()
    };
    if let Some(bearer) = &program.plan.bearer {
        out.push_str(&format!("authorization: Bearer {}\r\n", text(bearer)));
    }
    for (name, value) in &program.plan.fields {
        out.push_str(&format!("{name}: {}\r\n", text(value)));
    }
    out
}
