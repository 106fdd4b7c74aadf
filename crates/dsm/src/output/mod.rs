//! Events on the wire: LEEF, CEF, JSON. Each writer appends one line, without its end, to a buffer of the caller.

pub mod cef;
pub mod json;
pub mod leef;
