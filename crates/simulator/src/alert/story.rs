//! What happened, before an interface puts it into its own words: who, where, what. All of it is invented.

use crate::random::Random;
use crate::stamp::Stamp;
use std::time::Duration;

/// A kind of alert.
#[derive(Debug)]
pub(super) struct Detection {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) category: &'static str,
    /// As the older interfaces spell it: `High`, `Medium`, `Low`, `Informational`.
    pub(super) severity: &'static str,
    pub(super) techniques: &'static [&'static str],
    pub(super) scene: Scene,
}

/// Where it happened, and with what.
#[derive(Debug)]
pub(super) enum Scene {
    /// A process on a device did something.
    Process {
        image: &'static str,
        folder: &'static str,
        command: &'static str,
        parent: &'static str,
    },
    /// The antivirus found a file.
    Malware {
        threat: &'static str,
        family: &'static str,
        kind: &'static str,
        file: &'static str,
    },
    /// A device talked to an address.
    Network { url: &'static str },
    /// A value of the registry was set.
    Registry {
        key: &'static str,
        name: &'static str,
        data: &'static str,
    },
    /// Somebody signed in; Graph only, like all that follow.
    SignIn,
    /// A message arrived.
    Message {
        subject: &'static str,
        url: &'static str,
    },
    /// Somebody used a cloud application.
    CloudApp { name: &'static str, id: i64 },
    /// Something was done to a resource in Azure.
    CloudResource {
        name: &'static str,
        kind: &'static str,
    },
}

/// The first of these come from devices, so the interfaces of Defender for Endpoint know them; Graph knows all.
pub(super) const DETECTIONS: &[Detection] = &[
    Detection {
        title: "Suspicious PowerShell command line",
        description: "A PowerShell process ran a command that hides what it does.",
        category: "Execution",
        severity: "Medium",
        techniques: &["T1059.001", "T1027"],
        scene: Scene::Process {
            image: "powershell.exe",
            folder: "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
            command: "powershell.exe -NoProfile -WindowStyle Hidden -EncodedCommand SQBuAHYAZQBuAHQAZQBkAA==",
            parent: "winword.exe",
        },
    },
    Detection {
        title: "Credentials were read from process memory",
        description: "A process opened the memory of the service that keeps passwords.",
        category: "CredentialAccess",
        severity: "High",
        techniques: &["T1003.001"],
        scene: Scene::Process {
            image: "rundll32.exe",
            folder: "C:\\Windows\\System32",
            command: "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\ProgramData\\m.bin full",
            parent: "cmd.exe",
        },
    },
    Detection {
        title: "Shadow copies were deleted",
        description: "Copies that could be restored after an encryption were removed.",
        category: "Impact",
        severity: "High",
        techniques: &["T1490"],
        scene: Scene::Process {
            image: "vssadmin.exe",
            folder: "C:\\Windows\\System32",
            command: "vssadmin.exe delete shadows /all /quiet",
            parent: "explorer.exe",
        },
    },
    Detection {
        title: "A service was created from an unusual folder",
        description: "A service whose program lies in a folder that users can write to was created.",
        category: "PrivilegeEscalation",
        severity: "Medium",
        techniques: &["T1543.003"],
        scene: Scene::Process {
            image: "sc.exe",
            folder: "C:\\Windows\\System32",
            command: "sc.exe create Updater binPath= \"C:\\Users\\Public\\upd.exe\" start= auto",
            parent: "services.exe",
        },
    },
    Detection {
        title: "'Lanternmoth' malware was prevented",
        description: "The antivirus stopped a file before it ran.",
        category: "Malware",
        severity: "Informational",
        techniques: &[],
        scene: Scene::Malware {
            threat: "Trojan:Win32/Lanternmoth.A!ml",
            family: "Lanternmoth",
            kind: "Trojan",
            file: "invoice_0311.exe",
        },
    },
    Detection {
        title: "'Greyvellum' ransomware was detected",
        description: "Files were being encrypted when the antivirus stepped in.",
        category: "Ransomware",
        severity: "High",
        techniques: &["T1486"],
        scene: Scene::Malware {
            threat: "Ransom:Win64/Greyvellum.C",
            family: "Greyvellum",
            kind: "Ransomware",
            file: "svchost32.exe",
        },
    },
    Detection {
        title: "Unwanted software was found",
        description: "A program that changes the browser was found.",
        category: "UnwantedSoftware",
        severity: "Low",
        techniques: &[],
        scene: Scene::Malware {
            threat: "PUA:Win32/Toolpebble",
            family: "Toolpebble",
            kind: "PotentiallyUnwantedSoftware",
            file: "setup_toolbar.exe",
        },
    },
    Detection {
        title: "Connection to a command and control address",
        description: "A device connected to an address that is known for remote control.",
        category: "CommandAndControl",
        severity: "High",
        techniques: &["T1071.001"],
        scene: Scene::Network {
            url: "http://cdn-sync.example.net/api/v2/poll",
        },
    },
    Detection {
        title: "Large upload to a new place",
        description: "More data than usual went to a place that was not seen before.",
        category: "Exfiltration",
        severity: "Medium",
        techniques: &["T1567.002"],
        scene: Scene::Network {
            url: "https://drop.example.org/u/0817",
        },
    },
    Detection {
        title: "Ports of many devices were probed",
        description: "One device tried the same ports of many others in a short time.",
        category: "Discovery",
        severity: "Low",
        techniques: &["T1046"],
        scene: Scene::Network { url: "" },
    },
    Detection {
        title: "A program starts with every sign-in",
        description: "A value of the registry starts a script whenever the user signs in.",
        category: "Persistence",
        severity: "Medium",
        techniques: &["T1547.001"],
        scene: Scene::Registry {
            key: "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
            name: "CloudSync",
            data: "wscript.exe //B \"C:\\Users\\Public\\sync.vbs\"",
        },
    },
    Detection {
        title: "Sign-in from an anonymous address",
        description: "An account signed in through a network that hides where people are.",
        category: "InitialAccess",
        severity: "Medium",
        techniques: &["T1078.004"],
        scene: Scene::SignIn,
    },
    Detection {
        title: "A malicious link was clicked",
        description: "Somebody opened a link that turned out to be malicious after the delivery.",
        category: "InitialAccess",
        severity: "High",
        techniques: &["T1566.002"],
        scene: Scene::Message {
            subject: "Your parcel is waiting",
            url: "https://parcel-fee.example.org/pay?ref=88",
        },
    },
    Detection {
        title: "Mass download by one user",
        description: "One account downloaded more files than it does on other days.",
        category: "Collection",
        severity: "Low",
        techniques: &["T1530"],
        scene: Scene::CloudApp {
            name: "Contoso SharePoint",
            id: 20892,
        },
    },
    Detection {
        title: "Access to a storage account from an unusual place",
        description: "A storage account was read from an address that never did so before.",
        category: "LateralMovement",
        severity: "Medium",
        techniques: &["T1021"],
        scene: Scene::CloudResource {
            name: "stcontosoarchive",
            kind: "Microsoft.Storage/storageAccounts",
        },
    },
];

/// So many of [`DETECTIONS`] come from devices.
pub(super) const ON_DEVICES: usize = 11;

const PEOPLE: &[(&str, &str)] = &[
    ("Aiko", "Brandt"),
    ("Bela", "Okonkwo"),
    ("Carmen", "Lindqvist"),
    ("Dario", "Petrov"),
    ("Edda", "Nakamura"),
    ("Farid", "Olsen"),
    ("Greta", "Mbeki"),
    ("Henk", "Castillo"),
    ("Ines", "Kowalska"),
    ("Jonas", "Adeyemi"),
    ("Kirsi", "Fontaine"),
    ("Luka", "Sørensen"),
];

/// Invented tenant, the one the default client belongs to.
pub const TENANT: &str = "3f1c7a52-9d04-4b6e-8a11-5e0c0ffee100";

/// The people, things and places of one alert.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) detection: &'static Detection,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) account: String,
    pub(super) host: String,
    /// The group that the device is in.
    pub(super) group: &'static str,
    pub(super) device_id: String,
    pub(super) internal_ip: String,
    pub(super) external_ip: String,
    pub(super) sha1: String,
    pub(super) sha256: String,
    pub(super) md5: String,
    pub(super) detector: String,
    pub(super) incident: u32,
    pub(super) process_id: u32,
    /// When it happened, when it was noticed: some minutes and some seconds before the alert was ready.
    pub(super) happened: Stamp,
    pub(super) noticed: Stamp,
    /// For what one interface alone needs.
    pub(super) random: Random,
}

impl Story {
    /// The story that belongs to these words, ready at `ready`.
    pub(super) fn new(words: &[u64], kinds: usize, ready: Stamp) -> Self {
        let mut random = Random::new(words);
        let detection = random.pick(&DETECTIONS[..kinds]);
        let (first_name, last_name) = *random.pick(PEOPLE);
        let account = format!("{first_name}.{last_name}")
            .to_lowercase()
            .replace('ø', "o");
        let device = random.below(900);
        let mut of_device = Random::new(&[device]);
        let (prefix, group) = if device < 100 {
            ("srv", "Servers")
        } else {
            ("pc", "Workstations")
        };
        let noticed =
            ready - Duration::from_nanos(100 * (10_000_000 + random.below(1_500_000_000)));
        let mut of_detection = Random::new(&[crate::random::word(detection.title)]);
        Self {
            detection,
            first_name,
            last_name,
            account,
            host: format!("{prefix}-{device:04}"),
            group,
            device_id: format!("de11ce{}", of_device.hex(34)),
            internal_ip: format!("10.20.{}.{}", device / 200, device % 200 + 10),
            external_ip: format!(
                "{}.{}",
                random.pick(&["192.0.2", "198.51.100", "203.0.113"]),
                1 + random.below(254)
            ),
            sha1: random.hex(40),
            sha256: random.hex(64),
            md5: random.hex(32),
            detector: of_detection.guid(),
            incident: 1000 + random.below(90_000) as u32,
            process_id: 1000 + random.below(30_000) as u32,
            happened: noticed - Duration::from_nanos(100 * random.below(3_000_000_000)),
            noticed,
            random,
        }
    }

    pub(super) fn domain_name(&self) -> String {
        format!("{}.contoso.example", self.host)
    }

    pub(super) fn principal(&self) -> String {
        format!("{}@contoso.example", self.account)
    }

    pub(super) fn sid(&self) -> String {
        let number = crate::random::word(&self.account) % 9000 + 1000;
        format!("S-1-5-21-1111111111-2222222222-3333333333-{number}")
    }

    /// The identifier of the person in Entra ID, the same in every alert.
    pub(super) fn object_id(&self) -> String {
        Random::new(&[crate::random::word(&self.account)]).guid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_device_comes_last_in_the_table() {
        for (number, detection) in DETECTIONS.iter().enumerate() {
            let on_device = matches!(
                detection.scene,
                Scene::Process { .. }
                    | Scene::Malware { .. }
                    | Scene::Network { .. }
                    | Scene::Registry { .. }
            );
            assert_eq!(on_device, number < ON_DEVICES, "{}", detection.title);
        }
    }
}
