//! How numbers are written that formats such as JSON have no notation for: as none, as long as what is read
//! back means the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that is ∞ where it limits nothing, or where there is no finite one: none is ∞.
pub(crate) mod or_infinite {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(value).filter(|value| **value != f64::INFINITY).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
    }
}

/// A number that may have come to something that is not finite: none is NaN, whichever it was.
pub(crate) mod or_nan {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(value).filter(|value| value.is_finite()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}
