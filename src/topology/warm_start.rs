//! What one run hands to the next: a design, and what is known of the curvature around it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::mesh::Mesh;
use super::{interpolate, prolong};
use crate::domain::Volume;
use crate::engine::Pair;
use crate::error::Result;
use crate::run::{PairSource, Start};
use crate::surrogate::higher_order::PairNote;

/// A design, with what is known of the curvature around it.
#[derive(Debug)]
pub(crate) struct WarmStart {
    pub design: Vec<f64>,
    /// The objective at the design; ∞ where it has not been evaluated.
    pub value: f64,
    pairs: Pairs,
    /// The mesh that the pairs are on and the one that they go to, where these are not the same.
    lift: Option<[Mesh; 2]>,
}

/// Pairs that wait for the run that begins with them. That run takes them: on a large mesh they are much of
/// what a run keeps, and a run that has begun keeps its own.
#[derive(Debug, Default)]
struct Pairs(Mutex<Arc<Vec<KeptPair>>>);

impl Pairs {
    fn new(pairs: Arc<Vec<KeptPair>>) -> Self {
        Self(Mutex::new(pairs))
    }

    /// The pairs, which stay here as well.
    fn share(&self) -> Arc<Vec<KeptPair>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The pairs, which are gone from here afterwards.
    fn take(&self) -> Arc<Vec<KeptPair>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A [`Pair`], in half the memory where its numbers are those of an engine in single precision.
#[derive(Debug)]
struct KeptPair {
    displacement: Numbers,
    change: Numbers,
    note: PairNote,
}

#[derive(Debug)]
enum Numbers {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Numbers {
    /// The same numbers, in single precision if that has all of them.
    fn new(values: Vec<f64>) -> Self {
        if values.iter().all(|value| f64::from(*value as f32) == *value) {
            Self::Single(values.iter().map(|value| *value as f32).collect())
        } else {
            Self::Double(values)
        }
    }

    fn wide(&self) -> Cow<'_, [f64]> {
        match self {
            Self::Single(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::Double(values) => Cow::Borrowed(values),
        }
    }
}

impl KeptPair {
    fn new(pair: Pair) -> Self {
        let Pair { displacement, change, note } = pair;
        Self { displacement: Numbers::new(displacement), change: Numbers::new(change), note }
    }

    /// The pair on the mesh that `lift` leads to. The entries of a gradient scale with the measure of their
    /// element, so the change is scaled along.
    fn on(&self, lift: Option<[Mesh; 2]>) -> Result<Pair> {
        let (displacement, change) = (self.displacement.wide(), self.change.wide());
        let Some([from, to]) = lift else {
            let [displacement, change] = [displacement, change].map(Cow::into_owned);
            return Ok(Pair { displacement, change, note: self.note });
        };
        let share = from.elements() as f64 / to.elements() as f64;
        let change = interpolate(&from, &change, &to)?.iter().map(|y| share * y).collect();
        Ok(Pair { displacement: interpolate(&from, &displacement, &to)?, change, note: self.note })
    }
}

impl WarmStart {
    /// A design around which nothing is known yet.
    pub(crate) fn at(design: Vec<f64>) -> Self {
        Self { design, value: f64::INFINITY, pairs: Pairs::default(), lift: None }
    }

    /// The design that a run has found, with its value and pairs.
    pub(crate) fn found(value: f64, design: Vec<f64>, pairs: Vec<Pair>) -> Self {
        let pairs = pairs.into_iter().map(KeptPair::new).collect();
        Self { value, pairs: Pairs::new(Arc::new(pairs)), ..Self::at(design) }
    }

    /// The design and the pairs of a result on the mesh `from`, on the mesh `to` with its `volume`.
    pub(super) fn prolonged(&self, [from, to]: [&Mesh; 2], volume: &Volume) -> Result<Self> {
        let design = prolong(from, &self.design, to, &volume.weights, volume.bound)?;
        let from = self.lift.map_or(*from, |[from, _]| from);
        Ok(Self { pairs: Pairs::new(self.pairs.share()), lift: Some([from, *to]), ..Self::at(design) })
    }

    /// Lets go of the pairs.
    pub(super) fn forget_pairs(&self) {
        self.pairs.take();
    }

    /// What a run begins with. The run takes the pairs.
    pub(crate) fn as_start(&self) -> Start<'_> {
        Start::at(&self.design).with_pairs_of(self)
    }
}

impl PairSource for WarmStart {
    fn for_each(&self, take: &mut dyn FnMut(&Pair) -> Result<()>) -> Result<()> {
        match Arc::try_unwrap(self.pairs.take()) {
            Ok(own) => own.into_iter().try_for_each(|pair| take(&pair.on(self.lift)?)),
            Err(shared) => shared.iter().try_for_each(|pair| take(&pair.on(self.lift)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(values: [f64; 2]) -> Pair {
        let [displacement, change] = values.map(|value| vec![value; 4]);
        Pair { displacement, change, note: PairNote { remainder: 0.5, kept: true } }
    }

    fn taken(start: &WarmStart) -> Vec<Pair> {
        let mut pairs = Vec::new();
        start
            .for_each(&mut |pair| {
                pairs.push(pair.clone());
                Ok(())
            })
            .unwrap();
        pairs
    }

    #[test]
    fn pairs_are_handed_out_once_and_to_the_last_bit() {
        let pairs = vec![pair([0.25, -1.5]), pair([0.1, f64::MAX]), pair([f64::NAN, 1.0])];
        let start = WarmStart::found(1.0, vec![0.0; 4], pairs.clone());
        let kept = start.pairs.share();
        let are_single = |pair: &KeptPair| {
            [&pair.displacement, &pair.change].map(|numbers| matches!(numbers, Numbers::Single(_)))
        };
        assert_eq!(kept.iter().map(are_single).collect::<Vec<_>>(), [[true; 2], [false; 2], [false, true]]);
        drop(kept);
        let found = taken(&start);
        assert_eq!(found[..2], pairs[..2]);
        assert!(found[2].displacement.iter().all(|value| value.is_nan()));
        assert!(taken(&start).is_empty(), "the run has taken them");
    }

    /// A field that is the same everywhere is so on a finer mesh; a gradient is divided among more elements.
    #[test]
    fn pairs_are_carried_to_a_finer_mesh() {
        let [coarse, fine] = [[2, 2], [4, 6]].map(|size| Mesh::new(&size).unwrap());
        let volume = Volume::new(vec![1.0; 24], 6.0);
        let result = WarmStart::found(1.0, vec![0.25; 4], vec![pair([0.5, -3.0])]);
        let start = result.prolonged([&coarse, &fine], &volume).unwrap();
        assert_eq!(start.design, vec![0.25; 24]);
        let found = taken(&start);
        assert_eq!(found[0].displacement, vec![0.5; 24]);
        assert!(found[0].change.iter().all(|change| (change + 0.5).abs() < 1e-15));
        assert_eq!(taken(&result).len(), 1, "those of the coarse mesh are still there for another run");
    }
}
