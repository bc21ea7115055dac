//! Requests and answers, live readers, and what happens by itself.

use std::rc::Rc;
use std::time::Duration;

use thalweg::conn::respond;
use thalweg_proto::path::StreamPath;

use super::{Action, Following, Run};
use crate::clients::{Answer, Call, Clients, Followed, follow, render};
use crate::model::Page;
use crate::process::Hand;

impl Run {
    /// What happens by itself, from the beginning on.
    pub(super) fn schedule_trouble(&mut self) {
        for client in 0..self.plan.clients {
            self.after(Duration::ZERO, Action::Turn(client));
        }
        self.after(Duration::from_millis(3), Action::Follow);
        self.after(self.plan.checkpoint_every, Action::Checkpoint);
        self.after(Duration::from_millis(500), Action::Idle);
        if self.plan.jumps {
            self.after(Duration::from_millis(300), Action::Jump);
        }
        if self.plan.fills {
            self.after(Duration::from_millis(200), Action::Fill);
        }
        if self.plan.flips {
            self.after(Duration::from_millis(400), Action::Flip);
        }
    }

    pub(super) fn schedule_work(&mut self, hand: Hand) {
        let micros = match self.schedule.below(20) {
            0 => self.schedule.between(1_000, 50_000),
            _ => self.schedule.between(1, 1_000),
        };
        self.after(Duration::from_micros(micros), Action::Work(hand));
    }

    pub(super) fn act(&mut self, action: Action) {
        let ms = |ms| Duration::from_millis(ms);
        match action {
            Action::Turn(client) => {
                let busy = self.calls.values().any(|call| call.client == client);
                if !busy && self.audit.is_none() && !self.quiet && !self.draining {
                    let call = self.clients.next_call(&mut self.model, client);
                    self.send(call);
                }
                let pause = self.schedule.below(self.plan.think_micros);
                self.after(Duration::from_micros(pause), action);
            }
            Action::Follow => {
                self.begin_to_follow();
                let pause = self.schedule.between(5, 200);
                self.after(ms(pause), action);
            }
            Action::Checkpoint => {
                let core = self.trouble.index(self.cores);
                self.on_core(core, |core| core.checkpoint());
                let longest = self.plan.checkpoint_every.as_millis() as u64;
                let pause = self.trouble.between(1, longest);
                self.after(ms(pause), action);
            }
            Action::Work(hand) => {
                let progress = self.process.as_mut().map(|process| process.go_on_working(hand));
                match progress {
                    Some(Ok(true)) => self.schedule_work(hand),
                    Some(Err(death)) => self.died(death),
                    _ => {}
                }
            }
            Action::Jump => {
                let by = match self.trouble.below(4) {
                    0 => -(self.trouble.below(3_600_000) as i64),
                    1 => self.trouble.below(3_600_000) as i64,
                    2 => -(self.trouble.below(2_000) as i64),
                    _ => self.trouble.below(30_000) as i64,
                };
                self.trace.line(format_args!("the wall clock jumps by {by} ms"));
                self.time.jump(by);
                let pause = self.trouble.between(100, 5_000);
                self.after(ms(pause), action);
            }
            Action::Fill => {
                self.trace.line(format_args!("the disk is full"));
                self.disk.lock().faults.full = true;
                let pause = self.trouble.between(10, 3_000);
                self.after(ms(pause), Action::Empty);
            }
            Action::Empty => {
                self.trace.line(format_args!("the disk has space"));
                self.disk.lock().faults.full = false;
                let pause = self.trouble.between(100, 3_000);
                self.after(ms(pause), Action::Fill);
            }
            Action::Flip => {
                self.flip();
                let pause = self.trouble.between(100, 2_000);
                self.after(ms(pause), action);
            }
            Action::Idle => {
                // Long enough for streams to expire; nothing but time passes.
                if self.calls.is_empty() && self.trouble.chance(1, 3) {
                    let pause = self.trouble.between(500, 15_000);
                    let keys: Vec<_> = self.actions.keys().copied().collect();
                    for key in keys {
                        if matches!(self.actions.get(&key), Some(Action::Turn(_)))
                            && let Some(turn) = self.actions.remove(&key)
                        {
                            self.actions.insert((key.0 + ms(pause), key.1), turn);
                        }
                    }
                }
                let pause = self.trouble.between(200, 2_000);
                self.after(ms(pause), action);
            }
        }
    }

    fn on_core(&mut self, core: usize, run: impl FnOnce(&Rc<thalweg::core::Core>)) {
        let result = self.process.as_ref().map(|process| process.on_core(core, run));
        if let Some(Err(death)) = result {
            self.died(death);
        }
    }

    /// Sends a request to whichever core its connection is on.
    pub(super) fn send(&mut self, call: Call) {
        let (head, body) = render(&self.model, &call);
        let number = self.next_call;
        self.next_call += 1;
        self.totals.calls += 1;
        let name = self.model.paths[call.path].name();
        self.trace.line(format_args!(
            "{:?}: #{number} client {} {name}: {:?}",
            self.time.now(),
            call.client,
            call.purpose
        ));
        self.calls.insert(number, call);
        let answers = Rc::clone(&self.answers);
        let core = self.schedule.index(self.cores);
        self.on_core(core, move |core| {
            let core = Rc::clone(core);
            thalweg::rt::spawn(async move {
                core.connections.set(core.connections.get() + 1);
                let response = respond(&core, &head, body).await;
                core.connections.set(core.connections.get() - 1);
                answers.borrow_mut().push((number, response.as_ref().map(Answer::of)));
            });
        });
    }

    pub(super) fn take_answers(&mut self) {
        let answers = std::mem::take(&mut *self.answers.borrow_mut());
        let tolerance = self.tolerance;
        for (number, answer) in answers {
            let Some(call) = self.calls.remove(&number) else { continue };
            match &answer {
                None => self.trace.line(format_args!("#{number}: no answer")),
                Some(answer) => self.trace.line(format_args!(
                    "#{number}: {} {:?} {}{}",
                    answer.status,
                    answer.next,
                    answer.code,
                    if answer.closed { " closed" } else { "" }
                )),
            }
            self.model.judge(&call, answer.as_ref(), tolerance);
            self.clients.answered(&self.model, &call, answer.as_ref());
            self.audit_answered(&call, answer.as_ref());
        }
    }

    /// The call of an audit, which no client makes.
    pub(super) fn audit_call(&self, path: usize, purpose: crate::clients::Purpose) -> Call {
        Clients::call(&self.model, self.plan.clients, path, purpose)
    }

    fn begin_to_follow(&mut self) {
        if self.audit.is_some() || self.quiet || self.draining || self.followers.len() >= 4 {
            return;
        }
        let path = self.schedule.index(self.model.paths.len());
        let name = self.model.paths[path].name();
        let Ok(stream) = StreamPath::new(&name) else { return };
        let lifetime = Duration::from_millis(self.schedule.between(10, 5_000));
        let reader = self.next_call;
        self.next_call += 1;
        let began = self.model.beginning(path);
        self.followers.insert(reader, Following { path, sent: self.step, began });
        self.trace.line(format_args!("#{reader} follows {name} for {lifetime:?}"));
        let log = Rc::clone(&self.followed);
        let core = self.schedule.index(self.cores);
        self.on_core(core, move |core| {
            let core = Rc::clone(core);
            thalweg::rt::spawn(follow(core, stream, lifetime, reader, log));
        });
    }

    pub(super) fn take_followed(&mut self) {
        let followed = std::mem::take(&mut *self.followed.borrow_mut());
        for (reader, followed) in followed {
            let Some(following) = self.followers.get(&reader).copied() else { continue };
            let Following { path, sent, began } = following;
            let Followed::Shown { stream, start, bytes, closed, up_to_date, expected } = followed
            else {
                self.trace.line(format_args!("#{reader} is over"));
                self.followers.remove(&reader);
                continue;
            };
            let end = start + bytes.len() as u64;
            self.trace.line(format_args!("#{reader} sees {start}..{end} of {stream}"));
            if !self.model.heard_of(stream, path, sent) {
                continue;
            }
            if expected.is_none() {
                let known = began.filter(|(id, _)| *id == stream).map_or(0, |(_, start)| start);
                self.model.begins_at(stream, path, known, &Page { start, end, up_to_date });
            }
            self.model.shown(stream, path, start, &bytes);
            if expected.is_some_and(|expected| expected != start) {
                let what = format!("a live reader of {stream} at {expected:?} was sent {start}");
                self.model.broken("I8", what);
            }
            if closed {
                self.model.told_tail(stream, path, end, 0, true);
            }
        }
    }

    /// Flips a bit of something durable: seldom of the last group of a log, whose damage nobody
    /// can tell from a torn write.
    fn flip(&mut self) {
        let last_writes = self.disk.lock().last_writes();
        let any = self.plan.flips_tail && self.trouble.chance(1, 4);
        let last = |path: &str| last_writes.get(path).copied().unwrap_or(usize::MAX);
        let hit = self.disk.flip_bit(&mut self.trouble, |path, len| {
            Some(0..if any { len } else { last(path).min(len) })
        });
        if let Some((path, byte)) = hit {
            self.tail_hit |= path.to_str().is_some_and(|path| byte >= last(path));
            self.trace.line(format_args!("a bit of {} flips at {byte}", path.display()));
            self.flipped.insert(path);
        }
    }
}
