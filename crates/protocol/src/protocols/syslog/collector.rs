//! Hands over what a listener has received.

use super::listener::Listener;
use super::room::ROOM;
use super::{Carrier, Listening};
use crate::Cursor;
use crate::clock::Clock;
use crate::source::{Collector, LaneId, Page, Progress, Sink, Step};
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// How long one step waits for messages.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long to wait after a fault.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// How long senders may go on at the end.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long it may take after that to store what was received.
const CUT: Duration = Duration::from_secs(3);
/// A sink that refuses the last pages is asked again after this time.
const LAST_TRY: Duration = Duration::from_millis(100);

/// A full sink is asked again after this time.
const SINK_WAIT: TimeDelta = TimeDelta::milliseconds(200);

/// Most payloads in a page, and the room they take, short of one batch.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = ROOM / 2;

#[derive(Debug)]
pub(super) struct SyslogCollector {
    listening: Listening,
    id: LaneId,
    listener: Option<Listener>,
    /// What the sink is to take, and the room that it takes until then.
    offered: Option<(Page, usize)>,
    status: LaneStatus,
}

impl SyslogCollector {
    pub(super) fn new(listening: Listening, id: LaneId) -> Self {
        Self {
            listening,
            id,
            listener: None,
            offered: None,
            status: LaneStatus::default(),
        }
    }

    fn next(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Step {
        if self.offered.is_some() {
            return self.offer(now, sink);
        }
        if self.listener.as_ref().is_none_or(Listener::is_dead) && !self.bind(now) {
            return Step::Wait(now + PAUSE);
        }
        self.offered = self.receive(PATIENCE);
        if self.offered.is_some() {
            return self.offer(now, sink);
        }
        self.set_listening(now);
        Step::Again
    }

    fn bind(&mut self, now: DateTime<Utc>) -> bool {
        // An old one gives its port back first.
        self.listener = None;
        match Listener::bind(&self.listening) {
            Ok(listener) => {
                info!(lane = %self.id, "listening on {}", listener.address);
                self.listener = Some(listener);
                self.status.failures = 0;
                self.set_listening(now);
                true
            }
            Err(error) => {
                let message = format!("nothing can be received: {error}");
                if self.status.message != message {
                    warn!(lane = %self.id, "{message}");
                }
                self.status.failures = self.status.failures.saturating_add(1);
                self.status
                    .set(now, State::Error, message, Some(remedy(&error).to_owned()));
                false
            }
        }
    }

    /// A page of what is there, after waiting a moment for the first message.
    fn receive(&self, patience: Duration) -> Option<(Page, usize)> {
        let listener = self.listener.as_ref()?;
        let received = listener.receive(patience, PAGE_PAYLOADS, PAGE_BYTES)?;
        let page = Page {
            payloads: received.messages,
            cursor: Cursor::START,
            ..Page::default()
        };
        Some((page, received.cost))
    }

    fn offer(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Step {
        let Some((page, cost)) = self.offered.take() else {
            return Step::Again;
        };
        match sink.accept(&self.id, &page) {
            Ok(()) => {
                self.taken(&page, cost, now);
                Step::Again
            }
            Err(error) => {
                self.status.refused(&self.id, &error, now);
                self.offered = Some((page, cost));
                Step::Wait(now + SINK_WAIT)
            }
        }
    }

    /// The same at the end, where there is no later: what was received is taken whatever else waits.
    fn offer_last(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> bool {
        let Some((page, cost)) = self.offered.take() else {
            return true;
        };
        match sink.accept_last(&self.id, &page) {
            Ok(()) => {
                self.taken(&page, cost, now);
                true
            }
            Err(error) => {
                self.status.refused(&self.id, &error, now);
                self.offered = Some((page, cost));
                false
            }
        }
    }

    fn taken(&mut self, page: &Page, cost: usize, now: DateTime<Utc>) {
        if let Some(listener) = &self.listener {
            listener.is_spooled(cost);
        }
        self.status.taken(page, now);
        self.set_listening(now);
    }

    fn set_listening(&mut self, now: DateTime<Utc>) {
        let Some(listener) = &self.listener else {
            return;
        };
        let carrier = match self.listening.carrier {
            Carrier::Udp => "UDP",
            Carrier::Tcp => "TCP",
            Carrier::Tls => "TLS",
        };
        let mut message = format!("listening on {} ({carrier})", listener.address);
        if self.listening.carrier != Carrier::Udp {
            message += &format!(
                ", {} connected, {} refused",
                listener.connections(),
                listener.refused()
            );
        }
        self.status.set(now, State::Ok, message, None);
    }
}

/// What to do where a socket cannot be had.
pub(super) fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "choose another listen_port, or stop the program that has it",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: choose a listen_port above, or give the program CAP_NET_BIND_SERVICE"
        }
        ErrorKind::AddrNotAvailable => "choose a listen_address that this machine has",
        _ => "check the parameters of the log source and the files that they name",
    }
}

impl Collector for SyslogCollector {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let step = self.next(clock.now(), sink);
        self.status.next_step = match step {
            Step::Again => Some(clock.now()),
            Step::Wait(until) => Some(until),
            Step::Finished => None,
        };
        step
    }

    fn status(&self) -> &LaneStatus {
        &self.status
    }

    fn progress(&self) -> Progress {
        Progress::Endless
    }

    /// Receives what is on its way to us. Senders are told that we end. Those that heed that, as they have to, have
    /// nothing on its way soon; those that send on are cut off after a time.
    fn close(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) {
        if let Some(listener) = &self.listener {
            listener.stop();
        }
        let began = Instant::now();
        let mut lost = false;
        while began.elapsed() < GOODBYE + CUT {
            if began.elapsed() >= GOODBYE
                && let Some(listener) = &self.listener
            {
                listener.cut();
            }
            if !self.offer_last(clock.now(), sink) {
                lost = true;
                std::thread::sleep(LAST_TRY);
                continue;
            }
            lost = false;
            // Asked before the queue is looked at, so that nothing comes in between.
            let is_quiet = self.listener.as_ref().is_none_or(Listener::is_quiet);
            self.offered = self.receive(Duration::from_millis(20));
            if is_quiet && self.offered.is_none() {
                break;
            }
        }
        let left = self
            .offered
            .as_ref()
            .map_or(0, |(page, _)| page.payloads.len());
        if lost || left > 0 {
            error!(
                lane = %self.id,
                "the end came before everything that was received could be stored: {left} messages and what was still \
                 on its way are lost"
            );
        }
        self.listener = None;
    }
}
