//! Which certificate authorities are trusted. A file means the same wherever there can be one: its authorities are trusted
//! in addition to those of the system, or, where that is asked for, they alone.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// PEM file with certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Whether no others are trusted, not even those of the system.
    pub only: bool,
}

/// Certificate authorities.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    /// Those of the system. Some of them may be unusable, which does not matter.
    pub system: Vec<CertificateDer<'static>>,
    /// Those of the file.
    pub file: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The authorities of a file in addition to those of the system; those of the system without a file.
    pub fn with(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            only: false,
        }
    }

    /// Reads the authorities. There is at least one.
    ///
    /// # Errors
    /// Why there are none, or which file is of no use.
    pub fn authorities(&self) -> Result<Authorities, String> {
        let file = match &self.ca_file {
            Some(path) => read(path)?,
            None if self.only => {
                return Err("nobody is trusted: `ca_file_only` needs `ca_file`".to_owned());
            }
            None => Vec::new(),
        };
        let system = match self.only {
            true => Vec::new(),
            false => rustls_native_certs::load_native_certs().certs,
        };
        if system.is_empty() && file.is_empty() {
            return Err(
                "this machine has no certificate authorities: install the package ca-certificates or set `ca_file`"
                    .to_owned(),
            );
        }
        Ok(Authorities { system, file })
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |reason: String| format!("CA file {} cannot be used: {reason}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".to_owned()));
    }
    Ok(found)
}
