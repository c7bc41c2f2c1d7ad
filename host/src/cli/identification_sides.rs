//! What `arcgate eval identification` compares: the model's embeddings as a gallery has them, and beside them those of the float
//! model, those without a gallery's transform and those under the transforms of other galleries.

use serde_json::Value;

use crate::eval::embed::{Embedded, Engine};
use crate::eval::gallery::Vector;
use crate::eval::identification::{Searches, TrialError, Trials};

/// Further sets of galleries whose transforms are tried.
const FURTHER: u64 = 8;

/// Whether embeddings are compared as a gallery compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Transformed {
    /// Each gallery under a transform of its own, as on a device.
    On,
    /// As the model gives them.
    Off,
    /// On, and beside it off and with eight further transforms of each gallery.
    Both,
}

impl Transformed {
    /// What draws the galleries' transforms, if there are any: `seed`.
    pub(super) fn seed(self, seed: u64) -> Option<u64> {
        (self != Transformed::Off).then_some(seed)
    }

    /// What was done, for JSON; `null` for floats, which no gallery transforms.
    pub(super) fn json(self, engines: &[Engine]) -> Value {
        match (self, &engines[0]) {
            (_, Engine::Float(_)) => Value::Null,
            (Transformed::On, _) => "on".into(),
            (Transformed::Off, _) => "off".into(),
            (Transformed::Both, _) => "both".into(),
        }
    }
}

/// Embeddings, and whose they are.
pub(super) struct People {
    /// The model's.
    pub(super) own: Vec<Vector>,
    /// The float model's.
    float: Option<Vec<Vector>>,
    pub(super) of_vector: Vec<usize>,
    pub(super) number: usize,
}

/// Searches of the same galleries, a side each.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    /// The model's.
    pub(super) own: Searches,
    /// The float model's.
    pub(super) float: Option<Searches>,
    /// The model's without a transform where the others are under one.
    pub(super) plain: Option<Searches>,
    /// The model's under further transforms.
    pub(super) further: Vec<Searches>,
}

impl Sides {
    /// Searches, whose transforms `trials` draws.
    ///
    /// # Errors
    /// When there are no such trials.
    pub(super) fn run(people: &People, trials: &Trials, transform: Transformed) -> Result<Self, TrialError> {
        let run = |vectors: &Vec<Vector>, transform| {
            Searches::run(vectors, &people.of_vector, &Trials { transform, ..*trials })
        };
        let further = match (transform, trials.transform) {
            (Transformed::Both, Some(seed)) => {
                (1..=FURTHER).map(|more| Some(seed.wrapping_add(more))).collect()
            }
            _ => Vec::new(),
        };
        Ok(Sides {
            own: run(&people.own, trials.transform)?,
            float: people.float.as_ref().map(|vectors| run(vectors, None)).transpose()?,
            plain: (transform == Transformed::Both).then(|| run(&people.own, None)).transpose()?,
            further: further.into_iter().map(|seed| run(&people.own, seed)).collect::<Result<_, _>>()?,
        })
    }
}

impl People {
    /// The embeddings of the images that `used` keeps; people without any have no number.
    pub(super) fn new(
        of_person: &[Vec<usize>],
        embedded: &Embedded,
        engines: &[Engine],
        used: impl Fn(usize) -> bool,
    ) -> Self {
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
        People { own: by_engine.next().unwrap_or_default(), float: by_engine.next(), of_vector, number }
    }

    /// How many embeddings are all zeros, and like nobody.
    pub(super) fn zeros(&self) -> usize {
        self.own.iter().filter(|vector| vector.is_zero()).count()
    }
}
