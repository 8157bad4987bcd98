//! The bounds of `scale`: as hive.toml has them, or as an operator sets them for a while.

use std::fmt;

use super::ScalePlan;

/// How many workers there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Never fewer; at least 1.
    pub min: u16,
    /// Never more; at least `min`.
    pub max: u16,
}

/// Bounds that an operator asks for; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewBounds {
    /// `min`.
    pub min: Option<u16>,
    /// `max`.
    pub max: Option<u16>,
}

/// Why there can be no such bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundsFault {
    /// Neither `min` nor `max`.
    Neither,
    /// A consumer without workers would not notice a message.
    NoWorkers,
    /// `min` is above `max`.
    Crossed(Bounds),
    /// Workers that would never get a delivery.
    BeyondPrefetch {
        /// What was asked for.
        max: u16,
        /// As many deliveries (batches) as the prefetch lets the consumer have.
        most: u16,
    },
}

impl Bounds {
    /// These bounds with those of `new` in their place. The prefetch is enough for `most` workers.
    ///
    /// # Errors
    ///
    /// There can be no such bounds.
    pub fn with(self, new: NewBounds, most: u16) -> Result<Self, BoundsFault> {
        if new == NewBounds::default() {
            return Err(BoundsFault::Neither);
        }
        let bounds = Self {
            min: new.min.unwrap_or(self.min),
            max: new.max.unwrap_or(self.max),
        };
        let Self { min, max } = bounds;
        if min == 0 || max == 0 {
            return Err(BoundsFault::NoWorkers);
        }
        if min > max {
            return Err(BoundsFault::Crossed(bounds));
        }
        if max > most {
            return Err(BoundsFault::BeyondPrefetch { max, most });
        }
        Ok(bounds)
    }
}

impl NewBounds {
    /// Those that are asked for, each with its name.
    pub fn named(self) -> impl Iterator<Item = (&'static str, u16)> {
        let both = [("min", self.min), ("max", self.max)];
        both.into_iter()
            .filter_map(|(name, bound)| Some((name, bound?)))
    }
}

impl From<&ScalePlan> for Bounds {
    fn from(plan: &ScalePlan) -> Self {
        Self {
            min: plan.min,
            max: plan.max,
        }
    }
}

impl fmt::Display for BoundsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neither => f.write_str("name `min`, `max` or both"),
            Self::NoWorkers => f.write_str(
                "`min` and `max` must be at least 1; to stop a consumer, pause it (`hive-host pause`)",
            ),
            Self::Crossed(Bounds { min, max }) => {
                write!(f, "`min` must not be above `max`: {min} against {max}")
            }
            Self::BeyondPrefetch { max, most } => write!(
                f,
                "`max` must not be above {most}, got {max}: the prefetch of the consumer lets it have no more \
                 deliveries at once; raise `prefetch` in hive.toml and reload"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Bounds = Bounds { min: 2, max: 8 };

    fn with(min: Option<u16>, max: Option<u16>) -> Result<Bounds, BoundsFault> {
        NOW.with(NewBounds { min, max }, 256)
    }

    #[test]
    fn a_bound_that_is_not_named_stays() {
        assert_eq!(with(Some(4), None), Ok(Bounds { min: 4, max: 8 }));
        assert_eq!(with(None, Some(2)), Ok(Bounds { min: 2, max: 2 }));
        assert_eq!(with(Some(9), Some(9)), Ok(Bounds { min: 9, max: 9 }));
    }

    #[test]
    fn bounds_that_cannot_be_are_refused_with_the_reason() {
        let cases = [
            (with(None, None), "name `min`"),
            (with(Some(0), None), "at least 1"),
            (with(None, Some(0)), "at least 1"),
            // Against the bound that stays.
            (with(Some(9), None), "9 against 8"),
            (with(None, Some(1)), "2 against 1"),
            (with(None, Some(257)), "above 256, got 257"),
        ];
        for (bounds, said) in cases {
            let fault = bounds.expect_err(said).to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }
}
