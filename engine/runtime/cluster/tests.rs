//! Strangers to a cluster are refused, and a process of it that fails is named.

mod format;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;

use super::certs::{self, Finding};
use super::frame::{Frame, LIMIT};
use super::hello::nonce;
use super::hosts::Host;
use super::message::{Hello, Message, Nonce, Purpose};
use super::stream::{Deadline, Wire};
use super::*;

const TIME: std::time::Duration = std::time::Duration::from_secs(20);

fn deadline() -> Deadline {
    Deadline::after(TIME)
}

/// Three processes of this machine over TLS: the coordinator, west, east.
fn hosts(folder: &Path) -> Hosts {
    let ports: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut text = "wait = '20s'\n".to_owned();
    for (name, port) in ["home", "west", "east"].iter().zip(&ports) {
        let port = port.local_addr().unwrap().port();
        text += &format!("[[process]]\nname = '{name}'\naddress = '127.0.0.1:{port}'\n");
    }
    std::fs::write(folder.join("hosts.toml"), text).unwrap();
    Hosts::read(&folder.join("hosts.toml")).unwrap()
}

fn local(hosts: &Hosts, index: usize) -> Arc<Local> {
    let host = &hosts.processes[index];
    let tls = matches!(host.address, Address::Tcp(_)).then(|| Tls::load(hosts, host).unwrap());
    Arc::new(Local {
        hosts: Arc::new(hosts.clone()),
        index,
        fingerprint: Fingerprint::default(),
        mixed_cpus: false,
        begin: 0,
        tls,
        attempt: OnceLock::new(),
        complete: AtomicBool::new(false),
        linked: Mutex::default(),
    })
}

fn joining(hosts: &Hosts, index: usize) -> JoinHandle<Result<Member, Failure>> {
    let hosts = hosts.clone();
    std::thread::spawn(move || {
        let fingerprint = Fingerprint::default();
        Member::join(Setup { hosts, index, fingerprint, mixed_cpus: false, begin: 0, hopeless: &|| None })
    })
}

/// The log of all tests of this program.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::<Mutex<Vec<u8>>>::default();
    let of_writer = log.clone();
    let writer = move || Writer(of_writer.clone());
    tracing_subscriber::fmt().with_ansi(false).with_writer(writer).init();
    log
});

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(what: &str) -> bool {
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    log.lines().any(|line| line.contains("refused a connection") && line.contains(what))
}

/// An address as a caller sees it.
fn call(hosts: &Hosts) -> std::net::TcpStream {
    let Address::Tcp(address) = &hosts.processes[0].address else { panic!("no address") };
    loop {
        if let Ok(tcp) = join::connect(address, TIME) {
            return tcp;
        }
    }
}

/// A connection to the coordinator with the certificate that a host has.
fn secured(hosts: &Hosts, of: &Hosts, host: &Host) -> Result<Wire, String> {
    let tls = Tls::load(of, host)?;
    Ok(Wire::Tls(Box::new(tls.call(call(hosts), "home", deadline())?)))
}

fn greeting(wire: &mut Wire) -> Nonce {
    match Message::of(&Frame::read(&mut wire.until(deadline())).unwrap()) {
        Some(Message::Greeting(nonce)) => nonce,
        other => panic!("{other:?}"),
    }
}

fn hello_of(from: usize, name: &str, purpose: Purpose, echo: Nonce) -> Frame {
    let hello = Hello {
        purpose,
        from,
        to: 0,
        name: name.into(),
        attempt: if purpose == Purpose::Data { nonce().unwrap() } else { Nonce::default() },
        echo,
        nonce: nonce().unwrap(),
        fingerprint: Fingerprint::default(),
    };
    Message::Hello(hello).frame()
}

/// Reads until the other end hangs up, which it must.
fn is_sent_away(wire: &mut Wire) {
    let mut rest = Vec::new();
    let _ = wire.until(deadline()).read_to_end(&mut rest);
    assert!(deadline().left().is_some() && rest.len() < 4096, "it was not refused");
}

fn garbage(hosts: &Hosts) {
    let mut tcp = call(hosts);
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: headwater\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
}

/// A caller without a certificate.
fn stranger(hosts: &Hosts) {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(&hosts.authority).unwrap();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), "home".try_into().unwrap()).unwrap();
    let mut tcp = call(hosts);
    let mut rest = Vec::new();
    let _ = rustls::Stream::new(&mut tls, &mut tcp).read_to_end(&mut rest);
    assert!(rest.is_empty(), "a caller without a certificate was greeted");
}

/// A caller whose certificate is of another authority, or has ended.
fn unbelieved(hosts: &Hosts, of: &Hosts, host: &Host) {
    // The caller must believe the coordinator, so that it is the coordinator that refuses.
    let believing = Hosts { authority: hosts.authority.clone(), ..of.clone() };
    let mut wire = secured(hosts, &believing, host).unwrap();
    let message = Frame::read(&mut wire.until(deadline())).unwrap_err().to_string();
    assert!(message.contains("alert") || message.contains("closed"), "{message}");
}

fn oversized(hosts: &Hosts) {
    let mut wire = secured(hosts, hosts, &hosts.processes[1]).unwrap();
    let mut frame = hello_of(1, "west", Purpose::Control, greeting(&mut wire)).encode();
    frame[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
    let _ = wire.write_all(&frame);
    is_sent_away(&mut wire);
}

/// A hello of one connection, sent on another.
fn replayed(hosts: &Hosts) {
    let mut first = secured(hosts, hosts, &hosts.processes[1]).unwrap();
    let recorded = hello_of(1, "west", Purpose::Control, greeting(&mut first));
    let mut second = secured(hosts, hosts, &hosts.processes[1]).unwrap();
    greeting(&mut second);
    recorded.write(&mut second).unwrap();
    is_sent_away(&mut second);
}

/// A caller with west's certificate, after whatever it says.
fn says(hosts: &Hosts, from: usize, name: &str, purpose: Purpose) {
    let mut wire = secured(hosts, hosts, &hosts.processes[1]).unwrap();
    let echo = greeting(&mut wire);
    hello_of(from, name, purpose, echo).write(&mut wire).unwrap();
    is_sent_away(&mut wire);
}

fn noise(hosts: &Hosts) {
    let mut wire = secured(hosts, hosts, &hosts.processes[1]).unwrap();
    greeting(&mut wire);
    let _ = wire.write_all(&vec![0xa5; 4 << 20]);
    is_sent_away(&mut wire);
}

fn expired(hosts: &Hosts, folder: &Path) -> Host {
    let host = Host {
        certificate: folder.join("expired.pem"),
        key: folder.join("expired.key"),
        ..hosts.processes[1].clone()
    };
    let issuer = certs::authority(hosts, &mut Vec::new()).unwrap();
    let long_ago = 1_600_000_000;
    certs::certificate(&host, (long_ago, long_ago + 1_000_000), &issuer).unwrap();
    host
}

#[test]
fn who_does_not_belong_here_is_sent_away_and_the_cluster_begins() {
    LazyLock::force(&LOG);
    let (place, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (hosts, others) = (hosts(place.path()), hosts(foreign.path()));
    certs::make(&hosts, 1, false).unwrap();
    certs::make(&others, 1, false).unwrap();
    let coordinator = joining(&hosts, 0);
    // They stay until the end, and say nothing.
    let silent: Vec<_> = (0..5).map(|_| call(&hosts)).collect();
    let mut half = secured(&hosts, &hosts, &hosts.processes[1]).unwrap();
    let mut half_said = hello_of(1, "west", Purpose::Control, greeting(&mut half)).encode();
    half_said.truncate(30);
    half.write_all(&half_said).unwrap();

    garbage(&hosts);
    stranger(&hosts);
    unbelieved(&hosts, &others, &others.processes[1]);
    unbelieved(&hosts, &hosts, &expired(&hosts, place.path()));
    oversized(&hosts);
    replayed(&hosts);
    noise(&hosts);
    says(&hosts, 2, "east", Purpose::Control);
    says(&hosts, 1, "east", Purpose::Control);
    says(&hosts, 0, "home", Purpose::Control);
    says(&hosts, 7, "west", Purpose::Control);
    says(&hosts, 1, "west", Purpose::Data);

    let (west, east) = (joining(&hosts, 1), joining(&hosts, 2));
    let members: Vec<Member> = [coordinator, west, east].map(|joined| joined.join().unwrap().unwrap()).into();
    for expected in [
        "InvalidContentType",
        "peer sent no certificates",
        "BadSignature",
        "certificate expired",
        "a frame of 4294967295 bytes, where at most",
        "a replay",
        "not a frame of a cluster",
        "it calls itself `east`, and its certificate does not",
        "process 1 (`west`) calls itself `east`",
        "process 7 is not part of this cluster",
        "process 1 (`west`) belongs to another attempt",
    ] {
        assert!(logged(expected), "{expected}:\n{}", String::from_utf8_lossy(&LOG.lock().unwrap()));
    }
    // The listener is closed by now.
    let Address::Tcp(address) = &hosts.processes[0].address else { panic!("no address") };
    assert!(std::net::TcpStream::connect(address).is_err());
    everybody_is_heard(members);
    is_sent_away(&mut half);
    drop(silent);
}

fn everybody_is_heard(members: Vec<Member>) {
    let mut members = members.into_iter();
    let coordinator = members.next().unwrap();
    let others: Vec<_> = members
        .map(|member| {
            std::thread::spawn(move || {
                let part = vec![7; LIMIT + member.index];
                member.give(vec![("part".into(), part)], Counts::default()).unwrap();
            })
        })
        .collect();
    let parts = coordinator.gather().unwrap();
    let message: Vec<_> =
        parts.iter().map(|((index, of), bytes)| (*index, of.as_str(), bytes.len())).collect();
    assert_eq!(message, [(1, "part", LIMIT + 1), (2, "part", LIMIT + 2)]);
    coordinator.bye();
    others.into_iter().for_each(|other| other.join().unwrap());
    assert!(coordinator.failure().is_none());
}

/// A process that meets the others and then runs a closure.
fn goes_wrong(does: impl FnOnce(Wire) + Send + 'static) -> String {
    let place = tempfile::tempdir().unwrap();
    let hosts = Hosts::local(place.path(), 3, 1);
    let (coordinator, east) = (joining(&hosts, 0), joining(&hosts, 2));
    let west = local(&hosts, 1);
    let wrong = std::thread::spawn(move || {
        let mut met = join::meet(&west, &|| None).unwrap();
        does(met.control[0].take().unwrap());
    });
    let (coordinator, east) = (coordinator.join().unwrap().unwrap(), east.join().unwrap().unwrap());
    let message = coordinator.gather().unwrap_err().to_string();
    let elsewhere = east.give(Vec::new(), Counts::default()).unwrap_err().to_string();
    assert_eq!(elsewhere, message, "all processes report the same");
    drop((coordinator, east));
    wrong.join().unwrap();
    message
}

#[test]
fn a_process_that_goes_wrong_is_named_everywhere() {
    let check = |expected: &str, does: fn(Wire)| {
        let message = goes_wrong(does);
        assert!(message.starts_with("[cluster]: process 1 (`process-1`): "), "{message}");
        assert!(message.contains(expected), "{message}, expected {expected}");
    };
    check("was lost: it closed the connection without a message", drop);
    check("not a frame of a cluster", |mut line| {
        line.write_all(&[9; 64]).unwrap();
        let _ = line.read_to_end(&mut Vec::new());
    });
    check("a frame of 4294967295 bytes", |mut line| {
        let mut frame = Message::Stop.frame().encode();
        frame[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
        line.write_all(&frame).unwrap();
        let _ = line.read_to_end(&mut Vec::new());
    });
    check("sent an unexpected message", |mut line| {
        Message::Bye.frame().write(&mut line).unwrap();
        let _ = line.read_to_end(&mut Vec::new());
    });
    check("stage `asr`: it failed", |mut line| {
        let failure = Failure::new("asr", "it failed");
        Message::Failed(failure).frame().write(&mut line).unwrap();
    });
    check("has been silent for 3 s", |mut line| {
        let _ = line.read_to_end(&mut Vec::new());
    });
}

#[test]
fn certificates_are_made_and_looked_at() {
    let place = tempfile::tempdir().unwrap();
    let hosts = hosts(place.path());
    let wrong =
        |found: &[Finding]| found.iter().filter(|f| !f.fine).map(|f| f.what.clone()).collect::<Vec<_>>();
    assert_eq!(wrong(&certs::check(&hosts, None)).len(), 3, "nothing is there yet");
    let made = certs::make(&hosts, 90, false).unwrap();
    assert_eq!(made.iter().filter(|f| f.what.starts_with("made ")).count(), 5, "{made:?}");
    let again = certs::make(&hosts, 90, false).unwrap();
    assert!(again.iter().all(|f| f.what.starts_with("kept ")), "{again:?}");
    let read = |host: &Host| std::fs::read(&host.certificate).unwrap();
    let before = read(&hosts.processes[1]);
    certs::make(&hosts, 90, true).unwrap();
    assert_ne!(before, read(&hosts.processes[1]), "it was to be renewed");
    let found = certs::check(&hosts, Some(0));
    assert!(wrong(&found).is_empty(), "{found:?}");
    assert!(found[0].what.contains("(90 days)"), "{found:?}");

    let key = &hosts.processes[0].key;
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(wrong(&certs::check(&hosts, Some(0)))[0].contains("others may read it (mode 644)"));
    std::fs::copy(&hosts.processes[1].certificate, &hosts.processes[2].certificate).unwrap();
    let message = wrong(&certs::check(&hosts, Some(1)));
    assert!(message.len() == 1 && message[0].contains("not valid for name"), "{message:?}");
    // A name that is another's is made again, and so is all that an authority did not sign.
    let made = |hosts: &_| -> Vec<String> {
        certs::make(hosts, 90, false).unwrap().into_iter().map(|found| found.what).collect()
    };
    assert!(made(&hosts).iter().any(|what| what.starts_with("made again ")));
    let key_of_authority = hosts.authority.with_extension("key");
    let before = std::fs::read(&key_of_authority).unwrap();
    std::fs::remove_file(&hosts.authority).unwrap();
    assert!(certs::make(&hosts, 90, false).unwrap_err().contains("which it belongs to"));
    assert_eq!(std::fs::read(&key_of_authority).unwrap(), before, "no key is ever overwritten");
    std::fs::remove_file(&key_of_authority).unwrap();
    assert_eq!(made(&hosts).iter().filter(|what| what.starts_with("made again ")).count(), 3);
    std::fs::remove_file(hosts.authority.with_extension("key")).unwrap();
    assert!(certs::make(&hosts, 90, true).unwrap_err().contains("only where the key of"));
}
