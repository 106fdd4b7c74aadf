//! What a file of certificate authorities means: the same for everything that connects.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use protocol::trust::Trust;
use std::path::PathBuf;
use std::process::Command;

/// An authority that does not exist.
fn authority() -> String {
    let names = vec!["ca.example.com".to_owned()];
    rcgen::generate_simple_self_signed(names)
        .unwrap()
        .cert
        .pem()
}

/// How many authorities of the system and of the file are trusted.
fn trusted(ca_file: Option<PathBuf>, only: bool) -> Result<(usize, usize), String> {
    let found = Trust { ca_file, only }.authorities()?;
    Ok((found.system.len(), found.file.len()))
}

#[test]
fn a_file_is_trusted_in_addition_to_the_system_or_alone() {
    const NAME: &str = "a_file_is_trusted_in_addition_to_the_system_or_alone";
    // The system of this test has two authorities, which takes a process of its own.
    if std::env::var_os("DSMITH_TRUST").is_none() {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("system.pem");
        std::fs::write(&system, authority() + &authority()).unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env("DSMITH_TRUST", folder.path())
            .env("SSL_CERT_FILE", system)
            .env_remove("SSL_CERT_DIR")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let folder = PathBuf::from(std::env::var_os("DSMITH_TRUST").unwrap());
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority()).unwrap();
    assert_eq!(trusted(None, false), Ok((2, 0)));
    assert_eq!(trusted(Some(file.clone()), false), Ok((2, 1)));
    assert_eq!(trusted(Some(file), true), Ok((0, 1)));
    let refused = trusted(None, true).unwrap_err();
    assert!(refused.contains("`ca_file`"), "{refused}");
    let empty = folder.join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for file in [empty, folder.join("missing.pem")] {
        let refused = trusted(Some(file.clone()), false).unwrap_err();
        assert!(refused.contains(&*file.to_string_lossy()), "{refused}");
    }
}
