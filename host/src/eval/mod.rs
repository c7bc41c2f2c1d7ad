//! Verification and identification figures through any engine.
//!
//! - [`verification`]: pairs with scores -> accuracy over folds, TAR at FAR, EER;
//! - [`all_pairs`]: every pair of a set -> TAR at the lowest FAR;
//! - [`gallery`]: templates, and a probe's similarity to each; [`transform`]: embeddings as a device's gallery compares them;
//! - [`fpir`], [`pareto`], [`calibration`]: angles between different people -> the threshold for each FPIR and number of people;
//! - [`pairs`]: which pairs a set of identities has;
//! - [`identification`]: open-set searches -> FNIR at FPIR, DET, CMC; [`splits`]: predicted FPIR against measured;
//! - [`errata`]: the labels of LFW that are wrong;
//! - [`omniglot`]: one-shot classification of characters;
//! - [`detection`]: two face detectors on the same pictures;
//! - [`embed`]: a set of images through one or several engines, each image loaded once;
//! - [`float`]: what a float ONNX takes;
//! - [`interval`], [`bootstrap`]: how far a measured rate can be trusted.

pub mod all_pairs;
pub mod bootstrap;
pub mod calibration;
pub mod detection;
pub mod embed;
pub mod errata;
pub mod float;
pub mod fpir;
pub mod gallery;
pub mod identification;
pub mod interval;
pub mod omniglot;
pub mod pairs;
pub mod pareto;
pub mod splits;
pub mod transform;
pub mod verification;

pub use verification::{Accuracy, Score, Scores};
