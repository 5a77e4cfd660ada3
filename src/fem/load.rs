//! The forces of a load case.

use crate::error::{Error, Result};

/// The forces of one load case on the degrees of freedom of a mesh, kept where there are any: a vector of
/// all degrees of freedom would take 24 bytes an element, nearly all of them zeros.
///
/// ```
/// use lgf::fem::Load;
///
/// # fn main() -> lgf::Result<()> {
/// let mut load = Load::new(4);
/// load.add(2, -1.0)?;
/// load.add(2, 0.5)?;
/// assert_eq!(load.to_vec(), [0.0, 0.0, -0.5, 0.0]);
/// assert_eq!(Load::from(vec![0.0, 3.0]).to_vec(), [0.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    dofs: usize,
    forces: Vec<(usize, f64)>,
}

impl Load {
    /// No force on any of `dofs` degrees of freedom.
    pub fn new(dofs: usize) -> Self {
        Self { dofs, forces: Vec::new() }
    }

    /// Adds a force on one degree of freedom.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when there is no such degree of freedom.
    pub fn add(&mut self, dof: usize, force: f64) -> Result<()> {
        if dof >= self.dofs {
            return Err(Error::invalid("a degree of freedom", dof, format!("below {}", self.dofs)));
        }
        self.forces.push((dof, force));
        Ok(())
    }

    /// The number of degrees of freedom.
    pub fn dofs(&self) -> usize {
        self.dofs
    }

    /// Writes the force on every degree of freedom to `out`, which has one entry for each.
    pub(crate) fn write(&self, out: &mut [f64]) {
        out.fill(0.0);
        for (dof, force) in &self.forces {
            out[*dof] += force;
        }
    }

    /// The force on every degree of freedom.
    pub fn to_vec(&self) -> Vec<f64> {
        let mut forces = vec![0.0; self.dofs];
        self.write(&mut forces);
        forces
    }
}

impl From<Vec<f64>> for Load {
    /// The load that has these forces, one for each degree of freedom.
    fn from(forces: Vec<f64>) -> Self {
        let dofs = forces.len();
        let forces = forces.into_iter().enumerate().filter(|(_, force)| *force != 0.0).collect();
        Self { dofs, forces }
    }
}
