//! What is in the memory of this process stays there.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Switches core dumps off: the memory holds secrets, tokens and payloads. Called by the commands that read secrets, before
/// they do. Other processes of the same user cannot look into the memory any more either, a debugger included.
pub(crate) fn keep_private() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Each of the two is enough by itself: a pipe as `core_pattern` ignores the limit, and a program that changes its
    // user gets the other one back.
    let limited = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let hidden = {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    };
    #[cfg(not(target_os = "linux"))]
    let hidden = limited;
    if limited.is_err() && hidden.is_err() {
        crate::terminal::error(
            "core dumps cannot be switched off; if this process crashes, one may hold secrets",
        );
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_crash_leaves_no_core_dump() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
        super::keep_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }
}
