use std::fmt;

/// A version of the format. No others exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// LEEF 1.0: attributes are separated by TAB.
    #[default]
    V1_0,
    /// LEEF 2.0: the header may declare the character between attributes.
    V2_0,
}

impl Version {
    /// The number as the header spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V2_0 => "2.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The header of an event, without the delimiter field of LEEF 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header<'a> {
    /// The version the event was read in. A [`Writer`](crate::Writer) writes
    /// the version of its own options, so that an event that was read in one
    /// version can be written in the other.
    pub version: Version,
    /// Who makes the product that the event comes from.
    pub vendor: &'a str,
    /// The product that the event comes from. A relay names the origin here,
    /// not itself.
    pub product: &'a str,
    /// The version of the product; may hold blanks.
    pub product_version: &'a str,
    /// What happened, as a stable identifier: QRadar looks the event up by
    /// this and by the attribute `cat`.
    pub event_id: &'a str,
}

impl<'a> Header<'a> {
    /// One of the fields, by name.
    #[must_use]
    pub fn get(&self, field: HeaderField) -> &'a str {
        match field {
            HeaderField::Vendor => self.vendor,
            HeaderField::Product => self.product,
            HeaderField::ProductVersion => self.product_version,
            HeaderField::EventId => self.event_id,
        }
    }
}

/// Names a text field of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderField {
    /// [`Header::vendor`]
    Vendor,
    /// [`Header::product`]
    Product,
    /// [`Header::product_version`]
    ProductVersion,
    /// [`Header::event_id`]
    EventId,
}

impl HeaderField {
    /// The fields in the order of the header.
    pub const ALL: [Self; 4] = [
        Self::Vendor,
        Self::Product,
        Self::ProductVersion,
        Self::EventId,
    ];

    /// How `leefSanitized` names the field: a word that could be a key, but
    /// is not likely to be one.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Self::Vendor => "headerVendor",
            Self::Product => "headerProduct",
            Self::ProductVersion => "headerVersion",
            Self::EventId => "headerEventId",
        }
    }
}

impl fmt::Display for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vendor => "vendor",
            Self::Product => "product",
            Self::ProductVersion => "product version",
            Self::EventId => "event ID",
        })
    }
}
