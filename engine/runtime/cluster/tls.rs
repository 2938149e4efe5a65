//! TLS 1.3 with certificates on both sides: the one place that knows rustls.
//!
//! In: files of certificates and keys, fresh TCP connections. Out: streams that can be read and written at the same time from two
//! threads, whose other end has proved its name. Nothing is resumed and nothing is sent early: every connection is a full handshake.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig,
    ServerConnection,
};

use super::hosts::{Host, Hosts};
use super::stream::Deadline;

/// Bytes that are encrypted at a time: what a write holds in memory twice.
const PIECE: usize = 1 << 18;
/// Bytes that are read from the network at a time: a few TLS records.
const READ: usize = 1 << 16;

/// The certificate of this process, and the authority that it trusts.
#[derive(Clone)]
pub(super) struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a file.
fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{}: no certificate is in it", path.display())),
        Ok(found) => Ok(found),
        Err(_) if !path.exists() => {
            Err(format!("{} is not there; `headwater cluster certs HOSTS` makes it", path.display()))
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// A key that only its owner may read.
fn private_key(path: &std::path::Path) -> Result<PrivateKeyDer<'static>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mode = std::fs::metadata(path).map_err(|e| failed(&e))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let expected = format!("expected 600: chmod 600 {}", path.display());
        return Err(failed(&format!("others may read it (mode {mode:03o}); {expected}")));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|e| failed(&e))
}

fn authorities(hosts: &Hosts) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&hosts.authority)? {
        roots.add(certificate).map_err(|e| format!("{}: {e}", hosts.authority.display()))?;
    }
    Ok(Arc::new(roots))
}

impl Tls {
    /// Reads what the process of that index needs.
    pub(super) fn load(hosts: &Hosts, host: &Host) -> Result<Self, String> {
        let roots = authorities(hosts)?;
        let chain = certificates(&host.certificate)?;
        let key = private_key(&host.key)?;
        let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", host.certificate.display());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|e| failed(&e))?;
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| failed(&e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|e| failed(&e))?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|e| failed(&e))?;
        client.resumption = Resumption::disabled();
        Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
    }

    /// Shakes hands with the process of that name, which was called.
    pub(super) fn call(&self, tcp: TcpStream, name: &str, deadline: Deadline) -> Result<TlsStream, String> {
        let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
        let connection = ClientConnection::new(self.client.clone(), name).map_err(|e| e.to_string())?;
        TlsStream::shake(connection.into(), tcp, deadline)
    }

    /// Shakes hands with a caller.
    pub(super) fn answer(&self, tcp: TcpStream, deadline: Deadline) -> Result<TlsStream, String> {
        let connection = ServerConnection::new(self.server.clone()).map_err(|e| e.to_string())?;
        TlsStream::shake(connection.into(), tcp, deadline)
    }
}

/// When the certificate of a host ends, in seconds since 1970.
///
/// # Errors
/// It is not signed by the cluster's authority, does not carry the host's name, or has ended.
pub(super) fn ends(hosts: &Hosts, host: &Host) -> Result<u64, String> {
    let chain = certificates(&host.certificate)?;
    let (Some(own), rest) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
        return Err(format!("{}: no certificate is in it", host.certificate.display()));
    };
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", host.certificate.display());
    let name = ServerName::try_from(host.name.clone()).map_err(|e| failed(&e))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(authorities(hosts)?, provider())
        .build()
        .map_err(|e| failed(&e))?;
    let at = |time| verifier.verify_server_cert(own, rest, &name, &[], time);
    at(UnixTime::now()).map_err(|e| failed(&e))?;
    // The verifier reports the end of a certificate when it is asked for a time behind it.
    let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
    let far = UnixTime::since_unix_epoch(far.duration_since(UNIX_EPOCH).unwrap_or_default());
    match at(far) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Ok(not_after.as_secs())
        }
        _ => Err(failed(&"it does not say when it ends")),
    }
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// One connection. Clones share it: one thread may read while another writes.
pub(super) struct TlsStream {
    shared: Arc<Shared>,
    /// Decrypted bytes that were not read yet, from `at` on.
    plain: Vec<u8>,
    at: usize,
    raw: Vec<u8>,
}

struct Shared {
    /// Never held across a call that may block.
    connection: Mutex<Connection>,
    /// Held while encrypted bytes are written, so that records stay in order.
    writing: Mutex<()>,
    tcp: TcpStream,
}

impl Shared {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TlsStream {
    fn shake(mut connection: Connection, tcp: TcpStream, deadline: Deadline) -> Result<Self, String> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                "it was silent during the handshake".to_owned()
            }
            _ => error.to_string(),
        };
        let mut socket = &tcp;
        while connection.is_handshaking() || connection.wants_write() {
            while connection.wants_write() {
                deadline.give_to(|time| tcp.set_write_timeout(time)).map_err(failed)?;
                connection.write_tls(&mut socket).map_err(failed)?;
            }
            if !connection.is_handshaking() {
                break;
            }
            deadline.give_to(|time| tcp.set_read_timeout(time)).map_err(failed)?;
            if connection.read_tls(&mut socket).map_err(failed)? == 0 {
                return Err("it closed the connection during the handshake".into());
            }
            if let Err(error) = connection.process_new_packets() {
                // The other end receives the reason, if it still listens.
                let _ = connection.write_tls(&mut socket);
                return Err(match error {
                    rustls::Error::AlertReceived(alert) => {
                        format!("it refused this process's certificate: {alert:?}")
                    }
                    other => other.to_string(),
                });
            }
        }
        connection.set_buffer_limit(None);
        let shared = Arc::new(Shared { connection: Mutex::new(connection), writing: Mutex::new(()), tcp });
        Ok(TlsStream { shared, plain: Vec::new(), at: 0, raw: vec![0; READ] })
    }

    /// Checks that the certificate of the other end carries a name.
    pub(super) fn carries(&self, name: &str) -> Result<(), String> {
        let connection = self.shared.connection();
        let own = connection.peer_certificates().and_then(|chain| chain.first());
        let own = own.ok_or("it has no certificate")?;
        let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
        let parsed = ParsedCertificate::try_from(own).map_err(|e| e.to_string())?;
        verify_server_name(&parsed, &name).map_err(|e| e.to_string())
    }

    pub(super) fn clone_handle(&self) -> Self {
        TlsStream { shared: self.shared.clone(), plain: Vec::new(), at: 0, raw: vec![0; READ] }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.shared.tcp
    }

    /// Says that nothing more will be sent.
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let _writing = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sealed = Vec::new();
        {
            let mut connection = self.shared.connection();
            connection.send_close_notify();
            while connection.wants_write() {
                connection.write_tls(&mut sealed)?;
            }
        }
        (&self.shared.tcp).write_all(&sealed)?;
        self.shared.tcp.shutdown(how)
    }
}

/// Takes what is decrypted; whether the other end said that nothing more comes.
fn drain(connection: &mut Connection, plain: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16384];
    loop {
        match connection.reader().read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => plain.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

impl Read for TlsStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(waiting) = self.plain.get(self.at..).filter(|waiting| !waiting.is_empty()) {
                let n = out.len().min(waiting.len());
                for (to, from) in out.iter_mut().zip(waiting) {
                    *to = *from;
                }
                self.at += n;
                return Ok(n);
            }
            self.plain.clear();
            self.at = 0;
            // What was decrypted with the last bytes of the handshake comes first.
            if drain(&mut self.shared.connection(), &mut self.plain)? && self.plain.is_empty() {
                return Ok(0);
            }
            if !self.plain.is_empty() {
                continue;
            }
            let n = (&self.shared.tcp).read(&mut self.raw)?;
            if n == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection broke off"));
            }
            let mut sealed = self.raw.get(..n).unwrap_or_default();
            let mut connection = self.shared.connection();
            while !sealed.is_empty() {
                connection.read_tls(&mut sealed)?;
                connection
                    .process_new_packets()
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                if drain(&mut connection, &mut self.plain)? {
                    if self.plain.is_empty() {
                        return Ok(0);
                    }
                    break;
                }
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _writing = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = bytes.get(..bytes.len().min(PIECE)).unwrap_or_default();
        let mut sealed = Vec::with_capacity(piece.len() + 1024);
        let taken = {
            let mut connection = self.shared.connection();
            let taken = connection.writer().write(piece)?;
            while connection.wants_write() {
                connection.write_tls(&mut sealed)?;
            }
            taken
        };
        (&self.shared.tcp).write_all(&sealed)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
