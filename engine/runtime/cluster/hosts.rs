//! hosts.toml: which processes a cluster has, where they are, and what proves who they are.
//!
//! In: the text of a file. Out: hosts that fit together, or all mistakes with their lines. It reads no other file: certificates
//! are named here and checked elsewhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_contract::OptionType;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check::similar::{nearest, one_of};

/// Processes that one cluster may have.
pub const MOST: usize = 64;
/// The default time for which processes wait for each other at the start: enough to start them by hand.
const WAIT: Duration = Duration::from_mins(1);

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port, over TLS.
    Tcp(String),
    /// A socket of this machine, for processes of the same user.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name in its certificate.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// The file of its certificate.
    pub certificate: PathBuf,
    /// The file of its private key, which only it needs.
    pub key: PathBuf,
}

/// The processes of a cluster; the first is the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// In the order of the file.
    pub processes: Vec<Host>,
    /// Worker threads of each.
    pub workers: usize,
    /// The certificate that all others are signed with.
    pub authority: PathBuf,
    /// The time for which processes wait for each other at the start.
    pub wait: Duration,
}

impl Hosts {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// All mistakes, one a line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
        Hosts::parse(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))
    }

    fn parse(text: &str, name: &str, folder: &Path) -> Result<Self, String> {
        let mut reader = Reader { text, name, folder, wrong: Vec::new() };
        let hosts = reader.hosts();
        match hosts {
            Some(hosts) if reader.wrong.is_empty() => Ok(hosts),
            _ => Err(reader.wrong.join("\n")),
        }
    }

    /// A cluster of this machine: sockets in a folder.
    pub fn local(folder: &Path, processes: usize, workers: usize) -> Self {
        let host = |index: usize| {
            let name = if index == 0 { "home".to_owned() } else { format!("process-{index}") };
            let address = Address::Unix(folder.join(format!("{index}.sock")));
            Host { name, address, certificate: PathBuf::new(), key: PathBuf::new() }
        };
        let processes = (0..processes).map(host).collect();
        Hosts { processes, workers, authority: PathBuf::new(), wait: WAIT }
    }

    /// The file that says so.
    pub fn text(&self) -> String {
        let mut text = format!("wait = \"{}s\"\n", self.wait.as_secs());
        for host in &self.processes {
            let Host { name, address, .. } = host;
            text += &format!(
                "\n[[process]]\nname = {name:?}\naddress = {:?}\nworkers = {}\n",
                address.to_string(),
                self.workers
            );
        }
        text
    }

    /// Returns the name of a process in messages.
    pub fn called(&self, index: usize) -> String {
        let name = self.processes.get(index).map_or("?", |host| host.name.as_str());
        format!("process {index} (`{name}`)")
    }
}

const KEYS: [&str; 3] = ["ca", "wait", "process"];
const PROCESS_KEYS: [&str; 5] = ["name", "address", "workers", "certificate", "key"];

struct Reader<'t> {
    text: &'t str,
    name: &'t str,
    folder: &'t Path,
    wrong: Vec<String>,
}

type Value<'t> = Spanned<DeValue<'t>>;

impl<'t> Reader<'t> {
    fn mistake(&mut self, at: usize, what: impl fmt::Display) {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        self.wrong.push(format!("{}:{line}: {what}", self.name));
    }

    fn hosts(&mut self) -> Option<Hosts> {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.mistake(at, format!("invalid TOML: {}", error.message()));
                return None;
            }
        };
        self.unknown(&table, &KEYS);
        let wait = match table.get("wait") {
            None => WAIT,
            Some(value) => self.duration(value).unwrap_or(WAIT),
        };
        let authority = table.get("ca").and_then(|value| self.word(value, "ca"));
        let authority = self.folder.join(authority.unwrap_or_else(|| "certs/ca.pem".into()));
        let Some((list, DeValue::Array(tables))) = table.get("process").map(|v| (v, v.get_ref())) else {
            self.mistake(0, "no process; expected two or more tables `[[process]]`");
            return None;
        };
        let at = list.span().start;
        if !(1..=MOST).contains(&tables.len()) {
            self.mistake(at, format!("{} processes; expected 1 to {MOST}", tables.len()));
        }
        let read: Vec<(Host, usize, usize)> = tables.iter().filter_map(|table| self.process(table)).collect();
        self.together(&read);
        let workers = read.first().map_or(1, |(_, workers, _)| *workers);
        let processes = read.into_iter().map(|(host, ..)| host).collect();
        Some(Hosts { processes, workers, authority, wait })
    }

    /// Checks processes against each other.
    fn together(&mut self, read: &[(Host, usize, usize)]) {
        let Some((first, first_workers, _)) = read.first() else { return };
        for (index, (host, workers, at)) in read.iter().enumerate() {
            let earlier = read.get(..index).unwrap_or_default();
            if earlier.iter().any(|(other, ..)| other.name == host.name) {
                self.mistake(*at, format!("the name `{}` stands twice", host.name));
            }
            if earlier.iter().any(|(other, ..)| other.address == host.address) {
                self.mistake(*at, format!("the address {} stands twice", host.address));
            }
            if workers != first_workers {
                let what = format!("{workers} workers, and `{}` has {first_workers}", first.name);
                self.mistake(*at, format!("{what}; all processes of a cluster have the same number"));
            }
            let both = matches!(first.address, Address::Tcp(_)) == matches!(host.address, Address::Tcp(_));
            if !both {
                self.mistake(*at, "some addresses are sockets of one machine and others are not");
            }
        }
    }

    /// A process, its workers, and where it stands.
    fn process(&mut self, value: &Value<'t>) -> Option<(Host, usize, usize)> {
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.mistake(at, "a process that is not a table; expected `[[process]]`");
            return None;
        };
        self.unknown(table, &PROCESS_KEYS);
        for key in ["name", "address"].iter().filter(|key| !table.contains_key(**key)) {
            self.mistake(at, format!("a process without `{key}`"));
        }
        let name = table.get("name").and_then(|value| {
            let word = self.word(value, "name")?;
            self.is_name(value, &word).then_some(word)
        });
        let address = table.get("address").and_then(|value| {
            let word = self.word(value, "address")?;
            self.address(value, &word)
        });
        let workers = match table.get("workers") {
            Some(value) => self.number(value)?,
            None => 1,
        };
        let (name, address) = (name?, address?);
        let mut file = |key: &str, ending: &str| {
            let given = table.get(key).and_then(|value| self.word(value, key));
            self.folder.join(given.unwrap_or_else(|| format!("certs/{name}.{ending}")))
        };
        let (certificate, key) = (file("certificate", "pem"), file("key", "key"));
        Some((Host { name, address, certificate, key }, workers, at))
    }

    fn unknown(&mut self, table: &DeTable<'t>, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref();
            let meant = match nearest(word, known.iter().copied()) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!("; expected {}", one_of(known.iter().copied())),
            };
            self.mistake(key.span().start, format!("`{word}` is not known here{meant}"));
        }
    }

    fn word(&mut self, value: &Value<'t>, key: &str) -> Option<String> {
        if let DeValue::String(word) = value.get_ref() {
            return Some(word.to_string());
        }
        self.mistake(value.span().start, format!("`{key}` is not text"));
        None
    }

    /// A name stands in a certificate, where it must have the form of a host's name.
    fn is_name(&mut self, value: &Value<'t>, name: &str) -> bool {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let whole = (1..=63).contains(&name.len()) && name.chars().all(fits);
        let fine = whole && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
        if !fine {
            let what = format!(
                "`{name}` cannot be a name; expected small letters, digits and `-`, such as `gateway-2`"
            );
            self.mistake(value.span().start, what);
        }
        fine
    }

    fn address(&mut self, value: &Value<'t>, word: &str) -> Option<Address> {
        if let Some(path) = word.strip_prefix("unix:") {
            return Some(Address::Unix(self.folder.join(path)));
        }
        let port = word.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Some(Address::Tcp(word.to_owned()));
        }
        let what = format!("`{word}` is not an address; expected HOST:PORT, or unix:PATH on one machine");
        self.mistake(value.span().start, what);
        None
    }

    fn number(&mut self, value: &Value<'t>) -> Option<usize> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let fits = number.filter(|n| (1..=256).contains(n));
        if fits.is_none() {
            self.mistake(value.span().start, "`workers` is not a whole number from 1 to 256");
        }
        fits
    }

    fn duration(&mut self, value: &Value<'t>) -> Option<Duration> {
        let word = self.word(value, "wait")?;
        match Duration::read(&toml::Value::String(word)) {
            Ok(wait) => Some(wait),
            Err(what) => {
                self.mistake(value.span().start, format!("`wait`: {what}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Hosts, String> {
        Hosts::parse(text, "hosts.toml", Path::new("at"))
    }

    #[test]
    fn names_and_addresses_are_enough() {
        let text =
            "[[process]]\nname = 'home'\naddress = 'a:1'\n[[process]]\nname = 'west'\naddress = '[::1]:2'\n";
        let hosts = read(text).unwrap();
        assert_eq!((hosts.workers, hosts.wait), (1, WAIT));
        assert_eq!(hosts.authority, Path::new("at/certs/ca.pem"));
        assert_eq!(hosts.processes[1].key, Path::new("at/certs/west.key"));
        assert_eq!(hosts.processes[1].address, Address::Tcp("[::1]:2".into()));
        assert_eq!(hosts.called(1), "process 1 (`west`)");
    }

    #[test]
    fn a_local_cluster_is_a_file_too() {
        let hosts = Hosts::local(Path::new("/sockets"), 3, 2);
        let back = Hosts::parse(&hosts.text(), "hosts.toml", Path::new("")).unwrap();
        let addresses = |hosts: &Hosts| hosts.processes.iter().map(|h| h.address.clone()).collect::<Vec<_>>();
        assert_eq!((addresses(&back), back.workers), (addresses(&hosts), 2));
    }

    #[test]
    fn all_mistakes_are_told_with_their_lines() {
        let check = |text: &str, expected: &[&str]| {
            let message = read(text).unwrap_err();
            assert_eq!(message.lines().collect::<Vec<_>>(), expected, "{text}");
        };
        check("[[process", &["hosts.toml:1: invalid TOML: unclosed array table, expected `]]`"]);
        check("", &["hosts.toml:1: no process; expected two or more tables `[[process]]`"]);
        check(
            "wiat = '1s'\n[[process]]\nname = 'Home'\naddress = 'a'\n[[process]]\nadress = 'a:1'\n",
            &[
                "hosts.toml:1: `wiat` is not known here; did you mean `wait`?",
                "hosts.toml:3: `Home` cannot be a name; expected small letters, digits and `-`, such as `gateway-2`",
                "hosts.toml:4: `a` is not an address; expected HOST:PORT, or unix:PATH on one machine",
                "hosts.toml:6: `adress` is not known here; did you mean `address`?",
                "hosts.toml:5: a process without `name`",
                "hosts.toml:5: a process without `address`",
            ],
        );
        check(
            "[[process]]\nname = 'a'\naddress = 'a:1'\nworkers = 2\n[[process]]\nname = 'a'\naddress = 'a:1'\n[[process]]\nname = 'b'\naddress = 'unix:b'\nworkers = 2\n",
            &[
                "hosts.toml:5: the name `a` stands twice",
                "hosts.toml:5: the address a:1 stands twice",
                "hosts.toml:5: 1 workers, and `a` has 2; all processes of a cluster have the same number",
                "hosts.toml:8: some addresses are sockets of one machine and others are not",
            ],
        );
        check(
            "wait = 3\n[[process]]\nname = 'a'\naddress = 'a:0'\nworkers = 0\n",
            &[
                "hosts.toml:1: `wait` is not text",
                "hosts.toml:4: `a:0` is not an address; expected HOST:PORT, or unix:PATH on one machine",
                "hosts.toml:5: `workers` is not a whole number from 1 to 256",
            ],
        );
    }
}
