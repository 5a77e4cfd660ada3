//! The library of terms Θ: monomials of the variables, and functions of single variables beside them.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::error::{Error, Result};
use crate::surrogate::Library;

/// A function of one variable that stands in the library beside the monomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// The sine of a variable, in radians.
    Sin,
    /// The cosine of a variable, in radians.
    Cos,
    /// The exponential of a variable.
    Exp,
    /// The natural logarithm of a variable, which must be positive.
    Log,
    /// The square root of a variable, which must not be negative.
    Sqrt,
    /// The reciprocal of a variable, which must not be 0.
    Reciprocal,
    /// The absolute value of a variable.
    Abs,
    /// The hyperbolic tangent of a variable.
    Tanh,
}

impl Function {
    /// All functions, in the order of their declaration.
    pub const ALL: [Self; 8] =
        [Self::Sin, Self::Cos, Self::Exp, Self::Log, Self::Sqrt, Self::Reciprocal, Self::Abs, Self::Tanh];

    /// The name that equations and the command line have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Reciprocal => "reciprocal",
            Self::Abs => "abs",
            Self::Tanh => "tanh",
        }
    }

    fn of(self, v: f64) -> f64 {
        match self {
            Self::Sin => v.sin(),
            Self::Cos => v.cos(),
            Self::Exp => v.exp(),
            Self::Log => v.ln(),
            Self::Sqrt => v.sqrt(),
            Self::Reciprocal => v.recip(),
            Self::Abs => v.abs(),
            Self::Tanh => v.tanh(),
        }
    }

    fn slope(self, v: f64) -> f64 {
        match self {
            Self::Sin => v.cos(),
            Self::Cos => -v.sin(),
            Self::Exp => v.exp(),
            Self::Log => v.recip(),
            Self::Sqrt => 0.5 / v.sqrt(),
            Self::Reciprocal => -v.recip().powi(2),
            Self::Abs => v.signum(),
            Self::Tanh => 1.0 - v.tanh().powi(2),
        }
    }
}

/// The terms of the right-hand sides: all monomials up to an order, then every function of every variable.
///
/// ```
/// use lgf::discover::{Function, Terms};
///
/// # fn main() -> lgf::Result<()> {
/// let terms = Terms::new(2, 1, true, &[Function::Sin])?;
/// let names = ["angle".to_string(), "speed".to_string()];
/// assert_eq!(terms.names(&names), ["1", "angle", "speed", "sin(angle)", "sin(speed)"]);
/// assert_eq!(terms.evaluate(&[0.0, 2.0])[2..4], [2.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    monomials: Library,
    functions: Vec<(Function, usize)>,
}

impl Terms {
    /// The terms of `variables` variables: monomials up to `order`, the constant among them if there is a
    /// `bias`, and `functions` of each variable.
    ///
    /// # Errors
    /// More than [`Library::MAX_FEATURES`] terms, found out before anything is allocated.
    pub fn new(variables: usize, order: usize, bias: bool, functions: &[Function]) -> Result<Self> {
        if order == 0 {
            return Err(Error::invalid("the order", 0, "at least 1"));
        }
        let monomials = Library::new(variables, order, bias)?;
        let count = monomials.len() + functions.len() * variables;
        if count > Library::MAX_FEATURES {
            let most = format!("at most {} (lower the rank or the order)", Library::MAX_FEATURES);
            return Err(Error::invalid("the number of features", count, most));
        }
        let each = |f: &Function| (0..variables).map(|variable| (*f, variable)).collect::<Vec<_>>();
        Ok(Self { monomials, functions: functions.iter().flat_map(each).collect() })
    }

    /// The number of terms P.
    pub fn len(&self) -> usize {
        self.monomials.len() + self.functions.len()
    }

    /// Whether there are no terms, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of variables: coordinates, then inputs, then time, where there are any.
    pub fn variables(&self) -> usize {
        self.monomials.variables()
    }

    /// The monomials among the terms, which come first.
    pub fn monomials(&self) -> &Library {
        &self.monomials
    }

    /// The terms' names, made of the variables': `1`, `x1`, `x1 x2`, `x1^2`, `sin(x1)`.
    pub fn names(&self, variables: &[String]) -> Vec<String> {
        let name = |i: usize| variables.get(i).cloned().unwrap_or_else(|| format!("x{}", i + 1));
        let monomials = self.monomials.terms().chunks_exact(self.monomials.order()).map(|term| {
            let mut factors: Vec<(u32, usize)> = Vec::new();
            for &i in term.iter().filter(|i| **i > 0) {
                match factors.last_mut() {
                    Some((last, power)) if *last == i => *power += 1,
                    _ => factors.push((i, 1)),
                }
            }
            let text: Vec<String> = factors
                .iter()
                .map(|(i, power)| {
                    let variable = name(*i as usize - 1);
                    if *power > 1 { format!("{variable}^{power}") } else { variable }
                })
                .collect();
            if text.is_empty() { "1".into() } else { text.join(" ") }
        });
        let functions = self.functions.iter().map(|(f, i)| format!("{}({})", f.name(), name(*i)));
        monomials.chain(functions).collect()
    }

    /// The terms Θ(z) at one point, P of them.
    pub fn evaluate(&self, z: &[f64]) -> Vec<f64> {
        let mut theta = self.monomials.evaluate(z);
        theta.extend(self.functions.iter().map(|(f, i)| f.of(z[*i])));
        theta
    }

    /// The terms of every row of `z` (K×r), as a K×P matrix.
    ///
    /// # Errors
    /// A function that is not finite on one of the rows.
    pub fn evaluate_rows(&self, z: ArrayView2<f64>, variables: &[String]) -> Result<Array2<f64>> {
        let mut rows = Array2::zeros((z.nrows(), self.len()));
        for (number, (z, mut row)) in z.rows().into_iter().zip(rows.rows_mut()).enumerate() {
            let theta = self.evaluate(&z.to_vec());
            if let Some(at) = theta.iter().position(|v| !v.is_finite()) {
                let name = self.names(variables).swap_remove(at);
                return Err(Error::invalid(
                    "a term of the library",
                    format!("`{name}` = {} at sample {number}", theta[at]),
                    "finite on every sample (leave it out of the terms, or shift the coordinate)",
                ));
            }
            row.assign(&ArrayView1::from(&theta));
        }
        Ok(rows)
    }

    /// Adds `weight` times the gradient of term `p` at `z` to `into` (one entry per variable, as many as
    /// there are in `into`).
    pub(super) fn add_gradient(&self, p: usize, z: &[f64], weight: f64, into: &mut [f64]) {
        let order = self.monomials.order();
        let Some(term) = self.monomials.terms().chunks_exact(order).nth(p) else {
            let (f, i) = self.functions[p - self.monomials.len()];
            if let Some(slope) = into.get_mut(i) {
                *slope += weight * f.slope(z[i]);
            }
            return;
        };
        for (at, &i) in term.iter().enumerate().filter(|(_, i)| **i > 0) {
            if let Some(slope) = into.get_mut(i as usize - 1) {
                let others = term.iter().enumerate().filter(|(other, j)| *other != at && **j > 0);
                *slope += weight * others.map(|(_, j)| z[*j as usize - 1]).product::<f64>();
            }
        }
    }

    /// What the terms are measured in when each variable is measured in units of `scales`: the product of the
    /// factors' units for monomials, 1 for functions.
    pub(super) fn units(&self, scales: &[f64]) -> Vec<f64> {
        let mut units = self.monomials.evaluate(scales);
        units.extend(self.functions.iter().map(|_| 1.0));
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_differences() {
        let terms = Terms::new(3, 3, true, &Function::ALL).unwrap();
        let (z, h) = ([0.7, 1.3, 0.4], 1e-6);
        for p in 0..terms.len() {
            let mut gradient = [0.0; 3];
            terms.add_gradient(p, &z, 1.0, &mut gradient);
            for i in 0..3 {
                let at = |step: f64| {
                    let mut moved = z;
                    moved[i] += step;
                    terms.evaluate(&moved)[p]
                };
                // Central differences: truncation h² f''' and rounding of order eps/h.
                approx::assert_abs_diff_eq!(gradient[i], (at(h) - at(-h)) / (2.0 * h), epsilon = 1e-8);
            }
        }
    }
}
