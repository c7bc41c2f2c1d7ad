//! Making an image: what the host does, and the tests.

use arcgate_crypto::sha256;

use super::{HEADER, Header, Payload, SigningKey, detector_offset, payload_bytes};

/// What is said of the plans in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The model's version, from 1 on.
    pub version: u32,
    /// Drawn pictures of the self-test, for each plan.
    pub vectors: u32,
    /// What [`try_plans`](super::try_plans) gives for so many.
    pub vectors_hash: [u8; 32],
    /// The embedder's embedding id.
    pub embedding_id: [u8; 32],
}

/// Bytes of an image with these plans; `None` beyond 4 GiB.
pub fn image_bytes(plans: &Payload<'_>) -> Option<usize> {
    let (embedder, detector) = lengths(plans)?;
    payload_bytes(embedder, detector).map(|behind| HEADER + behind as usize)
}

/// Writes an image, signed, into `image`, which has [`image_bytes`] bytes. `false`, and nothing is written, when it has not.
#[must_use]
pub fn write_image(key: &SigningKey, said: &Said, plans: &Payload<'_>, image: &mut [u8]) -> bool {
    let (length, lengths) = (image.len(), lengths(plans));
    let Some((header, behind)) = image.split_first_chunk_mut::<HEADER>() else { return false };
    let (Some((embedder, detector)), true) = (lengths, image_bytes(plans) == Some(length)) else {
        return false;
    };
    behind.fill(0);
    let first = behind.get_mut(..plans.embedder.len());
    let placed = first.map(|place| place.copy_from_slice(plans.embedder));
    let second = plans.detector.zip(detector_offset(embedder));
    let second =
        second.and_then(|(plan, at)| Some((plan, behind.get_mut(at as usize..)?.get_mut(..plan.len())?)));
    if placed.is_none() || second.is_none() && plans.detector.is_some() {
        return false;
    }
    if let Some((plan, place)) = second {
        place.copy_from_slice(plan);
    }
    let Said { version, vectors, vectors_hash, embedding_id } = *said;
    let payload_hash = sha256(&[behind]);
    let signer = key.public().0;
    *header = key.sign(&Header {
        version,
        embedder,
        detector,
        vectors,
        payload_hash,
        vectors_hash,
        embedding_id,
        signer,
    });
    true
}

fn lengths(plans: &Payload<'_>) -> Option<(u32, u32)> {
    let detector = plans.detector.map_or(0, <[u8]>::len);
    Some((u32::try_from(plans.embedder.len()).ok()?, u32::try_from(detector).ok()?))
}
