//! Real sentences for loops of a test: some devices of datasets/personal, some rounds of each, as JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

pub struct Conversation {
    /// Of each device its lines, by the device's name.
    devices: Vec<(String, Vec<String>)>,
}

impl Conversation {
    /// That of the first so many devices.
    pub fn of(devices: usize) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/personal/talk.jsonl");
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            lines.entry(row["device"].as_str().unwrap().to_owned()).or_default().push(line.to_owned());
        }
        Conversation { devices: lines.into_iter().take(devices).collect() }
    }

    /// The names of the devices.
    #[allow(dead_code, reason = "not every test names them")]
    pub fn devices(&self) -> Vec<String> {
        self.devices.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The same, each round in the reverse order of devices.
    #[allow(dead_code, reason = "not every test turns them round")]
    pub fn reversed(mut self) -> Self {
        self.devices.reverse();
        self
    }

    /// So many rounds of so many sentences of each device, round by round and device by device.
    pub fn rounds(&self, rounds: usize, sentences: usize) -> String {
        let of_round = |round: usize| {
            let lines = move |(_, lines): &(String, Vec<String>)| {
                lines[round * sentences..(round + 1) * sentences].join("\n") + "\n"
            };
            self.devices.iter().map(lines).collect::<String>()
        };
        (0..rounds).map(of_round).collect()
    }
}
