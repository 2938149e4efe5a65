//! Devices' personal adapters at rest: encrypted below the state folder, and never published.
//!
//! In: PEFT files of devices. Out: the same, from a log of frames (docs/formats/frames.md) that says nothing without the root key;
//! one row a device: `device`, `round`, `config` and `weights`, the bytes of the two files of a PEFT folder. It must not know how
//! adapters are trained: this is built without LibTorch too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow::array::{BinaryArray, UInt64Array};
use headwater_contract::columns::{binary, typed_column};
use headwater_contract::prelude::*;
use headwater_vault::{FrameLog, KeyFile};

use crate::vault_error::of_vault;

/// A device's personal adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// The round after which it was so.
    pub round: u64,
    /// The bytes of adapter_config.json.
    pub config: Vec<u8>,
    /// The bytes of adapter_model.safetensors.
    pub weights: Vec<u8>,
}

/// All of a stage, by device; one writer at a time. What is put goes behind what is there, which is rewritten when most of it
/// is older than something behind it: so a put costs what it puts, whatever the number of devices.
pub struct PersonalAdapters {
    log: FrameLog,
    devices: BTreeSet<String>,
    /// Adapters in the log, older ones of the same device too.
    rows: usize,
}

/// Older adapters that are never worth rewriting the others.
const FEW: usize = 16;

/// Where the personal adapters of a stage lie, below the state folder of its pipeline.
pub fn folder(site: &HostEnv, stage: &str) -> PathBuf {
    site.state.join("personal").join(stage)
}

impl PersonalAdapters {
    /// Opens the log for writing, with what an earlier run left.
    ///
    /// # Errors
    /// The vault's: another key, damage, another writer.
    pub fn open(folder: &Path, key: &KeyFile) -> Result<PersonalAdapters> {
        let log = FrameLog::open(folder, key).map_err(of_vault)?;
        let batches = log.content().map_err(of_vault)?.batches;
        let count = batches.iter().map(RecordBatch::num_rows).sum();
        Ok(PersonalAdapters { log, devices: rows(&batches)?.into_keys().collect(), rows: count })
    }

    /// Reads the adapters in a folder; none where the folder is absent.
    ///
    /// # Errors
    /// The vault's: another key, damage.
    pub fn read(folder: &Path, key: &KeyFile) -> Result<BTreeMap<String, Personal>> {
        if !folder.exists() {
            return Ok(BTreeMap::new());
        }
        rows(&FrameLog::read(folder, key).map_err(of_vault)?.batches)
    }

    /// Puts adapters in the place of the same devices' older ones; they are durable then.
    ///
    /// # Errors
    /// The vault's, and the disk's: each device has its old adapter or its new one.
    pub fn put(&mut self, adapters: impl IntoIterator<Item = (String, Personal)>) -> Result {
        for (device, own) in adapters {
            self.log.append(&row(&device, &own)?).map_err(of_vault)?;
            self.devices.insert(device);
            self.rows += 1;
        }
        self.log.sync().map_err(of_vault)?;
        if self.rows > 2 * self.devices.len() + FEW { self.write_anew() } else { Ok(()) }
    }

    /// Deletes a device's adapters, if there are any, in one durable step.
    ///
    /// # Errors
    /// The vault's, and the disk's.
    pub fn forget(&mut self, device: &str) -> Result {
        if self.devices.remove(device) { self.write_anew() } else { Ok(()) }
    }

    fn write_anew(&mut self) -> Result {
        let mut all = rows(&self.log.content().map_err(of_vault)?.batches)?;
        all.retain(|device, _| self.devices.contains(device));
        let batches = all.iter().map(|(device, own)| row(device, own)).collect::<Result<Vec<_>>>()?;
        self.log.replace(&batches).map_err(of_vault)?;
        self.rows = batches.len();
        Ok(())
    }
}

fn row(device: &str, own: &Personal) -> Result<RecordBatch> {
    let fields = vec![utf8("device"), uint64("round"), binary("config"), binary("weights")];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![device])),
        Arc::new(UInt64Array::from(vec![own.round])),
        Arc::new(BinaryArray::from_iter_values([&own.config])),
        Arc::new(BinaryArray::from_iter_values([&own.weights])),
    ];
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn rows(batches: &[RecordBatch]) -> Result<BTreeMap<String, Personal>> {
    let mut all = BTreeMap::new();
    for batch in batches {
        let devices = text_column(batch, "device")?;
        let rounds: &UInt64Array = typed_column(batch, "round")?;
        let configs: &BinaryArray = typed_column(batch, "config")?;
        let weights: &BinaryArray = typed_column(batch, "weights")?;
        for row in 0..batch.num_rows() {
            let (config, weights) = (configs.value(row).to_vec(), weights.value(row).to_vec());
            let own = Personal { round: rounds.value(row), config, weights };
            all.insert(devices.value(row).to_owned(), own);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(round: u64) -> Personal {
        Personal { round, config: b"{}".to_vec(), weights: vec![7; 40] }
    }

    #[test]
    fn the_newest_of_each_device_is_kept_and_nothing_can_be_read_without_the_key() {
        let place = tempfile::tempdir().unwrap();
        let key = KeyFile::at(place.path().join("root.key"));
        key.read_or_create().unwrap();
        let folder = place.path().join("personal");
        assert!(PersonalAdapters::read(&folder, &key).unwrap().is_empty());
        let mut adapters = PersonalAdapters::open(&folder, &key).unwrap();
        adapters.put([("hall".to_owned(), own(0)), ("loft".to_owned(), own(0))]).unwrap();
        adapters.put([("hall".to_owned(), own(1))]).unwrap();
        drop(adapters);
        let mut adapters = PersonalAdapters::open(&folder, &key).unwrap();
        adapters.put([("yard".to_owned(), own(2))]).unwrap();
        let rounds: Vec<(String, u64)> = PersonalAdapters::read(&folder, &key)
            .unwrap()
            .into_iter()
            .map(|(device, own)| (device, own.round))
            .collect();
        let of = |device: &str, round: u64| (device.to_owned(), round);
        assert_eq!(rounds, [of("hall", 1), of("loft", 0), of("yard", 2)]);
        adapters.forget("loft").unwrap();
        assert_eq!(PersonalAdapters::read(&folder, &key).unwrap().len(), 2);
        let other = KeyFile::at(place.path().join("other.key"));
        other.read_or_create().unwrap();
        assert!(PersonalAdapters::read(&folder, &other).is_err());
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == [7; 8]), "{:?} lies open", file.path());
        }
    }

    #[test]
    fn a_put_costs_what_it_puts_and_old_ones_do_not_pile_up() {
        let place = tempfile::tempdir().unwrap();
        let key = KeyFile::at(place.path().join("root.key"));
        key.read_or_create().unwrap();
        let folder = place.path().join("personal");
        let mut adapters = PersonalAdapters::open(&folder, &key).unwrap();
        let size = || {
            std::fs::read_dir(&folder).unwrap().flatten().map(|f| f.metadata().unwrap().len()).sum::<u64>()
        };
        let large = |round| Personal { weights: vec![7; 40_000], ..own(round) };
        adapters.put((0..100).map(|n| (format!("device-{n:03}"), large(0)))).unwrap();
        let all = size();
        let mut largest = 0;
        for round in 1..300 {
            adapters.put([("device-007".to_owned(), large(round))]).unwrap();
            largest = largest.max(size());
        }
        assert!(largest < 3 * all, "{largest} bytes for {all}");
        drop(adapters);
        let read = PersonalAdapters::read(&folder, &key).unwrap();
        assert_eq!((read.len(), read["device-007"].round, read["device-008"].round), (100, 299, 0));
    }
}
