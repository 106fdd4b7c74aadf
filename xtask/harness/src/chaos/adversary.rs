//! What happens to the program besides SIGKILL.

use simulator::Random;
use std::fmt;

/// What happens between a start and the SIGKILL that ends a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Adversary {
    /// Nothing else.
    Kill,
    /// SIGTERM, which it has to obey in time.
    Terminate,
    /// SIGSTOP, and SIGCONT after a time.
    Freeze,
    /// SIGHUP after the configuration was changed, once or twice.
    Reload,
    /// No room is left on the disk with the state.
    FullDisk,
    /// The disk with the state cannot be written to when it starts.
    ReadOnlyDisk,
    /// A copy of the state, cut or with bits flipped, is what it starts with; the state itself is unharmed.
    DamagedState,
    /// The clock of the machine jumps ahead by a day.
    ClockAhead,
    /// The clock of the machine is set back by a day.
    ClockBack,
    /// The receiver takes connections and reads nothing, and goes on reading after a time.
    SilentReceiver,
    /// The receiver takes connections, reads nothing, and dies.
    DyingReceiver,
    /// The receiver moves to another address, and the name that it is known by with it.
    MovingReceiver,
}

impl Adversary {
    /// All of them but [`Adversary::Kill`].
    pub(super) const OTHERS: [Self; 11] = [
        Self::Terminate,
        Self::Freeze,
        Self::Reload,
        Self::FullDisk,
        Self::ReadOnlyDisk,
        Self::DamagedState,
        Self::ClockAhead,
        Self::ClockBack,
        Self::SilentReceiver,
        Self::DyingReceiver,
        Self::MovingReceiver,
    ];

    /// Those that keep the receiver from confirming what it gets.
    pub(super) const OF_THE_RECEIVER: [Self; 4] = [
        Self::SilentReceiver,
        Self::DyingReceiver,
        Self::MovingReceiver,
        Self::Freeze,
    ];

    /// Whose turn it is: mostly nobody's but SIGKILL's.
    pub(super) fn choose(random: &mut Random, others: &[Self]) -> Self {
        if others.is_empty() || random.below(4) > 0 {
            return Self::Kill;
        }
        *random.pick(others)
    }
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "SIGKILL",
            Self::Terminate => "SIGTERM",
            Self::Freeze => "SIGSTOP, later SIGCONT",
            Self::Reload => "SIGHUP",
            Self::FullDisk => "full disk",
            Self::ReadOnlyDisk => "read-only disk",
            Self::DamagedState => "damaged state",
            Self::ClockAhead => "clock a day ahead",
            Self::ClockBack => "clock a day back",
            Self::SilentReceiver => "receiver that reads nothing for a time",
            Self::DyingReceiver => "receiver that reads nothing and dies",
            Self::MovingReceiver => "receiver that moves to another address",
        })
    }
}
