//! The LEEF 1.0 and 2.0 wire format.
