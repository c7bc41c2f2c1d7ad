//! SHA-512 (FIPS 180-4), each of its steps once in a program.

use sha2::digest::block_api::BlockSizeUser;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

/// [`sha2::Sha512`], whose buffering would otherwise be compiled into every call.
#[derive(Clone, Default)]
pub(crate) struct Sha512(sha2::Sha512);

impl OutputSizeUser for Sha512 {
    type OutputSize = <sha2::Sha512 as OutputSizeUser>::OutputSize;
}

impl BlockSizeUser for Sha512 {
    type BlockSize = <sha2::Sha512 as BlockSizeUser>::BlockSize;
}

impl HashMarker for Sha512 {}

impl Update for Sha512 {
    #[inline(never)]
    fn update(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }
}

impl FixedOutput for Sha512 {
    #[inline(never)]
    fn finalize_into(self, out: &mut Output<Self>) {
        self.0.finalize_into(out);
    }
}
