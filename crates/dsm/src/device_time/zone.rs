//! Time zones: the zone of the context, and the zones that a text can name.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::{GapInfo, OffsetName, TZ_VARIANTS, Tz};

use super::scan::Scan;
use super::{TimeContext, TimeError};

/// A time zone: UTC, a fixed offset or a zone of the IANA database.
///
/// It is read with [`str::parse`] from `UTC`, `+02:00` or `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Seconds east of UTC, less than a day.
    Fixed(i32),
    Named(Tz),
}

/// A text that is not a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{name}`")]
#[non_exhaustive]
pub struct ZoneError {
    /// The text as given.
    pub name: String,
    /// What to write instead.
    pub help: String,
}

/// Which of two instants a wall clock time means that a zone shows twice, when daylight saving ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The first pass, still on daylight saving time: what Joda-Time takes.
    First,
    /// The second pass, on standard time: what Java's `GregorianCalendar` takes.
    Second,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Zone = Zone(Kind::Fixed(0));

    pub(super) const fn fixed(seconds: i32) -> Zone {
        Zone(Kind::Fixed(seconds))
    }

    /// The instant at which clocks of this zone show `local`. A time that the zone skips is read with the offset from
    /// before the gap, as Java does, so it comes out that much later on the clock. `None` is beyond the calendar.
    pub(super) fn instant(self, local: NaiveDateTime, repeated: Repeated) -> Option<DateTime<Utc>> {
        let seconds = match self.0 {
            Kind::Fixed(seconds) => seconds,
            Kind::Named(tz) => match tz.offset_from_local_datetime(&local) {
                MappedLocalTime::Single(offset) => offset.fix().local_minus_utc(),
                MappedLocalTime::Ambiguous(one, other) => {
                    let one = one.fix().local_minus_utc();
                    let other = other.fix().local_minus_utc();
                    // The larger offset is the one in force first.
                    match repeated {
                        Repeated::First => one.max(other),
                        Repeated::Second => one.min(other),
                    }
                }
                MappedLocalTime::None => {
                    let (_, before) = GapInfo::new(&local, &tz)?.begin?;
                    before.fix().local_minus_utc()
                }
            },
        };
        let utc = local.checked_sub_signed(TimeDelta::seconds(i64::from(seconds)))?;
        Some(utc.and_utc())
    }

    /// What clocks of this zone show at an instant.
    pub(super) fn local(self, instant: DateTime<Utc>) -> NaiveDateTime {
        let utc = instant.naive_utc();
        let seconds = match self.0 {
            Kind::Fixed(seconds) => seconds,
            Kind::Named(tz) => tz.offset_from_utc_datetime(&utc).fix().local_minus_utc(),
        };
        utc.checked_add_signed(TimeDelta::seconds(i64::from(seconds)))
            .unwrap_or(utc)
    }

    /// The offset of an abbreviation that this zone itself uses in the given year.
    fn own_abbreviation(self, name: &str, year: i32) -> Option<i32> {
        let Kind::Named(tz) = self.0 else {
            return None;
        };
        [1, 7].into_iter().find_map(|month| {
            let day = NaiveDate::from_ymd_opt(year, month, 1)?.and_hms_opt(0, 0, 0)?;
            let offset = tz.offset_from_utc_datetime(&day);
            let own = offset.abbreviation()?;
            own.eq_ignore_ascii_case(name)
                .then(|| offset.fix().local_minus_utc())
        })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Fixed(0) => f.write_str("UTC"),
            Kind::Fixed(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Kind::Named(tz) => f.write_str(tz.name()),
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Reads `UTC`, `GMT`, `Z`, an offset (`+02:00`, `+0200`, `+2`, `GMT+02:00`) or an IANA id, whatever its case.
    /// Abbreviations such as `CEST` are refused: they name half a year, not a zone.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        if ["UTC", "GMT", "UT", "Z"]
            .iter()
            .any(|utc| name.eq_ignore_ascii_case(utc))
        {
            return Ok(Zone::UTC);
        }
        let mut scan = Scan::new(name);
        scan.seek(universal_prefix(name).map_or(0, str::len));
        if matches!(scan.peek(), Some(b'+' | b'-'))
            && let Ok(seconds) = offset(&mut scan)
            && scan.at_end()
        {
            return Ok(Zone::fixed(seconds));
        }
        TZ_VARIANTS
            .iter()
            .find(|tz| tz.name().eq_ignore_ascii_case(name))
            .map(|&tz| Zone(Kind::Named(tz)))
            .ok_or_else(|| ZoneError {
                name: name.to_owned(),
                help: zone_help(name),
            })
    }
}

fn zone_help(name: &str) -> String {
    let city = name.rsplit('/').next().unwrap_or(name);
    let nearest = TZ_VARIANTS.iter().map(|tz| tz.name()).find(|id| {
        id.rsplit('/')
            .next()
            .is_some_and(|c| c.eq_ignore_ascii_case(city))
    });
    match nearest {
        Some(id) => format!("did you mean `{id}`?"),
        None => "write `UTC`, an offset such as `+02:00`, or an IANA id such as `Europe/Berlin`"
            .to_owned(),
    }
}

/// The `UTC`, `GMT` or `UT` that the text begins with.
fn universal_prefix(text: &str) -> Option<&str> {
    ["UTC", "GMT", "UT"].into_iter().find_map(|prefix| {
        text.get(..prefix.len())
            .filter(|head| head.eq_ignore_ascii_case(prefix))
    })
}

/// Reads `+h`, `+hh`, `+hhmm` or `+hh:mm` with either sign, as seconds east of UTC.
fn offset(scan: &mut Scan<'_>) -> Result<i32, TimeError> {
    const WHAT: &str = "a zone offset such as +01:00";
    let at = scan.at();
    let west = match scan.peek() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return Err(scan.expected(WHAT)),
    };
    scan.seek(at + 1);
    let digits = scan.run(|b| b.is_ascii_digit());
    let hours = match digits {
        0 => return Err(scan.expected(WHAT)),
        3 => {
            let message = "an offset of three digits is ambiguous; write +hh:mm";
            return Err(TimeError::new(at, message.to_owned()));
        }
        _ => scan.digits(2).map_or(0, |found| found.value),
    };
    let separated = scan.peek() == Some(b':')
        && [1, 2]
            .iter()
            .all(|&by| scan.ahead(by).is_some_and(|b| b.is_ascii_digit()));
    let minutes = if digits > 3 {
        scan.digits(2).map_or(0, |found| found.value)
    } else if separated {
        scan.seek(scan.at() + 1);
        scan.digits(2).map_or(0, |found| found.value)
    } else {
        0
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).unwrap_or_default();
    if hours > 23 || minutes > 59 {
        let message = "a zone offset is at most 23 hours and 59 minutes";
        return Err(TimeError::new(at, message.to_owned()));
    }
    Ok(if west { -seconds } else { seconds })
}

/// Reads a zone in any of its forms: an offset, `Z`, `UTC` or `GMT` alone or with an offset, an IANA id, a long name or
/// an abbreviation. An abbreviation of the context's own zone means that zone's offset; otherwise the table decides.
pub(super) fn read(scan: &mut Scan<'_>, ctx: &TimeContext) -> Result<Zone, TimeError> {
    let from = scan.at();
    if matches!(scan.peek(), Some(b'+' | b'-')) {
        return offset(scan).map(Zone::fixed);
    }
    let word = scan.word();
    if universal_prefix(word).is_some_and(|prefix| prefix.len() == word.len()) {
        let signed = matches!(scan.peek(), Some(b'+' | b'-'))
            && scan.ahead(1).is_some_and(|b| b.is_ascii_digit());
        return match signed {
            true => offset(scan).map(Zone::fixed),
            false => Ok(Zone::UTC),
        };
    }
    if word.eq_ignore_ascii_case("Z") {
        return Ok(Zone::UTC);
    }
    let after_word = scan.at();
    scan.seek(from);
    if let Some((zone, length)) = iana_id(scan.rest(), word.len()) {
        scan.seek(from + length);
        return Ok(zone);
    }
    if let Some((zone, length)) = changed(scan.rest(), word) {
        scan.seek(from + length);
        return Ok(zone);
    }
    if let Some((seconds, length)) = long_name(scan.rest()) {
        scan.seek(from + length);
        return Ok(Zone::fixed(seconds));
    }
    let whole = !scan.ahead(word.len()).is_some_and(|b| b.is_ascii_digit());
    if whole && !word.is_empty() {
        let year = ctx.received.year();
        let zone = ctx
            .zone
            .own_abbreviation(word, year)
            .or_else(|| abbreviation(word))
            .map(Zone::fixed)
            .or_else(|| Some(Zone(Kind::Named(word.parse().ok()?))));
        if let Some(zone) = zone {
            scan.seek(after_word);
            return Ok(zone);
        }
    }
    Err(scan.expected("a time zone such as UTC, CET, +01:00 or Europe/Berlin"))
}

/// The longest IANA id at the head of the text that is more than its first word, as `Europe/Berlin` and `EST5EDT` are.
fn iana_id(text: &str, word: usize) -> Option<(Zone, usize)> {
    // The longest id, America/Argentina/ComodRivadavia, has 32 bytes.
    let token = text
        .bytes()
        .take(40)
        .take_while(|&b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'+' | b'-'))
        .count();
    let mut end = token;
    while end > word {
        let id = text.get(..end)?;
        if let Ok(tz) = id.parse::<Tz>() {
            return Some((Zone(Kind::Named(tz)), end));
        }
        end = id.rfind(['/', '_', '+', '-'])?;
    }
    None
}

/// The zone at the head of the text whose clocks were changed without its names: which offset a name means depends on
/// the date.
fn changed(text: &str, word: &str) -> Option<(Zone, usize)> {
    let names = [
        ("VET", Tz::America__Caracas),
        ("Venezuela Time", Tz::America__Caracas),
    ];
    names.into_iter().find_map(|(name, tz)| {
        let head = text.get(..name.len())?;
        let is_whole = name.contains(' ') || name.len() == word.len();
        (is_whole && head.eq_ignore_ascii_case(name)).then_some((Zone(Kind::Named(tz)), name.len()))
    })
}

fn long_name(text: &str) -> Option<(i32, usize)> {
    LONG_NAMES.iter().find_map(|&(name, minutes)| {
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then_some((minutes * 60, name.len()))
    })
}

fn abbreviation(word: &str) -> Option<i32> {
    ABBREVIATIONS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|&(_, minutes)| minutes * 60)
}

/// Zone abbreviations in minutes east of UTC: what JDK 17 makes of each, in the locale en-US and the zone UTC. The
/// ambiguous ones are North America's (`CST`, `EST`, `MST`, `PST`, `AST`), Britain's (`BST`) and Israel's (`IST`). For the
/// daylight names of some zones the JDK forgets the hour (`ACDT`, `AWDT`, `BRST`, `IRDT`, `MSD`); here they have it.
/// Daylight names that only the JDK knows, of zones that never had daylight saving, are left out.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("ACDT", 630),
    ("ACST", 570),
    ("ACT", -300),
    ("ACWST", 525),
    ("ADT", -180),
    ("AEDT", 660),
    ("AEST", 600),
    ("AFT", 270),
    ("AKDT", -480),
    ("AKST", -540),
    ("ALMT", 300),
    ("AMST", -180),
    ("AMT", 240),
    ("ANAT", 720),
    ("AQTT", 300),
    ("ARST", -120),
    ("ART", -180),
    ("AST", -240),
    ("AWDT", 540),
    ("AWST", 480),
    ("AZOST", 0),
    ("AZOT", -60),
    ("AZST", 300),
    ("AZT", 240),
    ("BDT", 360),
    ("BNT", 480),
    ("BOT", -240),
    ("BRST", -120),
    ("BRT", -180),
    ("BST", 60),
    ("BTT", 360),
    ("CAT", 120),
    ("CCT", 390),
    ("CDT", -300),
    ("CEST", 120),
    ("CET", 60),
    ("CHADT", 825),
    ("CHAST", 765),
    ("CHOT", 480),
    ("CHUT", 600),
    ("CKT", -600),
    ("CLST", -180),
    ("CLT", -240),
    ("COT", -300),
    ("CST", -360),
    ("CVT", -60),
    ("CXT", 420),
    ("ChST", 600),
    ("DAVT", 420),
    ("DDUT", 600),
    ("EASST", -300),
    ("EAT", 180),
    ("ECT", -300),
    ("EDT", -240),
    ("EEST", 180),
    ("EET", 120),
    ("EGST", -60),
    ("EGT", -120),
    ("EST", -300),
    ("FJST", 780),
    ("FJT", 720),
    ("FKT", -180),
    ("FNT", -120),
    ("GALT", -360),
    ("GAMT", -540),
    ("GET", 240),
    ("GFT", -180),
    ("GILT", 720),
    ("GST", 240),
    ("GYT", -240),
    ("HADT", -540),
    ("HAST", -600),
    ("HKT", 480),
    ("HOVT", 420),
    ("HST", -600),
    ("ICT", 420),
    ("IDT", 180),
    ("IOT", 360),
    ("IRDT", 270),
    ("IRKT", 480),
    ("IRST", 210),
    ("IST", 120),
    ("JDT", 540),
    ("JST", 540),
    ("KGT", 360),
    ("KOST", 660),
    ("KRAT", 420),
    ("KST", 540),
    ("LHDT", 660),
    ("LHST", 630),
    ("LINT", 840),
    ("MAGT", 660),
    ("MART", -570),
    ("MAWT", 300),
    ("MDT", -360),
    ("MEST", 120),
    ("MET", 60),
    ("MHT", 720),
    ("MMT", 390),
    ("MSD", 240),
    ("MSK", 180),
    ("MST", -420),
    ("MUT", 240),
    ("MVT", 300),
    ("MYT", 480),
    ("NCT", 660),
    ("NDT", -150),
    ("NFST", 720),
    ("NFT", 660),
    ("NOVT", 420),
    ("NPT", 345),
    ("NRT", 720),
    ("NST", -210),
    ("NUT", -660),
    ("NZDT", 780),
    ("NZST", 720),
    ("OMST", 360),
    ("ORAT", 300),
    ("PDT", -420),
    ("PET", -300),
    ("PGT", 600),
    ("PHOT", 780),
    ("PKT", 300),
    ("PMDT", -120),
    ("PMST", -180),
    ("PONT", 660),
    ("PST", -480),
    ("PWT", 540),
    ("PYT", -180),
    ("QOST", 300),
    ("QYZT", 300),
    ("RET", 240),
    ("ROTT", -180),
    ("SAKT", 660),
    ("SAMT", 240),
    ("SAST", 120),
    ("SBT", 660),
    ("SCT", 240),
    ("SGT", 480),
    ("SRET", 660),
    ("SRT", -180),
    ("SST", -660),
    ("SYOT", 180),
    ("TAHT", -600),
    ("TFT", 300),
    ("TJT", 300),
    ("TKT", 780),
    ("TLT", 540),
    ("TMT", 300),
    ("TOT", 780),
    ("TRT", 180),
    ("TVT", 720),
    ("ULAT", 480),
    ("UYST", -120),
    ("UYT", -180),
    ("UZT", 300),
    ("VLAT", 600),
    ("VOST", 300),
    ("VUT", 660),
    ("WAKT", 720),
    ("WAT", 60),
    ("WEST", 60),
    ("WET", 0),
    ("WFT", 720),
    ("WGST", -60),
    ("WGT", -120),
    ("WIB", 420),
    ("WIT", 540),
    ("WITA", 540),
    ("WSST", 780),
    ("XJT", 360),
    ("YAKT", 540),
    ("YEKT", 300),
];

/// Long zone names as Java writes them, in minutes east of UTC. None is the beginning of another.
const LONG_NAMES: &[(&str, i32)] = &[
    ("Acre Standard Time", -300),
    ("Afghanistan Time", 270),
    ("Alaska Daylight Time", -480),
    ("Alaska Standard Time", -540),
    ("Amazon Standard Time", -240),
    ("Amazon Summer Time", -180),
    ("Anadyr Standard Time", 720),
    ("Apia Daylight Time", 840),
    ("Apia Standard Time", 780),
    ("Arabian Standard Time", 180),
    ("Argentina Standard Time", -180),
    ("Argentina Summer Time", -120),
    ("Argentine Time", -180),
    ("Armenia Standard Time", 240),
    ("Armenia Summer Time", 300),
    ("Atlantic Daylight Time", -180),
    ("Atlantic Standard Time", -240),
    ("Australian Central Daylight Time", 630),
    ("Australian Central Standard Time", 570),
    ("Australian Central Western Standard Time", 525),
    ("Australian Eastern Daylight Time", 660),
    ("Australian Eastern Standard Time", 600),
    ("Australian Western Daylight Time", 540),
    ("Australian Western Standard Time", 480),
    ("Azerbaijan Standard Time", 240),
    ("Azerbaijan Summer Time", 300),
    ("Azores Standard Time", -60),
    ("Azores Summer Time", 0),
    ("Bangladesh Standard Time", 360),
    ("Bangladesh Summer Time", 420),
    ("Barnaul Standard Time", 420),
    ("Bhutan Time", 360),
    ("Bolivia Time", -240),
    ("Bougainville Standard Time", 660),
    ("Brasilia Standard Time", -180),
    ("Brasilia Summer Time", -120),
    ("British Summer Time", 60),
    ("Brunei Darussalam Time", 480),
    ("Cape Verde Standard Time", -60),
    ("Casey Time", 480),
    ("Central Africa Time", 120),
    ("Central Daylight Time", -300),
    ("Central European Standard Time", 60),
    ("Central European Summer Time", 120),
    ("Central European Time", 60),
    ("Central Indonesia Time", 480),
    ("Central Standard Time", -360),
    ("Chamorro Standard Time", 600),
    ("Chatham Daylight Time", 825),
    ("Chatham Standard Time", 765),
    ("Chile Standard Time", -240),
    ("Chile Summer Time", -180),
    ("Chile Time", -180),
    ("China Standard Time", 480),
    ("Christmas Island Time", 420),
    ("Chuuk Time", 600),
    ("Cocos Islands Time", 390),
    ("Colombia Standard Time", -300),
    ("Cook Islands Standard Time", -600),
    ("Coordinated Universal Time", 0),
    ("Cuba Daylight Time", -240),
    ("Cuba Standard Time", -300),
    ("Davis Time", 420),
    ("Dumont-d’Urville Time", 600),
    ("East Africa Time", 180),
    ("Eastern Daylight Time", -240),
    ("Eastern European Standard Time", 120),
    ("Eastern European Summer Time", 180),
    ("Eastern Standard Time", -300),
    ("Ecuador Time", -300),
    ("Falkland Islands Standard Time", -180),
    ("Fernando de Noronha Standard Time", -120),
    ("Fiji Standard Time", 720),
    ("Fiji Summer Time", 780),
    ("French Guiana Time", -180),
    ("French Southern & Antarctic Time", 300),
    ("Galapagos Time", -360),
    ("Gambier Time", -540),
    ("Georgia Standard Time", 240),
    ("Gilbert Islands Time", 720),
    ("Greenwich Mean Time", 0),
    ("Gulf Standard Time", 240),
    ("Guyana Time", -240),
    ("Hawaii Standard Time", -600),
    ("Hawaii-Aleutian Standard Time", -600),
    ("Hong Kong Standard Time", 480),
    ("Hovd Standard Time", 420),
    ("India Standard Time", 330),
    ("Indian Ocean Time", 360),
    ("Indochina Time", 420),
    ("Iran Daylight Time", 270),
    ("Iran Standard Time", 210),
    ("Irish Standard Time", 60),
    ("Irkutsk Standard Time", 480),
    ("Israel Daylight Time", 180),
    ("Israel Standard Time", 120),
    ("Japan Standard Time", 540),
    ("Kanton Standard Time", 780),
    ("Korean Standard Time", 540),
    ("Kosrae Time", 660),
    ("Krasnoyarsk Standard Time", 420),
    ("Kyrgyzstan Time", 360),
    ("Line Islands Time", 840),
    ("Lord Howe Daylight Time", 660),
    ("Lord Howe Standard Time", 630),
    ("Magadan Standard Time", 660),
    ("Malaysia Time", 480),
    ("Maldives Time", 300),
    ("Marquesas Time", -570),
    ("Marshall Islands Time", 720),
    ("Mauritius Standard Time", 240),
    ("Mauritius Summer Time", 300),
    ("Mawson Time", 300),
    ("Mexican Pacific Standard Time", -420),
    ("Middle Europe Summer Time", 120),
    ("Middle Europe Time", 60),
    ("Moscow Standard Time", 180),
    ("Moscow Summer Time", 240),
    ("Mountain Daylight Time", -360),
    ("Mountain Standard Time", -420),
    ("Myanmar Time", 390),
    ("Nauru Time", 720),
    ("Nepal Time", 345),
    ("New Caledonia Standard Time", 660),
    ("New Zealand Daylight Time", 780),
    ("New Zealand Standard Time", 720),
    ("Newfoundland Daylight Time", -150),
    ("Newfoundland Standard Time", -210),
    ("Niue Time", -660),
    ("Norfolk Island Daylight Time", 720),
    ("Norfolk Island Standard Time", 660),
    ("Northwest Mexico Daylight Time", -420),
    ("Northwest Mexico Standard Time", -480),
    ("Novosibirsk Standard Time", 420),
    ("Omsk Standard Time", 360),
    ("Pacific Daylight Time", -420),
    ("Pacific Standard Time", -480),
    ("Pakistan Standard Time", 300),
    ("Pakistan Summer Time", 360),
    ("Palau Time", 540),
    ("Papua New Guinea Time", 600),
    ("Paraguay Standard Time", -180),
    ("Peru Standard Time", -300),
    ("Philippine Standard Time", 480),
    ("Phoenix Islands Time", 780),
    ("Pitcairn Time", -480),
    ("Ponape Time", 660),
    ("Punta Arenas Standard Time", -180),
    ("Rothera Time", -180),
    ("Réunion Time", 240),
    ("Sakhalin Standard Time", 660),
    ("Samara Standard Time", 240),
    ("Samoa Standard Time", -660),
    ("Saratov Standard Time", 240),
    ("Seychelles Time", 240),
    ("Singapore Standard Time", 480),
    ("Solomon Islands Time", 660),
    ("South Africa Standard Time", 120),
    ("South Georgia Time", -120),
    ("Srednekolymsk Time", 660),
    ("St. Pierre & Miquelon Daylight Time", -120),
    ("St. Pierre & Miquelon Standard Time", -180),
    ("Suriname Time", -180),
    ("Syowa Time", 180),
    ("Tahiti Time", -600),
    ("Taipei Standard Time", 480),
    ("Tajikistan Time", 300),
    ("Tokelau Time", 780),
    ("Tomsk Standard Time", 420),
    ("Tonga Standard Time", 780),
    ("Turkey Time", 180),
    ("Turkmenistan Standard Time", 300),
    ("Tuvalu Time", 720),
    ("Ulaanbaatar Standard Time", 480),
    ("Ulyanovsk Standard Time", 240),
    ("Uruguay Standard Time", -180),
    ("Uruguay Summer Time", -120),
    ("Uzbekistan Standard Time", 300),
    ("Vanuatu Standard Time", 660),
    ("Vladivostok Standard Time", 600),
    ("Volgograd Standard Time", 180),
    ("Vostok Time", 300),
    ("Wake Island Time", 720),
    ("Wallis & Futuna Time", 720),
    ("West Africa Standard Time", 60),
    ("West Kazakhstan Time", 300),
    ("Western European Standard Time", 0),
    ("Western European Summer Time", 60),
    ("Western European Time", 0),
    ("Western Indonesia Time", 420),
    ("Xinjiang Standard Time", 360),
    ("Yakutsk Standard Time", 540),
    ("Yekaterinburg Standard Time", 300),
];
