//! The equations as text.

use super::found::{Discovery, Kind};

impl Discovery {
    /// The equations as text, one per coordinate: `dx1/dt = -10.00 x1 + 10.00 x2`, `g_x1 = 2.000 x1`, or
    /// `x1[k+1] = 0.5000 x1`.
    pub fn equations(&self) -> Vec<String> {
        let (features, names) = (self.feature_names(), self.variable_names());
        self.coefficients
            .columns()
            .into_iter()
            .zip(self.support.columns())
            .enumerate()
            .map(|(i, (xi, support))| {
                let name = &names[i];
                let left = match self.kind {
                    Kind::Gradient => format!("g_{name}"),
                    Kind::Map => format!("{name}[k+1]"),
                    Kind::Derivative => format!("d{name}/dt"),
                };
                let mut right = String::new();
                for ((value, feature), _) in xi.iter().zip(&features).zip(support).filter(|(_, kept)| **kept)
                {
                    let sign = match (right.is_empty(), *value < 0.0) {
                        (true, true) => "-",
                        (true, false) => "",
                        (false, true) => " - ",
                        (false, false) => " + ",
                    };
                    right += sign;
                    right += &significant(value.abs());
                    if feature != "1" {
                        right += " ";
                        right += feature;
                    }
                }
                format!("{left} = {}", if right.is_empty() { "0" } else { &right })
            })
            .collect()
    }
}

/// Formats a number with four significant digits, without an exponent where that reads well.
fn significant(v: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    // The exponent after rounding to four digits: 0.99996 is 1.000.
    let scientific = format!("{v:.3e}");
    let exponent: i32 = scientific.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    if (-4..6).contains(&exponent) { format!("{v:.*}", (3 - exponent).max(0) as usize) } else { scientific }
}
