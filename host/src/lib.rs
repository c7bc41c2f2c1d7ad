//! The host side of arcgate: images to a trained embedder, a float ONNX to proven int8, photographs to templates.
//!
//! A model's way down: [`data`] -> [`train`] (with [`net`] and [`loss`]) -> [`onnx`] -> [`quantize`] -> [`lower`] -> a
//! plan that a device interprets; [`chips`] says what that takes on which. [`study`] holds losses side by side; [`eval`] measures any model through any [`engine`];
//! [`enroll`] and [`link`] speak to devices, [`bundle`] and [`keys`] carry people between them, [`update`] their models; [`scenario`] plays what happens before one; [`report`] draws. The formats that both sides share are defined in `arcgate-firmware`.

pub mod bundle;
pub mod chips;
pub mod cli;
pub mod data;
pub mod demo;
pub mod disk;
pub mod engine;
pub mod enroll;
pub mod eval;
pub mod keys;
pub mod link;
pub mod loss;
pub mod lower;
pub mod net;
pub mod onnx;
pub mod photo;
pub mod quantize;
pub mod report;
pub mod scenario;
pub mod study;
pub mod synth;
pub mod train;
pub mod ui;
pub mod update;
