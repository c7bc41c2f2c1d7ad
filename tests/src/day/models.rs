//! The models of a day, in signed images: a first one, the same network again, another network, and images that must be refused.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use arcgate::engine::Model;
use arcgate::keys::update::development;
use arcgate::photo::{Detector, Finder};
use arcgate::update;
use arcgate_firmware::update::{HEADER, Payload, Said, SigningKey, image_bytes, write_image};
use sha2::{Digest, Sha256};

use super::On;
use crate::data;
use crate::program::arcgate;

/// The version of images that a device would take, were nothing wrong with them.
pub(super) const LATER: u32 = 9;

/// Pictures of a large image's self-test: an emulated board takes seconds for each.
const TRIED: u32 = 1;

/// A model as a device gets it.
pub(super) struct Image {
    pub version: u32,
    pub bytes: Vec<u8>,
}

/// Images for one machine, all signed with the development key, which benches accept, but for one.
pub(super) struct Models {
    /// Whether they are MobileFaceNet and YuNet, imported.
    pub are_real: bool,
    /// What crops are made for; the other network takes the same.
    pub embedder: Model,
    /// Finds faces as the images' detector does.
    pub finder: Finder,
    pub first: Image,
    /// The first one's network and embedding id.
    pub same: Image,
    /// The same network quantized on other pictures, under another embedding id.
    pub other: Image,
    /// A small one with which nothing is wrong; it comes last, and not to its end.
    pub later: Image,
    /// Images that must be refused, and what is wrong with each.
    pub bad: Vec<(&'static str, Vec<u8>)>,
}

impl Models {
    /// Makes them for a machine. What takes long to make is kept below `target/tests` until the program changes.
    pub(super) fn make(on: On) -> anyhow::Result<Self> {
        let float = (data::find("models/MobileFaceNet.onnx"), data::find("models/yunet_2026may.onnx"));
        let data = float.0.zip(float.1).zip(data::find("lfw"));
        let folder = if data.is_some() { "target/tests/day" } else { "target/tests/day-drawn" };
        let cache = Cache { folder: data::workspace().join(folder), core: on.core() };
        std::fs::create_dir_all(&cache.folder).with_context(|| folder)?;
        let are_real = data.is_some();
        let (first, other, detector) = match data {
            Some(((float, finder), lfw)) => {
                let int8 = |name, images| cache.embedder(name, images, &float, &lfw);
                // As `tests/run` made it, if it did.
                let first = data::made_embedder().map_or_else(|| int8("embedder", "256"), Ok)?;
                (first, int8("other", "60")?, Some(cache.detector(&finder, &lfw)?))
            }
            None => (shipped("synth-s.onnx"), cache.drawn()?, None),
        };
        let (embedder, other) = (cache.plan("embedder", &first)?, cache.plan("other", &other)?);
        let detector = detector.map(|onnx| cache.plan("detector", &onnx)).transpose()?;
        let finds = detector.as_deref().map(std::fs::read).transpose()?;
        let image = |version, embedder: &Path| -> anyhow::Result<Image> {
            let embeds = std::fs::read(embedder)?;
            let plans = Payload { embedder: &embeds, detector: finds.as_deref() };
            Ok(Image { version, bytes: update::pack_tried(&development(), version, TRIED, &plans)? })
        };
        let small = std::fs::read(shipped("synth-s.plan"))?;
        Ok(Models {
            are_real,
            embedder: Model::open(&embedder)?,
            first: image(1, &embedder)?,
            same: image(2, &embedder)?,
            other: image(3, &other)?,
            later: Image { version: LATER, bytes: update::pack(&development(), LATER, &small, None)? },
            bad: bad(&small)?,
            finder: Finder::new(detector.map(Detector::open).transpose()?, None),
        })
    }
}

fn shipped(name: &str) -> PathBuf {
    data::workspace().join("models/synth-s").join(name)
}

/// What `arcgate` makes and takes long for, in a folder.
struct Cache {
    folder: PathBuf,
    core: Option<&'static str>,
}

impl Cache {
    /// The file of this name; made by `make` where it is missing or older than this program, which is built with `arcgate`.
    fn made(&self, name: &str, make: impl FnOnce(&str)) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
        let built = std::env::current_exe().and_then(|program| changed(&program))?;
        if changed(&path).is_ok_and(|made| made > built) {
            return Ok(path);
        }
        eprintln!("making {name}, once for this program: up to a minute");
        // Two days may begin at once: each makes its own, and either is the file.
        let draft = tempfile::tempdir_in(&self.folder)?;
        let own = draft.path().join(name);
        make(&own.to_string_lossy());
        std::fs::rename(own, &path)?;
        Ok(path)
    }

    fn detector(&self, float: &Path, lfw: &Path) -> anyhow::Result<PathBuf> {
        let [float, lfw] = [float, lfw].map(Path::to_string_lossy);
        self.made("detector.onnx", |made| {
            let how = ["--input", "1x3x256x256", "--images", "48", "-q", "-o", made];
            arcgate(["import", &float, "--calibrate", &lfw].into_iter().chain(how)).done();
        })
    }

    /// MobileFaceNet, quantized on so many photographs, with thresholds.
    fn embedder(&self, name: &str, images: &str, float: &Path, lfw: &Path) -> anyhow::Result<PathBuf> {
        let [float, lfw] = [float, lfw].map(Path::to_string_lossy);
        self.made(&format!("{name}.onnx"), |made| {
            let how = ["import", &float, "--calibrate", &lfw, "--images", images, "-q", "-o", made];
            arcgate(how.into_iter().chain(data::NORMALISATION)).done();
            arcgate(["calibrate", made, "--impostors", &lfw, "--images", "500", "-q"]).done();
        })
    }

    /// The shipped network, quantized on other portraits, with thresholds.
    fn drawn(&self) -> anyhow::Result<PathBuf> {
        let float = shipped("synth-s-float.onnx");
        self.made("drawn.onnx", |made| {
            let portraits = format!("{made}.portraits");
            let many = ["--identities", "500", "--views", "6", "--first", "5000", "--size", "48x48"];
            arcgate(["synth", "-o", &portraits].into_iter().chain(many)).done();
            let float = float.to_string_lossy();
            arcgate(["import", &float, "--calibrate", &portraits, "-q", "-o", made]).done();
            arcgate(["calibrate", made, "--impostors", &portraits, "--per-identity", "6", "-q"]).done();
        })
    }

    /// The plan of an int8 ONNX, laid out for the machine's core; another file's has another name.
    fn plan(&self, name: &str, onnx: &Path) -> anyhow::Result<PathBuf> {
        let digest = Sha256::digest(std::fs::read(onnx)?);
        let (onnx, core) = (onnx.to_string_lossy(), self.core.unwrap_or("any"));
        self.made(&format!("{name}-{core}-{:02x}{:02x}.plan", digest[0], digest[1]), |made| {
            let core = self.core.into_iter().flat_map(|core| ["--target", core]);
            arcgate(["compile", &onnx, "-o", made, "-q"].into_iter().chain(core)).done();
        })
    }
}

/// What no device may take: an image of `plan` with one thing wrong with each.
fn bad(plan: &[u8]) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let good = update::pack(&development(), LATER, plan, None)?;
    let turned = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let stranger = update::pack(&SigningKey::new(&[7; 32]), LATER, plan, None)?;
    // All is signed as it is, but the embeddings of the self-test are not those of the plan.
    let embedding_id = Model::open(&shipped("synth-s.plan"))?.info().embedding_id;
    let said = Said { version: LATER, vectors: update::VECTORS, vectors_hash: [0; 32], embedding_id };
    let plans = Payload { embedder: plan, detector: None };
    let mut untrue = vec![0; image_bytes(&plans).context("the plan is too large")?];
    ensure!(write_image(&development(), &said, &plans, &mut untrue), "the image cannot be written");
    // A bit of its version, and one in the middle of its weights.
    let (in_header, in_weights) = (12, HEADER + plan.len() / 2);
    Ok(vec![
        ("a changed header", turned(in_header)),
        ("another key", stranger),
        ("damaged weights", turned(in_weights)),
        ("an untrue self-test", untrue),
    ])
}
