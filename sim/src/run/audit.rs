//! After each start every path is read from end to end, while clients wait.

use super::Run;
use crate::clients::{Answer, Call, Purpose};

impl Run {
    /// Asks for the next page of the audit, if nothing is under way.
    pub(super) fn go_on_with_audit(&mut self) {
        if !self.calls.is_empty() || self.draining || self.process.is_none() {
            return;
        }
        let Some(path) = self.audit.as_mut().and_then(|left| left.front().copied()) else {
            if self.audit.take().is_some() {
                self.trace.line(format_args!("audited"));
            }
            return;
        };
        let call = self.audit_call(path, Purpose::Read { from: None, audit: true });
        self.send(call);
    }

    pub(super) fn audit_answered(&mut self, call: &Call, answer: Option<&Answer>) {
        let Purpose::Read { audit: true, .. } = call.purpose else { return };
        let Some(answer) = answer else { return };
        if answer.status == 200 && !answer.up_to_date && answer.next.is_some() {
            let next = Purpose::Read { from: answer.next, audit: true };
            let call = self.audit_call(call.path, next);
            return self.send(call);
        }
        if let (200, Some((id, _, end))) = (answer.status, answer.tag) {
            self.model.audited(id, end);
        }
        if let Some(left) = &mut self.audit {
            left.pop_front();
        }
    }
}
