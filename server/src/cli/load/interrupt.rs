//! What a signal does to a run: the first asks it to stop, the next ends the program.

use std::io::IsTerminal;

use thalweg_loadgen::engine::Stop;
use thalweg_loadgen::live;

use crate::signals;

/// From now on SIGINT and SIGTERM ask `stop`; once it was asked, by a key or a signal, the next
/// one ends the program at once, with the exit code that a shell gives to that signal.
pub(super) fn stop_on_signal(stop: &Stop) {
    let stop = stop.clone();
    let caught = signals::catch(signals::TO_END.to_vec(), move |number| {
        if stop.is_stopped() {
            live::give_back_terminal();
            std::process::exit(128 + number);
        }
        stop.stop();
        // A full screen shows it itself.
        if !std::io::stdout().is_terminal() {
            eprintln!("thalweg: stopping; the same signal again ends it at once");
        }
    });
    if !caught {
        eprintln!("thalweg: signals cannot be caught: they end this program without a result");
    }
}
