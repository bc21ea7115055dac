//! What a request asked for, as a label.

use http::Method;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{LiveMode, Request};

/// The operation of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// PUT.
    Create,
    /// POST.
    Append,
    /// GET without waiting.
    Read,
    /// GET with `live=long-poll`.
    LongPoll,
    /// GET with `live=sse`.
    Sse,
    /// HEAD.
    Metadata,
    /// DELETE.
    Delete,
    /// The listing.
    List,
    /// Anything else under `__ds/`.
    Control,
    /// OPTIONS.
    Options,
    /// `/healthz` and `/readyz`.
    Health,
    /// No request: the bytes made none, or its fields were wrong.
    Invalid,
}

/// How many there are.
pub(super) const OPERATIONS: usize = Operation::ALL.len();

impl Operation {
    /// All of them, in order.
    pub const ALL: [Operation; 12] = [
        Operation::Create,
        Operation::Append,
        Operation::Read,
        Operation::LongPoll,
        Operation::Sse,
        Operation::Metadata,
        Operation::Delete,
        Operation::List,
        Operation::Control,
        Operation::Options,
        Operation::Health,
        Operation::Invalid,
    ];

    /// Of a parsed request, or of one that was refused: for want of permission, or because there were too many,
    /// it is what its method says.
    #[must_use]
    pub fn of(request: &Result<Request, Problem>, method: &Method) -> Operation {
        match request {
            Ok(Request::Create(_)) => Operation::Create,
            Ok(Request::Append(_)) => Operation::Append,
            Ok(Request::Read(read)) => match read.live {
                LiveMode::CatchUp => Operation::Read,
                LiveMode::LongPoll => Operation::LongPoll,
                LiveMode::Sse => Operation::Sse,
            },
            Ok(Request::Metadata { .. }) => Operation::Metadata,
            Ok(Request::Delete { .. }) => Operation::Delete,
            Ok(Request::List(_)) => Operation::List,
            Ok(Request::Control(_)) => Operation::Control,
            Ok(Request::Options) => Operation::Options,
            Err(problem) if matches!(problem.status.as_u16(), 401 | 403 | 429) => {
                Operation::of_method(method)
            }
            Err(_) => Operation::Invalid,
        }
    }

    /// What a request of this method would be, whatever else is wrong with it.
    #[must_use]
    pub fn of_method(method: &Method) -> Operation {
        match *method {
            Method::PUT => Operation::Create,
            Method::POST => Operation::Append,
            Method::GET => Operation::Read,
            Method::HEAD => Operation::Metadata,
            Method::DELETE => Operation::Delete,
            Method::OPTIONS => Operation::Options,
            _ => Operation::Invalid,
        }
    }

    /// The label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Append => "append",
            Operation::Read => "read",
            Operation::LongPoll => "long_poll",
            Operation::Sse => "sse",
            Operation::Metadata => "metadata",
            Operation::Delete => "delete",
            Operation::List => "list",
            Operation::Control => "control",
            Operation::Options => "options",
            Operation::Health => "health",
            Operation::Invalid => "invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_place() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index, "{operation:?}");
        }
    }
}
