//! Which rows of a fixed table hold the newest samples, and how each of them came from the one before.

use ndarray::Array2;

use crate::surrogate::higher_order::PairNote;

/// A ring of row numbers, which is told of everything that moves x.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ring {
    capacity: usize,
    len: usize,
    next: usize,
    /// For each row, how its sample came from the one before.
    links: Vec<Link>,
    /// For each row, what is known about its pair, in a history of pairs.
    notes: Vec<PairNote>,
    path: Path,
    /// Whether the state's gradient is the newest sample's.
    gradient_is_recorded: bool,
}

/// How a sample came from the sample before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// By one true step with the gradient recorded with the sample before: x and g were recorded before the
    /// step.
    Previous,
    /// By one true step with the gradient recorded with the sample itself: x and g were recorded after the
    /// step.
    Own,
    /// By anything else: a surrogate phase, or several steps.
    Unrelated,
}

/// How x has moved since the newest sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Path {
    Still,
    OneStep(Link),
    #[default]
    Other,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            links: vec![Link::Unrelated; capacity],
            notes: vec![PairNote { remainder: 0.0, kept: false }; capacity],
            ..Self::default()
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The row for the newest sample: a free one, or the oldest sample's. `None` if there are no rows at all.
    pub(crate) fn push(&mut self) -> Option<usize> {
        if self.capacity == 0 {
            return None;
        }
        let row = self.next;
        self.links[row] = match self.path {
            Path::OneStep(link) => link,
            Path::Still | Path::Other => Link::Unrelated,
        };
        (self.path, self.gradient_is_recorded) = (Path::Still, true);
        self.next = (row + 1) % self.capacity;
        self.len = (self.len + 1).min(self.capacity);
        Some(row)
    }

    /// The row for the newest pair: a free one, or the oldest pair's. `None` if there are no rows at all.
    pub(crate) fn push_pair(&mut self, note: PairNote) -> Option<usize> {
        let row = self.push()?;
        self.notes[row] = note;
        Some(row)
    }

    /// What is known about the pairs, oldest first.
    pub(crate) fn notes(&self) -> Vec<PairNote> {
        self.rows().into_iter().map(|row| self.notes[row]).collect()
    }

    /// The rows in use, oldest sample first.
    pub(crate) fn rows(&self) -> Vec<usize> {
        (0..self.len).map(|i| (self.next + self.capacity - self.len + i) % self.capacity).collect()
    }

    /// The rows of a history of pairs in use, oldest pair first: the displacements' rows, then the changes',
    /// which lie `capacity` further on.
    pub(crate) fn pair_rows(&self) -> Vec<usize> {
        let rows = self.rows();
        rows.iter().copied().chain(rows.iter().map(|row| self.capacity + row)).collect()
    }

    pub(crate) fn clear(&mut self) {
        (self.len, self.next, self.path) = (0, 0, Path::Other);
    }

    /// Notes that the state has a new gradient.
    pub(crate) fn gradient_was_set(&mut self) {
        self.gradient_is_recorded = false;
        if self.path == Path::OneStep(Link::Own) {
            // The gradient of that step is in no sample.
            self.path = Path::Other;
        }
    }

    /// Notes that a true step was taken.
    pub(crate) fn stepped(&mut self) {
        self.path = match (self.path, self.gradient_is_recorded) {
            (Path::Still, true) => Path::OneStep(Link::Previous),
            (Path::Still, false) => Path::OneStep(Link::Own),
            _ => Path::Other,
        };
    }

    /// Notes that x moved by something else: a surrogate phase, or the return to the trusted state.
    pub(crate) fn moved(&mut self) {
        self.path = Path::Other;
    }

    /// C (K×K, oldest first) with x_k − x_0 = C G for samples that are consecutive steps x − h g; `None` if
    /// they are not.
    ///
    /// Sums of steps carry what differences of rounded iterates lose where iterates come to rest.
    pub(crate) fn displacements(&self, h: f64) -> Option<Array2<f64>> {
        let mut c = Array2::zeros((self.len, self.len));
        for (k, row) in self.rows().into_iter().enumerate().skip(1) {
            let step = match self.links[row] {
                Link::Previous => k - 1,
                Link::Own => k,
                Link::Unrelated => return None,
            };
            let before = c.row(k - 1).to_owned();
            c.row_mut(k).assign(&before);
            c[[k, step]] -= h;
        }
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn keeps_the_newest_in_order() {
        let mut ring = Ring::new(3);
        let pushed: Vec<_> = (0..5).map(|_| ring.push().unwrap()).collect();
        assert_eq!(pushed, [0, 1, 2, 0, 1]);
        assert_eq!(ring.rows(), [2, 0, 1]);
        ring.clear();
        assert_eq!(ring.rows(), [0; 0]);
        ring.push();
        assert_eq!(ring.rows(), [0], "rows in use are always the first ones");
        assert_eq!(Ring::new(0).push(), None);
    }

    /// x_k − x_0 is the sum of the steps between, whether samples are taken before or after the step;
    /// anything else is no trajectory.
    #[test]
    fn displacements_are_sums_of_consecutive_steps() {
        let (h, gradients) = (0.5, [3.0, -1.0, 4.0, -2.0, 5.0]);
        for after in [false, true] {
            let mut ring = Ring::new(3);
            let (mut x, mut recorded) = (0.0, [[0.0; 2]; 3]);
            for g in gradients {
                ring.gradient_was_set();
                if after {
                    x -= h * g;
                    ring.stepped();
                }
                recorded[ring.push().unwrap()] = [x, g];
                if !after {
                    x -= h * g;
                    ring.stepped();
                }
            }
            let samples: Vec<_> = ring.rows().into_iter().map(|row| recorded[row]).collect();
            let c = ring.displacements(h).unwrap();
            let g = ndarray::arr1(&[samples[0][1], samples[1][1], samples[2][1]]);
            let x = ndarray::arr1(&[0.0, samples[1][0] - samples[0][0], samples[2][0] - samples[0][0]]);
            assert_eq!(c.dot(&g), x, "recorded after the step: {after}");
        }
        let spoiled: [fn(&mut Ring); 4] = [
            |ring| ring.moved(),
            |ring| ring.stepped(),
            |_| (),
            |ring| {
                ring.gradient_was_set();
                ring.stepped();
                ring.gradient_was_set();
            },
        ];
        for (number, spoil) in spoiled.into_iter().enumerate() {
            let mut ring = Ring::new(3);
            ring.gradient_was_set();
            ring.push();
            if number < 2 {
                ring.stepped();
            }
            spoil(&mut ring);
            ring.push();
            assert_eq!(ring.displacements(h), None, "case {number}");
        }
    }
}
