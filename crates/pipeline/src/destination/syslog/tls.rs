//! TLS for syslog: whom to trust, and who we are.

use protocol::trust::Trust;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a TLS connection, all PEM. They are read anew for each connection, so a renewed certificate is used
/// without a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// Certificates of authorities that are trusted in addition to those of the system.
    pub ca: Option<PathBuf>,
    /// Whether the authorities in the file are trusted alone.
    pub ca_only: bool,
    /// The client certificate with its chain, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate of the server must have, if it is not the host of the address.
    pub server_name: Option<String>,
}

/// Begins a TLS session with a host.
pub(super) fn session(files: &TlsFiles, host: &str) -> Result<ClientConnection, String> {
    let name = files.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("`{name}` is no name that a certificate can have; set `server_name`")
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(files)?);
    let config = match &files.client {
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                format!("cannot read the private key {}: {error}", key.display())
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                format!(
                    "the client certificate {} cannot be used: {error}",
                    certificate.display()
                )
            })?
        }
        None => builder.with_no_client_auth(),
    };
    ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, String> {
    let trust = Trust {
        ca_file: files.ca.clone(),
        only: files.ca_only,
    };
    let found = trust.authorities()?;
    let mut roots = RootCertStore::empty();
    // Single certificates of the system that cannot be read do not matter as long as there are others.
    roots.add_parsable_certificates(found.system);
    for certificate in found.file {
        roots.add(certificate).map_err(|error| {
            let file = files.ca.as_deref().unwrap_or(Path::new(""));
            format!("{} cannot be used: {error}", file.display())
        })?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(format!(
            "{} holds no certificate in PEM form",
            file.display()
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(format!(
            "cannot read the certificates in {}: {error}",
            file.display()
        )),
    }
}

/// Reads the files of a destination, so that a fault shows before there is anything to send.
///
/// # Errors
/// What is wrong with them.
pub fn check(files: &TlsFiles) -> Result<(), String> {
    session(files, "localhost").map(|_| ())
}
