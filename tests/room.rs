//! Disks that are full: a run waits for room, or begins again behind its last commit, and leaves in the end what it leaves where there
//! is room. The disks are real file systems, a few megabytes large: mounting them takes root, which is why these tests are called by name.
//!
//!     cargo test --workspace --test room -- --ignored

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod site;

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use site::Site;

/// A file system in memory, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &at);
        SmallDisk(at)
    }

    fn becomes(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], &self.0);
    }
}

fn mount(args: &[&str], at: &Path) {
    let mounted = Command::new("mount").args(args).arg(at).output().unwrap();
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Much text of many devices into a store; store and state lie in a folder of this name.
fn pipeline(site: &Site, folder: &str, devices: usize) -> PathBuf {
    let mut talk = String::new();
    for n in 0..6000 {
        let text = format!("order {n} goes to the harbour, call 555-01{:02}", n % 100);
        let at = format!("2026-03-02T0{}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60);
        let device = n % devices;
        writeln!(
            talk,
            "{{\"device\": \"device-{device}\", \"captured_at\": \"{at}\", \"text\": \"{text}\"}}"
        )
        .unwrap();
    }
    std::fs::write(site.path("talk.jsonl"), talk).unwrap();
    let text = format!(
        "[pipeline]\nname = 'full'\nepoch = {{ rows = 40 }}\ncommit = {{ epochs = 2 }}\n
         [stage.talk]\ntype = 'capture'\npath = '{}'\n
         [stage.redact]\ntype = 'redact'\nfrom = 'talk'\n
         [stage.vault]\ntype = 'store'\nfrom = 'redact'\npath = '{}'\nseal_rows = 700\n",
        site.path("talk.jsonl").display(),
        site.path(folder).join("vault").display()
    );
    let file = site.path(&format!("{folder}.toml"));
    std::fs::write(&file, text).unwrap();
    file
}

fn begin(site: &Site, folder: &str, devices: usize) -> Child {
    let file = pipeline(site, folder, devices).display().to_string();
    let mut run = site.command(&["run", &file, "--quiet"]);
    run.env("HEADWATER_STATE", site.path(folder).join("state")).stdout(Stdio::null()).stderr(Stdio::piped());
    run.spawn().unwrap()
}

fn digest(site: &Site, folder: &str) -> String {
    let vault = site.path(folder).join("vault").display().to_string();
    let printed = site.command(&["store", "digest", &vault]).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}

/// Waits until the run has said something about room, and does something about it then; gives all that it said.
fn when_it_wants_room(run: &mut Child, give: impl FnOnce()) -> String {
    let mut give = Some(give);
    let mut said = String::new();
    for line in BufReader::new(run.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if (line.contains("paused: ") || line.contains("the disk is full"))
            && let Some(give) = give.take()
        {
            give();
        }
        said += &(line + "\n");
    }
    assert!(give.is_none(), "it wanted no room: {said}");
    assert!(run.wait().unwrap().success(), "{said}");
    said
}

/// What the same run leaves where there is room.
fn undisturbed(site: &Site, devices: usize) -> String {
    std::fs::create_dir_all(site.path("large")).unwrap();
    let run = begin(site, "large", devices).wait_with_output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    digest(site, "large")
}

#[test]
#[ignore = "mounts a small disk: needs root"]
fn a_run_waits_for_room_and_goes_on() {
    let site = Site::new();
    let _disk = SmallDisk::mount(site.path("small"), "size=200m");
    let in_the_way = site.path("small/in-the-way");
    std::fs::write(&in_the_way, vec![0; 180 << 20]).unwrap();
    let mut run = begin(&site, "small", 11);
    let said = when_it_wants_room(&mut run, || std::fs::remove_file(&in_the_way).unwrap());
    assert!(said.contains("left, of"), "{said}");
    assert_eq!(digest(&site, "small"), undisturbed(&site, 11));
}

#[test]
#[ignore = "mounts a small disk: needs root"]
fn a_disk_that_is_full_in_the_middle_of_a_write_costs_nothing() {
    let site = Site::new();
    // One file for each device is made when the store seals: more than this disk can name.
    let disk = SmallDisk::mount(site.path("small"), "size=400m,nr_inodes=150");
    let mut run = begin(&site, "small", 200);
    let said = when_it_wants_room(&mut run, || disk.becomes("nr_inodes=100000"));
    assert!(said.contains("the disk is full") && said.contains("goes on after its last commit"), "{said}");
    assert_eq!(digest(&site, "small"), undisturbed(&site, 200));
}
