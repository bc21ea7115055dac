//! How a run is doing while it runs: the board that the engine writes to, and the view of it.
//!
//! What is shown is a pure function of the board and of what the view remembers of it
//! ([`History`]): a screen of cells ([`draw`]) or a line of text. Invariant: whatever ends the
//! view, a panic included, the terminal is as it was before.
//!
//! Deliberately absent: signals. In a raw terminal Ctrl-C is a key and asks the run to stop;
//! elsewhere it stays the signal that the program handles.

mod board;
mod history;
mod panels;
mod plain;
mod screen;
mod terminal;
mod view;

pub use board::*;
pub use history::{History, Moment};
pub use screen::{Screen, draw};
pub use terminal::give_back as give_back_terminal;
pub use view::{LiveMode, LiveView, show};
