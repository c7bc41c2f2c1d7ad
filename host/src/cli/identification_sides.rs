//! What `arcgate eval identification` compares: the model's embeddings as a gallery has them, and beside them those of the float
//! model, those without a gallery's transform and those under the transforms of other galleries.

use arcgate_firmware::gallery::GalleryError;
use serde_json::{Value, json};

use crate::eval::embed::{Embedded, Engine};
use crate::eval::gallery::Vector;
use crate::eval::transform::transformed;

/// Further galleries whose transforms are tried.
const GALLERIES: u64 = 8;

/// Whether embeddings are compared as a gallery compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Transformed {
    /// Under the transform of a gallery, as on a device.
    On,
    /// As the model gives them.
    Off,
    /// On, and beside it off and under the transforms of eight further galleries.
    Both,
}

impl Transformed {
    /// What was done, for JSON; `null` for floats, which no gallery transforms.
    pub(super) fn json(self, engines: &[Engine], seed: u64) -> Value {
        let compared = match (self, &engines[0]) {
            (_, Engine::Float(_)) => return Value::Null,
            (Transformed::Off, _) => return json!({"compared": "off"}),
            (Transformed::On, _) => "on",
            (Transformed::Both, _) => "both",
        };
        json!({"compared": compared, "seed": seed, "further_seeds": if self == Transformed::Both { GALLERIES } else { 0 }})
    }
}

/// One and the same thing of each side.
#[derive(Debug, Clone)]
pub(super) struct Sides<T> {
    /// The model's.
    pub(super) own: T,
    /// The float model's.
    pub(super) float: Option<T>,
    /// The model's without a transform where the others are under one.
    pub(super) plain: Option<T>,
    /// The model's in further galleries.
    pub(super) further: Vec<T>,
}

impl<T> Sides<T> {
    /// The same of another kind.
    pub(super) fn try_map<U, E>(&self, of: impl Fn(&T) -> Result<U, E>) -> Result<Sides<U>, E> {
        Ok(Sides {
            own: of(&self.own)?,
            float: self.float.as_ref().map(&of).transpose()?,
            plain: self.plain.as_ref().map(&of).transpose()?,
            further: self.further.iter().map(&of).collect::<Result<_, _>>()?,
        })
    }
}

/// Embeddings, and whose they are.
pub(super) struct People {
    pub(super) vectors: Sides<Vec<Vector>>,
    pub(super) of_vector: Vec<usize>,
    pub(super) number: usize,
}

impl People {
    /// The embeddings of the images that `used` keeps; people without any have no number.
    ///
    /// # Errors
    /// When a gallery does not take embeddings of that dimension.
    pub(super) fn new(
        of_person: &[Vec<usize>],
        (embedded, engines): (&Embedded, &[Engine]),
        (transform, seed): (Transformed, u64),
        used: impl Fn(usize) -> bool,
    ) -> Result<Self, GalleryError> {
        let (mut by_engine, mut of_vector, mut number) = (vec![Vec::new(); engines.len()], Vec::new(), 0);
        for person in of_person {
            let before = of_vector.len();
            for vectors in
                person.iter().filter(|&&image| used(image)).filter_map(|image| embedded.vectors.get(image))
            {
                for ((values, engine), out) in vectors.iter().zip(engines).zip(&mut by_engine) {
                    out.push(match engine {
                        Engine::Int8(..) => Vector::Int8(values.iter().map(|&v| v as i8).collect()),
                        Engine::Float(_) => Vector::Float(values.clone()),
                    });
                }
                of_vector.push(number);
            }
            number += usize::from(of_vector.len() > before);
        }
        let mut by_engine = by_engine.into_iter();
        let (plain, float) = (by_engine.next().unwrap_or_default(), by_engine.next());
        let vectors = match transform {
            Transformed::Off => Sides { own: plain, float, plain: None, further: Vec::new() },
            Transformed::On => {
                Sides { own: transformed(&plain, seed)?, float, plain: None, further: Vec::new() }
            }
            Transformed::Both => {
                let further = (1..=GALLERIES).map(|more| transformed(&plain, seed.wrapping_add(more)));
                let further = further.collect::<Result<_, _>>()?;
                Sides { own: transformed(&plain, seed)?, float, plain: Some(plain), further }
            }
        };
        Ok(People { vectors, of_vector, number })
    }

    /// How many embeddings are all zeros, and like nobody.
    pub(super) fn zeros(&self) -> usize {
        self.vectors.own.iter().filter(|vector| vector.is_zero()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_is_mapped() {
        let sides = Sides { own: 1, float: None, plain: Some(2), further: vec![3, 4] };
        let twice = sides.try_map(|&n: &i32| Ok::<_, ()>(2 * n)).unwrap();
        assert_eq!((twice.own, twice.float, twice.plain, twice.further), (2, None, Some(4), vec![6, 8]));
        assert_eq!(sides.try_map(|&n| if n == 4 { Err(n) } else { Ok(n) }).unwrap_err(), 4);
    }
}
