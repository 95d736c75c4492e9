//! What other processes of the same user see of this one.

/// Keeps the variables and the memory of this process from other processes of its user, such as the programs that tools
/// run: they could read `/proc/PID/environ`, and attach a debugger. There are no core dumps of it either. A process with
/// the capability `SYS_PTRACE`, `PERFMON` or `SYS_ADMIN`, as root's are, reads them all the same.
///
/// On other systems than Linux, this does nothing.
pub(crate) fn hide() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};

        // It does not fail with this value.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
