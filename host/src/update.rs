//! Model images on the host: made of models, checked whole.

use arcgate_firmware::engine::plan::{Plan, PlanError};
use arcgate_firmware::engine::vectors;
use arcgate_firmware::model::{ModelInfo, Task};
use arcgate_firmware::update::{
    Development, HEADER, Header, Part, Payload, Room, Said, SigningKey, Tried, UpdateError, UpdateKey,
    Verifier, image_bytes, try_plans, write_image,
};
use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;

use crate::lower::{self, LowerError, ProofReport};

/// Drawn pictures of the self-test in an image, for each plan.
pub const VECTORS: u32 = 4;

/// Crops that tract and a plan are compared on besides.
const SYNTHETIC: usize = 8;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A plan is none, or not for what it should be.
    #[error("the {part}: {source}")]
    Plan {
        /// Which.
        part: Part,
        /// What is wrong.
        source: PlanError,
    },
    /// The ONNX cannot be lowered, or tract and its plan differ.
    #[error("the {part}: {source}")]
    Lower {
        /// Which.
        part: Part,
        /// What is wrong.
        source: LowerError,
    },
    /// The version 0 stands for none.
    #[error("a model version is a number from 1 on")]
    Version,
    /// It is no image, or a changed one.
    #[error(transparent)]
    Image(#[from] UpdateError),
    /// Something is missing at its end, or follows.
    #[error("the image has {expected} bytes by its header, {found} are there")]
    Length {
        /// As the header says.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Beyond what its numbers can say.
    #[error("the plans are too large for an image")]
    TooLarge,
}

/// A model for an image.
#[derive(Debug)]
pub enum Model {
    /// Int8 ONNX, to be lowered and proven.
    Onnx(Box<ModelProto>),
    /// A plan that was proven when it was compiled.
    Plan(Vec<u8>),
}

/// A plan, and what tract said of it.
#[derive(Debug)]
pub struct Proven {
    /// The plan.
    pub plan: Vec<u8>,
    /// What was compared; nothing of a plan that was given as one.
    pub proof: Option<ProofReport>,
}

/// Lowers a model, and compares its plan with tract on the crops of the self-test and some others.
///
/// # Errors
/// When it cannot be lowered, is for another task, or differs.
pub fn prove(model: Model, part: Part) -> Result<Proven, ImageError> {
    let lowered = |source| ImageError::Lower { part, source };
    let (plan, onnx) = match model {
        Model::Plan(plan) => (plan, None),
        Model::Onnx(onnx) => (lower::lower(&onnx).map_err(lowered)?, Some(onnx)),
    };
    let info = parse(&plan, part)?.info().clone();
    let proof = onnx.map(|onnx| {
        let mut crops = drawn(&info);
        crops.extend(lower::synthetic_crops(&info, SYNTHETIC));
        lower::prove(&onnx, &plan, &crops).map_err(lowered)
    });
    let proof = proof.transpose()?;
    Ok(Proven { plan, proof })
}

/// A plan for what its part does.
fn parse(plan: &[u8], part: Part) -> Result<Plan<'_>, ImageError> {
    let task = match part {
        Part::Embedder => Task::Embedding,
        Part::Detector => Task::Detection,
    };
    let parsed = Plan::parse(plan).and_then(|parsed| parsed.header().expect(task).map(|()| parsed));
    parsed.map_err(|source| ImageError::Plan { part, source })
}

/// The crops of the self-test.
fn drawn(info: &ModelInfo) -> Vec<Vec<u8>> {
    let crop = |vector| {
        let mut crop = vec![0; info.crop_bytes()];
        vectors::draw(vector, info, &mut crop);
        crop
    };
    (0..VECTORS).map(crop).collect()
}

/// What the plans give on the first `count` drawn pictures, as a device computes it.
fn tried(plans: &Payload<'_>, count: u32) -> Result<Tried, ImageError> {
    let parts = [(plans.embedder, Part::Embedder)].into_iter();
    let parts = parts.chain(plans.detector.map(|plan| (plan, Part::Detector)));
    let (mut arena, mut crop) = (0, 0);
    for (plan, part) in parts {
        let plan = parse(plan, part)?;
        (arena, crop) = (plan.arena_bytes().max(arena), plan.info().crop_bytes().max(crop));
    }
    let (mut arena, mut crop) = (vec![0; arena], vec![0; crop]);
    Ok(try_plans(plans, count, &mut Room { arena: &mut arena, crop: &mut crop }, || ())?)
}

/// An image of an embedder's plan and perhaps a detector's, signed, whose self-test has [`VECTORS`] pictures.
///
/// # Errors
/// When a plan is none or does not run here, or the numbers do not fit.
pub fn pack(
    key: &SigningKey,
    version: u32,
    embedder: &[u8],
    detector: Option<&[u8]>,
) -> Result<Vec<u8>, ImageError> {
    pack_tried(key, version, VECTORS, &Payload { embedder, detector })
}

/// As [`pack`], with so many pictures, of which a device takes 1 to [`vectors::MAX`].
///
/// # Errors
/// As [`pack`].
pub fn pack_tried(
    key: &SigningKey,
    version: u32,
    vectors: u32,
    plans: &Payload<'_>,
) -> Result<Vec<u8>, ImageError> {
    if version == 0 {
        return Err(ImageError::Version);
    }
    let Tried { embedding_id, digest } = tried(plans, vectors)?;
    let said = Said { version, vectors, vectors_hash: digest, embedding_id };
    let mut image = vec![0; image_bytes(plans).ok_or(ImageError::TooLarge)?];
    match write_image(key, &said, plans, &mut image) {
        true => Ok(image),
        false => Err(ImageError::TooLarge),
    }
}

/// An image of which everything was checked.
#[derive(Debug)]
pub struct Checked<'i> {
    /// What it says of itself.
    pub header: Header,
    /// Its plans.
    pub plans: Payload<'i>,
    /// Whether the development key signed it.
    pub is_development: bool,
}

/// Checks all of an image but whose key signed it: signature, hash, plans and self-test.
///
/// # Errors
/// Whatever is wrong with it.
pub fn check(image: &[u8]) -> Result<Checked<'_>, ImageError> {
    let (stated, _) = Header::read(image)?;
    let signer = UpdateKey(stated.signer);
    let header = Verifier::new(signer, Development::Accepted)?.check(image)?;
    let (behind, expected) = (&image[HEADER..], header.payload_bytes() as usize);
    let length = ImageError::Length { expected: HEADER + expected, found: image.len() };
    let Some(plans) = header.payload(behind).filter(|_| behind.len() == expected) else { return Err(length) };
    if Sha256::digest(behind)[..] != header.payload_hash {
        return Err(UpdateError::Hash.into());
    }
    let Tried { embedding_id, digest } = tried(&plans, header.vectors)?;
    if embedding_id != header.embedding_id {
        return Err(UpdateError::Identity.into());
    }
    if digest != header.vectors_hash {
        return Err(UpdateError::SelfTest { vectors: header.vectors }.into());
    }
    Ok(Checked { header, plans, is_development: signer == UpdateKey::DEVELOPMENT })
}
