//! One run, from a ready plan to its result: the view, the signals, the log and the endpoint around
//! it.

use thalweg_loadgen::engine::Stop;
use thalweg_loadgen::live::{Board, LiveMode, show};
use thalweg_loadgen::output::jtl::JtlWriter;
use thalweg_loadgen::output::metrics::{self, MetricsServer};
use thalweg_loadgen::result::thresholds;

use super::exit::{Exit, Failure};
use super::generator::Generator;
use super::interrupt::stop_on_signal;
use super::plan::Ready;
use super::results::{ResultArgs, WatchArgs};

/// Makes the run, and shows and writes what came of it.
pub(super) fn execute(
    ready: &Ready,
    generator: &Generator,
    results: &ResultArgs,
) -> Result<Exit, Failure> {
    results.check()?;
    let mut options = generator.options();
    let log = match &results.log {
        None => None,
        Some(file) => {
            let failed = |error| Failure::usage(format!("--log {}: {error}", file.display()));
            let (writer, sink) = JtlWriter::create(file).map_err(failed)?;
            options.jtl = Some(sink);
            options.jtl_deliveries = results.jtl_deliveries;
            Some(writer)
        }
    };
    let endpoint = results.watch.endpoint(&options.board)?;
    stop_on_signal(&options.stop);
    let mode = if results.watch.quiet { LiveMode::Quiet } else { LiveMode::Auto };
    let view = show(options.board.clone(), Stop::clone(&options.stop), mode);
    let made = generator.run(ready, &ready.plan, None, &options);
    view.finish();
    drop(endpoint);
    let mut result = match made {
        Ok(result) => result,
        Err(error) => {
            log.into_iter().for_each(JtlWriter::abandon);
            let stopped = options.stop.is_stopped();
            return Err(if stopped { stopped_early() } else { error.into() });
        }
    };
    let logged = log.map(JtlWriter::finish).transpose();
    let logged = logged.map_err(|error| Failure::not_made(format!("--log: {error}")));
    ready.sign(&mut result);
    results.write(&result).and(logged.map(drop))?;
    Ok(match thresholds::passed(&result) {
        _ if result.meta.interrupted => Exit::Interrupted,
        true => Exit::Passed,
        false => Exit::Failed,
    })
}

impl WatchArgs {
    /// Begins to answer Prometheus, if that is asked for, until it is dropped.
    pub(super) fn endpoint(&self, board: &Board) -> Result<Option<MetricsServer>, Failure> {
        let Some(address) = &self.metrics else { return Ok(None) };
        let failed = |error| {
            Failure::usage(format!(
                "--metrics {address}: {error}; expected an address of this machine that is free, \
                 like 127.0.0.1:9464"
            ))
        };
        let server = metrics::serve(address.as_str(), board.clone()).map_err(failed)?;
        if !self.quiet {
            eprintln!("thalweg: metrics at http://{}/metrics", server.address());
        }
        Ok(Some(server))
    }
}

fn stopped_early() -> Failure {
    let message = "stopped before the load began: there is no result".to_owned();
    Failure { exit: Exit::Interrupted, message }
}
