//! The data folder: that it can be written, and how much room is left.

use super::Finding;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use std::path::Path;

const CHECK: &str = "disk";
const MIB: u64 = 1024 * 1024;
/// Under this Postgres may stop at any moment.
const TOO_LITTLE: u64 = 256 * MIB;
const LITTLE: u64 = 2048 * MIB;

pub(super) async fn check(data_dir: &Path) -> Finding {
    let shown = data_dir.display();
    // Before the first start the folder is not there; what is there of its way stands for it.
    let Some(there) = data_dir.ancestors().find(|folder| folder.exists() || folder.as_os_str().is_empty()) else {
        return Finding::fail(CHECK, format!("{shown} leads nowhere."), "Set DATA_DIR to a folder that can be made.");
    };
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    if !there.is_dir() {
        return Finding::fail(CHECK, format!("{} is no folder.", there.display()), "Set DATA_DIR to one.");
    }
    if let Err(error) = access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        let text = format!("{} cannot be written by this user: {}.", there.display(), error.desc());
        return Finding::fail(CHECK, text, "Give it to the user that runs Rejoinder, or set DATA_DIR.");
    }
    #[allow(clippy::useless_conversion, reason = "narrower on other systems")]
    match statvfs(there) {
        Ok(room) => judged(&shown.to_string(), u64::from(room.blocks_available()) * u64::from(room.fragment_size())),
        Err(error) => {
            Finding::warn(CHECK, format!("The room of {shown} cannot be told: {}.", error.desc()), "Look with `df`.")
        }
    }
}

fn judged(folder: &str, free: u64) -> Finding {
    let text = format!("{:.1} GiB are free for {folder}.", free as f64 / (1024.0 * MIB as f64));
    let todo = "Make room, or move DATA_DIR: a full disk stops the database.";
    match free {
        0..TOO_LITTLE => Finding::fail(CHECK, text, todo),
        TOO_LITTLE..LITTLE => Finding::warn(CHECK, text, todo),
        _ => Finding::ok(CHECK, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[tokio::test]
    async fn little_room_is_told_before_it_is_too_little() {
        let state = |mib: u64| judged("/srv", mib * MIB).state;
        assert_eq!(
            [state(10), state(255), state(256), state(2047), state(2048)],
            [State::Fail, State::Fail, State::Warn, State::Warn, State::Ok]
        );
        assert_eq!(judged("/srv", 3 * 1024 * MIB).text, "3.0 GiB are free for /srv.");
    }

    #[tokio::test]
    async fn a_file_in_the_way_of_the_folder_is_named() {
        let file = std::env::current_exe().unwrap();
        let found = check(&file.join("data")).await;
        assert_eq!(found.state, State::Fail);
        assert!(found.text.contains(file.to_str().unwrap()), "{found:?}");
    }
}
