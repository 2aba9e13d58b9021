//! What a process has cost so far, as the kernel counts it. Linux only.

use std::time::Duration;

/// The kernel shows CPU time to user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Why a process cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is gone, or never was.
    #[error("process {pid} cannot be read: {source}")]
    Gone {
        /// Which one.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel's text is not what we know.
    #[error("process {0} has a stat line that cannot be read")]
    Unreadable(u32),
}

/// CPU time of all threads of the process, living and ended, in user and kernel mode.
pub fn cpu_time(pid: u32) -> Result<Duration, ProcessError> {
    let ticks = stat_field(pid, UTIME)? + stat_field(pid, STIME)?;
    let ticks = u32::try_from(ticks).map_err(|_| ProcessError::Unreadable(pid))?;
    Ok(TICK * ticks)
}

/// CPU time of every descendant of the process that still lives.
pub fn descendants_cpu_time(pid: u32) -> Duration {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            && let Ok(parent) = stat_field(child, PPID)
        {
            parents.push((child, parent));
        }
    }
    let mut family = vec![u64::from(pid)];
    let mut total = Duration::ZERO;
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        for (child, _) in parents.iter().filter(|(_, of)| *of == parent) {
            family.push(u64::from(*child));
            total += cpu_time(*child).unwrap_or_default();
        }
    }
    total
}

/// Memory that the process holds now, in KiB.
pub fn resident_kib(pid: u32) -> Result<u64, ProcessError> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|source| ProcessError::Gone { pid, source })?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.ok_or(ProcessError::Unreadable(pid))
}

// Fields of `/proc/<pid>/stat` after the command's closing parenthesis, counted from 0.
const PPID: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;

fn stat_field(pid: u32, field: usize) -> Result<u64, ProcessError> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|source| ProcessError::Gone { pid, source })?;
    // The command may itself contain blanks and parentheses; the last one closes it.
    let (_, rest) = stat.rsplit_once(')').ok_or(ProcessError::Unreadable(pid))?;
    let value = rest.split_whitespace().nth(field).and_then(|text| text.parse().ok());
    value.ok_or(ProcessError::Unreadable(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cpu_time_grows_with_work_and_our_memory_is_not_nothing() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(30) {
            sum = (0..100_000).fold(sum, u64::wrapping_add);
        }
        assert!(resident_kib(pid).unwrap() > 100);
        assert!(sum > 0);
    }

    #[test]
    fn a_child_counts_as_a_descendant() {
        let spin = "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done";
        let mut child = std::process::Command::new("sh").args(["-c", spin]).spawn().unwrap();
        for _ in 0..200 {
            if descendants_cpu_time(std::process::id()) > Duration::ZERO {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let counted = descendants_cpu_time(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(counted > Duration::ZERO);
    }
}
