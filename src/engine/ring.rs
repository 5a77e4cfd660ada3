//! Which rows of a fixed table hold the newest samples.

/// A ring of row numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    capacity: usize,
    len: usize,
    next: usize,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, len: 0, next: 0 }
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
        self.next = (row + 1) % self.capacity;
        self.len = (self.len + 1).min(self.capacity);
        Some(row)
    }

    /// The rows in use, oldest sample first.
    pub(crate) fn rows(&self) -> Vec<usize> {
        (0..self.len).map(|i| (self.next + self.capacity - self.len + i) % self.capacity).collect()
    }

    pub(crate) fn clear(&mut self) {
        (self.len, self.next) = (0, 0);
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
}
