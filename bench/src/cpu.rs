//! Processor time that processes have used, in seconds. On a busy machine it says more than the clock on the wall.

use nix::unistd::Pid;

/// The kernel counts in these units for every program, whatever its own clock.
const TICKS_PER_SEC: f64 = 100.0;

struct Stat {
    parent: i32,
    own: f64,
    /// Of children that have ended.
    ended: f64,
}

fn stat(pid: Pid) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let own = (ticks(11)? + ticks(12)?) / TICKS_PER_SEC;
    let ended = (ticks(13)? + ticks(14)?) / TICKS_PER_SEC;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own, ended })
}

/// Of this process alone; 0 where the system does not tell.
pub fn of(pid: Pid) -> f64 {
    stat(pid).map_or(0.0, |stat| stat.own)
}

/// Of this process and its children, those that have ended too.
pub fn with_children(pid: Pid) -> f64 {
    let Some(top) = stat(pid) else { return 0.0 };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    let children = pids.filter_map(stat).filter(|stat| stat.parent == pid.as_raw());
    top.own + top.ended + children.map(|stat| stat.own).sum::<f64>()
}
