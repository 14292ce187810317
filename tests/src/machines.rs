//! Several machines in one: network namespaces on a bridge, each with an address, and all knowing each other by name.
//!
//! What runs in them speaks to each other and to nobody else: nothing leads out. Needs root, or fails at once.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::run;

/// The machines; removed when dropped, after what runs in them has been ended.
pub struct Machines {
    prefix: String,
    names: Vec<String>,
}

impl Machines {
    /// Machines of these names; each is `NAME.example` to the others.
    pub fn new(names: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Names of interfaces have at most 15 letters.
        let prefix = format!("py{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let machines = Machines { prefix, names: names.iter().map(|name| (*name).to_owned()).collect() };
        machines.set_up();
        machines
    }

    fn set_up(&self) {
        let hub = self.space("hub");
        ip(&["netns", "add", &hub]);
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"]);
        ip(&["-n", &hub, "link", "set", "bridge", "up"]);
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        for (at, name) in self.names.iter().enumerate() {
            hosts.push_str(&format!("{} {name}.example\n", address(at)));
        }
        for (at, name) in self.names.iter().enumerate() {
            let (space, port) = (self.space(name), format!("port{at}"));
            ip(&["netns", "add", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["link", "add", &port, "netns", &hub, "type", "veth", "peer", "name", "eth0", "netns", &space]);
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"]);
            ip(&["-n", &space, "addr", "add", &format!("{}/24", address(at)), "dev", "eth0"]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
            // `ip netns exec` lays this over /etc/hosts.
            let folder = etc(&space);
            std::fs::create_dir_all(&folder).expect("a folder for the names");
            std::fs::write(folder.join("hosts"), &hosts).expect("the names");
        }
    }

    fn space(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A shell command on one of them.
    pub fn shell(&self, name: &str, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(name), "sh", "-c", line]);
        command
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in self.names.iter().map(String::as_str).chain(["hub"]) {
            let space = self.space(name);
            let _ = Command::new("ip").args(["netns", "del", &space]).output();
            let _ = std::fs::remove_dir_all(etc(&space));
        }
    }
}

/// From the block that is for documents; it is routed nowhere.
fn address(at: usize) -> String {
    format!("192.0.2.{}", at + 1)
}

fn etc(space: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(space)
}

#[track_caller]
fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments), Duration::from_secs(20)).expect(0);
}
