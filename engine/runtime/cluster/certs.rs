//! A private authority and certificates for the processes of a cluster; and whether what is there would do.
//!
//! In: hosts. Out: files, keys for their owner alone; findings about files and addresses. It must not know what runs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::hosts::{Address, Host, Hosts};
use super::{join, listener, tls};

const DAY: u64 = 24 * 60 * 60;
/// The validity of the authority: as long as a gateway may serve.
const AUTHORITY_DAYS: u64 = 3650;
/// A certificate that ends in fewer days is reported: enough time to renew it on every machine.
const SOON: u64 = 30;
/// The time that an address may take to answer: the check calls all of them, one after the other.
const ANSWER: Duration = Duration::from_secs(2);

/// A finding, shown as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// True if it would do.
    pub fine: bool,
    /// The subject and its problem.
    pub what: String,
}

fn fine(what: String) -> Finding {
    Finding { fine: true, what }
}

fn wrong(what: String) -> Finding {
    Finding { fine: false, what }
}

/// Makes what is missing: the authority, and a certificate and a key for every process. With `renew`, certificates that are
/// there are made again; the authority stays.
///
/// # Errors
/// A file cannot be read or written.
pub fn make(hosts: &Hosts, days: u64, renew: bool) -> Result<Vec<Finding>, String> {
    if hosts.processes.iter().any(|host| matches!(host.address, Address::Unix(_))) {
        return Err("sockets of one machine need no certificates: they are for addresses HOST:PORT".into());
    }
    let mut made = Vec::new();
    let issuer = authority(hosts, &mut made)?;
    for host in &hosts.processes {
        let there = host.certificate.exists() && host.key.exists();
        // One that has ended, or that another authority signed, is of no use.
        let serves = there && tls::ends(hosts, host).is_ok();
        if !serves || renew {
            certificate(host, lasting(days), &issuer)?;
        }
        let word = match (there, serves && !renew) {
            (_, true) => "kept",
            (true, false) => "made again",
            (false, false) => "made",
        };
        let until = tls::ends(hosts, host).map(date)?;
        made.push(fine(format!("{word} {}, for `{}`, until {until}", host.certificate.display(), host.name)));
    }
    Ok(made)
}

/// Returns the path of the authority's key, which only the making of certificates needs.
fn key_of_authority(hosts: &Hosts) -> PathBuf {
    hosts.authority.with_extension("key")
}

/// The same every time: a later certificate names its issuer by it.
fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Headwater cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    last(&mut params, lasting(AUTHORITY_DAYS));
    Ok(params)
}

/// Seconds since 1970, from and until when.
type Lasts = (u64, u64);

/// From yesterday, since clocks differ, for so many days.
fn lasting(days: u64) -> Lasts {
    let length = days.saturating_add(1).saturating_mul(DAY);
    (tls::now().saturating_sub(DAY), tls::now().saturating_add(length))
}

fn last(params: &mut CertificateParams, (from, until): Lasts) {
    let (year, month, day) = ymd(from);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = ymd(until);
    params.not_after = rcgen::date_time_ymd(year, month, day);
}

fn ymd(seconds: u64) -> (i32, u8, u8) {
    let date = utc(seconds).date();
    let small = |number: i8| u8::try_from(number).unwrap_or(1);
    (i32::from(date.year()), small(date.month()), small(date.day()))
}

fn utc(seconds: u64) -> jiff::Zoned {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC)
}

fn date(seconds: u64) -> String {
    utc(seconds).date().to_string()
}

pub(super) fn authority(hosts: &Hosts, made: &mut Vec<Finding>) -> Result<Issuer<'static, KeyPair>, String> {
    let (path, key_path) = (&hosts.authority, key_of_authority(hosts));
    let failed = |e: rcgen::Error| format!("{}: {e}", path.display());
    let params = authority_params().map_err(failed)?;
    if path.exists() {
        let text = fs::read_to_string(&key_path).map_err(|e| {
            format!(
                "{}: {e}; certificates can be made only where the key of {} is",
                key_path.display(),
                path.display()
            )
        })?;
        let key = KeyPair::from_pem(&text).map_err(|e| format!("{}: {e}", key_path.display()))?;
        made.push(fine(format!("kept {}, which signs them", path.display())));
        return Ok(Issuer::new(params, key));
    }
    if key_path.exists() {
        return Err(format!(
            "{} is there, and {} is not, which it belongs to; put it back, or move the key away for a new authority",
            key_path.display(),
            path.display()
        ));
    }
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    write(&key_path, &key.serialize_pem(), 0o600)?;
    write(path, &certificate.pem(), 0o644)?;
    made.push(fine(format!("made {}, which signs them; every process needs it", path.display())));
    let kept =
        format!("made {}; no process needs it: keep it where certificates are made", key_path.display());
    made.push(fine(kept));
    Ok(Issuer::new(params, key))
}

pub(super) fn certificate(host: &Host, lasts: Lasts, issuer: &Issuer<'_, KeyPair>) -> Result<(), String> {
    let failed = |e: rcgen::Error| format!("{}: {e}", host.certificate.display());
    let mut params = CertificateParams::new(vec![host.name.clone()]).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, host.name.as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    last(&mut params, lasts);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    write(&host.key, &key.serialize_pem(), 0o600)?;
    write(&host.certificate, &certificate.pem(), 0o644)
}

/// Writes a file beside its place and renames it.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let unfinished = path.with_extension("tmp");
    let _ = fs::remove_file(&unfinished);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// Checks what would work and what would fail, for all processes or for one of them on its machine.
pub fn check(hosts: &Hosts, index: Option<usize>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, host) in hosts.processes.iter().enumerate() {
        if matches!(host.address, Address::Tcp(_)) {
            found.push(check_certificate(hosts, host));
            if index.is_none_or(|index| index == at) {
                found.push(check_key(hosts, host, index.is_some()));
            }
        }
        if let Some(index) = index {
            found.push(if index == at { check_own(host) } else { check_other(host) });
        }
    }
    found
}

fn check_certificate(hosts: &Hosts, host: &Host) -> Finding {
    match tls::ends(hosts, host) {
        Err(why) => wrong(why),
        Ok(end) => {
            let days = end.saturating_sub(tls::now()) / DAY;
            let what =
                format!("{}: `{}`, until {} ({days} days)", host.certificate.display(), host.name, date(end));
            if days < SOON {
                fine(format!("{what}; soon: headwater cluster certs HOSTS --renew"))
            } else {
                fine(what)
            }
        }
    }
}

/// A key need only be where its process runs.
fn check_key(hosts: &Hosts, host: &Host, needed: bool) -> Finding {
    let shown = host.key.display();
    if !needed && host.key.try_exists().is_ok_and(|there| !there) {
        return fine(format!("{shown}: not here; `{}` needs it on its machine", host.name));
    }
    match tls::Tls::load(hosts, host) {
        Ok(_) => fine(format!("{shown}: for its owner alone")),
        Err(why) => wrong(why),
    }
}

/// Returns true if this process could listen.
fn check_own(host: &Host) -> Finding {
    let bound = match &host.address {
        Address::Tcp(address) => std::net::TcpListener::bind(address).map(drop),
        Address::Unix(path) => match path.parent().filter(|folder| folder.is_dir()) {
            Some(_) => listener::is_stale_socket(path).map(drop),
            None => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "its folder is not there")),
        },
    };
    match bound {
        Ok(()) => fine(format!("{}: `{}` can listen there", host.address, host.name)),
        Err(error) => wrong(format!("{}: `{}` cannot listen there: {error}", host.address, host.name)),
    }
}

/// Returns true if another process listens now. That it does not is no mistake: it may not have been started.
fn check_other(host: &Host) -> Finding {
    let reached = match &host.address {
        Address::Tcp(address) => join::connect(address, ANSWER).map(drop),
        Address::Unix(path) => {
            std::os::unix::net::UnixStream::connect(path).map(drop).map_err(|e| e.to_string())
        }
    };
    match reached {
        Ok(()) => fine(format!("{}: `{}` listens there", host.address, host.name)),
        Err(why) => fine(format!("{}: `{}` does not listen there now: {why}", host.address, host.name)),
    }
}
